//! Percentile bootstrap intervals and the paired bootstrap test (Efron and Tibshirani 1993; Sakai 2006
//! for IR), the paired randomisation test (Smucker, Allan and Carterette 2007), and Holm's correction
//! for several tests at once (1979). Seeded: the same values give the same numbers.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Resamples per interval.
const RESAMPLES: usize = 10_000;
/// Differences of metrics, which are in 0..=1, that are smaller are rounding.
const ROUNDING: f64 = 1e-12;
/// Fixed, so that reports are reproducible.
const SEED: u64 = 0x6272_6169_6421;
/// How many times larger the tail of a sum with random signs can be than a normal one: the constant
/// is 1 / (4 * (1 - Phi(sqrt 2))), rounded up.
const RADEMACHER: f64 = 3.1786;

/// A mean with its 95% interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Mean over topics.
    pub mean: f64,
    /// 2.5th percentile of the resampled means.
    pub low: f64,
    /// 97.5th percentile.
    pub high: f64,
}

/// Mean of `values` (one per topic) with its interval; all zero when there are none.
pub fn estimate(values: &[f64]) -> Estimate {
    if values.is_empty() {
        return Estimate {
            mean: 0.0,
            low: 0.0,
            high: 0.0,
        };
    }
    let mut means: Vec<f64> = resampled_means(values).collect();
    means.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| means[((RESAMPLES - 1) as f64 * share).round() as usize];
    Estimate {
        mean: mean(values),
        low: at(0.025),
        high: at(0.975),
    }
}

fn resampled_means(values: &[f64]) -> impl Iterator<Item = f64> {
    let mut random = StdRng::seed_from_u64(SEED);
    (0..RESAMPLES).map(move |_| {
        let drawn = (0..values.len()).map(|_| values[random.random_range(0..values.len())]);
        drawn.sum::<f64>() / values.len() as f64
    })
}

/// Two-sided p-value of the mean of paired differences by the bootstrap: how often resampled
/// differences, moved so that their mean is 0, are as far from 0 as the observed ones are. 1 where nothing
/// differs. `None` where all differ by the same, one topic's alone included: moved to 0 they have no spread to
/// resample, so that the count would claim certainty from nothing.
pub fn bootstrap_p(differences: &[f64]) -> Option<f64> {
    if differences.iter().all(|d| d.abs() <= ROUNDING) {
        return Some(1.0);
    }
    let observed = mean(differences);
    let centred: Vec<f64> = differences.iter().map(|d| d - observed).collect();
    if centred.iter().all(|d| d.abs() <= ROUNDING) {
        return None;
    }
    let as_far = |resampled: &f64| resampled.abs() >= observed.abs() - 1e-15;
    let extreme = resampled_means(&centred).filter(as_far).count();
    Some((extreme + 1) as f64 / (RESAMPLES + 1) as f64)
}

/// Holm's correction: p-values that hold for all the tests together, in the order given. With the
/// smallest of m first, the i-th (from 0) is multiplied by m - i; none falls below the one before it,
/// or goes beyond 1.
pub fn holm(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut corrected = vec![1.0; values.len()];
    let mut least = 0.0_f64;
    for (place, index) in order.into_iter().enumerate() {
        least = least
            .max(values[index] * (values.len() - place) as f64)
            .min(1.0);
        corrected[index] = least;
    }
    corrected
}

/// Two-sided p-value of the mean of paired differences, by flipping signs at random.
///
/// Counting cannot tell p-values below one over the number of flips, and over hundreds of tests
/// [`holm`] would leave none of those below 0.05. So where no flip comes as far as what was observed,
/// the least of the count's bound and [`flips_at_most`] is taken; neither is ever below the exact
/// p-value by more than the count's own chance.
pub fn randomisation_p(differences: &[f64]) -> f64 {
    let observed = mean(differences).abs();
    let mut random = StdRng::seed_from_u64(SEED);
    let extreme = (0..RESAMPLES)
        .filter(|_| {
            let sum: f64 = differences
                .iter()
                .map(|d| if random.random::<bool>() { *d } else { -*d })
                .sum();
            (sum / differences.len().max(1) as f64).abs() >= observed - 1e-15
        })
        .count();
    let counted = (extreme + 1) as f64 / (RESAMPLES + 1) as f64;
    if extreme == 0 {
        counted.min(flips_at_most(differences))
    } else {
        counted
    }
}

/// What share of all flips of signs can at most bring the mean as far from 0, either way. The
/// standard error of the mean under flips is sqrt(sum of squares) / n, and the tail of a sum with random signs
/// is at most 3.18 times that of a normal distribution (Bentkus and Dzindzalieta 2015, "A tight
/// Gaussian bound for weighted sums of Rademacher random variables"), which is below its density over
/// the distance (Mills' ratio). 1 where nothing differs.
fn flips_at_most(differences: &[f64]) -> f64 {
    let squares: f64 = differences.iter().map(|d| d * d).sum();
    let distance = differences.iter().sum::<f64>().abs() / squares.sqrt();
    if !distance.is_finite() || distance == 0.0 {
        return 1.0;
    }
    let density = (-distance * distance / 2.0).exp() / std::f64::consts::TAU.sqrt();
    (2.0 * RADEMACHER * density / distance).clamp(f64::MIN_POSITIVE, 1.0)
}

