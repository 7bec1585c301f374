//! A rayon pool that async code can await.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use braid_core::{Error, ErrorCode, Result};
use tokio::sync::oneshot;

use crate::blocking::Blocking;

/// Threads for CPU-bound work. The pool's queue is bounded by its callers: every request holds an
/// admission permit and awaits what it queued.
pub struct CpuPool {
    pool: rayon::ThreadPool,
    blocking: Blocking,
}

impl CpuPool {
    /// Starts a pool of `threads` threads (at least one).
    ///
    /// # Errors
    /// [`Internal`](ErrorCode::Internal) when the system refuses a thread.
    pub fn new(threads: usize) -> Result<Arc<Self>> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .thread_name(|index| format!("braid-cpu-{index}"))
            .build()
            .map_err(|error| Error::internal("cannot start the CPU pool").with_source(error))?;
        Ok(Arc::new(Self {
            pool,
            blocking: Blocking::new(),
        }))
    }

    /// A pool of as many threads as the machine has cores.
    ///
    /// # Errors
    /// As [`CpuPool::new`].
    pub fn with_available_cores() -> Result<Arc<Self>> {
        Self::new(std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// Runs `work` on the pool and awaits it. Rayon's parallel iterators inside `work` use the pool.
    ///
    /// # Cancel safety
    /// Dropping the future before `work` starts means that it never runs; afterwards it runs to its
    /// end and the result is dropped.
    ///
    /// # Errors
    /// [`Internal`](ErrorCode::Internal) when `work` panics.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        let token = self.blocking.token();
        self.pool.spawn(move || {
            if !sender.is_closed() {
                // The receiver may be gone by now: then nobody wants the result.
                let _ = sender.send(catch_unwind(AssertUnwindSafe(work)));
            } else {
                drop(work);
            }
            drop(token);
        });
        match receiver.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(panic)) => Err(Error::internal(format!(
                "worker panicked: {}",
                reason(&*panic)
            ))),
            Err(_) => Err(Error::new(
                ErrorCode::ShuttingDown,
                "the CPU pool has stopped",
            )),
        }
    }

    /// Threads for work that blocks on files, beside the pool's own.
    pub fn blocking(&self) -> &Blocking {
        &self.blocking
    }

    /// Waits until nothing runs any more, here and on [`CpuPool::blocking`] threads: not even work
    /// that nobody awaits.
    pub async fn finish(&self) {
        self.blocking.finish().await;
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }
}

impl fmt::Debug for CpuPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CpuPool")
            .field("threads", &self.threads())
            .finish()
    }
}

/// The message of a panic payload.
fn reason(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn runs_work_and_returns_its_value() {
        let pool = CpuPool::new(1).unwrap();
        assert_eq!(pool.run(|| 2 + 2).await.unwrap(), 4);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_pool_survives() {
        let pool = CpuPool::new(1).unwrap();
        let error = pool.run(|| -> () { panic!("boom") }).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::Internal);
        assert!(error.message().contains("boom"), "{error}");
        assert_eq!(pool.run(|| 1).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn dropped_work_never_starts() {
        let pool = CpuPool::new(1).unwrap();
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let blocker = tokio::spawn({
            let pool = Arc::clone(&pool);
            async move { pool.run(move || gate.recv().is_ok()).await }
        });
        tokio::task::yield_now().await;
        let (started, ran) = std::sync::mpsc::channel::<()>();
        {
            let abandoned = pool.run(move || started.send(()).is_ok());
            tokio::select! { biased;
                _ = abandoned => panic!("cannot finish while the only thread is blocked"),
                () = std::future::ready(()) => {}
            }
        }
        release.send(()).unwrap();
        assert!(blocker.await.unwrap().unwrap());
        pool.finish().await;
        assert!(ran.try_recv().is_err(), "abandoned work must not run");
    }
}
