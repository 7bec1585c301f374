//! A new generation of a collection's indexes, built beside the served one.
//!
//! Passes over the ledger bring the new indexes ever closer while writes go on; the last pass holds
//! the writers and the applier, and one ledger transaction then switches. Until that transaction the
//! old generation is served and nothing of it is touched; what an interrupted rebuild leaves behind
//! is dropped at the next start ([`Indexer::recover`](crate::Indexer::recover)).

mod rechunk;

use std::sync::Arc;

use braid_core::ports::SwitchGeneration;
use braid_core::{
    Collection, CollectionSettings, Error, ErrorCode, Generation, IndexKey, Leg, Result, Sequence,
    Slot, SlotSet,
};
use tokio::sync::MutexGuard;

use crate::applier;
use crate::applier::gather::put_slots;
use crate::breakpoints::Breakpoint;
use crate::indexer::IndexerParts;
use crate::indexes::{Change, Indexes, Source};
use crate::pipeline::Pipeline;
use crate::state::{CollectionState, Served};

use rechunk::Rechunked;

/// A pass that changes fewer slots than this is followed by the last one.
const FEW: u64 = 512;
/// Most passes before the last one: writers that outrun the passes are held at last.
const PASSES: usize = 8;
/// Operations read in one go.
const OPERATIONS: usize = 1024;

/// How far a rebuild has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RebuildProgress {
    /// Documents chunked anew.
    pub documents: u64,
    /// Chunks that the new generation is known to take.
    pub chunks: u64,
    /// Chunks of those whose embedding is stored.
    pub embedded: u64,
    /// Entries written to or dropped from the new indexes, each index counted.
    pub written: u64,
    /// Whether writers are held for the last step.
    pub last_pass: bool,
}

/// Told how far a rebuild has come.
pub(crate) type Report<'a> = dyn Fn(RebuildProgress) + Send + Sync + 'a;

/// One rebuild of one collection.
#[derive(Debug)]
pub(crate) struct Rebuild<'a> {
    parts: &'a Arc<IndexerParts>,
    state: &'a Arc<CollectionState>,
    settings: CollectionSettings,
}

/// The generation being built.
struct Build {
    served: Arc<Served>,
    source: Source,
    indexes: Indexes,
    /// New chunks of every document, where the chunker differs.
    rechunked: Option<Rechunked>,
    progress: RebuildProgress,
}

impl<'a> Rebuild<'a> {
    pub(crate) fn new(
        parts: &'a Arc<IndexerParts>,
        state: &'a Arc<CollectionState>,
        settings: CollectionSettings,
    ) -> Result<Self> {
        // Refuses settings this process cannot follow before anything is done.
        Pipeline::new(parts, &settings)?;
        Ok(Self {
            parts,
            state,
            settings,
        })
    }

    pub(crate) async fn run(self, report: &Report<'_>) -> Result<Collection> {
        let Ok(_rebuilding) = self.state.rebuilding.try_lock() else {
            let name = &self.state.served().collection.name;
            let message = format!("a rebuild of collection {name} is running");
            return Err(Error::new(ErrorCode::Overloaded, message));
        };
        let old = self.state.served();
        let built = self.build(&old, report).await;
        if built.is_err() && self.state.served().collection == old.collection {
            self.discard(old.collection.next_key()).await;
        }
        built
    }

    async fn build(&self, old: &Served, report: &Report<'_>) -> Result<Collection> {
        let mut build = self.begin(old).await?;
        for _ in 0..PASSES {
            if self.pass(&mut build, None, report).await? < FEW {
                break;
            }
        }
        self.finish(build, old, report).await
    }

    /// Drops what a rebuild that failed has built: it may be what fills the disk.
    async fn discard(&self, key: IndexKey) {
        if let Err(error) = self.parts.indexes.remove(key).await {
            tracing::warn!(error = %error.chain(), "cannot remove the indexes of a failed rebuild");
        }
    }

    /// Empty indexes for the next generation, whatever an earlier attempt left there.
    async fn begin(&self, old: &Served) -> Result<Build> {
        let pipeline = Pipeline::new(self.parts, &self.settings)?;
        let rechunk = pipeline.fingerprint.chunker != old.collection.fingerprint.chunker;
        let collection = Collection {
            settings: self.settings,
            fingerprint: pipeline.fingerprint.clone(),
            dimension: self.parts.embedder.dimension(),
            generation: old.collection.next_key().generation,
            ..old.collection.clone()
        };
        self.parts.indexes.remove(collection.index_key()).await?;
        Ok(Build {
            indexes: Indexes::open(self.parts, &collection).await?,
            source: Source::new(Arc::clone(self.parts), &collection),
            rechunked: rechunk.then(Rechunked::default),
            served: Arc::new(Served {
                collection,
                pipeline,
            }),
            progress: RebuildProgress::default(),
        })
    }

    /// Brings the new indexes in line with the ledger as it is now; returns how much was changed.
    /// With `watermark` this is the last pass, which records it.
    async fn pass(
        &self,
        build: &mut Build,
        watermark: Option<Sequence>,
        report: &Report<'_>,
    ) -> Result<u64> {
        build.progress.last_pass = watermark.is_some();
        let target = self.target(build, report).await?;
        let watermark = watermark.unwrap_or(Sequence::ZERO);
        let mut changed = 0;
        for index in build.indexes.both() {
            let held = index.slots().await?;
            let add: Vec<Slot> = (&target - &held).iter().map(Slot).collect();
            if index.leg() == Leg::Dense {
                self.embed_ahead(&build.source, (&add, &mut build.progress), report)
                    .await?;
            }
            let change = Change {
                add,
                delete: held - &target,
                before: Sequence::ZERO,
                after: watermark,
            };
            changed += change.add.len() as u64 + change.delete.len();
            build.source.write(index, change).await?;
        }
        build.progress.written += changed;
        report(build.progress);
        Ok(changed)
    }

