//! `braid eval tune`: which of many settings is best, judged on queries that had no part in the choice.
//!
//! The best of many settings looks better than it is on the queries that chose it. So the queries are
//! split into folds; what the others choose is measured on each fold, and the gains held out that way are
//! what is reported. Their mean is fair, but their spread is not that of a single setting: one choice
//! follows another, and on labels without meaning a plain interval claims a gain far more often than it says
//! (a test measures it; Bengio and Grandvalet 2004 on why cross-validation has no unbiased variance). The
//! interval is therefore as wide as the whole procedure needs: the signs of all of a topic's differences are flipped
//! at random, the choosing is done anew, and the width is what keeps 99.5% of such studies below 0. It is a
//! 99% interval: who is told to change a setting should not be told so for nothing.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

use crate::bootstrap::mean;

/// Studies with flipped signs.
const FLIPS: usize = 1000;
/// The share of those that the interval keeps below 0.
const BELOW: f64 = 0.995;
/// Of a normal distribution, what that share is below.
const NORMAL: f64 = 2.576;
/// Below this, a spread is rounding.
const ROUNDING: f64 = 1e-12;
/// A standard error below this is that of gains that are all the same: sums of squares leave so much.
const LEVEL: f64 = 1e-6;

/// How gains are held out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Validation {
    /// Each fifth of the topics measures what the other four choose
    Nested,
    /// One half chooses, the other measures
    SplitHalf,
}

impl Validation {
    /// Number of folds, and which of them measure.
    fn folds(self) -> (usize, std::ops::Range<usize>) {
        match self {
            Self::Nested => (5, 0..5),
            Self::SplitHalf => (2, 1..2),
        }
    }
}

/// What a study came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decision {
    /// The setting that is best on the topics that choose: all, or one half. 0 is the baseline.
    #[serde(skip)]
    pub chosen: usize,
    /// Its mean on those same topics.
    pub choosing_mean: f64,
    /// Its mean gain over the baseline on those same topics: too good to be true.
    pub apparent_gain: f64,
    /// Mean gain of what was chosen, on topics that had no part in choosing it.
    pub held_out_gain: f64,
    /// Its 99% interval, low end.
    pub low: f64,
    /// High end.
    pub high: f64,
    /// Topics that measured.
    pub measured_topics: usize,
    /// What each measuring fold's other topics chose.
    #[serde(skip)]
    pub choices: Vec<usize>,
    /// Whether the chosen setting is recommended: it is not the baseline, and the interval is above 0.
    pub recommended: bool,
}

/// Sums of differences by setting and fold, from which a study follows.
struct Sums {
    /// `[setting][fold]`.
    sums: Vec<Vec<f64>>,
    squares: Vec<Vec<f64>>,
}

/// Chooses among settings. `values[s][t]` is the metric of setting `s` on topic `t`; setting 0 is the
/// baseline, which is kept where nothing is better on the topics that choose. The same values and seed
/// give the same decision.
pub fn decide(values: &[Vec<f64>], validation: Validation, seed: u64) -> Decision {
    let topics = values.first().map_or(0, Vec::len);
    let (count, measuring) = validation.folds();
    let mut random = StdRng::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..topics).collect();
    order.shuffle(&mut random);
    let mut fold = vec![0; topics];
    for (place, topic) in order.into_iter().enumerate() {
        fold[topic] = place % count;
    }
    let differences: Vec<Vec<f64>> = values
        .iter()
        .map(|of| {
            of.iter()
                .zip(&values[0])
                .map(|(value, base)| value - base)
                .collect()
        })
        .collect();
    let mut sums = Sums::of(&differences, &fold, count);
    let (choices, gains) = sums.study(measuring.clone());
    let measured = fold.iter().filter(|fold| measuring.contains(fold)).count();
    let (held_out, error) = gains.estimate(measured);
    let width = if error > LEVEL {
        let flipped = sums.width(
            &differences,
            &fold,
            measuring.clone(),
            measured,
            &mut random,
        );
        error * flipped
    } else {
        level_width(held_out, measured)
    };
    let chosen = match validation {
        Validation::Nested => sums.choose_without(None),
        Validation::SplitHalf => choices.first().copied().unwrap_or(0),
    };
    let choosing: Vec<usize> = (0..topics)
        .filter(|topic| validation == Validation::Nested || fold[*topic] == 0)
        .collect();
    let over = |of: &[Vec<f64>]| {
        let of = of.get(chosen).map_or(&[][..], Vec::as_slice);
        mean(&choosing.iter().map(|topic| of[*topic]).collect::<Vec<_>>())
    };
    let (low, high) = (held_out - width, held_out + width);
    Decision {
        chosen,
        choosing_mean: over(values),
        apparent_gain: over(&differences),
        held_out_gain: held_out,
        low,
        high,
        measured_topics: measured,
        choices,
        recommended: chosen != 0 && low > ROUNDING,
    }
}

/// The width around gains that are all the same, `held_out`: without a spread their signs alone can
/// say that they are no accident, and those of few topics do not.
fn level_width(held_out: f64, measured: usize) -> f64 {
    let measured = i32::try_from(measured).unwrap_or(i32::MAX);
    if 0.5_f64.powi(measured) <= 1.0 - BELOW {
        0.0
    } else {
        held_out.abs()
    }
}

