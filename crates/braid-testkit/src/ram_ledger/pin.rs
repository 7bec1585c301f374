//! A pinned state: a shared copy, and an entry among the pins for as long as it lives.

use std::ops::RangeInclusive;
use std::sync::Arc;

use async_trait::async_trait;
use braid_core::operation::CollectionStats;
use braid_core::{
    ChunkId, ChunkRecord, Collection, DocumentId, Filter, LedgerPin, Passage, Result, Selection,
    Slot, SlotSet,
};

use super::Pins;
use super::state::Data;

pub(super) struct RamPin {
    data: Arc<Data>,
    stats: CollectionStats,
    epoch: u64,
    pins: Pins,
}

impl RamPin {
    pub(super) fn new(data: Arc<Data>, epoch: u64, pins: Pins) -> Self {
        *pins.lock().entry(epoch).or_default() += 1;
        let stats = data.stats();
        Self {
            data,
            stats,
            epoch,
            pins,
        }
    }

    fn live_chunk(&self, slot: Slot) -> Option<&ChunkRecord> {
        self.data
            .chunks
            .get(&slot)
            .filter(|_| self.data.live.contains(slot.0))
    }

    fn matching(&self, filter: &Filter) -> SlotSet {
        let live = self.data.documents.values().filter_map(|row| row.live);
        let versions = live.filter_map(|sequence| self.data.versions.get(&sequence));
        versions
            .filter(|version| filter.matches(&version.metadata, version.language))
            .flat_map(|version| version.slots.iter().map(|slot| slot.0))
            .collect()
    }
}

impl Drop for RamPin {
    fn drop(&mut self) {
        let mut pins = self.pins.lock();
        if let Some(held) = pins.get_mut(&self.epoch) {
            *held -= 1;
            if *held == 0 {
                pins.remove(&self.epoch);
            }
        }
    }
}

#[async_trait]
impl LedgerPin for RamPin {
    fn collection(&self) -> &Collection {
        &self.data.collection
    }

    fn stats(&self) -> &CollectionStats {
        &self.stats
    }

    async fn select(&self, filter: Option<Arc<Filter>>) -> Result<Selection> {
        let slots = match filter.as_deref() {
            Some(filter) => {
                filter.check()?;
                self.matching(filter)
            }
            None => self.data.live.clone(),
        };
        Ok(Selection {
            filter,
            slots: Some(Arc::new(slots)),
            ..Selection::default()
        })
    }

    async fn chunk_ids(&self, slots: &[Slot]) -> Result<Vec<Option<ChunkId>>> {
        let id = |slot: &Slot| self.live_chunk(*slot).map(|chunk| chunk.id);
        Ok(slots.iter().map(id).collect())
    }

    async fn hydrate(&self, slots: &[Slot]) -> Result<Vec<Passage>> {
        let passage = |slot: &Slot| {
            let record = self.live_chunk(*slot)?.clone();
            let version = self.data.versions.get(&record.sequence)?;
            Some(Passage {
                record,
                uri: version.uri.clone(),
                metadata: Arc::clone(&version.metadata),
                duplicate_of: version.duplicate.as_ref().map(|it| it.of.clone()),
            })
        };
        Ok(slots.iter().filter_map(passage).collect())
    }

    async fn document_chunks(
        &self,
        document: &DocumentId,
        ordinals: RangeInclusive<u32>,
    ) -> Result<Vec<ChunkRecord>> {
        let live = self.data.documents.get(document).and_then(|row| row.live);
        let version = live.and_then(|sequence| self.data.versions.get(&sequence));
        // Ordinals count from 0 without a gap.
        let slots = version.iter().flat_map(|version| version.slots.iter());
        let asked = (0..).zip(slots).filter(|(at, _)| ordinals.contains(at));
        Ok(asked
            .filter_map(|(_, slot)| self.data.chunks.get(slot))
            .cloned()
            .collect())
    }
}
