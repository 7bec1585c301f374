//! From a model's score to a probability.

/// Platt scaling (Platt, "Probabilistic outputs for support vector machines", 1999): the probability
/// that a passage with a re-ranker's raw score is relevant, `1 / (1 + exp(-(slope * score +
/// intercept)))`. Fitted on labelled pairs; a model's manifest says which.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// What a score of one more adds to the log-odds; above 0, so that order is kept.
    pub slope: f64,
    /// The log-odds at a score of 0.
    pub intercept: f64,
}

impl Calibration {
    /// The probability, 0..=1, that a passage with this raw score is relevant.
    pub fn relevance(&self, score: f64) -> f64 {
        1.0 / (1.0 + (-(self.slope * score + self.intercept)).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_becomes_a_probability_that_rises_with_it() {
        let calibration = Calibration {
            slope: 2.0,
            intercept: -1.0,
        };
        assert_eq!(calibration.relevance(0.5), 0.5);
        assert!((calibration.relevance(1.0) - 0.731_058_578_6).abs() < 1e-9);
        assert_eq!(calibration.relevance(f64::from(f32::MAX)), 1.0);
        assert_eq!(calibration.relevance(f64::from(f32::MIN)), 0.0);
    }
}
