//! From scores to probabilities: fitting, measuring how true the probabilities are, and what a
//! threshold on them leaves.

use braid_core::Calibration;

/// A passage's score for a query, and whether it is relevant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Labelled {
    /// The raw score, or a probability where probabilities are measured.
    pub score: f64,
    /// Whether it is relevant.
    pub is_relevant: bool,
}

/// Steps of Newton's method: it converges in about ten.
const MOST_STEPS: usize = 100;

/// Platt scaling: the logistic regression of relevance on the score, by Newton's method, with
/// Platt's targets ((n+ + 1) / (n+ + 2) and 1 / (n- + 2)), which keep separable data finite.
///
/// `None` where there are not both relevant and irrelevant ones, or where relevance does not rise
/// with the score.
pub fn fit(pairs: &[Labelled]) -> Option<Calibration> {
    let relevant = pairs.iter().filter(|pair| pair.is_relevant).count() as f64;
    let irrelevant = pairs.len() as f64 - relevant;
    if relevant == 0.0 || irrelevant == 0.0 {
        return None;
    }
    let high = (relevant + 1.0) / (relevant + 2.0);
    let low = 1.0 / (irrelevant + 2.0);
    let target = |pair: &Labelled| if pair.is_relevant { high } else { low };
    let mut fitted = Calibration {
        slope: 0.0,
        intercept: ((relevant + 1.0) / (irrelevant + 1.0)).ln(),
    };
    for _ in 0..MOST_STEPS {
        let (step, change) = newton_step(pairs, fitted, target)?;
        fitted = step;
        if change < 1e-10 {
            break;
        }
    }
    (fitted.slope > 0.0 && fitted.intercept.is_finite()).then_some(fitted)
}

fn newton_step(
    pairs: &[Labelled],
    from: Calibration,
    target: impl Fn(&Labelled) -> f64,
) -> Option<(Calibration, f64)> {
    // A little of the identity keeps the Hessian invertible.
    let (mut h11, mut h22, mut h12) = (1e-9, 1e-9, 0.0);
    let (mut g1, mut g2) = (0.0, 0.0);
    for pair in pairs {
        let probability = from.relevance(pair.score);
        let weight = probability * (1.0 - probability);
        let error = probability - target(pair);
        h11 += pair.score * pair.score * weight;
        h22 += weight;
        h12 += pair.score * weight;
        g1 += pair.score * error;
        g2 += error;
    }
    let determinant = h11 * h22 - h12 * h12;
    if !determinant.is_finite() || determinant <= 0.0 {
        return None;
    }
    let by_slope = (h22 * g1 - h12 * g2) / determinant;
    let by_intercept = (h11 * g2 - h12 * g1) / determinant;
    // Halved until the loss falls: a full step can overshoot where the scores separate well.
    let before = loss(pairs, from, &target);
    let mut share = 1.0;
    loop {
        let next = Calibration {
            slope: from.slope - share * by_slope,
            intercept: from.intercept - share * by_intercept,
        };
        if loss(pairs, next, &target) <= before + 1e-12 {
            let change = (share * by_slope).abs() + (share * by_intercept).abs();
            return Some((next, change));
        }
        share /= 2.0;
        if share < 1e-10 {
            return Some((from, 0.0));
        }
    }
}

fn loss(pairs: &[Labelled], fitted: Calibration, target: impl Fn(&Labelled) -> f64) -> f64 {
    let losses = pairs.iter().map(|pair| {
        let odds = fitted.slope * pair.score + fitted.intercept;
        // log(1 + e^x) without overflow.
        let log = if odds > 0.0 {
            odds + (-odds).exp().ln_1p()
        } else {
            odds.exp().ln_1p()
        };
        log - target(pair) * odds
    });
    losses.sum()
}

/// How true probabilities are.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Trueness {
    /// Pairs.
    pub pairs: usize,
    /// Share that is relevant.
    pub relevant: f64,
    /// Mean probability.
    pub predicted: f64,
    /// Expected calibration error (Naeini, Cooper and Hauskrecht, AAAI 2015): over ten bins of equal
    /// width, the mean distance of a bin's share of relevant pairs from its mean probability,
    /// weighted by its pairs.
    pub expected_calibration_error: f64,
    /// Mean squared distance of a probability from 0 or 1.
    pub brier: f64,
    /// The least Brier score without looking at the scores: that of the share of relevant ones.
    pub brier_of_share: f64,
}

const BINS: usize = 10;

