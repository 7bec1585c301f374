//! Where chunks in memory came from.

use std::sync::Arc;

use braid_core::ports::Page;
use braid_core::{
    ChunkId, ChunkLineage, ChunkRecord, ChunkStatus, DocumentId, DocumentSummary, Error, Result,
    Sequence, SlotSet,
};

use super::state::Data;

impl Data {
    pub(super) fn find_chunk(&self, id: ChunkId) -> Vec<ChunkLineage> {
        let named = self.chunks.values().rev().filter(|chunk| chunk.id == id);
        named.map(|record| self.lineage(record)).collect()
    }

    pub(super) fn lineage_of_document(
        &self,
        id: &DocumentId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Option<Page<ChunkLineage>>> {
        let start = cursor.map_or(Ok(0), str::parse::<usize>);
        let start = start.map_err(|_| Error::invalid("not a cursor of this listing"))?;
        let Some(row) = self.documents.get(id) else {
            return Ok(None);
        };
        let version = row.live.and_then(|live| self.versions.get(&live));
        let slots = version.map(|version| version.slots.as_slice());
        let after = slots
            .and_then(|slots| slots.get(start..))
            .unwrap_or_default();
        let records = after.iter().take(limit).map(|slot| &self.chunks[slot]);
        Ok(Some(Page {
            items: records.map(|record| self.lineage(record)).collect(),
            next: (after.len() > limit).then(|| (start + limit).to_string()),
        }))
    }

    pub(super) fn document_versions(&self, id: &DocumentId) -> Vec<DocumentSummary> {
        let Some(row) = self.documents.get(id) else {
            return Vec::new();
        };
        let mut named: Vec<Sequence> = [Some(row.newest), row.current, row.live]
            .into_iter()
            .flatten()
            .collect();
        named.sort_unstable_by(|a, b| b.cmp(a));
        named.dedup();
        let summaries = named.into_iter().filter_map(|it| self.version_summary(it));
        summaries.collect()
    }

    fn lineage(&self, record: &ChunkRecord) -> ChunkLineage {
        let newest = self.documents.get(&record.document).map(|row| row.newest);
        ChunkLineage {
            record: record.clone(),
            status: self.chunk_status(record.slot.0),
            version: self.version_summary(record.sequence).map(Arc::new),
            superseded_by: newest.filter(|newest| *newest != record.sequence),
        }
    }

    fn chunk_status(&self, slot: u32) -> ChunkStatus {
        let retired: SlotSet = self.retired_slots();
        if self.live.contains(slot) {
            ChunkStatus::Live
        } else if retired.contains(slot) {
            ChunkStatus::Retired
        } else if self.expected_slots().contains(slot) {
            ChunkStatus::Pending
        } else {
            ChunkStatus::Unreferenced
        }
    }
}
