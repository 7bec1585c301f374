//! Chunks around the hits, read under the pin for a context that shows more than the hits.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use braid_core::{ChunkRecord, DocumentId, LedgerPin, Result};
use futures::future::try_join_all;
use rustc_hash::FxHashMap;

use crate::request::ContextExpansion;

/// How far a section reaches from its hit, in chunks: more would not fit a context anyway.
const SECTION_REACH: u32 = 16;

/// Chunks by document and ordinal.
#[derive(Debug, Default)]
pub(crate) struct Neighborhood {
    expand: ContextExpansion,
    chunks: FxHashMap<DocumentId, BTreeMap<u32, ChunkRecord>>,
}

impl Neighborhood {
    /// Reads the chunks around `records`; nothing where the context shows hits alone.
    pub(crate) async fn fetch(
        pin: &dyn LedgerPin,
        records: impl Iterator<Item = &ChunkRecord>,
        expand: ContextExpansion,
    ) -> Result<Self> {
        if expand == ContextExpansion::None {
            return Ok(Self::default());
        }
        let wanted = plan_reads(records, reach(expand));
        let reads = wanted
            .iter()
            .map(|(document, ordinals)| pin.document_chunks(document, ordinals.clone()));
        let records = try_join_all(reads).await?.into_iter().flatten();
        Ok(Self::of(expand, records))
    }

    pub(crate) fn of(expand: ContextExpansion, records: impl Iterator<Item = ChunkRecord>) -> Self {
        let mut chunks: FxHashMap<DocumentId, BTreeMap<u32, ChunkRecord>> = FxHashMap::default();
        for record in records {
            let document = chunks.entry(record.document.clone()).or_default();
            document.insert(record.chunk.ordinal, record);
        }
        Self { expand, chunks }
    }

    /// What goes into the context with `record`, itself included, by ordinal.
    pub(crate) fn around<'a>(&'a self, record: &'a ChunkRecord) -> Vec<&'a ChunkRecord> {
        let Some(chunks) = self.chunks.get(&record.document) else {
            return vec![record];
        };
        let belongs = |other: &&ChunkRecord| {
            self.expand != ContextExpansion::Section
                || other.chunk.heading_path == record.chunk.heading_path
        };
        let found = |ordinal: u32| chunks.get(&ordinal).filter(belongs);
        let (ordinal, reach) = (record.chunk.ordinal, reach(self.expand));
        let above = (ordinal.saturating_sub(reach)..ordinal).rev();
        let mut around: Vec<&ChunkRecord> = above.map_while(found).collect();
        around.reverse();
        around.push(record);
        let below = ordinal.saturating_add(1)..=ordinal.saturating_add(reach);
        around.extend(below.map_while(found));
        around
    }
}

/// How many chunks to either side a hit may bring with it.
fn reach(expand: ContextExpansion) -> u32 {
    match expand {
        ContextExpansion::None => 0,
        ContextExpansion::Neighbors => 1,
        ContextExpansion::Section => SECTION_REACH,
    }
}

/// The ordinals to read of each document, overlapping ranges merged.
fn plan_reads<'a>(
    records: impl Iterator<Item = &'a ChunkRecord>,
    reach: u32,
) -> Vec<(&'a DocumentId, RangeInclusive<u32>)> {
    let mut ranges: Vec<(&DocumentId, u32, u32)> = records
        .map(|record| {
            let ordinal = record.chunk.ordinal;
            let start = ordinal.saturating_sub(reach);
            (&record.document, start, ordinal.saturating_add(reach))
        })
        .collect();
    ranges.sort_unstable();
    let mut merged: Vec<(&DocumentId, RangeInclusive<u32>)> = Vec::new();
    for (document, start, end) in ranges {
        match merged.last_mut() {
            Some((last, range)) if *last == document && start <= range.end().saturating_add(1) => {
                *range = *range.start()..=end.max(*range.end());
            }
            Some(_) | None => merged.push((document, start..=end)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use braid_core::{Chunk, ChunkId, ContentHash, Sequence, Slot, Span};

    use super::*;

    fn record(document: &str, ordinal: u32) -> ChunkRecord {
        ChunkRecord {
            slot: Slot(ordinal),
            id: ChunkId(uuid::Uuid::from_u128(u128::from(ordinal))),
            document: DocumentId::new(document).unwrap(),
            sequence: Sequence(1),
            title: None,
            chunk: Chunk {
                ordinal,
                span: Span { start: 0, end: 0 },
                page: None,
                heading_path: Vec::new(),
                context_header: String::new(),
                text: String::new(),
                gap: String::new(),
            },
            embedding_key: ContentHash([0; 32]),
            language: None,
        }
    }

    #[test]
    fn reads_of_one_document_are_merged() {
        let records = [
            record("b", 0),
            record("a", 7),
            record("a", 4),
            record("a", 1),
        ];
        let reads: Vec<String> = plan_reads(records.iter(), 1)
            .iter()
            .map(|(document, ordinals)| format!("{document} {ordinals:?}"))
            .collect();
        assert_eq!(reads, ["a 0..=8", "b 0..=1"]);
    }
}
