//! A short, fixed run over every target: the same inputs each time.

use braid_fuzz::mutate::mutate;
use braid_fuzz::run::run;
use braid_fuzz::seeds::{seeds, words};
use braid_fuzz::target::Target;
use rand::SeedableRng;
use rand::rngs::StdRng;

/// Inputs of each target: a few seconds in all.
const INPUTS: u64 = 40;

#[test]
fn sound_inputs_are_read_and_chunked() {
    let folder = tempfile::tempdir().unwrap();
    for target in Target::all() {
        for seed in seeds(target) {
            let read = target.read(&seed.bytes(), folder.path());
            let name = target.name();
            assert!(
                read.as_ref().is_ok_and(|chunks| *chunks > 0),
                "{name}: {read:?}"
            );
        }
    }
}

#[test]
fn a_seed_gives_the_same_inputs() {
    let inputs = |seed| {
        let mut random = StdRng::seed_from_u64(seed);
        let target = Target::all()[0];
        let mutated = || mutate(&mut random, &seeds(target), words(target));
        std::iter::repeat_with(mutated).take(20).collect::<Vec<_>>()
    };
    assert_eq!(inputs(1), inputs(1));
    assert_ne!(inputs(1), inputs(2));
}

#[test]
fn damaged_inputs_are_read_or_refused() {
    for target in Target::all() {
        let folder = tempfile::tempdir().unwrap();
        let tally = run(target, 1, folder.path(), |tally| tally.executions < INPUTS).unwrap();
        assert_eq!(tally.executions, INPUTS);
        assert!(tally.chunks > 0, "{}: {tally:?}", target.name());
        assert_eq!(tally.panics, 0, "{}: {tally:?}", target.name());
    }
}
