//! Runs measured (`braid eval score`) and compared pairwise over topics (`braid eval compare`).

use serde::Serialize;

use crate::bootstrap::{Estimate, bootstrap_p, estimate, holm, mean, randomisation_p};
use crate::metrics::Metric;
use crate::table::{p_value, signed, table, with_interval};
use crate::trec::{Qrels, Run};

/// One metric of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// The run's name.
    pub run: String,
    /// The metric's name.
    pub metric: String,
    /// Mean over the judged topics; a topic missing from the run counts as 0.
    pub mean: f64,
    /// 95% bootstrap interval, low end.
    pub low: f64,
    /// High end.
    pub high: f64,
    /// The value of each topic, in topic order, where asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics: Option<Vec<(String, f64)>>,
}

/// One metric of two runs over the same topics.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The run that is compared.
    pub run: String,
    /// The run that it is compared with.
    pub baseline: String,
    /// The metric's name.
    pub metric: String,
    /// Mean of the baseline.
    pub a: f64,
    /// Mean of the run.
    pub b: f64,
    /// Mean of run minus baseline, per topic.
    pub difference: f64,
    /// 95% bootstrap interval of the difference, low end.
    pub low: f64,
    /// High end.
    pub high: f64,
    /// Two-sided p-value of a paired randomisation test.
    pub p: f64,
    /// Two-sided p-value of a paired bootstrap test; `null` where all topics differ by the same, which leaves
    /// nothing to resample.
    pub p_bootstrap: Option<f64>,
    /// `p` after Holm's correction over every row of the answer.
    pub p_holm: f64,
    /// Topics where the run is better.
    pub wins: usize,
    /// Topics where the run is worse.
    pub losses: usize,
}

/// A run with its name.
pub type Named<'a> = (&'a str, &'a Run);

/// Measures runs by `metrics`.
pub fn score(
    runs: &[Named<'_>],
    qrels: &Qrels,
    metrics: &[Metric],
    per_topic_too: bool,
) -> Vec<Score> {
    let one = |(name, run): &Named<'_>, metric: &Metric| {
        let values = per_topic(*metric, run, qrels);
        let Estimate { mean, low, high } = estimate(&values);
        Score {
            run: (*name).to_owned(),
            metric: metric.name(),
            mean,
            low,
            high,
            topics: per_topic_too.then(|| qrels.keys().cloned().zip(values).collect()),
        }
    };
    let scores = runs
        .iter()
        .flat_map(|run| metrics.iter().map(move |metric| one(run, metric)));
    scores.collect()
}

/// Compares every run with `baseline` by every metric. A topic missing from a run counts as 0 there.
/// All rows are one family of tests: their p-values are corrected together.
pub fn compare(
    baseline: Named<'_>,
    runs: &[Named<'_>],
    qrels: &Qrels,
    metrics: &[Metric],
) -> Vec<Comparison> {
    let mut rows: Vec<Comparison> = Vec::new();
    for (name, run) in runs {
        for metric in metrics {
            let row = compare_metric(*metric, baseline.1, run, qrels);
            rows.push(Comparison {
                run: (*name).to_owned(),
                baseline: baseline.0.to_owned(),
                ..row
            });
        }
    }
    correct(&mut rows);
    rows
}

/// Corrects the p-values of a family of tests.
pub fn correct(rows: &mut [Comparison]) {
    let values: Vec<f64> = rows.iter().map(|row| row.p).collect();
    for (row, corrected) in rows.iter_mut().zip(holm(&values)) {
        row.p_holm = corrected;
    }
}

/// `metric` of every topic of `qrels`, in topic order.
pub fn per_topic(metric: Metric, run: &Run, qrels: &Qrels) -> Vec<f64> {
    let nothing = Vec::new();
    qrels
        .iter()
        .map(|(topic, judgements)| metric.measure(run.get(topic).unwrap_or(&nothing), judgements))
        .collect()
}

/// Compares two runs without names on one metric, which is a family of its own.
pub fn compare_metric(metric: Metric, a: &Run, b: &Run, qrels: &Qrels) -> Comparison {
    let (a, b) = (per_topic(metric, a, qrels), per_topic(metric, b, qrels));
    compare_values(metric.name(), &a, &b)
}

/// Compares two series of values over the same topics.
pub fn compare_values(metric: String, a: &[f64], b: &[f64]) -> Comparison {
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).collect();
    let interval = estimate(&differences);
    let p = randomisation_p(&differences);
    Comparison {
        run: String::new(),
        baseline: String::new(),
        metric,
        a: mean(a),
        b: mean(b),
        difference: interval.mean,
        low: interval.low,
        high: interval.high,
        p,
        p_bootstrap: bootstrap_p(&differences),
        p_holm: p,
        wins: differences.iter().filter(|d| **d > 0.0).count(),
        losses: differences.iter().filter(|d| **d < 0.0).count(),
    }
}

