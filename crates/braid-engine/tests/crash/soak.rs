//! Random writes against a map, with restarts in between.

use std::collections::BTreeMap;

use braid_engine::Breakpoints;
use proptest::prelude::*;

use crate::cancels::taken;
use crate::check::{check_state, listing};
use crate::script::{Step, write, writes};
use crate::state::{State, Taken};
use crate::world::{self, Life, scratch};

const WRITES: usize = 12;

/// Writes until the next restart, and whether what is pending then is waited for.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    writes: usize,
    drains: bool,
}

fn stretches() -> impl Strategy<Value = Vec<Stretch>> {
    let stretch = (1..6_usize, any::<bool>());
    let stretch = stretch.prop_map(|(writes, drains)| Stretch { writes, drains });
    prop::collection::vec(stretch, 2..5)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 6,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(11),
        ..ProptestConfig::default()
    })]

    /// Whatever is written and wherever it is interrupted by restarts, what is found is what a map
    /// would hold.
    #[test]
    fn random_writes_and_restarts_agree_with_a_map(seed in any::<u64>(), stretches in stretches()) {
        world::run(soak(seed, &stretches));
    }
}

async fn soak(seed: u64, stretches: &[Stretch]) {
    let scratch = scratch();
    let steps = writes(seed, WRITES);
    let mut state = State::default();
    let mut rest = steps.iter().enumerate();
    for stretch in stretches {
        let life = Life::open(scratch.path(), Breakpoints::default()).await;
        compare(seed, &listing(&life).await, &state);
        for (at, step) in rest.by_ref().take(stretch.writes) {
            write(&life, at, step).await.unwrap();
            let taken = taken(&life, &steps[at..], 1).await;
            state.apply(at, step, &taken);
            compare_one(&life, seed, step, (&state, &taken)).await;
        }
        if stretch.drains {
            life.drain().await;
            check_state(&life, &state).await;
        }
        life.close().await;
    }
    let life = Life::open(scratch.path(), Breakpoints::default()).await;
    life.drain().await;
    check_state(&life, &state).await;
    life.close().await;
}

/// What a write changed can be read at once.
async fn compare_one(life: &Life, seed: u64, step: &Step, (state, taken): (&State, &Taken)) {
    let touched: Vec<String> = if let Step::Put(versions) = step {
        versions.iter().map(|v| v.id.clone()).collect()
    } else if let Step::Delete(ids) = step {
        ids.clone()
    } else {
        let taken_back = step.cancelled_job().map(|of| taken[&of].iter().cloned());
        taken_back.into_iter().flatten().collect()
    };
    let (found, newest) = (listing(life).await, state.newest());
    for id in touched {
        let expected = newest.get(id.as_str()).map(|version| &version.text);
        assert_eq!(found.get(&id), expected, "seed {seed}: {id}");
    }
}

/// Says what differs, and under which seed.
fn compare(seed: u64, found: &BTreeMap<String, String>, state: &State) {
    let expected = state.texts();
    let not_in = |these: &BTreeMap<String, String>, those: &BTreeMap<String, String>| {
        let ids = these
            .iter()
            .filter(|(id, text)| those.get(*id) != Some(text));
        ids.map(|(id, _)| id.clone()).collect::<Vec<_>>()
    };
    let (extra, missing) = (not_in(found, &expected), not_in(&expected, found));
    assert!(
        extra.is_empty() && missing.is_empty(),
        "seed {seed}: extra {extra:?}, missing {missing:?}"
    );
}