    /// Stores the embeddings that the vector store is about to take, telling how far that is.
    async fn embed_ahead(
        &self,
        source: &Source,
        (slots, progress): (&[Slot], &mut RebuildProgress),
        report: &Report<'_>,
    ) -> Result<()> {
        progress.chunks += slots.len() as u64;
        for slots in slots.chunks(self.parts.options.embed_batch_chunks.max(1)) {
            let chunks = source.chunks(slots).await?;
            let note = |error: &Error, failures| {
                tracing::warn!(error = %error.chain(), failures, "embedding failed, it will be tried again");
            };
            source.embeddings.ensure_retrying(&chunks, note).await?;
            progress.embedded += slots.len() as u64;
            report(*progress);
        }
        Ok(())
    }

    /// The slots the new generation must hold.
    async fn target(&self, build: &mut Build, report: &Report<'_>) -> Result<SlotSet> {
        let collection = build.served.collection.id;
        if let Some(rechunked) = &mut build.rechunked {
            let context = rechunk::Context {
                parts: self.parts,
                served: &build.served,
            };
            return rechunked
                .refresh(context, (&mut build.progress, report))
                .await;
        }
        let live = self.parts.ledger.live_slots(collection).await?;
        Ok(live | self.pending_slots().await?)
    }

    /// Slots that are about to be published.
    async fn pending_slots(&self) -> Result<SlotSet> {
        let ledger = &self.parts.ledger;
        let collection = self.state.served().collection.id;
        let mut after = ledger.stats(collection).await?.published;
        let mut slots = SlotSet::new();
        loop {
            let operations = ledger.operations(collection, after, OPERATIONS).await?;
            let Some(last) = operations.last() else {
                return Ok(slots);
            };
            after = last.sequence;
            slots.extend(operations.iter().flat_map(put_slots).map(|slot| slot.0));
        }
    }

    /// The last pass and the switch, with writers and applier held.
    async fn finish(
        &self,
        mut build: Build,
        old: &Served,
        report: &Report<'_>,
    ) -> Result<Collection> {
        let _writers = self.state.writers.write().await;
        let applying = self.drain().await?;
        let newest = self.parts.ledger.stats(old.collection.id).await?.newest;
        self.pass(&mut build, Some(newest), report).await?;
        self.parts
            .options
            .breakpoints
            .reach(Breakpoint::BeforeSwitchGeneration);
        let collection = self.switch(&build).await?;
        self.parts
            .options
            .breakpoints
            .reach(Breakpoint::AfterSwitchGeneration);
        // The old tasks must not begin another step once the lock is free.
        self.state.signal_stop();
        drop(applying);
        self.state.end().await;
        self.state.serve(Served {
            collection: collection.clone(),
            pipeline: Pipeline::new(self.parts, &collection.settings)?,
        });
        self.state.progress.send_modify(|progress| {
            progress.newest = newest;
            progress.published = newest;
            progress.purgeable = true;
        });
        applier::begin(self.parts, self.state);
        self.remove_later(old.collection.index_key());
        Ok(collection)
    }

    async fn switch(&self, build: &Build) -> Result<Collection> {
        let next = &build.served.collection;
        let switch = SwitchGeneration {
            generation: next.generation,
            fingerprint: next.fingerprint.clone(),
            settings: next.settings,
            dimension: next.dimension,
            pipeline: build.served.pipeline.stamp.clone(),
            rechunked: build
                .rechunked
                .as_ref()
                .map_or_else(Vec::new, Rechunked::slots),
        };
        self.parts.ledger.switch_generation(next.id, switch).await
    }

    /// Waits until everything is published and holds the applier there. The caller holds writers.
    async fn drain(&self) -> Result<MutexGuard<'_, ()>> {
        let ledger = &self.parts.ledger;
        let collection = self.state.served().collection.id;
        loop {
            let newest = ledger.stats(collection).await?.newest;
            let drained = self
                .state
                .wait(|progress| progress.published >= newest)
                .await;
            let applying = self.state.applying.lock().await;
            if ledger.stats(collection).await?.lag() == 0 {
                return Ok(applying);
            }
            if let Err(error) = drained {
                if error.code() == ErrorCode::ShuttingDown {
                    return Err(error);
                }
                // The old generation cannot take what is pending (its model is gone, or it is
                // corrupt); the new one, which is about to be served, will hold it.
                ledger.publish(collection, newest).await?;
                return Ok(applying);
            }
        }
    }

    /// Queries that began under the old generation may still open its indexes for a while.
    fn remove_later(&self, old: IndexKey) {
        let parts = Arc::clone(self.parts);
        let shutdown = self.parts.shutdown.clone();
        self.parts.shutdown.spawn(async move {
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

trait NextGeneration {
    fn next_key(&self) -> IndexKey;
}

impl NextGeneration for Collection {
    fn next_key(&self) -> IndexKey {
        IndexKey {
            collection: self.id,
            generation: Generation(self.generation.0 + 1),
        }
    }
}
