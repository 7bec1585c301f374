//! The soak: as many seeded deaths as wanted, each over a script of its own.
//!
//! `BRAID_SOAK_POINTS` says how many, `BRAID_SOAK_SEED` the first of their consecutive seeds: the
//! failure of one is repeated with its own seed and one point. A seed decides the script (adds,
//! replaces, deletes, cancelled jobs, documents that cannot be embedded and are tried again, lost
//! indexes, rebuilds) and the deaths:
//! at a counted or named point, or at a moment of real time, which is only nearly repeatable. A
//! life that ends before its death is lived again with an earlier one, so that every seed is a
//! process killed; one in four is killed a second time while it recovers.

#![expect(
    clippy::print_stderr,
    reason = "a failure is shown with the death before it, a soak with its sum"
)]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use braid_engine::Breakpoint;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::check::check;
use crate::disk::Disk;
use crate::points::live;
use crate::process::{Death, Ended, Role, Task};
use crate::script::{is_cured, script};
use crate::world::scratch;

/// Deaths where `BRAID_SOAK_POINTS` does not say: a few, for every run of the tests.
const FEW: u64 = 16;
/// The seed of the first.
const FIRST_SEED: u64 = 1000;

/// Counted points of a script, about; lives have some more or fewer.
const POINTS: usize = 160;
/// Microseconds of a life, about, in which it may be killed.
const LIFE_MICROS: u64 = 400_000;

/// What the deaths were, in words.
type Tally = Mutex<BTreeMap<&'static str, u64>>;

fn number(variable: &str, default: u64) -> u64 {
    let Ok(text) = std::env::var(variable) else {
        return default;
    };
    let number = text.parse();
    number.unwrap_or_else(|_| panic!("{variable} is {text:?}: say a number"))
}

#[test]
fn killed_at_seeded_points_and_times() {
    let points = number("BRAID_SOAK_POINTS", FEW);
    let first = number("BRAID_SOAK_SEED", FIRST_SEED);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (started, next) = (Instant::now(), AtomicU64::new(0));
    let tally = Tally::default();
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    if at >= points {
                        break;
                    }
                    soak_one(first + at, &tally);
                }
            });
        }
    });
    let seconds = started.elapsed().as_secs_f64();
    let tally = tally.into_inner().unwrap();
    eprintln!("{points} kill points from seed {first} in {seconds:.0} s, no divergence: {tally:?}");
}

/// One seed; where it fails, says how to repeat it.
fn soak_one(seed: u64, tally: &Tally) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| kill_and_check(seed, tally))) {
        eprintln!("seed {seed} failed: BRAID_SOAK_SEED={seed} BRAID_SOAK_POINTS=1 repeats it");
        resume_unwind(panic);
    }
}

fn kill_and_check(seed: u64, tally: &Tally) {
    let mut random = StdRng::seed_from_u64(seed);
    let loses_power = random.random_ratio(1, 5);
    let death = random_death(&mut random);
    let scratch = scratch();
    let (directory, mut ended) = if loses_power {
        count(tally, "power lost");
        die_without_power(seed, death, scratch.path())
    } else {
        die(seed, death, scratch.path(), tally)
    };
    if random.random_ratio(1, 4) {
        // The script begins again: what was acknowledged is answered from the record.
        let again = random_death(&mut random);
        eprintln!("seed {seed}: killed again {again}");
        count(tally, "killed again");
        let second = Task {
            seed,
            death: again,
            is_cured: is_cured(&script(seed), ended.answers().len()),
            ..Task::new(Role::Script, &directory)
        };
        let second = second.run(None);
        if second.answers().len() >= ended.answers().len() {
            ended = second;
        }
    }
    let taken = check(&directory, &script(seed), &ended);
    *tally
        .lock()
        .unwrap()
        .entry("documents taken back")
        .or_default() += taken as u64;
}

fn random_death(random: &mut StdRng) -> Death {
    match random.random_range(0..10_u32) {
        0..=3 => Death::Nth(random.random_range(1..=POINTS)),
        4..=5 => {
            let (point, _) = Breakpoint::ALL[random.random_range(0..Breakpoint::ALL.len())];
            Death::At(point, random.random_range(1..=6))
        }
        _ => Death::After(random.random_range(0..LIFE_MICROS)),
    }
}

/// An earlier death than one that came too late.
fn earlier(death: Death) -> Death {
    match death {
        Death::Never => Death::Nth(1),
        Death::At(_, 1) => Death::Nth(POINTS / 2),
        Death::At(point, nth) => Death::At(point, nth / 2),
        Death::Nth(nth) => Death::Nth((nth / 2).max(1)),
        Death::After(micros) => Death::After(micros / 2),
    }
}

/// Lives until killed, each time in another directory. Gives the last.
fn die(seed: u64, mut death: Death, scratch: &Path, tally: &Tally) -> (PathBuf, Ended) {
    for life in 0.. {
        let directory = scratch.join(format!("data-{life}"));
        eprintln!("seed {seed}: {death}");
        let ended = live(seed, death, &directory, None);
        if ended.was_killed {
            count(tally, kind(death));
            return (directory, ended);
        }
        death = earlier(death);
    }
    unreachable!("a process is killed in the end")
}

/// The same where writes that were not synced are lost with the process. The disk is the process's
/// own doing, so it dies between two steps: its parent might kill it while it keeps what was synced.
fn die_without_power(seed: u64, death: Death, scratch: &Path) -> (PathBuf, Ended) {
    let mut death = match death {
        Death::After(micros) => Death::Nth(1 + micros as usize % POINTS),
        Death::Never | Death::At(..) | Death::Nth(_) => death,
    };
    for life in 0.. {
        let place = scratch.join(format!("life-{life}"));
        std::fs::create_dir_all(&place).unwrap();
        let disk = Disk::new(&place.join("disk"));
        eprintln!("seed {seed}: {death}, power lost");
        let ended = live(seed, death, &place.join("before"), Some(&disk));
        if ended.was_killed {
            let directory = place.join("data");
            disk.restore(&directory);
            return (directory, ended);
        }
        death = earlier(death);
    }
    unreachable!("a process is killed in the end")
}

fn kind(death: Death) -> &'static str {
    match death {
        Death::Never => "never",
        Death::At(..) => "at a named point",
        Death::Nth(_) => "at a counted point",
        Death::After(_) => "at a time",
    }
}

fn count(tally: &Tally, what: &'static str) {
    *tally.lock().unwrap().entry(what).or_default() += 1;
}
