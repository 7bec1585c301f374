//! `braid eval compare`: two runs, pairwise over topics.

use serde::Serialize;

use crate::bootstrap::{estimate, mean, randomisation_p};
use crate::metrics::Metric;
use crate::trec::{Qrels, Run};

/// One metric of two runs over the same topics.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The metric's name.
    pub metric: String,
    /// Mean of the first run.
    pub a: f64,
    /// Mean of the second run.
    pub b: f64,
    /// Mean of second minus first, per topic.
    pub difference: f64,
    /// 95% bootstrap interval of the difference, low end.
    pub low: f64,
    /// High end.
    pub high: f64,
    /// Two-sided p-value of a paired randomisation test.
    pub p: f64,
    /// Topics where the second run is better, worse.
    pub wins: usize,
    /// Topics where the second run is worse.
    pub losses: usize,
}

/// Compares two runs on every reported metric. A topic missing from a run counts as 0 there.
pub fn compare(a: &Run, b: &Run, qrels: &Qrels) -> Vec<Comparison> {
    Metric::REPORTED
        .into_iter()
        .map(|metric| compare_metric(metric, a, b, qrels))
        .collect()
}

/// `metric` of every topic of `qrels`, in topic order.
pub fn per_topic(metric: Metric, run: &Run, qrels: &Qrels) -> Vec<f64> {
    let nothing = Vec::new();
    qrels
        .iter()
        .map(|(topic, judgements)| metric.measure(run.get(topic).unwrap_or(&nothing), judgements))
        .collect()
}

/// Compares two runs on one metric, as [`compare`] does on each.
pub fn compare_metric(metric: Metric, a: &Run, b: &Run, qrels: &Qrels) -> Comparison {
    let (a, b) = (per_topic(metric, a, qrels), per_topic(metric, b, qrels));
    let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| b - a).collect();
    let interval = estimate(&differences);
    Comparison {
        metric: metric.name(),
        a: mean(&a),
        b: mean(&b),
        difference: interval.mean,
        low: interval.low,
        high: interval.high,
        p: randomisation_p(&differences),
        wins: differences.iter().filter(|d| **d > 0.0).count(),
        losses: differences.iter().filter(|d| **d < 0.0).count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_better_run_wins_and_a_missing_topic_counts_as_zero() {
        let qrels: Qrels = (0..30)
            .map(|i| (format!("t{i}"), [("d".to_owned(), 1)].into_iter().collect()))
            .collect();
        let good: Run = (0..30)
            .map(|i| (format!("t{i}"), vec!["d".to_owned()]))
            .collect();
        let bad: Run = (0..29)
            .map(|i| (format!("t{i}"), vec!["x".to_owned(), "d".to_owned()]))
            .collect();
        let rows = compare(&bad, &good, &qrels);
        let mrr = rows.iter().find(|row| row.metric == "mrr@10").unwrap();
        assert!((mrr.a - 29.0 * 0.5 / 30.0).abs() < 1e-12);
        assert_eq!((mrr.b, mrr.wins, mrr.losses), (1.0, 30, 0));
        assert!(mrr.low > 0.0 && mrr.p < 0.001);
    }
}
