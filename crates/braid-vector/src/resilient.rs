//! [`Resilient`]: a store whose calls are tried again, and not tried at all while it does not answer.
//!
//! For stores beyond the network. A call that fails in a way that may pass is repeated a bounded
//! number of times, after waits that double and are shortened by chance, so that callers who failed
//! together do not return together. A [`Breaker`], shared by every store of one server, counts
//! failures in a row: at a number of them it opens, and calls fail at once instead of waiting for a
//! server that is gone. After a while it lets one call through, and closes when that succeeds.
//!
//! A full disk, a refused request and a defect are not tried again: nothing changes by itself soon.

mod breaker;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use braid_core::{
    Embedding, Error, ErrorCode, IndexBatch, RankedList, Result, Selection, Sequence, SlotSet,
    VectorEntry, VectorStore, VectorView,
};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub use breaker::{BREAKER, Breaker};

/// How often a call is tried, and the waits between: `first`, twice that, ..., at most `longest`,
/// each shortened by up to a half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Most tries of one call, the first included.
    pub attempts: u32,
    /// The first wait.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            attempts: 3,
            first: Duration::from_millis(50),
            longest: Duration::from_secs(1),
        }
    }
}

impl Retries {
    /// The wait after so many failures, before chance shortens it.
    fn wait(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        let wait = self.first.saturating_mul(1 << doublings);
        wait.min(self.longest)
    }
}

/// A store whose calls are tried again. Views that it pins are like it.
#[derive(Debug)]
pub struct Resilient<S> {
    inner: S,
    guard: Arc<Guard>,
}

impl<S> Resilient<S> {
    /// `inner`, guarded by `breaker`; the chance in its waits begins with `seed`.
    pub fn new(inner: S, retries: Retries, breaker: Arc<Breaker>, seed: u64) -> Self {
        Self {
            inner,
            guard: Arc::new(Guard::new(retries, breaker, seed)),
        }
    }
}

/// Calls are tried again, and not tried at all while nobody answers.
pub(crate) struct Guard {
    retries: Retries,
    breaker: Arc<Breaker>,
    chance: Mutex<StdRng>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("retries", &self.retries)
            .field("breaker", &self.breaker)
            .finish_non_exhaustive()
    }
}

impl Guard {
    pub(crate) fn new(retries: Retries, breaker: Arc<Breaker>, seed: u64) -> Self {
        Self {
            retries,
            breaker,
            chance: Mutex::new(StdRng::seed_from_u64(seed)),
        }
    }

    /// Calls until it works, fails for good, or was tried often enough.
    pub(crate) async fn call<T, F>(&self, call: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut failures = 0;
        loop {
            let permit = self.breaker.admit()?;
            let error = match call().await {
                Ok(value) => {
                    permit.succeeded();
                    return Ok(value);
                }
                Err(error) => error,
            };
            if is_of_the_server(&error) {
                permit.failed(&error);
            } else {
                // It answered, if not as wished.
                permit.succeeded();
            }
            failures += 1;
            if !may_pass(&error) || failures >= self.retries.attempts {
                return Err(error);
            }
            metrics::counter!("braid_vector_server_retries_total").increment(1);
            tokio::time::sleep(self.jittered(self.retries.wait(failures))).await;
        }
    }

    /// Half of `wait` at least, all of it at most.
    fn jittered(&self, wait: Duration) -> Duration {
        wait.mul_f64(self.chance.lock().random_range(0.5..=1.0))
    }
}

/// Whether the same call may work soon.
fn may_pass(error: &Error) -> bool {
    matches!(
        error.code(),
        ErrorCode::Unavailable | ErrorCode::Timeout | ErrorCode::Overloaded
    )
}

/// Whether the server did not answer. One that says it has too much to do did.
fn is_of_the_server(error: &Error) -> bool {
    matches!(error.code(), ErrorCode::Unavailable | ErrorCode::Timeout)
}

#[async_trait]
impl<S: VectorStore> VectorStore for Resilient<S> {
    async fn apply(&self, batch: IndexBatch<VectorEntry>) -> Result<()> {
        self.guard.call(|| self.inner.apply(batch.clone())).await
    }

    async fn watermark(&self) -> Result<Sequence> {
        self.guard.call(|| self.inner.watermark()).await
    }

    async fn slots(&self) -> Result<SlotSet> {
        self.guard.call(|| self.inner.slots()).await
    }

    async fn pin(&self) -> Result<Arc<dyn VectorView>> {
        let view = self.guard.call(|| self.inner.pin()).await?;
        Ok(Arc::new(ResilientView {
            inner: view,
            guard: Arc::clone(&self.guard),
        }))
    }
}

struct ResilientView {
    inner: Arc<dyn VectorView>,
    guard: Arc<Guard>,
}

#[async_trait]
impl VectorView for ResilientView {
    async fn search(
        &self,
        query: &Embedding,
        selection: &Selection,
        depth: usize,
    ) -> Result<RankedList> {
        self.guard
            .call(|| self.inner.search(query, selection, depth))
            .await
    }
}