/// Measures probabilities; `None` of none.
pub fn trueness(pairs: &[Labelled]) -> Option<Trueness> {
    if pairs.is_empty() {
        return None;
    }
    let count = pairs.len() as f64;
    let truth = |pair: &Labelled| f64::from(u8::from(pair.is_relevant));
    let mut bins = [(0.0, 0.0); BINS];
    for pair in pairs {
        let bin = ((pair.score * BINS as f64) as usize).min(BINS - 1);
        bins[bin].0 += truth(pair);
        bins[bin].1 += pair.score;
    }
    let distances = bins
        .iter()
        .map(|(relevant, predicted)| f64::abs(relevant - predicted));
    let relevant = pairs.iter().map(truth).sum::<f64>() / count;
    let squares = pairs.iter().map(|pair| (pair.score - truth(pair)).powi(2));
    Some(Trueness {
        pairs: pairs.len(),
        relevant,
        predicted: pairs.iter().map(|pair| pair.score).sum::<f64>() / count,
        expected_calibration_error: distances.sum::<f64>() / count,
        brier: squares.sum::<f64>() / count,
        brier_of_share: relevant * (1.0 - relevant),
    })
}

/// The share of queries that a threshold leaves without a hit, by the best relevance among each one's
/// candidates: what is at the threshold stays, as where requests are answered. `None` of none.
pub fn left_empty(best: &[f64], threshold: f64) -> Option<f64> {
    let empty = best.iter().filter(|relevance| **relevance < threshold);
    (!best.is_empty()).then(|| empty.count() as f64 / best.len() as f64)
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn pair(score: f64, is_relevant: bool) -> Labelled {
        Labelled { score, is_relevant }
    }

    #[test]
    fn a_planted_calibration_is_found_and_true() {
        let planted = Calibration {
            slope: 0.7,
            intercept: -1.2,
        };
        let mut random = StdRng::seed_from_u64(5);
        let mut draw = |count: usize| -> Vec<Labelled> {
            let pairs = (0..count).map(|_| {
                let score = random.random_range(-8.0..6.0);
                pair(score, random.random::<f64>() < planted.relevance(score))
            });
            pairs.collect()
        };
        let fitted = fit(&draw(20_000)).unwrap();
        assert!((fitted.slope - 0.7).abs() < 0.05, "{fitted:?}");
        assert!((fitted.intercept + 1.2).abs() < 0.1, "{fitted:?}");
        let held_out = draw(20_000);
        let measure = |by: Calibration| {
            let pairs = held_out.iter();
            let pairs = pairs.map(|one| pair(by.relevance(one.score), one.is_relevant));
            trueness(&pairs.collect::<Vec<_>>()).unwrap()
        };
        let (true_one, raw) = (
            measure(fitted),
            measure(Calibration {
                slope: 1.0,
                intercept: 0.0,
            }),
        );
        assert!(true_one.expected_calibration_error < 0.02, "{true_one:?}");
        assert!(raw.expected_calibration_error > 0.1, "{raw:?}");
        assert!(true_one.brier < raw.brier && true_one.brier < true_one.brier_of_share);
    }

    #[test]
    fn scores_that_separate_or_say_nothing_are_no_trouble() {
        let separated: Vec<Labelled> = (0..40).map(|at| pair(f64::from(at), at >= 20)).collect();
        let fitted = fit(&separated).unwrap();
        assert!(
            fitted.slope.is_finite() && fitted.relevance(0.0) < 0.1 && fitted.relevance(39.0) > 0.9
        );
        assert_eq!(fit(&[pair(1.0, true)]), None);
        let reversed: Vec<Labelled> = (0..40).map(|at| pair(f64::from(at), at < 20)).collect();
        assert_eq!(
            fit(&reversed),
            None,
            "a better score is never less relevant"
        );
    }

    #[test]
    fn the_error_is_that_of_the_definition() {
        // Two bins: 0.15 three times with one relevant, 0.95 once and relevant.
        let pairs = [
            pair(0.15, true),
            pair(0.15, false),
            pair(0.15, false),
            pair(0.95, true),
        ];
        let measured = trueness(&pairs).unwrap();
        let expected = (0.75 * (1.0 / 3.0 - 0.15_f64).abs()) + 0.25 * 0.05;
        assert!((measured.expected_calibration_error - expected).abs() < 1e-12);
        assert_eq!(trueness(&[]), None);
        assert_eq!(
            trueness(&[pair(1.0, true)])
                .unwrap()
                .expected_calibration_error,
            0.0
        );
    }

    #[test]
    fn a_threshold_leaves_those_empty_whose_best_is_below_it() {
        let best = [0.05, 0.2, 0.2, 0.9];
        assert_eq!(left_empty(&best, 0.05), Some(0.0), "at it is not below it");
        assert_eq!(left_empty(&best, 0.1), Some(0.25));
        assert_eq!(left_empty(&best, 0.3), Some(0.75));
        assert_eq!(left_empty(&best, 0.95), Some(1.0));
        assert_eq!(left_empty(&[], 0.1), None);
    }
}
