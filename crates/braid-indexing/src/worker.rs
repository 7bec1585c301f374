//! Indexing what several processes share: claim, embed, publish, until nothing waits or for ever.
//!
//! A [`Worker`] holds no state that matters: whatever it claimed comes back by itself when its lease
//! ends, and publishing is compare-and-set. Its lanes work side by side, so that one embeds while
//! another claims or publishes. What the model or the store refuses passing by is tried again; a
//! document that is to blame becomes a dead letter.

mod embed;
mod lane;
mod options;
mod progress;
mod settle;
mod upkeep;

use std::sync::Arc;

use braid_core::ports::WorkDepth;
use braid_core::{Embedder, Error, Ledger, Result, WorkQueue};
use braid_runtime::Shutdown;
use futures::future::try_join_all;
use parking_lot::Mutex;
use tokio::sync::{RwLock, watch};
use tokio::time::Instant;

use crate::progress::Health;

pub use options::{Until, WorkerOptions};
pub use progress::WorkerProgress;

/// What a worker works with.
#[derive(Clone, Debug)]
pub struct WorkerParts {
    /// What waits.
    pub queue: Arc<dyn WorkQueue>,
    /// Where embeddings are found that were made before.
    pub ledger: Arc<dyn Ledger>,
    /// Makes the others. Only collections of this embedder are worked on.
    pub embedder: Arc<dyn Embedder>,
    /// Ends the work between two steps.
    pub shutdown: Shutdown,
    /// Knobs.
    pub options: WorkerOptions,
}

/// Indexes what waits. Dropping the future of [`Worker::run`] at any point loses nothing: what was
/// claimed is claimed again once its lease has ended.
#[derive(Debug)]
pub struct Worker {
    parts: WorkerParts,
    progress: watch::Sender<WorkerProgress>,
    /// When something was claimed last.
    worked_at: Mutex<Instant>,
    /// Read while a lane has claims. Written while a suspect is tried: nothing else is claimed here
    /// that would be counted if it ends the process.
    company: RwLock<()>,
    /// Of the lane that has a suspect.
    suspect: tokio::sync::Mutex<()>,
}

impl Worker {
    /// A worker that has not begun.
    pub fn new(parts: WorkerParts) -> Self {
        Self {
            parts,
            progress: watch::Sender::default(),
            worked_at: Mutex::new(Instant::now()),
            company: RwLock::new(()),
            suspect: tokio::sync::Mutex::new(()),
        }
    }

    /// Follows what it does.
    pub fn progress(&self) -> watch::Receiver<WorkerProgress> {
        self.progress.subscribe()
    }

    /// Works until the shutdown is asked for, or as `until` says. Gives back what it holds when it is
    /// told to stop.
    ///
    /// # Errors
    /// What trying again does not help against, such as
    /// [`UnsupportedVersion`](braid_core::ErrorCode::UnsupportedVersion);
    /// [`FingerprintMismatch`](braid_core::ErrorCode::FingerprintMismatch) where what is left waits for
    /// another embedder and `until` is [`Until::Idle`]. Outages are waited out however long.
    pub async fn run(&self, until: Until) -> Result<WorkerProgress> {
        *self.worked_at.lock() = Instant::now();
        self.note_health(Health::Working);
        let lanes = (0..self.parts.options.concurrency.max(1)).map(|_| self.lane(until));
        let done = tokio::select! {
            biased;
            done = try_join_all(lanes) => done.map(drop),
            never = self.keep_up() => match never {},
        };
        if done.is_ok() && until == Until::Idle {
            // Whoever runs it only now and then leaves nothing to do.
            self.tend().await;
        }
        self.note_health(Health::Stopped);
        if done.is_ok() {
            self.note_depth().await;
        }
        done.map(|()| self.progress.borrow().clone())
    }

    fn note(&self, change: impl FnOnce(&mut WorkerProgress)) {
        self.progress.send_modify(change);
    }

    fn note_health(&self, health: Health) {
        self.progress.send_if_modified(|progress| {
            let changed = progress.health != health;
            progress.health = health;
            changed
        });
    }

    fn note_trouble(&self, error: &Error, failures: u32) {
        tracing::warn!(error = %error.chain(), failures, "the worker fails, it tries again");
        let policy = self.parts.options.retry;
        self.note_health(Health::retrying(error, failures, policy));
    }

    fn is_stopped(&self) -> bool {
        self.parts.shutdown.is_requested()
    }

    /// Waits so long, or until the shutdown.
    async fn pause(&self, wait: std::time::Duration) {
        tokio::select! {
            biased;
            () = self.parts.shutdown.requested() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Tells the metrics how much waits.
pub fn record_depth(depth: WorkDepth) {
    metrics::gauge!("braid_work_waiting").set(depth.waiting as f64);
    metrics::gauge!("braid_work_claimed").set(depth.claimed as f64);
    metrics::gauge!("braid_work_failed").set(depth.failed as f64);
}