/// Held-out gains, summed up.
#[derive(Clone, Copy, Default)]
struct Gains {
    sum: f64,
    squares: f64,
}

impl Gains {
    /// Mean and its standard error over `count` topics.
    fn estimate(self, count: usize) -> (f64, f64) {
        if count < 2 {
            return (self.sum, 0.0);
        }
        let n = count as f64;
        let mean = self.sum / n;
        let variance = ((self.squares - n * mean * mean) / (n - 1.0)).max(0.0);
        (mean, (variance / n).sqrt())
    }
}

impl Sums {
    fn of(differences: &[Vec<f64>], fold: &[usize], count: usize) -> Self {
        let mut sums = vec![vec![0.0; count]; differences.len()];
        let mut squares = sums.clone();
        for (setting, differences) in differences.iter().enumerate() {
            for (difference, fold) in differences.iter().zip(fold) {
                sums[setting][*fold] += difference;
                squares[setting][*fold] += difference * difference;
            }
        }
        Self { sums, squares }
    }

    /// The best setting by all folds but one; of equal ones the first, so that the baseline is kept.
    fn choose_without(&self, fold: Option<usize>) -> usize {
        let mut best = (0, 0.0);
        for (setting, sums) in self.sums.iter().enumerate() {
            let folds = sums.iter().enumerate();
            let sum: f64 = folds
                .filter(|(at, _)| Some(*at) != fold)
                .map(|(_, sum)| sum)
                .sum();
            if sum > best.1 + ROUNDING {
                best = (setting, sum);
            }
        }
        best.0
    }

    fn study(&self, measuring: std::ops::Range<usize>) -> (Vec<usize>, Gains) {
        let mut gains = Gains::default();
        let choices = measuring.map(|fold| {
            let chosen = self.choose_without(Some(fold));
            gains.sum += self.sums[chosen][fold];
            gains.squares += self.squares[chosen][fold];
            chosen
        });
        (choices.collect(), gains)
    }

    /// How many standard errors the gain may be off: at least those of a normal distribution, and so
    /// many that 99.5% of the studies with flipped signs end below 0.
    fn width(
        &mut self,
        differences: &[Vec<f64>],
        fold: &[usize],
        measuring: std::ops::Range<usize>,
        measured: usize,
        random: &mut StdRng,
    ) -> f64 {
        let mut ratios: Vec<f64> = Vec::with_capacity(FLIPS);
        let mut signs = vec![1.0; fold.len()];
        for _ in 0..FLIPS {
            signs.fill_with(|| if random.random::<bool>() { 1.0 } else { -1.0 });
            for (sums, differences) in self.sums.iter_mut().zip(differences) {
                sums.fill(0.0);
                for ((difference, sign), fold) in differences.iter().zip(&signs).zip(fold) {
                    sums[*fold] += difference * sign;
                }
            }
            let (_, gains) = self.study(measuring.clone());
            let (gain, error) = gains.estimate(measured);
            ratios.push(if error > ROUNDING { gain / error } else { 0.0 });
        }
        // As before the flipping: a study is asked about its own sums afterwards.
        *self = Self::of(differences, fold, self.sums.first().map_or(0, Vec::len));
        ratios.sort_unstable_by(f64::total_cmp);
        let at = ((FLIPS - 1) as f64 * BELOW).ceil() as usize;
        ratios[at].max(NORMAL)
    }
}

