//! The process dies at every named point, and at random ones; the next one ends where a process
//! that never died ends.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use braid_core::{CollectionSettings, ErrorCode, JobId};
use braid_indexing::{Breakpoint, Breakpoints};
use braid_testkit::HashEmbedder;
use tokio::sync::Notify;

use crate::world::{DIMENSION, Life, PoisonedEmbedder, World, settings};

/// What a caller does; a step that was not acknowledged is done again by the next process.
#[derive(Clone, Copy, Debug)]
enum Step {
    Ingest(&'static str),
    /// A job that is cancelled before anything of it is applied; unless the process dies in between,
    /// after which it may have been indexed.
    Cancelled(&'static str),
    Delete(&'static [&'static str]),
    Idle,
    /// Loses one index, as if its directory had been removed while nobody looked.
    LoseIndexes,
    Rebuild(CollectionSettings),
}

fn script() -> Vec<Step> {
    vec![
        Step::Ingest("a: one two three four five\nb: six seven\nc: eight"),
        Step::Idle,
        Step::Ingest("a: one two three four nine\nd: poison\ne: ten eleven"),
        Step::Delete(&["b"]),
        Step::Cancelled("g: twenty\na: overtaken"),
        Step::Ingest("a: one two three four nine"),
        Step::Delete(&["g"]),
        Step::Idle,
        Step::LoseIndexes,
        Step::Ingest("c: twelve"),
        Step::Delete(&["c"]),
        Step::Ingest("c: thirteen\nf: fourteen fifteen sixteen"),
        Step::Rebuild(settings(2)),
        Step::Ingest("f: seventeen eighteen nineteen"),
        Step::Idle,
    ]
}

fn world() -> World {
    World::with_embedder(Arc::new(PoisonedEmbedder {
        inner: HashEmbedder::new(DIMENSION),
        code: ErrorCode::Internal,
    }))
}

/// Where a process dies.
#[derive(Clone, Copy, Debug)]
enum Death {
    Never,
    /// When it comes to this point for the nth time, from 1.
    At(Breakpoint, usize),
    /// At the nth point of any kind, from 1.
    AtNth(usize),
}

/// Runs the script, dying once, and returns what is retrievable in the end and how many points
/// were met.
fn run(death: Death) -> (String, usize) {
    let mut world = world();
    let reached = Arc::new(AtomicUsize::new(0));
    let mut next = 0;
    let died = {
        let crash = Arc::new(Notify::new());
        world.options.breakpoints = hook(death, &reached, &crash);
        live(&world, &mut next, &crash)
    };
    assert_eq!(
        died,
        !matches!(death, Death::Never),
        "{death:?} is met by the script"
    );
    if died {
        world.options.breakpoints = Breakpoints::default();
        assert!(
            !live(&world, &mut next, &Notify::new()),
            "the second life is a quiet one"
        );
    }
    let runtime = runtime();
    let text = runtime.block_on(async {
        world.assert_sound().await;
        format!("{:#?}", world.live().await)
    });
    (text, reached.load(Ordering::SeqCst))
}

/// One process: goes on with the script from `next`. Returns whether it died.
fn live(world: &World, next: &mut usize, crash: &Notify) -> bool {
    let runtime = runtime();
    let process = async {
        let life = world.open().await;
        let steps = script();
        while let Some(step) = steps.get(*next) {
            perform(&life, *step).await;
            *next += 1;
        }
    };
    let ended = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = crash.notified() => true,
                () = process => false,
            }
        })
    }));
    // Whatever runs in the background dies where it stands.
    runtime.shutdown_background();
    ended.unwrap_or(true)
}

async fn perform(life: &Life, step: Step) {
    match step {
        Step::Ingest(lines) => drop(life.ingest(lines).await),
        Step::Cancelled(lines) => {
            let (id, job) = (life.collection.id, JobId(Default::default()));
            life.indexer.pause(id).unwrap();
            life.ingest_as(job, lines).await;
            let cancelled = life.indexer.cancel_job(&life.collection, job, None).await;
            cancelled.unwrap();
            life.indexer.resume(id).unwrap();
        }
        Step::Delete(ids) => drop(life.delete(ids).await),
        Step::Idle => life.idle().await,
        Step::LoseIndexes => {
            life.indexer.stop(life.collection.id).await;
            let found = life.world.ledger_collection().await;
            life.world.lose_vectors(&found);
            life.indexer.start(&found).await.unwrap();
        }
        Step::Rebuild(settings) => {
            let found = life.world.ledger_collection().await;
            life.indexer
                .rebuild(&found, settings, |_| {})
                .await
                .unwrap();
        }
    }
}

fn hook(death: Death, reached: &Arc<AtomicUsize>, crash: &Arc<Notify>) -> Breakpoints {
    let reached = Arc::clone(reached);
    let crash = Arc::clone(crash);
    let of_kind = AtomicUsize::new(0);
    Breakpoints::new(move |point| {
        let total = reached.fetch_add(1, Ordering::SeqCst) + 1;
        let dies = match death {
            Death::Never => false,
            Death::At(wanted, nth) => {
                point == wanted && of_kind.fetch_add(1, Ordering::SeqCst) + 1 == nth
            }
            Death::AtNth(nth) => total == nth,
        };
        if dies {
            crash.notify_one();
            // Unwinds without the noise of a panic hook.
            resume_unwind(Box::new("the process dies here"));
        }
    })
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

#[test]
fn the_script_meets_every_point_and_ends_as_expected() {
    let (text, _) = run(Death::Never);
    expect_test::expect![[r#"
        {
            "a": [
                "one two",
                "three four",
                "nine",
            ],
            "c": [
                "thirteen",
            ],
            "e": [
                "ten eleven",
            ],
            "f": [
                "seventeen eighteen",
                "nineteen",
            ],
        }"#]]
    .assert_eq(&text);
}

#[test]
fn a_crash_at_any_named_point_loses_nothing() {
    let (expected, _) = run(Death::Never);
    for (point, name) in Breakpoint::ALL {
        let (text, _) = run(Death::At(point, 1));
        assert_eq!(text, expected, "after a crash at {name}");
    }
}

#[test]
fn a_crash_at_any_point_at_all_loses_nothing() {
    let (expected, points) = run(Death::Never);
    assert!(points > 50, "{points} points are enough to choose from");
    for nth in 1..=points {
        let (text, _) = run(Death::AtNth(nth));
        assert_eq!(text, expected, "after a crash at point {nth} of {points}");
    }
}
