//! A pinned state: one LMDB snapshot, kept open until the query is done with it.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use async_trait::async_trait;
use braid_core::operation::CollectionStats;
use braid_core::{
    ChunkId, ChunkRecord, Collection, CollectionName, DocumentId, Error, ErrorCode, Filter,
    LedgerPin, Metadata, Passage, Result, Selection, Slot, SlotSet,
};
use heed::{RoTxn, WithoutTls};
use parking_lot::Mutex;

use crate::collections;
use crate::documents::Reading;
use crate::error::{corrupt, storage};
use crate::filters::FilterReader;
use crate::keys;
use crate::pins::PinGuard;
use crate::rows::{ChunkHeader, document_id, metadata};
use crate::store::Store;
use crate::table::EPOCH;

/// A pinned state. Clones share it.
#[derive(Clone)]
pub(crate) struct LmdbPin(Arc<Pinned>);

struct Pinned {
    collection: Collection,
    stats: CollectionStats,
    live: Arc<SlotSet>,
    // Dropped before the guard: purges must not overtake the snapshot.
    txn: Mutex<RoTxn<'static, WithoutTls>>,
    _guard: PinGuard,
    store: Arc<Store>,
}

impl LmdbPin {
    /// Pins the present state of the collection of that name.
    pub(crate) fn open(store: Arc<Store>, name: &CollectionName) -> Result<Self> {
        let epoch = store.read(|txn| store.tables.number(txn, EPOCH))?;
        let guard = store.pins.hold(epoch);
        let txn = store.env.clone().static_read_txn().map_err(storage)?;
        let tables = &store.tables;
        let collection = collections::named(tables, &txn, name)?.ok_or_else(|| {
            Error::new(
                ErrorCode::CollectionNotFound,
                format!("no collection {name}"),
            )
        })?;
        let stats = collections::counters(tables, &txn, collection.id)?.stats();
        let live = Reading::open(tables, &txn, collection.id)?.live()?;
        Ok(Self(Arc::new(Pinned {
            collection,
            stats,
            live: Arc::new(live),
            txn: Mutex::new(txn),
            _guard: guard,
            store,
        })))
    }

    async fn read<R: Send + 'static>(
        &self,
        read: impl FnOnce(&Pinned, &Reading<'_>) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let pinned = Arc::clone(&self.0);
        let work = move || {
            let txn = pinned.txn.lock();
            let reading = Reading {
                tables: &pinned.store.tables,
                txn: &txn,
                id: pinned.collection.id,
            };
            read(&pinned, &reading)
        };
        self.0.store.blocking().run(work).await
    }
}

impl Pinned {
    fn is_live(&self, slot: Slot) -> bool {
        self.live.contains(slot.0)
    }

    fn select(&self, reading: &Reading<'_>, filter: &Filter) -> Result<SlotSet> {
        let reader = FilterReader {
            tables: reading.tables,
            txn: reading.txn,
            id: reading.id,
            live: &self.live,
        };
        reader.select(filter)
    }

    fn chunk_id(&self, reading: &Reading<'_>, slot: Slot) -> Result<Option<ChunkId>> {
        if !self.is_live(slot) {
            return Ok(None);
        }
        Ok(Some(reading.chunk_header(slot.0)?.id))
    }

    fn hydrate(&self, reading: &Reading<'_>, slots: &[Slot]) -> Result<Vec<Passage>> {
        let mut sources = HashMap::new();
        let mut passages = Vec::with_capacity(slots.len());
        for slot in slots.iter().filter(|slot| self.is_live(**slot)) {
            let record = reading.chunk(slot.0)?;
            let sequence = record.sequence.0;
            let source: Source = match sources.get(&sequence) {
                Some(source) => Source::clone(source),
                None => {
                    let source = reading.source(sequence)?;
                    sources.insert(sequence, source.clone());
                    source
                }
            };
            passages.push(Passage {
                record,
                uri: source.uri,
                metadata: source.metadata,
                duplicate_of: source.duplicate_of,
            });
        }
        Ok(passages)
    }
}

/// What a passage says of its document.
#[derive(Clone)]
struct Source {
    uri: Option<String>,
    metadata: Arc<Metadata>,
    duplicate_of: Option<DocumentId>,
}

