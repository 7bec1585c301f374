//! The last step of a rebuild: from the old generation to the new one.

use std::sync::Arc;

use braid_core::ports::SwitchGeneration;
use braid_core::{Collection, CollectionId, ErrorCode, IndexKey, Result, Sequence, SlotSet};
use tokio::sync::{MutexGuard, OwnedMutexGuard};

use super::build::{Build, note_retry};
use super::rechunk::Rechunked;
use crate::applier;
use crate::applier::gather::put_slots;
use crate::applier::isolate::Isolation;
use crate::breakpoints::Breakpoint;
use crate::indexer::detached;
use crate::pipeline::Pipeline;
use crate::state::{CollectionState, Served};

/// Operations read in one go.
const OPERATIONS: usize = 1024;

/// A generation that is almost in line with the ledger, and the collection that will serve it.
#[derive(Debug)]
pub(super) struct Switch {
    build: Build,
    state: Arc<CollectionState>,
}

impl Switch {
    pub(super) fn new(build: Build, state: Arc<CollectionState>) -> Self {
        Self { build, state }
    }

    /// Switches even if the caller loses interest half-way: between the ledger's switch and the
    /// applier's there is no good place to stop.
    pub(super) async fn run_to_its_end(
        mut self,
        rebuilding: OwnedMutexGuard<()>,
    ) -> Result<Collection> {
        let shutdown = self.build.parts.shutdown.clone();
        let work = async move {
            let _rebuilding = rebuilding;
            let switched = self.run().await;
            if switched.is_err() {
                self.build.discard().await;
            }
            switched
        };
        detached(&shutdown, work).await
    }

    /// The last pass and the switch, with writers and applier held.
    async fn run(&mut self) -> Result<Collection> {
        let state = Arc::clone(&self.state);
        let parts = Arc::clone(&self.build.parts);
        let old = state.served().collection.clone();
        let _writers = state.writers.write().await;
        state.check_open()?;
        let applying = self.drain(&state, old.id).await?;
        let newest = self.finish_build(old.id).await?;
        // Nothing may fail between the ledger's switch and the applier's.
        let pipeline = Pipeline::new(&parts, &self.build.served.collection.settings)?;
        parts
            .options
            .breakpoints
            .reach(Breakpoint::BeforeSwitchGeneration);
        let collection = self.switch_ledger(newest).await?;
        parts
            .options
            .breakpoints
            .reach(Breakpoint::AfterSwitchGeneration);
        // The old tasks must not begin another step once the lock is free.
        state.signal_stop();
        drop(applying);
        state.end().await;
        state.serve(Served {
            collection: collection.clone(),
            pipeline,
        });
        note_switched(&state, newest);
        applier::begin(&parts, &state);
        self.remove_later(old.index_key());
        Ok(collection)
    }

    /// Publishes up to `newest` and switches, in one transaction: whatever fails before it leaves
    /// the old generation serving the versions that it has.
    async fn switch_ledger(&self, newest: Sequence) -> Result<Collection> {
        let next = &self.build.served.collection;
        let rechunked = self.build.rechunked.as_ref();
        let switch = SwitchGeneration {
            generation: next.generation,
            fingerprint: next.fingerprint.clone(),
            settings: next.settings,
            dimension: next.dimension,
            pipeline: self.build.served.pipeline.stamp.clone(),
            publish_through: newest,
            rechunked: rechunked.map_or_else(Vec::new, Rechunked::slots),
        };
        let ledger = &self.build.parts.ledger;
        ledger.switch_generation(next.id, switch).await
    }

    /// Brings the new generation in line with everything acknowledged, with what the old one cannot
    /// take too (its model is gone, it is corrupt or its disk is full); returns the last operation.
    async fn finish_build(&mut self, collection: CollectionId) -> Result<Sequence> {
        let stats = self.build.parts.ledger.stats(collection).await?;
        if stats.lag() == 0 {
            self.build.pass(Some(stats.newest), &|_| {}).await?;
        } else {
            // What the pending operations replace is retired by the switch, and purged like
            // everything else.
            let pending = self.embed_pending().await?;
            self.build.pass_with(&pending, stats.newest).await?;
        }
        Ok(stats.newest)
    }

    /// Waits until everything is published, or cannot be under the old generation, and holds the
    /// applier there. The caller holds writers.
    async fn drain<'s>(
        &self,
        state: &'s CollectionState,
        collection: CollectionId,
    ) -> Result<MutexGuard<'s, ()>> {
        let ledger = &self.build.parts.ledger;
        loop {
            let newest = ledger.stats(collection).await?.newest;
            let drained = state.wait(|progress| progress.published >= newest).await;
            let applying = state.applying.lock().await;
            if ledger.stats(collection).await?.lag() == 0 {
                return Ok(applying);
            }
            if let Err(error) = drained {
                if error.code() == ErrorCode::ShuttingDown {
                    return Err(error);
                }
                return Ok(applying);
            }
        }
    }

    /// Embeds what the old generation could not take and returns the slots.
    async fn embed_pending(&self) -> Result<SlotSet> {
        let isolation = Isolation {
            parts: &self.build.parts,
            state: &self.state,
            source: &self.build.source,
        };
        let collection = self.build.served.collection.id;
        let ledger = &self.build.parts.ledger;
        let published = ledger.stats(collection).await?.published;
        let mut after = published;
        loop {
            let operations = ledger.operations(collection, after, OPERATIONS).await?;
            let Some(last) = operations.last() else {
                break;
            };
            after = last.sequence;
            isolation.embed(&operations, &note_retry).await?;
        }
        // Read again: what the model refused is recorded as failed by now.
        let mut slots = SlotSet::new();
        after = published;
        loop {
            let operations = ledger.operations(collection, after, OPERATIONS).await?;
            let Some(last) = operations.last() else {
                return Ok(slots);
            };
            after = last.sequence;
            slots.extend(operations.iter().flat_map(put_slots).map(|slot| slot.0));
        }
    }

    /// Queries that began under the old generation may still open its indexes for a while.
    fn remove_later(&self, old: IndexKey) {
        let parts = Arc::clone(&self.build.parts);
        let shutdown = parts.shutdown.clone();
        self.build.parts.shutdown.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(parts.options.generation_grace) => {}
                // The next start removes it.
                () = shutdown.requested() => return,
            }
            if let Err(error) = parts.indexes.remove(old).await {
                tracing::warn!(error = %error.chain(), "cannot remove the indexes of a replaced generation");
            }
        });
    }
}

fn note_switched(state: &CollectionState, newest: Sequence) {
    state.progress.send_modify(|progress| {
        progress.newest = progress.newest.max(newest);
        progress.published = newest;
        progress.purgeable = true;
    });
}
