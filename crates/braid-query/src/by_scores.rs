//! The fused score by what the legs' scores say: the counterpart, at the re-ranking stage, of fusion
//! by ranks.

use crate::request::LegWeights;
use crate::response::{StageScore, StageScores};

/// What a leg said of a hit.
type OfLeg = fn(&StageScores) -> Option<StageScore>;

/// For each hit of a window its fused score by distances: the weighted mean over the legs of the
/// leg's score, in standard deviations from its mean over the window (distribution-based score
/// fusion; Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", 2023,
/// compares such functions).
///
/// RRF knows ranks alone: a passage that a leg puts far ahead is one step before the next one. For
/// choosing candidates that is robust; beside a model's score the distances count. A hit that a leg
/// did not rank is as bad there as the worst that it did, or as `lexical_floor` says; a leg that
/// ranked none of the window, or whose weight is 0, has no say.
pub(crate) fn by_scores(
    hits: &[StageScores],
    weights: LegWeights,
    lexical_floor: Option<f64>,
) -> Vec<f64> {
    let legs: [(f64, OfLeg, Option<f64>); 2] = [
        (weights.lexical, |scores| scores.lexical, lexical_floor),
        (weights.dense, |scores| scores.dense, None),
    ];
    let mut sums = vec![0.0; hits.len()];
    let mut total = 0.0;
    for (weight, of, floor) in legs {
        let scores = hits.iter().map(|hit| of(hit).map(|own| own.score));
        if weight > 0.0
            && let Some(scores) = filled(scores.collect(), floor)
        {
            total += weight;
            for (sum, deviation) in sums.iter_mut().zip(deviations(scores)) {
                *sum += weight * deviation;
            }
        }
    }
    let mean = |sum: f64| if total > 0.0 { sum / total } else { 0.0 };
    sums.into_iter().map(mean).collect()
}

/// The values, what is missing being as bad as the least or as `floor`; `None` where all are missing.
fn filled(values: Vec<Option<f64>>, floor: Option<f64>) -> Option<Vec<f64>> {
    let least = values.iter().copied().flatten().reduce(f64::min)?;
    let least = floor.map_or(least, |floor| floor.min(least));
    let values = values.into_iter();
    Some(values.map(|value| value.unwrap_or(least)).collect())
}

/// What equal values may deviate from their mean by rounding, relative to it.
const ROUNDING: f64 = 1e-9;

/// Each value in standard deviations from the mean; all 0 where there is no deviation.
pub(crate) fn deviations(values: Vec<f64>) -> Vec<f64> {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares = values.iter().map(|value| (value - mean).powi(2));
    let spread = (squares.sum::<f64>() / count).sqrt();
    let of = |value: f64| (value - mean) / spread;
    if spread > ROUNDING * mean.abs() {
        values.into_iter().map(of).collect()
    } else {
        vec![0.0; values.len()]
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn hits(lexical: &[Option<f64>], dense: &[Option<f64>]) -> Vec<StageScores> {
        let own = |score: &Option<f64>| score.map(|score| StageScore { rank: 1, score });
        let both = lexical.iter().zip(dense);
        both.map(|(lexical, dense)| StageScores {
            lexical: own(lexical),
            dense: own(dense),
            ..StageScores::default()
        })
        .collect()
    }

    fn shown(lexical: &[Option<f64>], dense: &[Option<f64>], weights: LegWeights) -> String {
        let scores = by_scores(&hits(lexical, dense), weights, None);
        let scores: Vec<String> = scores.iter().map(|score| format!("{score:.2}")).collect();
        scores.join(" ")
    }

    #[test]
    fn distances_count_and_what_is_missing_is_as_bad_as_the_worst() {
        let lexical = [Some(30.0), Some(10.0), None, Some(10.0)];
        let dense = [Some(0.5), Some(0.9), Some(0.5), None];
        let even = LegWeights::default();
        assert_eq!(shown(&lexical, &dense, even), "0.58 0.58 -0.58 -0.58");
        let lexical_only = LegWeights { dense: 0.0, ..even };
        assert_eq!(
            shown(&lexical, &dense, lexical_only),
            "1.73 -0.58 -0.58 -0.58"
        );
        let twice = LegWeights {
            lexical: 2.0,
            ..even
        };
        assert_eq!(shown(&lexical, &dense, twice), "0.96 0.19 -0.58 -0.58");
    }

    #[test]
    fn a_leg_that_says_nothing_has_no_say() {
        let even = LegWeights::default();
        let dense = [Some(0.9), Some(0.5)];
        assert_eq!(shown(&[None, None], &dense, even), "1.00 -1.00");
        assert_eq!(shown(&[None, None], &[None, None], even), "0.00 0.00");
        assert_eq!(shown(&[Some(7.1), Some(7.1)], &dense, even), "0.50 -0.50");
        assert_eq!(shown(&[], &[], even), "");
        // The mean of these is not exactly each of them.
        assert_eq!(deviations(vec![0.1; 3]), [0.0; 3]);
    }

    #[test]
    fn the_only_match_stands_out_where_nothing_else_matches() {
        let window = hits(&[None, None, Some(7.0)], &[Some(0.9), Some(0.8), Some(0.7)]);
        let even = LegWeights::default();
        let better_than_it = |floor| {
            let scores = by_scores(&window, even, floor);
            scores.iter().filter(|score| **score > scores[2]).count()
        };
        assert_eq!(better_than_it(None), 2);
        assert_eq!(better_than_it(Some(0.0)), 1);
    }

    proptest! {
        #[test]
        fn the_scale_of_a_leg_does_not_count(
            lexical in vec(option::of(0.0..50.0_f64), 1..30),
            factor in 0.1..10.0_f64,
            shift in -5.0..5.0_f64,
        ) {
            let dense: Vec<Option<f64>> = (0..lexical.len()).map(|i| Some(i as f64 % 7.0)).collect();
            let moved: Vec<_> = lexical.iter().map(|s| s.map(|s| s * factor + shift)).collect();
            let even = LegWeights::default();
            let plain = by_scores(&hits(&lexical, &dense), even, None);
            let other = by_scores(&hits(&moved, &dense), even, None);
            for (a, b) in plain.iter().zip(other) {
                prop_assert!((a - b).abs() < 1e-6, "{} {}", a, b);
            }
        }
    }
}
