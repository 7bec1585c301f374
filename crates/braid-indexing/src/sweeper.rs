//! The task that drops, from time to time, stored rows that nothing refers to any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::indexer::IndexerParts;

/// Least time between two sweeps, however often one is asked for.
const LEAST_BETWEEN: Duration = Duration::from_secs(60);

/// Starts the task, which sweeps at once what earlier processes left, unless sweeps are only to be
/// asked for. It ends with the process's shutdown or with the sender of `asked`, and sweeps ahead of
/// time when that changes. A sweep that has begun is waited for: while it runs, the ledger is in use.
pub(crate) fn begin(parts: &Arc<IndexerParts>, mut asked: watch::Receiver<u64>) {
    let task = Arc::clone(parts);
    parts.shutdown.spawn(async move {
        if task.options.sweep_interval.is_some() {
            sweep(&task).await;
        }
        while next(&task, &mut asked).await {
            sweep(&task).await;
            if !rest(&task, asked.clone()).await {
                return;
            }
        }
    });
}

/// Waits until a sweep is due. False when the task is to end.
async fn next(parts: &IndexerParts, asked: &mut watch::Receiver<u64>) -> bool {
    let timer = async {
        match parts.options.sweep_interval {
            Some(interval) => tokio::time::sleep(interval).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = parts.shutdown.requested() => false,
        changed = asked.changed() => changed.is_ok(),
        () = timer => true,
    }
}

/// Waits until another sweep may follow. False when the task is to end.
async fn rest(parts: &IndexerParts, asked: watch::Receiver<u64>) -> bool {
    tokio::select! {
        () = parts.shutdown.requested() => false,
        () = closed(asked) => false,
        () = tokio::time::sleep(LEAST_BETWEEN) => true,
    }
}

async fn closed(mut asked: watch::Receiver<u64>) {
    while asked.changed().await.is_ok() {}
}

/// Drops what nothing refers to. A failure is logged: nothing depends on it.
async fn sweep(parts: &IndexerParts) {
    match parts.ledger.tidy().await {
        Ok(rows) => tracing::debug!(rows, "swept the ledger"),
        Err(error) => {
            tracing::warn!(error = %error.chain(), "cannot sweep the ledger, it will be tried again");
        }
    }
}