impl Reading<'_> {
    fn chunk_header(&self, slot: u32) -> Result<ChunkHeader> {
        self.find_chunk_header(slot)?
            .ok_or_else(|| missing_chunk(slot))
    }

    /// The chunk of a slot that has one.
    pub(crate) fn chunk(&self, slot: u32) -> Result<ChunkRecord> {
        let row = self
            .tables
            .chunks
            .get(self.txn, &keys::slot(self.id, slot))?;
        row.ok_or_else(|| missing_chunk(slot))?.into_record(slot)
    }

    fn source(&self, sequence: u64) -> Result<Source> {
        let version = self.version(sequence)?;
        let version = version.ok_or_else(|| corrupt(format!("version {sequence} is missing")))?;
        let duplicate = version.duplicate.map(|duplicate| document_id(duplicate.of));
        Ok(Source {
            uri: version.uri,
            metadata: Arc::new(metadata(version.metadata)),
            duplicate_of: duplicate.transpose()?,
        })
    }

    /// Slots of a document's live version, in ordinal order.
    fn live_slots_of(&self, document: &DocumentId) -> Result<Vec<u32>> {
        let key = keys::document(self.id, document);
        let row = self.tables.documents.get(self.txn, &key)?;
        let Some(live) = row.and_then(|row| row.live) else {
            return Ok(Vec::new());
        };
        let version = self.version(live)?;
        let version = version.ok_or_else(|| corrupt(format!("version {live} is missing")))?;
        Ok(version.slots)
    }

    /// Chunks of a version whose slots these are. Ordinals count from 0 without a gap, so that no
    /// other chunk is looked at.
    fn chunks_within(
        &self,
        slots: &[u32],
        ordinals: &RangeInclusive<u32>,
    ) -> Result<Vec<ChunkRecord>> {
        let slots = within(slots, ordinals).iter();
        slots.map(|slot| self.chunk(*slot)).collect()
    }
}

/// The slots of these ordinals.
fn within<'s>(slots: &'s [u32], ordinals: &RangeInclusive<u32>) -> &'s [u32] {
    let start = *ordinals.start() as usize;
    let end = (*ordinals.end() as usize)
        .saturating_add(1)
        .min(slots.len());
    slots.get(start..end).unwrap_or_default()
}

fn missing_chunk(slot: u32) -> Error {
    corrupt(format!("the chunk of slot {slot} is missing"))
}

#[async_trait]
impl LedgerPin for LmdbPin {
    fn collection(&self) -> &Collection {
        &self.0.collection
    }

    fn stats(&self) -> &CollectionStats {
        &self.0.stats
    }

    async fn select(&self, filter: Option<Arc<Filter>>) -> Result<Selection> {
        let slots = match &filter {
            None => Arc::clone(&self.0.live),
            Some(filter) => {
                filter.check()?;
                let filter = Arc::clone(filter);
                let select =
                    move |pinned: &Pinned, reading: &Reading<'_>| pinned.select(reading, &filter);
                Arc::new(self.read(select).await?)
            }
        };
        Ok(Selection {
            filter,
            slots: Some(slots),
            ..Selection::default()
        })
    }

    async fn chunk_ids(&self, slots: &[Slot]) -> Result<Vec<Option<ChunkId>>> {
        let slots = slots.to_vec();
        self.read(move |pinned, reading| {
            let id = |slot: &Slot| pinned.chunk_id(reading, *slot);
            slots.iter().map(id).collect()
        })
        .await
    }

    async fn hydrate(&self, slots: &[Slot]) -> Result<Vec<Passage>> {
        let slots = slots.to_vec();
        self.read(move |pinned, reading| pinned.hydrate(reading, &slots))
            .await
    }

    async fn document_chunks(
        &self,
        document: &DocumentId,
        ordinals: RangeInclusive<u32>,
    ) -> Result<Vec<ChunkRecord>> {
        let document = document.clone();
        self.read(move |_, reading| {
            let slots = reading.live_slots_of(&document)?;
            reading.chunks_within(&slots, &ordinals)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use braid_testkit::ledger_suite::{Scene, put, staged};

    use super::*;
    use crate::{LedgerOptions, LmdbLedger};

    #[test]
    fn ordinals_are_places() {
        let slots = [7, 8, 9];
        assert_eq!(within(&slots, &(0..=0)), [7]);
        assert_eq!(within(&slots, &(1..=u32::MAX)), [8, 9]);
        assert_eq!(within(&slots, &(2..=2)), [9]);
        assert!(within(&slots, &(3..=4)).is_empty());
        #[expect(clippy::reversed_empty_ranges, reason = "callers may ask for nothing")]
        let nothing = 2..=0;
        assert!(within(&slots, &nothing).is_empty());
    }

    /// Chunks that are not asked for are not read: they may even be damaged.
    #[tokio::test]
    async fn a_range_of_a_document_reads_its_own_chunks_alone() {
        let dir = tempfile::tempdir().unwrap();
        let options = LedgerOptions {
            map_size: 64 << 20,
            ..LedgerOptions::default()
        };
        let ledger = LmdbLedger::open(dir.path(), options).unwrap();
        let scene = Scene::of(Arc::new(ledger.clone())).await;
        scene
            .stage_one(put(staged("d", &["a", "b", "c", "d"])))
            .await;
        scene.publish().await;
        let chunks = &ledger.store().tables.chunks;
        let lost = ledger.store().write(|txn| {
            for slot in [0, 1, 3] {
                chunks.delete(txn, &keys::slot(scene.collection.id, slot))?;
            }
            Ok(())
        });
        lost.unwrap();
        let pin = scene.pin().await;
        let id = DocumentId::new("d").unwrap();
        let found = pin.document_chunks(&id, 2..=2).await.unwrap();
        assert_eq!(found[0].chunk.text, "c");
        assert!(pin.document_chunks(&id, 0..=2).await.is_err());
    }
}
