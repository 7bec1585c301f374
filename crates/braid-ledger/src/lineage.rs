//! Where stored chunks came from.

use std::collections::HashMap;
use std::sync::Arc;

use braid_core::ports::Page;
use braid_core::{
    ChunkId, ChunkLineage, ChunkRecord, ChunkStatus, DocumentId, DocumentSummary, Error, Result,
    Sequence, SlotSet,
};

use crate::documents::Reading;
use crate::error::corrupt;
use crate::keys;
use crate::rows::{ChunkHeader, DocumentRow};

impl Reading<'_> {
    /// As [`braid_core::Ledger::find_chunk`]. No table leads from a chunk's name to its slots: it
    /// would be one more random write for every chunk, and only people ask.
    pub(crate) fn find_chunk(&self, id: ChunkId) -> Result<Vec<ChunkLineage>> {
        let mut found = Vec::new();
        let prefix = keys::collection(self.id);
        for entry in self.tables.chunks.entries(self.txn, &prefix)? {
            let (key, bytes) = entry?;
            if ChunkHeader::read(bytes)?.id == id {
                found.push(self.chunk(keys::read_slot(key)?)?);
            }
        }
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let states = States::read(self)?;
        let mut versions = HashMap::new();
        let newest_first = found.into_iter().rev();
        newest_first
            .map(|record| self.lineage(record, &states, &mut versions))
            .collect()
    }

    /// As [`braid_core::Ledger::document_chunks`].
    pub(crate) fn lineage_of_document(
        &self,
        id: &DocumentId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Option<Page<ChunkLineage>>> {
        let start = cursor.map_or(Ok(0), |cursor| {
            let bad = |_| Error::invalid(format!("{cursor:?} is not a cursor of this listing"));
            cursor.parse::<usize>().map_err(bad)
        })?;
        let Some(row) = self.document_row(id)? else {
            return Ok(None);
        };
        let Some(live) = row.live else {
            return Ok(Some(Page {
                items: Vec::new(),
                next: None,
            }));
        };
        let version = self.version(live)?;
        let version = version.ok_or_else(|| corrupt(format!("version {live} is missing")))?;
        let after = version.slots.get(start..).unwrap_or_default();
        let states = States {
            live: after.iter().collect(),
            ..States::default()
        };
        let mut versions = HashMap::new();
        let items = after
            .iter()
            .take(limit)
            .map(|slot| self.lineage(self.chunk(*slot)?, &states, &mut versions))
            .collect::<Result<_>>()?;
        let next = (after.len() > limit).then(|| (start + limit).to_string());
        Ok(Some(Page { items, next }))
    }

    /// As [`braid_core::Ledger::document_versions`].
    pub(crate) fn document_versions(&self, id: &DocumentId) -> Result<Vec<DocumentSummary>> {
        let Some(row) = self.document_row(id)? else {
            return Ok(Vec::new());
        };
        let named = [Some(row.newest), row.current, row.live];
        let mut sequences: Vec<u64> = named.into_iter().flatten().collect();
        sequences.sort_unstable_by(|a, b| b.cmp(a));
        sequences.dedup();
        let summary = |sequence| {
            let version = self.version_summary(row, sequence)?;
            version.ok_or_else(|| corrupt(format!("version {sequence} is missing")))
        };
        sequences.into_iter().map(summary).collect()
    }

    fn document_row(&self, id: &DocumentId) -> Result<Option<DocumentRow>> {
        let key = keys::document(self.id, id);
        self.tables.documents.get(self.txn, &key)
    }

    fn lineage(
        &self,
        record: ChunkRecord,
        states: &States,
        versions: &mut HashMap<u64, Option<Arc<DocumentSummary>>>,
    ) -> Result<ChunkLineage> {
        let sequence = record.sequence.0;
        let document = self.document_row(&record.document)?;
        let version = match versions.get(&sequence) {
            Some(known) => known.clone(),
            None => {
                let row = document.unwrap_or(DocumentRow {
                    newest: sequence,
                    current: Some(sequence),
                    live: None,
                });
                let read = self.version_summary(row, sequence)?.map(Arc::new);
                versions.insert(sequence, read.clone());
                read
            }
        };
        let newest = document.map(|row| row.newest);
        Ok(ChunkLineage {
            status: states.of(record.slot.0),
            version,
            superseded_by: newest.filter(|newest| *newest != sequence).map(Sequence),
            record,
        })
    }
}

/// Which slots stand where. What is in none of them is unreferenced.
#[derive(Default)]
struct States {
    live: SlotSet,
    pending: SlotSet,
    retired: SlotSet,
}

impl States {
    fn read(reading: &Reading<'_>) -> Result<Self> {
        Ok(Self {
            live: reading.live()?,
            pending: reading.staged()?,
            retired: reading.retired()?,
        })
    }

    fn of(&self, slot: u32) -> ChunkStatus {
        if self.live.contains(slot) {
            ChunkStatus::Live
        } else if self.retired.contains(slot) {
            ChunkStatus::Retired
        } else if self.pending.contains(slot) {
            ChunkStatus::Pending
        } else {
            ChunkStatus::Unreferenced
        }
    }
}
