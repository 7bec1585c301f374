//! What a worker has done.

use std::time::Duration;

use braid_core::ports::WorkDepth;

use crate::progress::Health;

/// Counters of one worker, from zero with its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerProgress {
    /// Documents claimed.
    pub claimed: u64,
    /// Document versions that became retrievable.
    pub published: u64,
    /// Claimed versions that were replaced or deleted meanwhile.
    pub superseded: u64,
    /// Claims whose lease ended before they were done.
    pub lost: u64,
    /// Documents that became dead letters.
    pub failed: u64,
    /// Claims given back to be tried again.
    pub given_back: u64,
    /// Chunks embedded by the model.
    pub chunks_embedded: u64,
    /// Chunks whose embedding was already stored.
    pub chunks_reused: u64,
    /// Time in the embedder, of all lanes together.
    pub embedding: Duration,
    /// Entries of replaced and deleted versions removed.
    pub swept: u64,
    /// How much waited when it was counted last, over all collections.
    pub depth: WorkDepth,
    /// How it is doing.
    pub health: Health,
}
