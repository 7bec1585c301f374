//! The mean length of a collection's chunks, which the weights of their terms are worked out with.
//!
//! It is recorded with the first chunks, which may be nothing like the ones that come after them. So the
//! sweep looks at it again whenever twice as many slots were taken: where it is off, a new mean is
//! recorded as the next revision, and the weights of all chunks that have those of another one are
//! worked out again, by whichever processes sweep. Work is done twice where they do so at the same time;
//! it is the same work.

use std::sync::Arc;

use braid_core::{ChunkRecord, Collection, CollectionId, Result, Slot};

use super::chunks::{Bm25Parameters, mean_length};
use super::counters::Counter;
use super::ledger::ClusterLedger;
use super::registry::RecordedBm25;
use super::shelf::Shelf;

/// Most chunks that a mean is drawn from. With lengths that deviate by as much as their mean, it is off
/// by 2 % then.
const SAMPLE: u64 = 2048;
/// A mean that is off by a larger part than this is corrected.
const TOLERATED: f32 = 0.05;
/// How many chunks one sweep weighs anew: the next one goes on.
const AT_A_TIME: u64 = 50_000;

impl ClusterLedger {
    /// What weights are worked out with, recorded with the first chunks.
    pub(super) async fn bm25<'a>(
        &self,
        collection: &Collection,
        chunks: impl Iterator<Item = &'a ChunkRecord>,
    ) -> Result<Bm25Parameters> {
        let key = (collection.id, collection.generation);
        if let Some(recorded) = self.registry.bm25(key.0, key.1).await? {
            return Ok(recorded.parameters);
        }
        let first = Bm25Parameters {
            k1: 1.2,
            b: 0.75,
            mean_length: mean_length(chunks, collection.settings.language),
            revision: 0,
        };
        self.registry.record_bm25(key, None, (first, 0)).await
    }

    /// As [`ClusterLedger::bm25`], of chunks like those that are to come.
    pub(super) async fn expect_lengths(
        &self,
        id: CollectionId,
        sample: &[ChunkRecord],
    ) -> Result<()> {
        if sample.is_empty() {
            return Ok(());
        }
        let (collection, _) = self.open_shelf(id).await?;
        self.bm25(&collection, sample.iter()).await.map(drop)
    }

    /// Looks at the mean where that is due, and works out weights that are of another one.
    pub(super) async fn correct_lengths(
        &self,
        collection: &Arc<Collection>,
        shelf: &Shelf,
    ) -> Result<()> {
        let key = (collection.id, collection.generation);
        let Some(recorded) = self.registry.bm25(key.0, key.1).await? else {
            return Ok(());
        };
        let parameters = self.looked_at(collection, shelf, recorded).await?;
        if parameters.revision == 0 {
            // There are no others.
            return Ok(());
        }
        let done = shelf.chunks.reweigh(parameters, AT_A_TIME).await?;
        if done > 0 {
            let mean = parameters.mean_length;
            tracing::info!(collection = %collection.name, chunks = done, mean, "weights follow the mean length");
        }
        Ok(())
    }

    async fn looked_at(
        &self,
        collection: &Collection,
        shelf: &Shelf,
        recorded: RecordedBm25,
    ) -> Result<Bm25Parameters> {
        let parameters = recorded.parameters;
        let slots = Counter::Slots(collection.id);
        let slots = self.registry.counters.bound(slots).await?;
        if slots < recorded.slots.saturating_mul(2).max(1) {
            return Ok(parameters);
        }
        let Some(mean) = self.drawn_mean(collection, shelf, slots).await? else {
            return Ok(parameters);
        };
        let is_off = (mean / parameters.mean_length.max(1.0) - 1.0).abs() > TOLERATED;
        let next = if is_off {
            Bm25Parameters {
                mean_length: mean,
                revision: parameters.revision + 1,
                ..parameters
            }
        } else {
            parameters
        };
        let key = (collection.id, collection.generation);
        let registry = &self.registry;
        registry
            .record_bm25(key, Some(&recorded), (next, slots))
            .await
    }

    /// The mean length of chunks drawn from so many slots, evenly; `None` where none of them has one.
    async fn drawn_mean(
        &self,
        collection: &Collection,
        shelf: &Shelf,
        slots: u64,
    ) -> Result<Option<f32>> {
        let every = slots.div_ceil(SAMPLE).max(1) as usize;
        let drawn = (0..slots).step_by(every);
        let drawn = drawn.filter_map(|slot| u32::try_from(slot).ok().map(Slot));
        let drawn: Vec<Slot> = drawn.collect();
        let found = shelf.chunks.fetch(&drawn).await?;
        let records: Vec<ChunkRecord> = found.into_iter().flatten().map(|it| it.record).collect();
        if records.is_empty() {
            return Ok(None);
        }
        let language = collection.settings.language;
        let mean = move || mean_length(records.iter(), language);
        self.site.pool.run(mean).await.map(Some)
    }
}
