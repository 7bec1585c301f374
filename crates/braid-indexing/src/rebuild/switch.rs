//! The last step of a rebuild: from the old generation to the new one.

use std::sync::Arc;

use braid_core::ports::SwitchGeneration;
use braid_core::{Collection, ErrorCode, IndexKey, Result, Sequence};
use tokio::sync::{MutexGuard, OwnedMutexGuard};

use super::build::{Build, note_retry};
use super::rechunk::Rechunked;
use crate::applier;
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
        let applying = self.drain(&state, old.id).await?;
        let newest = parts.ledger.stats(old.id).await?.newest;
        self.build.pass(Some(newest), &|_| {}).await?;
        // Nothing may fail between the ledger's switch and the applier's.
        let pipeline = Pipeline::new(&parts, &self.build.served.collection.settings)?;
        parts
            .options
            .breakpoints
            .reach(Breakpoint::BeforeSwitchGeneration);
        let collection = self.switch_ledger().await?;
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

    async fn switch_ledger(&self) -> Result<Collection> {
        let next = &self.build.served.collection;
        let rechunked = self.build.rechunked.as_ref();
        let switch = SwitchGeneration {
            generation: next.generation,
            fingerprint: next.fingerprint.clone(),
            settings: next.settings,
            dimension: next.dimension,
            pipeline: self.build.served.pipeline.stamp.clone(),
            rechunked: rechunked.map_or_else(Vec::new, Rechunked::slots),
        };
        let ledger = &self.build.parts.ledger;
        ledger.switch_generation(next.id, switch).await
    }

    /// Waits until everything is published and holds the applier there. The caller holds writers.
    async fn drain<'s>(
        &self,
        state: &'s CollectionState,
        collection: braid_core::CollectionId,
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
                // The old generation cannot take what is pending (its model is gone, or it is
                // corrupt); the new one, which is about to be served, will hold it.
                self.embed_pending().await?;
                ledger.publish(collection, newest).await?;
                return Ok(applying);
            }
        }
    }

    /// Embeds what the old generation could not take, so that after it is published nothing is
    /// left to fail on.
    async fn embed_pending(&self) -> Result<()> {
        let isolation = Isolation {
            parts: &self.build.parts,
            state: &self.state,
            source: &self.build.source,
        };
        let collection = self.build.served.collection.id;
        let ledger = &self.build.parts.ledger;
        let mut after = ledger.stats(collection).await?.published;
        loop {
            let operations = ledger.operations(collection, after, OPERATIONS).await?;
            let Some(last) = operations.last() else {
                return Ok(());
            };
            after = last.sequence;
            isolation.embed(&operations, &note_retry).await?;
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
