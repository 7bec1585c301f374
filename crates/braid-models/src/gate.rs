//! Lets bulk work yield to queries and re-ranking between two runs of a network.
//!
//! A run cannot be interrupted, but one is short (one passage, or one small batch). Before each,
//! bulk work waits while foreground work is queued or running, for at most [`LONGEST_WAIT`]: under
//! a constant load of queries it slows down and never stops.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Longest wait of bulk work before each run.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_millis(200);

/// Counts foreground work. One per [`ModelStore`](crate::ModelStore), shared by its models.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    foreground: Mutex<usize>,
    idle: Condvar,
}

/// Holds bulk work back until it is dropped.
#[derive(Debug)]
pub(crate) struct ForegroundWork(Arc<Gate>);

impl Gate {
    /// Announces foreground work.
    pub(crate) fn enter(self: &Arc<Self>) -> ForegroundWork {
        *self.foreground.lock() += 1;
        ForegroundWork(Arc::clone(self))
    }

    /// Waits until no foreground work is announced, for at most `longest`.
    pub(crate) fn yield_to_foreground(&self, longest: Duration) {
        let deadline = Instant::now() + longest;
        let mut foreground = self.foreground.lock();
        while *foreground > 0 {
            if self.idle.wait_until(&mut foreground, deadline).timed_out() {
                return;
            }
        }
    }
}

impl Drop for ForegroundWork {
    fn drop(&mut self) {
        let mut foreground = self.0.foreground.lock();
        *foreground -= 1;
        if *foreground == 0 {
            self.0.idle.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bulk_work_waits_for_the_last_foreground_work_and_no_longer() {
        let gate = Arc::new(Gate::default());
        gate.yield_to_foreground(Duration::from_secs(3600));
        let (first, second) = (gate.enter(), gate.enter());
        drop(first);
        let waiting = Arc::clone(&gate);
        let bulk =
            std::thread::spawn(move || waiting.yield_to_foreground(Duration::from_secs(3600)));
        drop(second);
        bulk.join().unwrap();
    }

    #[test]
    fn bulk_work_is_not_starved() {
        let gate = Arc::new(Gate::default());
        let _held = gate.enter();
        gate.yield_to_foreground(Duration::from_millis(1));
    }
}
