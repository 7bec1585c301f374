//! One target, one seed, for a while.

use std::fmt;
use std::fs;
use std::io;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::mutate::mutate;
use crate::seeds::{seeds, words};
use crate::taken::Taken;
use crate::target::Target;

/// Most CPU time that one input may take.
pub const MOST_CPU: Duration = Duration::from_secs(10);
/// Longest that one input may take by the clock, on however busy a machine: it is stuck then.
pub const MOST_WALL: Duration = Duration::from_secs(300);

/// What became of the inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Inputs read.
    pub executions: u64,
    /// Inputs that were refused with a reason.
    pub refused: u64,
    /// Chunks made and checked.
    pub chunks: u64,
    /// Inputs that made the target panic.
    pub panics: u64,
    /// Inputs that made a library panic within it, which it made a refusal of, or of a part.
    pub contained: u64,
    /// The most CPU time that one input took, in milliseconds.
    pub slowest_ms: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            executions,
            refused,
            chunks,
            panics,
            contained,
            slowest_ms,
        } = self;
        write!(
            f,
            "{executions} {refused} {chunks} {panics} {contained} {slowest_ms}"
        )
    }
}

impl Tally {
    /// Reads what [`Display`](fmt::Display) writes.
    pub fn of(line: &str) -> Option<Self> {
        let numbers: Option<Vec<u64>> = line.split(' ').map(|number| number.parse().ok()).collect();
        let [executions, refused, chunks, panics, contained, slowest_ms] =
            numbers?.try_into().ok()?;
        Some(Self {
            executions,
            refused,
            chunks,
            panics,
            contained,
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
            contained: self.contained + other.contained,
            slowest_ms: self.slowest_ms.max(other.slowest_ms),
        }
    }
}

/// When the input being read was begun; `None` between two.
static BEGUN: Mutex<Option<Taken>> = Mutex::new(None);

/// Panics of this process since [`count_panics`].
static PANICS: AtomicU64 = AtomicU64::new(0);

/// Counts panics, whoever catches them, instead of printing them.
pub fn count_panics() {
    panic::set_hook(Box::new(|_| {
        PANICS.fetch_add(1, Ordering::Relaxed);
    }));
}

/// What is wrong with the input that is being read now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overdue {
    /// It took more than [`MOST_CPU`].
    Slow,
    /// It took longer than [`MOST_WALL`].
    Stuck,
}

/// Whether the input that is being read is over a limit.
pub fn overdue() -> Option<Overdue> {
    let begun = (*BEGUN.lock().unwrap_or_else(PoisonError::into_inner))?;
    if begun.cpu_since() > MOST_CPU {
        return Some(Overdue::Slow);
    }
    (begun.wall_since() > MOST_WALL).then_some(Overdue::Stuck)
}

/// What became of one input.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Chunks, or why it is refused; `None` where the target panicked.
    pub read: Option<Result<usize, String>>,
    /// Panics that the target contained.
    pub contained: u64,
    /// CPU time that it took.
    pub cpu: Duration,
}

/// Reads one input. [`overdue`] watches over it.
pub fn read_one(target: Target, bytes: &[u8], folder: &Path) -> Outcome {
    let before = PANICS.load(Ordering::Relaxed);
    let begun = Taken::now();
    let set = |begun| *BEGUN.lock().unwrap_or_else(PoisonError::into_inner) = begun;
    set(Some(begun));
    let read = catch_unwind(AssertUnwindSafe(|| target.read(bytes, folder)));
    set(None);
    let panics = PANICS.load(Ordering::Relaxed) - before;
    Outcome {
        contained: panics.saturating_sub(u64::from(read.is_err())),
        read: read.ok(),
        cpu: begun.cpu_since(),
    }
}

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
    while goes_on(&tally) {
        let bytes = mutate(&mut random, &seeds, words).bytes();
        fs::write(folder.join("input"), &bytes)?;
        let outcome = read_one(target, &bytes, folder);
        tally.executions += 1;
        tally.contained += u64::from(outcome.contained > 0);
        let took = outcome.cpu.as_millis() as u64;
        if took > tally.slowest_ms {
            tally.slowest_ms = took;
            fs::write(folder.join("slowest"), &bytes)?;
        }
        match outcome.read {
            Some(Ok(chunks)) => tally.chunks += chunks as u64,
            Some(Err(_)) => tally.refused += 1,
            None => {
                tally.panics += 1;
                let name = format!("panic-{}-{seed}-{}", target.name(), tally.executions);
                fs::write(folder.join(name), &bytes)?;
            }
        }
    }
    Ok(tally)
}
