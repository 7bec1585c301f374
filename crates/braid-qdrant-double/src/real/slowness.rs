//! A process that gets little time.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::send;

/// How long the process runs at a time.
const ON: Duration = Duration::from_millis(10);

/// How long it is stopped then.
const OFF: Duration = Duration::from_millis(90);

/// A process that runs a tenth of the time, as a node does that shares its machine with too much. It
/// runs as before when this is dropped.
#[derive(Debug)]
pub struct Slowed {
    /// Dropped, it ends the thread.
    over: Option<Sender<()>>,
    turns: Option<JoinHandle<()>>,
}

impl Slowed {
    pub(super) fn down(pid: u32) -> Self {
        let (over, is_over) = channel::<()>();
        let turns = std::thread::spawn(move || {
            let goes_on = |turn| is_over.recv_timeout(turn) == Err(RecvTimeoutError::Timeout);
            while goes_on(ON) {
                send("-STOP", pid);
                let more = goes_on(OFF);
                send("-CONT", pid);
                if !more {
                    break;
                }
            }
        });
        Self {
            over: Some(over),
            turns: Some(turns),
        }
    }
}

impl Drop for Slowed {
    fn drop(&mut self) {
        drop(self.over.take());
        if let Some(turns) = self.turns.take() {
            let _ = turns.join();
        }
    }
}