impl Decision {
    /// What is to be done about it, in a sentence.
    pub fn reason(&self) -> &'static str {
        if self.chosen == 0 {
            "nothing was better than the baseline on the topics that choose"
        } else if self.recommended {
            "the gain on topics that had no part in the choice is above 0"
        } else {
            "the interval of the held-out gain reaches 0"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Correlated noise: setting 0 is the baseline.
    fn noise(settings: usize, topics: usize, shared: f64, seed: u64) -> Vec<Vec<f64>> {
        let mut random = StdRng::seed_from_u64(seed);
        let common: Vec<f64> = (0..topics)
            .map(|_| random.random_range(-1.0..1.0))
            .collect();
        let one = |_| {
            let own = common.iter().map(|common| common * shared);
            own.map(|own| own + random.random_range(-1.0..1.0))
                .collect()
        };
        (0..settings).map(one).collect()
    }

    /// As [`noise`], with a baseline that never varies: nothing is shared.
    fn apart(settings: usize, topics: usize, seed: u64) -> Vec<Vec<f64>> {
        let mut values = noise(settings, topics, 0.0, seed);
        values[0].fill(0.0);
        values
    }

    /// In how many of 100 studies of noise something is recommended.
    fn false_alarms(settings: usize, topics: usize, shared: f64, validation: Validation) -> usize {
        let claims = |seed: &u64| {
            decide(&noise(settings, topics, shared, *seed), validation, *seed).recommended
        };
        (0..100).filter(claims).count()
    }

    #[test]
    fn noise_is_not_recommended_whatever_its_shape() {
        for validation in [Validation::Nested, Validation::SplitHalf] {
            for (settings, topics, shared) in [(3, 30, 0.0), (12, 60, 2.0), (30, 30, 0.0)] {
                let found = false_alarms(settings, topics, shared, validation);
                assert!(
                    found <= 5,
                    "{found} of 100: {validation:?} {settings} {topics} {shared}"
                );
            }
        }
    }

    #[test]
    fn a_plain_interval_would_claim_too_much() {
        let claims = (0..400).filter(|seed| {
            let values = apart(10, 60, *seed);
            let differences: Vec<Vec<f64>> = values
                .iter()
                .map(|of| {
                    of.iter()
                        .zip(&values[0])
                        .map(|(value, base)| value - base)
                        .collect()
                })
                .collect();
            let fold: Vec<usize> = (0..60).map(|topic| topic % 5).collect();
            let (_, gains) = Sums::of(&differences, &fold, 5).study(0..5);
            let (gain, error) = gains.estimate(60);
            gain > 1.96 * error
        });
        let count = claims.count();
        // 2.5% of 400 would be 10.
        assert!(count > 20, "{count} of 400: is the width still needed?");
        let claims =
            |seed: &u64| decide(&apart(10, 60, *seed), Validation::Nested, *seed).recommended;
        let count = (0..100).filter(claims).count();
        assert!(count <= 5, "{count} of 100");
    }

    #[test]
    fn a_planted_gain_is_found_and_its_size_is_told() {
        for validation in [Validation::Nested, Validation::SplitHalf] {
            let mut found = 0;
            for seed in 0..20 {
                let mut values = noise(12, 120, 2.0, seed);
                let planted = values[0].iter().enumerate();
                values[7] = planted
                    .map(|(topic, value)| value + 0.4 + 0.1 * ((topic % 5) as f64 - 2.0))
                    .collect();
                let decision = decide(&values, validation, seed);
                found += usize::from(decision.recommended && decision.chosen == 7);
                if decision.chosen == 7 {
                    assert!(decision.low < 0.4 && decision.high > 0.35, "{decision:?}");
                }
            }
            assert!(found >= 18, "{validation:?}: {found} of 20");
        }
    }

    #[test]
    fn equal_gains_are_recommended_only_where_they_are_many() {
        let equal = |topics| vec![vec![0.2; topics], vec![0.5; topics]];
        // Of fair coins, seven all show heads once in 128 times, eight once in 256.
        for (validation, topics, recommended) in [
            (Validation::SplitHalf, 2, false),
            (Validation::SplitHalf, 15, false),
            (Validation::SplitHalf, 16, true),
            (Validation::Nested, 7, false),
            (Validation::Nested, 8, true),
            (Validation::Nested, 40, true),
        ] {
            let decision = decide(&equal(topics), validation, 1);
            assert_eq!(
                (decision.chosen, decision.recommended),
                (1, recommended),
                "{decision:?}"
            );
            let low = if recommended { 0.3 } else { 0.0 };
            assert!((decision.low - low).abs() < 1e-9, "{decision:?}");
            assert!((decision.held_out_gain - 0.3).abs() < 1e-9, "{decision:?}");
        }
    }

    #[test]
    fn the_mean_of_the_topics_that_choose_is_theirs() {
        let mut values = vec![vec![0.0; 40], vec![0.0; 40]];
        for (topic, value) in values[1].iter_mut().enumerate() {
            *value = topic as f64 / 40.0 + 0.1;
        }
        let overall = mean(&values[1]);
        let half = decide(&values, Validation::SplitHalf, 3);
        assert_eq!(half.chosen, 1);
        // The baseline is 0, so that its gain is its value.
        assert_eq!(half.choosing_mean, half.apparent_gain);
        assert!((half.choosing_mean - overall).abs() > 1e-6, "{half:?}");
        let of_both = (half.choosing_mean + half.held_out_gain) / 2.0;
        assert!((of_both - overall).abs() < 1e-12, "two halves: {half:?}");
        let nested = decide(&values, Validation::Nested, 3);
        assert!((nested.choosing_mean - overall).abs() < 1e-12);
    }

    #[test]
    fn equal_settings_and_worse_ones_leave_the_baseline() {
        let base: Vec<f64> = (0..40).map(|i| f64::from(i % 3)).collect();
        let worse = base.iter().map(|value| value - 0.1).collect();
        for values in [vec![base.clone(); 4], vec![base.clone(), worse], vec![base]] {
            let decision = decide(&values, Validation::Nested, 1);
            assert_eq!((decision.chosen, decision.recommended), (0, false));
            assert_eq!(
                (decision.held_out_gain, decision.low, decision.high),
                (0.0, 0.0, 0.0)
            );
        }
        assert!(!decide(&[Vec::new(), Vec::new()], Validation::Nested, 1).recommended);
    }

    #[test]
    fn the_same_values_and_seed_give_the_same_decision() {
        let values = noise(6, 50, 1.0, 3);
        assert_eq!(
            decide(&values, Validation::Nested, 9),
            decide(&values, Validation::Nested, 9)
        );
    }
}
