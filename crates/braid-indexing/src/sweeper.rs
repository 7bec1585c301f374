//! The task that drops, from time to time, stored rows that nothing refers to any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::indexer::IndexerParts;

/// Least time between two sweeps, however often one is asked for.
const LEAST_BETWEEN: Duration = Duration::from_secs(60);

/// Starts the task; it ends with the process's shutdown or with the sender of `asked`, and sweeps
/// ahead of time when that changes.
pub(crate) fn begin(parts: &Arc<IndexerParts>, asked: watch::Receiver<u64>) {
    let task = Arc::clone(parts);
    parts.shutdown.spawn(async move {
        tokio::select! {
            () = task.shutdown.requested() => {}
            () = follow(&task, asked) => {}
        }
    });
}

async fn follow(parts: &IndexerParts, mut asked: watch::Receiver<u64>) {
    loop {
        let timer = async {
            match parts.options.sweep_interval {
                Some(interval) => tokio::time::sleep(interval).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = asked.changed() => if changed.is_err() { return },
            () = timer => {}
        }
        sweep(parts).await;
        // Dropped while it sleeps, it ends as well: only the next sweep is late.
        tokio::select! {
            () = tokio::time::sleep(LEAST_BETWEEN) => {}
            () = closed(asked.clone()) => return,
        }
    }
}

async fn closed(mut asked: watch::Receiver<u64>) {
    while asked.changed().await.is_ok() {}
}

/// Drops what nothing refers to. A failure is logged: nothing depends on it.
pub(crate) async fn sweep(parts: &IndexerParts) {
    match parts.ledger.tidy().await {
        Ok(rows) => tracing::debug!(rows, "swept the ledger"),
        Err(error) => {
            tracing::warn!(error = %error.chain(), "cannot sweep the ledger, it will be tried again");
        }
    }
}
