//! One shutdown signal for everything that runs in the background.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Tells background tasks to stop and waits until they have. Clones share the signal.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    /// A signal nobody has given yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task that [`Shutdown::finish`] waits for. The task must watch
    /// [`Shutdown::requested`].
    pub fn spawn<F>(&self, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tasks.spawn(task)
    }

    /// Resolves when shutdown has been asked for. Cancel safe.
    pub async fn requested(&self) {
        self.token.cancelled().await;
    }

    /// Whether shutdown has been asked for.
    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Asks every task to stop.
    pub fn request(&self) {
        self.token.cancel();
    }

    /// Asks every task to stop and waits until all have.
    pub async fn finish(&self) {
        self.request();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn finish_waits_for_tasks() {
        let shutdown = Shutdown::new();
        let watcher = shutdown.clone();
        let task = shutdown.spawn(async move {
            watcher.requested().await;
            7
        });
        shutdown.finish().await;
        assert!(task.is_finished());
        assert_eq!(task.await.unwrap(), 7);
    }
}
