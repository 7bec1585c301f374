//! Death at every named point and at random ones, on a good disk and on one that loses power.

#![expect(
    clippy::print_stderr,
    reason = "a failure is shown with the death before it"
)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use braid_engine::{Breakpoint, Breakpoints};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::cancels::taken;
use crate::check::{check, check_state};
use crate::disk::Disk;
use crate::process::{Death, Ended, Role, Task, lose_index};
use crate::script::{is_cured, script};
use crate::state::State;
use crate::world::{self, Life, scratch};

const SEED: u64 = 20;
const RANDOM_DEATHS: usize = 50;
const RANDOM_SYNCS: usize = 30;

/// What happens to unsynced writes when the process dies.
#[derive(Clone, Copy, Debug)]
enum Power {
    On,
    Lost,
}

pub(crate) fn live(seed: u64, death: Death, directory: &Path, disk: Option<&Disk>) -> Ended {
    let task = Task {
        seed,
        death,
        ..Task::new(Role::Script, directory)
    };
    task.run(disk)
}

/// Lives once, dying as told, and checks what is left. Says whether it died.
fn die_and_check(seed: u64, death: Death, power: Power) -> bool {
    let scratch = scratch();
    let directory = scratch.path().join("data");
    let ended = match power {
        Power::On => live(seed, death, &directory, None),
        Power::Lost => {
            let disk = Disk::new(&scratch.path().join("disk"));
            let before = scratch.path().join("before");
            let ended = live(seed, death, &before, Some(&disk));
            disk.restore(&directory);
            ended
        }
    };
    check(&directory, &script(seed), &ended);
    ended.was_killed
}

/// How often a life that is not cut short meets each point.
fn points(seed: u64) -> Vec<(Breakpoint, usize)> {
    let scratch = scratch();
    let ended = live(seed, Death::Never, &scratch.path().join("data"), None);
    assert!(!ended.was_killed);
    assert_eq!(ended.answers().len(), script(seed).len());
    ended.points()
}

/// Dies at each point the first time, and half-way through its times.
fn named(power: Power) {
    let points = points(SEED);
    assert_eq!(points.len(), Breakpoint::ALL.len());
    for (point, count) in points {
        assert!(count > 0, "the script never meets {point}");
        let mut times = vec![1, count.div_ceil(2)];
        times.dedup();
        for nth in times {
            let death = Death::At(point, nth);
            eprintln!("{power:?}: {death} of {count}");
            assert!(die_and_check(SEED, death, power), "{death} is met");
        }
    }
}

/// Dies at random points of several scripts: `share` of all of them.
fn random(power: Power, part: usize, parts: usize) {
    let mut random = StdRng::seed_from_u64(7);
    let mut died = 0;
    let totals: Vec<usize> = (0..2)
        .map(|script| points(script).iter().map(|(_, count)| count).sum())
        .collect();
    let deaths = (0..RANDOM_DEATHS).map(|at| {
        let script = at % totals.len();
        (script as u64, random.random_range(1..=totals[script]))
    });
    let deaths: Vec<_> = deaths.collect();
    for (seed, nth) in deaths.iter().skip(part).step_by(parts) {
        let death = Death::Nth(*nth);
        eprintln!("{power:?}: script {seed}, {death}");
        died += usize::from(die_and_check(*seed, death, power));
    }
    // How many points a life has depends a little on which thread is faster.
    let planned = RANDOM_DEATHS / parts;
    assert!(died * 10 >= planned * 9, "{died} of {planned} deaths");
}

/// Loses power in the middle of commits: just before a random sync of any store takes effect.
#[test]
fn power_lost_at_random_syncs() {
    let seed = 3;
    let disk_in = |scratch: &Path, death| Disk {
        death,
        ..Disk::new(&scratch.join("disk"))
    };
    let whole = scratch();
    let disk = disk_in(whole.path(), 0);
    live(seed, Death::Never, &whole.path().join("data"), Some(&disk));
    let syncs = disk.syncs();
    assert!(syncs > 100, "{syncs} syncs");
    // How many syncs a life has depends a little on which thread is faster: not the last ones.
    let syncs = syncs * 9 / 10;
    let mut random = StdRng::seed_from_u64(9);
    let mut died = 0;
    for _ in 0..RANDOM_SYNCS {
        let nth = random.random_range(1..=syncs);
        eprintln!("sync {nth} of {syncs}");
        let scratch = scratch();
        let disk = disk_in(scratch.path(), nth);
        let ended = live(
            seed,
            Death::Never,
            &scratch.path().join("before"),
            Some(&disk),
        );
        let directory = scratch.path().join("data");
        disk.restore(&directory);
        check(&directory, &script(seed), &ended);
        died += usize::from(ended.was_killed);
    }
    assert!(died * 10 >= RANDOM_SYNCS * 9, "{died} deaths");
}

/// What is published is in the indexes for good: nothing has to be brought back after power came
/// back, and nothing embedded again.
#[test]
fn published_state_needs_no_repair_after_a_power_loss() {
    let scratch = scratch();
    let disk = Disk::new(&scratch.path().join("disk"));
    let before = scratch.path().join("before");
    let ended = live(0, Death::Never, &before, Some(&disk));
    let directory = scratch.path().join("data");
    disk.restore(&directory);
    let reconciled = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&reconciled);
    let hook = Breakpoints::new(move |point| {
        let is_reconcile = point == Breakpoint::AfterReconcile;
        count.fetch_add(usize::from(is_reconcile), Ordering::SeqCst);
    });
    world::run(async {
        let is_cured = is_cured(&script(0), ended.answers().len());
        let life = Life::with_cure(&directory, hook, is_cured).await;
        life.drain().await;
        let steps = script(0);
        assert_eq!(ended.answers().len(), steps.len());
        let taken = taken(&life, &steps, steps.len()).await;
        let state = State::after_cancels(&steps, steps.len(), &taken);
        check_state(&life, &state).await;
        life.close().await;
    });
    assert_eq!(reconciled.load(Ordering::SeqCst), 0);
}

/// Both indexes are gone, and found whole as soon as the collection is idle.
#[test]
fn lost_indexes_are_whole_once_idle() {
    let scratch = scratch();
    let directory = scratch.path().join("data");
    let ended = live(1, Death::Never, &directory, None);
    for index in ["lexical", "vector"] {
        lose_index(&directory, index);
    }
    check(&directory, &script(1), &ended);
}

#[test]
fn killed_at_every_named_point() {
    named(Power::On);
}

#[test]
fn killed_at_random_points_first_half() {
    random(Power::On, 0, 2);
}

#[test]
fn killed_at_random_points_second_half() {
    random(Power::On, 1, 2);
}

#[test]
fn power_lost_at_every_named_point() {
    named(Power::Lost);
}

#[test]
fn power_lost_at_random_points_first_half() {
    random(Power::Lost, 0, 2);
}

#[test]
fn power_lost_at_random_points_second_half() {
    random(Power::Lost, 1, 2);
}
