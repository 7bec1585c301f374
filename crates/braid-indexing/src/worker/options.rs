//! Knobs of a worker.

use std::time::Duration;

use crate::options::RetryPolicy;

/// When a worker ends by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Until {
    /// Not before it is told to.
    #[default]
    Stopped,
    /// Once nothing waits, in any collection.
    Idle,
}

/// How a worker claims, waits and retries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerOptions {
    /// Claims worked on side by side: one embeds while another claims or publishes.
    pub concurrency: usize,
    /// Most documents in one claim. What one claim holds is in memory with its text, twice at most.
    pub documents: usize,
    /// Chunks that are embedded and published together; a document is never split.
    pub batch_chunks: usize,
    /// Most texts in one call of the embedder.
    pub embed_batch_chunks: usize,
    /// How long a claim lasts; it is renewed three times as often.
    pub lease: Duration,
    /// How often a version is claimed before it is taken to be to blame for how that ended. What is
    /// given back because something else was in the way does not count. From the third time on it is
    /// tried alone, so that it is three at least.
    pub attempts: u32,
    /// How failures are retried.
    pub retry: RetryPolicy,
    /// First wait after nothing was found; it doubles up to `poll_longest`.
    pub poll: Duration,
    /// Longest wait before the queue is asked again.
    pub poll_longest: Duration,
    /// How often replaced and deleted versions are removed.
    pub sweep_interval: Duration,
    /// How long they stay for queries that began before: longer than any query takes.
    pub sweep_grace: Duration,
    /// How often it is counted what waits.
    pub depth_interval: Duration,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            concurrency: 2,
            documents: 64,
            batch_chunks: 1024,
            embed_batch_chunks: 256,
            lease: Duration::from_secs(120),
            attempts: 10,
            retry: RetryPolicy::default(),
            poll: Duration::from_millis(250),
            poll_longest: Duration::from_secs(2),
            sweep_interval: Duration::from_secs(60),
            sweep_grace: Duration::from_secs(300),
            depth_interval: Duration::from_secs(10),
        }
    }
}

impl WorkerOptions {
    /// How the queue is asked while nothing is found.
    pub(super) fn polling(&self) -> RetryPolicy {
        RetryPolicy {
            attempts: u32::MAX,
            first: self.poll,
            longest: self.poll_longest,
        }
    }

    /// After how long a version is tried again that came back so often before.
    pub(super) fn again_after(&self, times: u32) -> Duration {
        let wait = self.retry.first.saturating_mul(1 << times.min(20));
        wait.min(self.retry.longest)
    }
}
