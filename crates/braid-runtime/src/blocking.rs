//! Blocking work that async code can await, and that somebody can wait for when nobody awaits it.

use braid_core::{Error, Result};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Threads for work that blocks on files. Clones share what [`Blocking::finish`] waits for.
///
/// Work that has begun runs to its end even when the future that awaits it is dropped, and keeps
/// what it uses open meanwhile: who wants to open a store again must wait for it.
#[derive(Clone, Debug, Default)]
pub struct Blocking {
    running: TaskTracker,
}

impl Blocking {
    /// Nothing runs yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `work` on a thread for blocking work and awaits it.
    ///
    /// # Cancel safety
    /// Dropping the future lets `work` go on unwatched; its result is dropped.
    ///
    /// # Errors
    /// Those of `work`; [`Internal`](braid_core::ErrorCode::Internal) when it panics.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let token = self.token();
        // The token comes second: it is dropped after a result that nobody takes.
        let joined = tokio::task::spawn_blocking(move || (work(), token)).await;
        let (result, _) =
            joined.map_err(|error| Error::internal("blocking work panicked").with_source(error))?;
        result
    }

    /// Waits until nothing runs. More may be begun meanwhile and afterwards.
    pub async fn finish(&self) {
        self.running.close();
        self.running.wait().await;
    }

    /// Counts as running until it is dropped.
    pub(crate) fn token(&self) -> TaskTrackerToken {
        self.running.token()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use braid_core::ErrorCode;

    use super::*;

    #[tokio::test]
    async fn finish_waits_for_work_that_nobody_awaits() {
        let blocking = Blocking::new();
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let store = Arc::new(());
        {
            let used = Arc::clone(&store);
            let abandoned = blocking.run(move || Ok((gate.recv().is_ok(), used)));
            tokio::select! { biased;
                _ = abandoned => panic!("it is not released yet"),
                () = std::future::ready(()) => {}
            }
        }
        let mut finished = std::pin::pin!(blocking.finish());
        tokio::select! { biased;
            () = &mut finished => panic!("work goes on"),
            () = std::future::ready(()) => {}
        }
        release.send(()).unwrap();
        finished.await;
        assert_eq!(Arc::strong_count(&store), 1, "the result is gone as well");
    }

    #[tokio::test]
    async fn results_and_panics_reach_the_caller() {
        let blocking = Blocking::new();
        assert_eq!(blocking.run(|| Ok(3)).await.unwrap(), 3);
        let panicked = blocking.run(|| -> Result<()> { panic!("boom") }).await;
        assert_eq!(panicked.unwrap_err().code(), ErrorCode::Internal);
        blocking.finish().await;
    }
}
