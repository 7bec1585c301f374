//! A new generation of a collection's indexes, built beside the served one.
//!
//! Passes over the ledger ([`build`]) bring the new indexes ever closer while writes go on; the last
//! pass holds the writers and the applier, and one ledger transaction then switches ([`switch`]).
//! Until that transaction the old generation is served and nothing of it is touched; what an
//! interrupted rebuild leaves behind is dropped at the next start
//! ([`Indexer::recover`](crate::Indexer::recover)).

mod build;
mod rechunk;
mod switch;

use std::sync::Arc;

use braid_core::{
    Collection, CollectionSettings, Error, ErrorCode, Generation, IndexKey, LanguageSetting,
    PipelineFingerprint, Result,
};

use crate::indexer::IndexerParts;
use crate::indexes::{Indexes, Source};
use crate::pipeline::Pipeline;
use crate::state::{CollectionState, Served};

use build::Build;
use rechunk::Rechunked;
use switch::Switch;

/// A pass that changes fewer slots than this is followed by the last one.
const FEW: u64 = 512;
/// Most passes before the last one: writers that outrun the passes are held at last.
const PASSES: usize = 8;

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
}

/// Told how far a rebuild has come.
pub(crate) type Report<'a> = dyn Fn(RebuildProgress) + Send + Sync + 'a;

/// One rebuild of one collection.
#[derive(Debug)]
pub(crate) struct Rebuild {
    parts: Arc<IndexerParts>,
    state: Arc<CollectionState>,
    settings: CollectionSettings,
}

impl Rebuild {
    pub(crate) fn new(
        parts: Arc<IndexerParts>,
        state: Arc<CollectionState>,
        settings: CollectionSettings,
    ) -> Self {
        Self {
            parts,
            state,
            settings,
        }
    }

    pub(crate) async fn run(self, report: &Report<'_>) -> Result<Collection> {
        let Ok(rebuilding) = Arc::clone(&self.state.rebuilding).try_lock_owned() else {
            let name = &self.state.served().collection.name;
            let message = format!("a rebuild of collection {name} is running");
            return Err(Error::new(ErrorCode::Overloaded, message));
        };
        let old = self.state.served();
        let mut build = self.begin(&old).await?;
        if let Err(error) = draw_close(&mut build, report).await {
            build.discard().await;
            return Err(error);
        }
        let switch = Switch::new(build, self.state);
        switch.run_to_its_end(rebuilding).await
    }

    /// Empty indexes for the next generation, whatever an earlier attempt left there.
    async fn begin(&self, old: &Served) -> Result<Build> {
        let pipeline = Pipeline::new(&self.parts, &self.settings)?;
        let rechunk = needs_rechunking(&pipeline.fingerprint, self.settings, &old.collection);
        let collection = Collection {
            settings: self.settings,
            fingerprint: pipeline.fingerprint.clone(),
            dimension: self.parts.embedder.dimension(),
            generation: Generation(old.collection.generation.0 + 1),
            ..old.collection.clone()
        };
        let key: IndexKey = collection.index_key();
        self.parts.indexes.remove(key).await?;
        Ok(Build {
            indexes: Indexes::open(&self.parts, &collection).await?,
            source: Source::new(Arc::clone(&self.parts), &collection),
            rechunked: rechunk.then(Rechunked::default),
            served: Arc::new(Served {
                collection,
                pipeline,
            }),
            parts: Arc::clone(&self.parts),
            progress: RebuildProgress::default(),
        })
    }
}

/// Whether documents must be read again. Another chunker makes other chunks, and another analyzer
/// that asks for each document's language needs what only their texts tell.
fn needs_rechunking(
    new: &PipelineFingerprint,
    settings: CollectionSettings,
    old: &Collection,
) -> bool {
    let detects = settings.language == LanguageSetting::Auto;
    new.chunker != old.fingerprint.chunker || (detects && new.analyzer != old.fingerprint.analyzer)
}

/// Passes until little is left to do.
async fn draw_close(build: &mut Build, report: &Report<'_>) -> Result<()> {
    for _ in 0..PASSES {
        if build.pass(None, report).await? < FEW {
            break;
        }
    }
    Ok(())
}
