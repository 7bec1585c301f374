//! How far indexing of one collection has come.

use braid_core::{Error, ErrorCode, Sequence};

use crate::options::RetryPolicy;

/// Watermarks and counters of one collection. Counters start at zero with the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The newest acknowledged operation.
    pub newest: Sequence,
    /// Every operation up to this one has its embeddings stored.
    pub embedded: Sequence,
    /// Every operation up to this one is retrievable (or recorded as failed).
    pub published: Sequence,
    /// Chunks embedded by the model.
    pub chunks_embedded: u64,
    /// Chunks whose embedding was already stored.
    pub chunks_reused: u64,
    /// Chunks added to both indexes.
    pub chunks_applied: u64,
    /// Slots dropped from both indexes.
    pub chunks_purged: u64,
    /// Document versions that became retrievable.
    pub operations_published: u64,
    /// Operations recorded as failed.
    pub operations_failed: u64,
    /// Whether retired slots may be waiting to be purged.
    pub purgeable: bool,
    /// Whether the appliers are paused.
    pub paused: bool,
    /// State of the embedding task.
    pub embedding: Health,
    /// State of the applying task.
    pub applying: Health,
}

impl Progress {
    /// Acknowledged operations that are not yet retrievable.
    pub fn lag(&self) -> u64 {
        self.newest.0.saturating_sub(self.published.0)
    }

    /// Whether there is nothing left to do, purges included.
    pub fn is_idle(&self) -> bool {
        self.lag() == 0 && !self.purgeable
    }

    /// Whether every operation up to `through` is published and found in the indexes: one that
    /// was lost, or is as of another time, is brought back when a collection is opened.
    pub fn is_retrievable(&self, through: Sequence) -> bool {
        self.published >= through && self.applying != Health::Reconciling
    }

    /// The worse of the two tasks' states.
    pub fn health(&self) -> &Health {
        if self.embedding.severity() > self.applying.severity() {
            &self.embedding
        } else {
            &self.applying
        }
    }

    pub(crate) fn stopped() -> Self {
        Self {
            embedding: Health::Stopped,
            applying: Health::Stopped,
            ..Self::default()
        }
    }

    /// Chunks that are embedded and were not applied: they wait for it, or their operation was
    /// cancelled or failed meanwhile.
    pub(crate) fn chunks_waiting(&self) -> u64 {
        (self.chunks_embedded + self.chunks_reused).saturating_sub(self.chunks_applied)
    }
}

/// How a collection's background task is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// It works, or waits for work.
    #[default]
    Working,
    /// The indexes are compared with the published state, and brought back to it if need be.
    Reconciling,
    /// Something outside failed; it is tried again. Nothing is lost, the lag grows.
    Retrying {
        /// The code of what failed.
        code: ErrorCode,
        /// What failed, in one line.
        error: String,
        /// What helps, where that is known.
        help: Option<String>,
        /// Failures in a row.
        failures: u32,
        /// Whether it failed so often that nobody should wait for it: it is tried again all the
        /// same.
        lasting: bool,
    },
    /// Trying again does not help: a person must act. What is published is served all the same.
    Stalled {
        /// Why, in one line.
        reason: String,
    },
    /// It was stopped.
    Stopped,
}

impl Health {
    /// After `failures` failures in a row, of which `error` is the last.
    pub(crate) fn retrying(error: &Error, failures: u32, policy: RetryPolicy) -> Self {
        Self::Retrying {
            code: error.code(),
            error: error.chain(),
            help: error.help().map(str::to_owned),
            failures,
            lasting: failures >= policy.attempts,
        }
    }

    fn severity(&self) -> u8 {
        match self {
            Self::Working => 0,
            Self::Reconciling => 1,
            Self::Retrying { .. } => 2,
            Self::Stalled { .. } => 3,
            Self::Stopped => 4,
        }
    }
}
