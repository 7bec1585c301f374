//! How long the syntax of one document may be worked on.
//!
//! The last resort, far above what a program takes: what is counted bounds everything but text that is
//! one error after the other, where a single step of the parser can try all there is in a grammar. When
//! the time is over, the rest of the document is cut as text.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Time for any document, by the clock.
const LEAST: Duration = Duration::from_secs(3);
/// Bytes for which there is another second; a parser takes some milliseconds for so many.
const BYTES_PER_SECOND: usize = 256 * 1024;

/// What is left for one document.
#[derive(Debug)]
pub(crate) struct Effort(Cell<Duration>);

impl Effort {
    /// For a document of so many bytes.
    pub(crate) fn of(bytes: usize) -> Self {
        let more = Duration::from_secs((bytes / BYTES_PER_SECOND) as u64);
        Self(Cell::new(LEAST + more))
    }

    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self(Cell::new(Duration::ZERO))
    }

    /// Does some of the work, which looks up now and then whether it may go on.
    pub(super) fn spend<R>(&self, work: impl FnOnce(&dyn Fn() -> bool) -> R) -> R {
        let (start, left) = (Instant::now(), self.0.get());
        let done = work(&|| start.elapsed() < left);
        self.charge(start.elapsed());
        done
    }

    /// Takes the time of work that is done elsewhere.
    pub(super) fn charge(&self, time: Duration) {
        self.0.set(self.0.get().saturating_sub(time));
    }
}
