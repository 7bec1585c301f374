//! Tuning where the truth is known: labels that mean nothing, and an effect that was planted. The rankings
//! are real fusions of two made-up legs; no model, no index.

use braid_engine::query::fusion::fuse;
use braid_eval::metrics::{Judgements, Metric};
use braid_eval::study::random_labels;
use braid_eval::tune::{Decision, Validation, decide};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

const TOPICS: usize = 60;
const POOL: u32 = 80;
const DEPTH: usize = 40;
/// The first is the baseline.
const GRID: [(f64, f64, f64); 12] = [
    (60.0, 1.0, 1.0),
    (10.0, 1.0, 1.0),
    (60.0, 2.0, 1.0),
    (60.0, 1.0, 2.0),
    (10.0, 2.0, 1.0),
    (10.0, 1.0, 2.0),
    (60.0, 4.0, 1.0),
    (60.0, 1.0, 4.0),
    (1.0, 1.0, 1.0),
    (1.0, 3.0, 1.0),
    (60.0, 1.0, 0.0),
    (60.0, 0.0, 1.0),
];

fn leg(random: &mut StdRng) -> Vec<u32> {
    let mut pool: Vec<u32> = (0..POOL).collect();
    pool.shuffle(random);
    pool.truncate(DEPTH);
    pool
}

/// The values of every setting on every topic: `label` says what is relevant, given the legs.
fn values(
    seed: u64,
    label: impl Fn(&mut StdRng, &[u32], &[Vec<String>]) -> Judgements,
) -> Vec<Vec<f64>> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut values = vec![Vec::with_capacity(TOPICS); GRID.len()];
    for _ in 0..TOPICS {
        let (lexical, dense) = (leg(&mut random), leg(&mut random));
        let rankings = GRID.map(|(k, words, meaning)| {
            let fused = fuse(&[(words, &lexical[..]), (meaning, &dense[..])], k);
            fused
                .iter()
                .map(|found| found.key.to_string())
                .collect::<Vec<_>>()
        });
        let labels = label(&mut random, &lexical, &rankings);
        for (values, ranking) in values.iter_mut().zip(&rankings) {
            values.push(Metric::ndcg(10).measure(ranking, &labels));
        }
    }
    values
}

fn on_random_labels(seed: u64, validation: Validation) -> Decision {
    let any = |random: &mut StdRng, _: &[u32], rankings: &[Vec<String>]| {
        let count = random.random_range(1..4);
        let graded = (0..count)
            .map(|index| (index.to_string(), 1 + index % 2))
            .collect();
        random_labels(&graded, rankings, random.random())
    };
    decide(&values(seed, any), validation, seed)
}

#[test]
fn random_labels_recommend_nothing_in_at_least_95_of_100_seeds() {
    for validation in [Validation::Nested, Validation::SplitHalf] {
        let decisions = (0..100).map(|seed| on_random_labels(seed, validation));
        let quiet = decisions.filter(|decision| !decision.recommended).count();
        assert!(
            quiet >= 95,
            "{validation:?}: nothing recommended in {quiet} of 100"
        );
    }
}

#[test]
fn a_planted_effect_is_found_and_its_gain_holds_elsewhere() {
    // What is relevant stands among the first three of the lexical leg: its weight should rise.
    let planted = |random: &mut StdRng, lexical: &[u32], _: &[Vec<String>]| {
        let at = random.random_range(0..3);
        [(lexical[at].to_string(), 1)].into_iter().collect()
    };
    for validation in [Validation::Nested, Validation::SplitHalf] {
        for seed in 0..20 {
            let decision = decide(&values(seed, planted), validation, seed);
            assert!(decision.recommended, "{validation:?} {seed}: {decision:?}");
            let (k, lexical, dense) = GRID[decision.chosen];
            assert!(
                lexical > dense,
                "{validation:?} {seed}: {k} {lexical} {dense}"
            );
            // Other queries of the same kind, which had no part in it.
            let elsewhere = values(seed + 1000, planted);
            let mean = |setting: usize| elsewhere[setting].iter().sum::<f64>() / TOPICS as f64;
            let gain = mean(decision.chosen) - mean(0);
            assert!(gain > 0.0, "{validation:?} {seed}: {gain}");
        }
    }
}