/// Scores as a table: one line a run, one column a metric.
pub fn score_table(scores: &[Score]) -> String {
    let mut runs: Vec<&str> = Vec::new();
    let mut metrics: Vec<&str> = Vec::new();
    for score in scores {
        if !runs.contains(&score.run.as_str()) {
            runs.push(&score.run);
        }
        if !metrics.contains(&score.metric.as_str()) {
            metrics.push(&score.metric);
        }
    }
    let rows = runs.iter().map(|run| {
        let of_run = scores.iter().filter(|score| score.run == *run);
        let cells = of_run.map(|score| with_interval(score.mean, score.low, score.high));
        std::iter::once((*run).to_owned()).chain(cells).collect()
    });
    let header: Vec<&str> = std::iter::once("run")
        .chain(metrics.iter().copied())
        .collect();
    table(&header, &rows.collect::<Vec<_>>())
}

/// Comparisons as a table, one line each.
pub fn comparison_table(rows: &[Comparison]) -> String {
    let header = [
        "run",
        "metric",
        "baseline mean",
        "mean",
        "difference, 95% interval",
        "p",
        "p bootstrap",
        "p Holm",
        "wins",
        "losses",
    ];
    let cells = rows.iter().map(|row| {
        vec![
            row.run.clone(),
            row.metric.clone(),
            format!("{:.4}", row.a),
            format!("{:.4}", row.b),
            signed(row.difference, row.low, row.high),
            p_value(row.p),
            row.p_bootstrap.map_or_else(|| "-".to_owned(), p_value),
            p_value(row.p_holm),
            row.wins.to_string(),
            row.losses.to_string(),
        ]
    });
    table(&header, &cells.collect::<Vec<_>>())
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
        let rows = compare(
            ("bad", &bad),
            &[("good", &good), ("bad", &bad)],
            &qrels,
            &Metric::REPORTED,
        );
        assert_eq!(rows.len(), 12);
        let rr = rows.iter().find(|row| row.metric == "RR@10").unwrap();
        assert!((rr.a - 29.0 * 0.5 / 30.0).abs() < 1e-12);
        assert_eq!((rr.run.as_str(), rr.baseline.as_str()), ("good", "bad"));
        assert_eq!((rr.b, rr.wins, rr.losses), (1.0, 30, 0));
        assert!(rr.low > 0.0 && rr.p < 0.001 && rr.p_bootstrap.unwrap() < 0.001);
        // Twelve tests in the family, of which the smallest p counts twelve times.
        assert!((rr.p_holm / rr.p - 12.0).abs() < 1e-9, "{rr:?}");
        assert!(
            rows[6..]
                .iter()
                .all(|row| row.p == 1.0 && row.p_holm == 1.0)
        );
    }

    #[test]
    fn one_topic_has_no_bootstrap_p_value_and_is_shown_so() {
        let row = compare_values("RR".to_owned(), &[0.0], &[1.0]);
        assert_eq!(
            serde_json::to_value(&row).unwrap()["p_bootstrap"],
            serde_json::Value::Null
        );
        assert!(row.p > 0.5, "a coin has two sides: {}", row.p);
        let shown = comparison_table(&[row]);
        let cells: Vec<&str> = shown.lines().nth(1).unwrap().split_whitespace().collect();
        // metric, baseline, mean, difference and its interval in two, p, p bootstrap
        assert_eq!(cells[7], "-", "{shown}");
    }

    #[test]
    fn scores_are_one_line_a_run() {
        let qrels: Qrels = [("t".to_owned(), [("d".to_owned(), 1)].into_iter().collect())].into();
        let run: Run = [("t".to_owned(), vec!["x".to_owned(), "d".to_owned()])].into();
        let metrics = ["RR".parse().unwrap(), "P@5".parse().unwrap()];
        let scores = score(&[("r", &run)], &qrels, &metrics, true);
        assert_eq!(
            scores[1].topics.as_deref(),
            Some(&[("t".to_owned(), 0.2)][..])
        );
        let shown = score_table(&scores);
        assert_eq!(shown.lines().count(), 2);
        assert!(shown.contains("0.5000 [0.5000, 0.5000]"), "{shown}");
    }
}
