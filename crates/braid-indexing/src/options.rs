//! Knobs of the pipeline. The defaults suit two cores and the embedded profile.

use std::time::Duration;

use crate::breakpoints::Breakpoints;

/// How the pipeline batches, waits and retries.
#[derive(Clone, Debug)]
pub struct IndexingOptions {
    /// Most texts in one call of the embedder, and chunks whose embedding is committed together.
    pub embed_batch_chunks: usize,
    /// Embedded chunks that make an apply due at once, and the most in one index batch.
    pub apply_batch_chunks: usize,
    /// How long an embedded operation waits for more while a load is in progress.
    pub apply_interval: Duration,
    /// The same where applying is slow: the wait grows with the cost of the last apply up to this.
    pub apply_interval_max: Duration,
    /// Least time between two purges of retired slots, and between two looks at whether readers
    /// have let go of them.
    pub purge_interval: Duration,
    /// How failures are retried.
    pub retry: RetryPolicy,
    /// How long the indexes of a replaced generation stay for queries that began under it: longer
    /// than any query may take.
    pub generation_grace: Duration,
    /// How often stored rows that nothing refers to are dropped, from the start on; only after a
    /// refusal for lack of room where `None`.
    pub sweep_interval: Option<Duration>,
    /// Whether this process indexes. One that does not (for lack of a model, say) may still delete,
    /// verify and be told of documents; another process publishes.
    pub background: bool,
    /// Whether other processes write to the ledger too: what is looked up may have changed when it is
    /// staged. Writes of a collection then need no turn: the ledger says which came first.
    pub shared: bool,
    /// Most writes at once. Each goes on to its end, also when whoever asked for it has gone, and what is
    /// asked for beyond these waits, if its caller does.
    pub most_writes: usize,
    /// Starts every collection paused ([`Indexer::resume`](crate::Indexer::resume)); for tests.
    pub start_paused: bool,
    /// Called between durable steps; for crash tests.
    pub breakpoints: Breakpoints,
}

impl Default for IndexingOptions {
    fn default() -> Self {
        Self {
            embed_batch_chunks: 256,
            apply_batch_chunks: 8192,
            apply_interval: Duration::from_secs(2),
            apply_interval_max: Duration::from_secs(60),
            purge_interval: Duration::from_secs(1),
            retry: RetryPolicy::default(),
            generation_grace: Duration::from_secs(60),
            sweep_interval: Some(Duration::from_secs(3600)),
            background: true,
            shared: false,
            most_writes: 32,
            start_paused: false,
            breakpoints: Breakpoints::default(),
        }
    }
}

/// Exponential back-off: `first`, twice that, four times that, ..., never more than `longest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often a document's embedding is tried before it is taken to be the document's fault,
    /// and an index write before indexing stalls. Full disks and outages are waited out however long,
    /// but after so many failures whoever waits for a write is told.
    pub attempts: u32,
    /// The first wait.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            first: Duration::from_millis(200),
            longest: Duration::from_secs(30),
        }
    }
}
