//! One target, one seed, for a while.

use std::fmt;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::mutate::mutate;
use crate::seeds::{seeds, words};
use crate::target::Target;

/// Longest that one input may take.
pub const MOST_TIME: Duration = Duration::from_secs(10);

/// What became of the inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Inputs read.
    pub executions: u64,
    /// Inputs that were refused with a reason.
    pub refused: u64,
    /// Chunks made and checked.
    pub chunks: u64,
    /// Panics.
    pub panics: u64,
    /// The longest that one input took, in milliseconds.
    pub slowest_ms: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            executions,
            refused,
            chunks,
            panics,
            slowest_ms,
        } = self;
        write!(f, "{executions} {refused} {chunks} {panics} {slowest_ms}")
    }
}

impl Tally {
    /// Reads what [`Display`](fmt::Display) writes.
    pub fn of(line: &str) -> Option<Self> {
        let numbers: Option<Vec<u64>> = line.split(' ').map(|number| number.parse().ok()).collect();
        let [executions, refused, chunks, panics, slowest_ms] = numbers?.try_into().ok()?;
        Some(Self {
            executions,
            refused,
            chunks,
            panics,
            slowest_ms,
        })
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            executions: self.executions + other.executions,
            refused: self.refused + other.refused,
            chunks: self.chunks + other.chunks,
            panics: self.panics + other.panics,
            slowest_ms: self.slowest_ms.max(other.slowest_ms),
        }
    }
}

/// When the input being read was begun, in milliseconds from the start plus one; 0 between two.
pub static BEGUN: AtomicU64 = AtomicU64::new(0);

/// Reads damaged inputs while `goes_on` says so, each written to `folder/input` first. Inputs that
/// make the target panic are kept beside it, and the one that took longest.
///
/// # Errors
/// When `folder` cannot be written.
pub fn run(
    target: Target,
    seed: u64,
    folder: &Path,
    mut goes_on: impl FnMut(&Tally) -> bool,
) -> io::Result<Tally> {
    let (seeds, words) = (seeds(target), words(target));
    let mut random = StdRng::seed_from_u64(seed);
    let mut tally = Tally::default();
    let start = Instant::now();
    while goes_on(&tally) {
        let bytes = mutate(&mut random, &seeds, words).bytes();
        fs::write(folder.join("input"), &bytes)?;
        let begun = start.elapsed();
        BEGUN.store(begun.as_millis() as u64 + 1, Ordering::Release);
        let read = catch_unwind(AssertUnwindSafe(|| target.read(&bytes, folder)));
        BEGUN.store(0, Ordering::Release);
        let took = start.elapsed().saturating_sub(begun);
        tally.executions += 1;
        let took = took.as_millis() as u64;
        if took > tally.slowest_ms {
            tally.slowest_ms = took;
            fs::write(folder.join("slowest"), &bytes)?;
        }
        match read {
            Ok(Ok(chunks)) => tally.chunks += chunks as u64,
            Ok(Err(_)) => tally.refused += 1,
            Err(_) => {
                tally.panics += 1;
                let name = format!("panic-{}-{seed}-{}", target.name(), tally.executions);
                fs::write(folder.join(name), &bytes)?;
            }
        }
    }
    Ok(tally)
}