/// Arithmetic mean, 0 of nothing.
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        0.0
    } else {
        values.iter().sum::<f64>() / values.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interval_covers_the_mean_and_narrows_with_more_topics() {
        let few: Vec<f64> = (0..20).map(|i| f64::from(i % 2)).collect();
        let many: Vec<f64> = (0..2000).map(|i| f64::from(i % 2)).collect();
        let (few, many) = (estimate(&few), estimate(&many));
        assert!(few.low < 0.5 && few.high > 0.5);
        // The normal approximation gives 0.5 +- 1.96 * 0.5 / sqrt(2000) = +-0.0219.
        assert!((many.high - many.low - 0.0438).abs() < 0.004, "{many:?}");
        assert!(many.high - many.low < few.high - few.low);
    }

    #[test]
    fn constant_values_have_a_point_interval() {
        let estimate = estimate(&[0.25; 9]);
        assert_eq!(
            (estimate.low, estimate.mean, estimate.high),
            (0.25, 0.25, 0.25)
        );
    }

    #[test]
    fn holm_multiplies_by_what_is_left_and_never_falls() {
        // Holm's own procedure by hand: 4 x 0.01, 3 x 0.03 (0.09), 2 x 0.04 (0.08, not below 0.09), 0.5.
        let corrected = holm(&[0.04, 0.01, 0.5, 0.03]);
        let expected = [0.09, 0.04, 0.5, 0.09];
        for (found, wanted) in corrected.iter().zip(expected) {
            assert!((found - wanted).abs() < 1e-12, "{corrected:?}");
        }
        assert_eq!(holm(&[0.7, 0.6]), [1.0, 1.0]);
        assert_eq!(holm(&[0.02]), [0.02]);
        assert_eq!(holm(&[]), [0.0; 0]);
    }

    #[test]
    fn the_tests_reject_what_is_not_there_at_their_level() {
        let mut random = StdRng::seed_from_u64(7);
        let (mut bootstrap, mut randomisation) = (0, 0);
        for _ in 0..60 {
            let noise: Vec<f64> = (0..40).map(|_| random.random_range(-1.0..1.0)).collect();
            bootstrap += usize::from(bootstrap_p(&noise).unwrap() < 0.05);
            randomisation += usize::from(randomisation_p(&noise) < 0.05);
        }
        // 3 are expected; more than 8 come up once in 300.
        assert!(
            bootstrap <= 8 && randomisation <= 8,
            "{bootstrap} {randomisation}"
        );
    }

    #[test]
    fn a_clear_effect_stays_clear_among_a_thousand_tests() {
        let clear: Vec<f64> = (0..200)
            .map(|i| if i % 4 == 0 { -0.1 } else { 0.1 })
            .collect();
        let mut random = StdRng::seed_from_u64(3);
        let mut values = vec![randomisation_p(&clear)];
        values.extend((0..999).map(|_| random.random_range(0.01..1.0)));
        let corrected = holm(&values);
        assert!(corrected[0] < 0.01, "{}", corrected[0]);
        assert!(corrected[1..].iter().all(|p| *p == 1.0));
    }

    /// The share of all flips that bring the mean as far from 0.
    fn exact_p(differences: &[f64]) -> f64 {
        let observed = differences.iter().sum::<f64>().abs();
        let all = 1_u32 << differences.len();
        let sum = |flips: u32| -> f64 {
            let flipped = differences.iter().zip(0..);
            flipped
                .map(|(d, at)| if flips >> at & 1 == 1 { -d } else { *d })
                .sum()
        };
        let extreme = (0..all).filter(|flips| sum(*flips).abs() >= observed - 1e-12);
        extreme.count() as f64 / f64::from(all)
    }

    #[test]
    fn the_bound_beyond_the_count_is_never_below_the_exact_p_value() {
        let mut random = StdRng::seed_from_u64(11);
        let mut below_the_count = 0;
        for topics in [1, 2, 5, 9, 14, 16, 18] {
            for shift in [0.0, 0.5, 1.0, 10.0] {
                let differences: Vec<f64> = (0..topics)
                    .map(|_| shift + random.random_range(-1.0..1.0))
                    .collect();
                let (exact, bound) = (exact_p(&differences), flips_at_most(&differences));
                assert!(bound >= exact, "{topics} {shift}: {bound} {exact}");
                let floor = 1.0 / (RESAMPLES + 1) as f64;
                let p = randomisation_p(&differences);
                assert!(p >= exact.min(floor), "{topics} {shift}: {p} {exact}");
                below_the_count += usize::from(p < floor);
            }
        }
        assert!(below_the_count > 0, "the bound is of use");
        assert_eq!(flips_at_most(&[0.0; 4]), 1.0);
        assert_eq!(flips_at_most(&[]), 1.0);
    }

    #[test]
    fn differences_without_a_spread_have_no_bootstrap_p_value() {
        assert_eq!(bootstrap_p(&[0.5]), None);
        assert_eq!(bootstrap_p(&[0.1; 3]), None);
        assert_eq!(bootstrap_p(&[-0.7; 40]), None);
        // What sums leave is no spread.
        assert_eq!(bootstrap_p(&[0.3, 0.1 + 0.2, 0.3]), None);
        assert!(bootstrap_p(&[0.1, 0.2]).is_some());
        assert_eq!(bootstrap_p(&[0.0]), Some(1.0));
        assert_eq!(bootstrap_p(&[]), Some(1.0));
    }

    #[test]
    fn both_tests_tell_a_shift_from_noise() {
        let shift = vec![0.1; 40];
        let noise: Vec<f64> = (0..40)
            .map(|i| if i % 2 == 0 { 0.1 } else { -0.1 })
            .collect();
        assert!(randomisation_p(&shift) < 0.001);
        assert!(randomisation_p(&noise) > 0.5);
        let uneven: Vec<f64> = (0..40).map(|i| 0.1 + 0.01 * f64::from(i % 3)).collect();
        assert!(bootstrap_p(&uneven).unwrap() < 0.001);
        assert!(bootstrap_p(&noise).unwrap() > 0.5);
        assert_eq!(bootstrap_p(&[0.0; 5]), Some(1.0));
    }
}
