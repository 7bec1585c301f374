//! Percentile bootstrap intervals (Efron and Tibshirani 1993; Sakai 2006 for IR) and a paired
//! randomisation test (Smucker, Allan and Carterette 2007). Seeded: the same values give the same
//! interval.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Resamples per interval.
const RESAMPLES: usize = 10_000;
/// Fixed, so that reports are reproducible.
const SEED: u64 = 0x6272_6169_6421;

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
    let mut random = StdRng::seed_from_u64(SEED);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let sum: f64 = (0..values.len())
                .map(|_| values[random.random_range(0..values.len())])
                .sum();
            sum / values.len() as f64
        })
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| means[((RESAMPLES - 1) as f64 * share).round() as usize];
    Estimate {
        mean: mean(values),
        low: at(0.025),
        high: at(0.975),
    }
}

/// Two-sided p-value of the mean of paired differences, by flipping signs at random.
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
    (extreme + 1) as f64 / (RESAMPLES + 1) as f64
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
    fn randomisation_tells_a_shift_from_noise() {
        let shift = vec![0.1; 40];
        let noise: Vec<f64> = (0..40)
            .map(|i| if i % 2 == 0 { 0.1 } else { -0.1 })
            .collect();
        assert!(randomisation_p(&shift) < 0.001);
        assert!(randomisation_p(&noise) > 0.5);
    }
}
