//! Copying collections from a ledger that one process owns to one that processes share.
//!
//! Nothing is chunked or embedded again: documents go over with their chunks, ids and spans, and with
//! the embeddings that the source has. A document is copied once: how far the copy is, is
//! [recorded](CopyLog), so that one that was interrupted goes on where it stopped, and what others wrote
//! or deleted in the target since stays as it is. At the end both sides are [compared](compare).

mod compare;
mod copy;
mod publish;

use std::sync::Arc;

use braid_core::ports::{CopyLog, Recorded};
use braid_core::{
    Collection, CollectionName, CollectionSettings, DuplicateAction, DuplicateSettings, Error,
    ErrorCode, IndexProvider, Ledger, NewCollection, Result, WorkQueue,
};
use braid_runtime::Shutdown;

/// One side of a copy.
#[derive(Clone, Debug)]
pub struct Side {
    /// Its ledger.
    pub ledger: Arc<dyn Ledger>,
    /// Its indexes.
    pub indexes: Arc<dyn IndexProvider>,
}

/// From where to where.
#[derive(Clone, Debug)]
pub struct Migration {
    /// What is copied; nothing is written to it.
    pub source: Side,
    /// Where it goes.
    pub target: Side,
    /// The target's queue: what was staged is published through it.
    pub queue: Arc<dyn WorkQueue>,
    /// Where the target records how far it was copied.
    pub copied: Arc<dyn CopyLog>,
    /// Ends the copy after the batch that it is at.
    pub shutdown: Shutdown,
}

/// How far a copy is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MigrationProgress {
    /// Documents looked at.
    pub seen: u64,
    /// Documents of the collection.
    pub total: u64,
}

/// The same count of both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Of the source.
    pub source: u64,
    /// Of the target.
    pub target: u64,
}

/// How alike the results of both sides are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sampled {
    /// Queries that both sides were asked.
    pub queries: usize,
    /// Mean part of the source's best ten that the target has among its best ten, by words.
    pub lexical: f64,
    /// The same by embeddings.
    pub dense: f64,
}

impl Sampled {
    /// From which overlap on results count as the same: approximate searches and equal scores differ
    /// a little.
    pub const ENOUGH: f64 = 0.9;
}

/// What became of one collection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Migrated {
    /// Documents written.
    pub copied: u64,
    /// Documents that were there already.
    pub unchanged: u64,
    /// Documents that could not be copied, each with the reason.
    pub left_out: Vec<(String, String)>,
    /// Retrievable documents.
    pub documents: Counted,
    /// Retrievable chunks.
    pub chunks: Counted,
    /// A sample of results.
    pub sampled: Sampled,
}

impl Migrated {
    /// Whether both sides hold and find the same.
    pub fn agrees(&self) -> bool {
        let is_equal = |counted: Counted| counted.source == counted.target;
        let Sampled { lexical, dense, .. } = self.sampled;
        self.left_out.is_empty()
            && is_equal(self.documents)
            && is_equal(self.chunks)
            && lexical.min(dense) >= Sampled::ENOUGH
    }
}

impl Migration {
    /// Copies a collection, and compares both sides.
    ///
    /// # Errors
    /// [`CollectionNotFound`](ErrorCode::CollectionNotFound); [`Unavailable`](ErrorCode::Unavailable)
    /// where the source has operations that are not indexed yet;
    /// [`CollectionExists`](ErrorCode::CollectionExists) where the target has another collection of that
    /// name; [`ShuttingDown`](ErrorCode::ShuttingDown) where it was told to stop; otherwise those of the
    /// stores. Running it again goes on.
    pub async fn run(
        &self,
        name: &CollectionName,
        tell: &(dyn Fn(MigrationProgress) + Send + Sync),
    ) -> Result<Migrated> {
        let source = self.source.ledger.collection(name).await?;
        let source = source.ok_or_else(|| crate::state::no_collection(name))?;
        self.check_idle(&source).await?;
        let target = self.create(&source).await?;
        let mut migrated = Migrated::default();
        self.copy(&source, &target, &mut migrated, tell).await?;
        tokio::select! {
            biased;
            () = self.shutdown.requested() => return Err(stopped()),
            // It only reads: it may be dropped anywhere.
            compared = self.compare(&source, &target, &mut migrated) => compared?,
        }
        Ok(migrated)
    }

    async fn check_idle(&self, source: &Collection) -> Result<()> {
        let lag = self.source.ledger.stats(source.id).await?.lag();
        if lag == 0 {
            return Ok(());
        }
        let name = &source.name;
        let message = format!("{lag} operations of collection {name} are not indexed yet");
        Err(Error::new(ErrorCode::Unavailable, message)
            .with_help("run `braid ingest` or `braid serve` on the data directory until they are"))
    }

    /// The collection as it is in the source, but for duplicates, which the target does not look for.
    async fn create(&self, source: &Collection) -> Result<Collection> {
        let duplicates = DuplicateSettings {
            action: DuplicateAction::Ignore,
            ..source.settings.duplicates
        };
        let new = NewCollection {
            name: source.name.clone(),
            settings: CollectionSettings {
                duplicates,
                ..source.settings
            },
            fingerprint: source.fingerprint.clone(),
            dimension: source.dimension,
        };
        let ledger = &self.target.ledger;
        let target = done(ledger.create_collection(new, None).await?)?;
        self.copy_synonyms(source, target).await
    }

    /// What rules the target has stay, none too once something was copied.
    async fn copy_synonyms(&self, source: &Collection, target: Collection) -> Result<Collection> {
        if source.synonyms.is_empty() || !target.synonyms.is_empty() {
            return Ok(target);
        }
        let name = copy::name_of(source);
        if self.copied.copied(target.id, &name).await?.is_some() {
            return Ok(target);
        }
        let synonyms = Arc::clone(&source.synonyms);
        let ledger = &self.target.ledger;
        done(ledger.set_synonyms(&source.name, synonyms, None).await?)
    }
}

fn stopped() -> Error {
    Error::new(ErrorCode::ShuttingDown, "the copy was told to stop")
        .with_help("run it again to go on")
}

fn done<T>(recorded: Recorded<T>) -> Result<T> {
    match recorded {
        Recorded::Done(value) => Ok(value),
        Recorded::Replayed(_) => Err(Error::internal("an unguarded write was replayed")),
    }
}
