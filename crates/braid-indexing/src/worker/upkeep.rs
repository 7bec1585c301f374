//! What a worker does beside its work: it removes old versions and counts what waits.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

use super::Worker;

/// Between two pieces of what is tended.
const BETWEEN: Duration = Duration::from_millis(20);

impl Worker {
    /// Sweeps, tends and counts from time to time, beginning now. Failures are logged: the next time does
    /// what this one could not.
    pub(super) async fn keep_up(&self) -> Infallible {
        tokio::select! {
            never = self.keep_swept() => never,
            never = self.keep_tended() => never,
        }
    }

    async fn keep_swept(&self) -> Infallible {
        let options = &self.parts.options;
        let mut sweep = every(options.sweep_interval);
        let mut count = every(options.depth_interval);
        loop {
            tokio::select! {
                _ = sweep.tick() => self.sweep().await,
                _ = count.tick() => self.note_depth().await,
            }
        }
    }

    /// By itself: after a collection grew it takes as long as there are entries.
    async fn keep_tended(&self) -> Infallible {
        let mut again = every(self.parts.options.sweep_interval);
        loop {
            again.tick().await;
            self.tend().await;
        }
    }

    /// Until there is no more to do, or it is told to stop: whatever it is at may be broken off.
    pub(super) async fn tend(&self) {
        loop {
            let tended = tokio::select! {
                biased;
                () = self.parts.shutdown.requested() => return,
                tended = self.parts.queue.tend() => tended,
            };
            match tended {
                // Others have their turn.
                Ok(true) => self.pause(BETWEEN).await,
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(error = %error.chain(), "stored entries could not be tended");
                    return;
                }
            }
        }
    }

    async fn sweep(&self) {
        match self.parts.queue.sweep(self.parts.options.sweep_grace).await {
            Ok(0) => {}
            Ok(removed) => {
                metrics::counter!("braid_work_swept_total").increment(removed);
                self.note(|progress| progress.swept += removed);
            }
            Err(error) => {
                tracing::warn!(error = %error.chain(), "old versions could not be removed");
            }
        }
    }

    pub(super) async fn note_depth(&self) {
        match self.parts.queue.depth().await {
            Ok(depth) => {
                crate::worker::record_depth(depth);
                self.note(|progress| progress.depth = depth);
            }
            Err(error) => tracing::warn!(error = %error.chain(), "what waits could not be counted"),
        }
    }
}

fn every(period: Duration) -> Interval {
    let mut interval = interval(period.max(Duration::from_millis(1)));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
