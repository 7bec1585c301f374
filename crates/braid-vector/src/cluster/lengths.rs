//! The mean length of a collection's chunks, which the weights of their terms are worked out with.
//!
//! It is recorded with the first chunks, which may be nothing like the ones that come after them. So
//! workers look at it again while a collection grows, or shrinks: where it is off, a new mean is recorded as the next
//! revision, and the weights of all chunks that have those of an older one are worked out again. Several
//! workers begin at different chunks; what two of them do is the same work.

use std::sync::Arc;

use braid_core::{ChunkRecord, Collection, CollectionId, Result, Slot};
use rand::RngExt;

use super::cas::{all, is_text};
use super::chunks::{Bm25Parameters, mean_length};
use super::counters::Counter;
use super::heads::{STATE, State};
use super::ledger::ClusterLedger;
use super::registry::{RecordedBm25, Size};
use super::shelf::Shelf;
use super::tried::Tried;

/// Chunks that a mean is drawn from, or all. With lengths that deviate by as much as their mean, it is off
/// by 2 % then.
const SAMPLE: u64 = 2048;
/// A mean that is off by a larger part than this is corrected.
const TOLERATED: f32 = 0.05;
/// A collection that grew by a tenth is looked at once nothing waits; while more comes, one that doubled.
const TENTH: u64 = 10;
/// How many chunks are weighed anew before others have their turn.
const AT_A_TIME: u64 = 10_000;

impl ClusterLedger {
    /// What weights are worked out with, recorded with the first chunks.
    pub(super) async fn bm25<'a>(
        &self,
        collection: &Collection,
        chunks: impl Iterator<Item = &'a ChunkRecord>,
    ) -> Result<Bm25Parameters> {
        self.bm25_of(collection, chunks, Size::default()).await
    }

    async fn bm25_of<'a>(
        &self,
        collection: &Collection,
        chunks: impl Iterator<Item = &'a ChunkRecord>,
        size: Size,
    ) -> Result<Bm25Parameters> {
        let key = (collection.id, collection.generation);
        if let Some(recorded) = self.registry.bm25(key.0, key.1).await? {
            return Ok(recorded.parameters);
        }
        let (chunks, language): (Vec<ChunkRecord>, _) =
            (chunks.cloned().collect(), collection.settings.language);
        let mean = move || mean_length(chunks.iter(), language);
        let first = Bm25Parameters {
            k1: 1.2,
            b: 0.75,
            mean_length: self.site.pool.run(mean).await?,
            revision: 0,
        };
        self.registry.record_bm25(key, None, (first, size)).await
    }

    /// As [`ClusterLedger::bm25`], with chunks drawn from as many that are to come.
    pub(super) async fn expect_lengths(
        &self,
        id: CollectionId,
        sample: &[ChunkRecord],
        chunks: u64,
    ) -> Result<()> {
        if sample.is_empty() {
            return Ok(());
        }
        let (collection, _) = self.open_shelf(id).await?;
        let size = Size {
            chunks,
            slots: chunks,
        };
        let recording = self.bm25_of(&collection, sample.iter(), size);
        recording.await.map(drop)
    }

    /// Looks at the means that are due, and works out some weights that are of older ones. Whether there
    /// may be more of them.
    pub(super) async fn correct_all_lengths(&self) -> Result<bool> {
        let (mut more, mut tried) = (false, Tried::default());
        for collection in self.registry.all().await?.values() {
            let corrected = self.correct_lengths(collection).await;
            more |= tried
                .note(collection, "weights", corrected)
                .unwrap_or_default();
        }
        tried.done()?;
        Ok(more)
    }

    async fn correct_lengths(&self, collection: &Arc<Collection>) -> Result<bool> {
        let shelf = self.shelf_of(collection);
        let key = (collection.id, collection.generation);
        // Of one copy alone it may be an older one.
        let Some(recorded) = self.registry.bm25_agreed(key.0, key.1).await? else {
            return Ok(false);
        };
        let slots = Counter::Slots(collection.id);
        let slots = self.registry.counters.bound(slots).await?;
        let bm25 = self.looked_at(collection, &shelf, recorded, slots).await?;
        if bm25.revision == 0 {
            // There is no older one.
            return Ok(false);
        }
        let first = rand::rng().random_range(0..slots.clamp(1, u64::from(u32::MAX)));
        let first = Slot(u32::try_from(first).unwrap_or_default());
        let mut done = shelf.chunks.reweigh(bm25, first, AT_A_TIME).await?;
        if done == 0 {
            done = shelf.chunks.reweigh(bm25, Slot(0), AT_A_TIME).await?;
        }
        if done > 0 {
            let mean = bm25.mean_length;
            tracing::info!(collection = %collection.name, chunks = done, mean, "weights follow the mean length");
        }
        Ok(done > 0)
    }

    async fn looked_at(
        &self,
        collection: &Collection,
        shelf: &Shelf,
        recorded: RecordedBm25,
        slots: u64,
    ) -> Result<Bm25Parameters> {
        let parameters = recorded.parameters;
        let chunks = shelf.chunks.count().await?;
        let size = Size { chunks, slots };
        // Where the registry went back, as to an older snapshot, chunks have weights of revisions that it
        // does not know: none of them would be taken for old.
        let newest = shelf.chunks.newest_revision().await?;
        let went_back = newest > Some(parameters.revision);
        if chunks == 0 || !(went_back || is_due(shelf, recorded.size, size).await?) {
            return Ok(parameters);
        }
        let drawn = shelf.chunks.drawn(SAMPLE).await?;
        let language = collection.settings.language;
        let mean = move || mean_length(drawn.iter(), language);
        let mean = self.site.pool.run(mean).await?;
        let is_off = (mean / parameters.mean_length.max(1.0) - 1.0).abs() > TOLERATED;
        let next = if is_off || went_back {
            Bm25Parameters {
                mean_length: mean,
                revision: newest.unwrap_or_default().max(parameters.revision) + 1,
                ..parameters
            }
        } else {
            parameters
        };
        let key = (collection.id, collection.generation);
        let registry = &self.registry;
        registry
            .record_bm25(key, Some(&recorded), (next, size))
            .await
    }
}

/// Whether enough changed since to look again.
async fn is_due(shelf: &Shelf, then: Size, now: Size) -> Result<bool> {
    let doubled = |then: u64, now: u64| now >= then.saturating_mul(2).max(1);
    if doubled(then.chunks, now.chunks) || doubled(then.slots, now.slots) {
        return Ok(true);
    }
    // As many as there were came, and half of them are gone again.
    if now.slots >= then.slots && doubled(now.chunks, then.chunks) {
        return Ok(true);
    }
    if now.chunks <= then.chunks.saturating_add(then.chunks / TENTH) {
        return Ok(false);
    }
    let waits = all(vec![is_text(STATE, State::Waiting.as_str())]);
    Ok(shelf.heads.table.count(waits).await? == 0)
}
