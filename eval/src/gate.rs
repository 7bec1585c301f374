//! `braid eval gate`: whether quality held, for continuous integration.

use std::path::Path;

use braid_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::bootstrap::mean;
use crate::compare::{Comparison, compare_values, correct};
use crate::table::{Answer, Verdict, p_value, signed, table};

/// What a mean may be off by rounding.
const ROUNDING: f64 = 1e-12;

/// What a gate needs of a `report.json`.
#[derive(Clone, Debug, Deserialize)]
pub struct Saved {
    dataset: String,
    split: String,
    topic_ids: Vec<String>,
    stages: Vec<SavedStage>,
}

#[derive(Clone, Debug, Deserialize)]
struct SavedStage {
    stage: String,
    metrics: Vec<SavedMetric>,
}

#[derive(Clone, Debug, Deserialize)]
struct SavedMetric {
    metric: String,
    /// In the order of `topic_ids`.
    values: Vec<f64>,
}

impl Saved {
    /// Reads the `report.json` of `braid eval run`.
    ///
    /// # Errors
    /// `InvalidRequest` naming the file and what is wrong with it.
    pub fn read(path: &Path) -> Result<Self> {
        let bad = |why: String| {
            Error::invalid(format!("{}: {why}", path.display()))
                .with_help("write a report with `braid eval run --dataset DIR --out DIR`")
        };
        let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        let saved: Self = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
        let topics = saved.topic_ids.len();
        let metrics = saved.stages.iter().flat_map(|stage| &stage.metrics);
        for metric in metrics {
            let count = metric.values.len();
            if count != topics {
                return Err(bad(format!(
                    "{} has {count} values for {topics} topics",
                    metric.metric
                )));
            }
        }
        Ok(saved)
    }

    fn values(&self, stage: &str, metric: &str) -> Option<&[f64]> {
        let found = self.stages.iter().find(|found| found.stage == stage)?;
        let found = found.metrics.iter().find(|found| found.metric == metric)?;
        Some(&found.values)
    }
}

/// A value that a stage must reach: `hybrid:nDCG@10=0.7`.
#[derive(Clone, Debug, PartialEq)]
pub struct Floor {
    stage: String,
    metric: String,
    least: f64,
}

impl std::str::FromStr for Floor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let read = || {
            let (stage, rest) = text.split_once(':')?;
            let (metric, least) = rest.rsplit_once('=')?;
            let metric: crate::metrics::Metric = metric.parse().ok()?;
            Some(Self {
                stage: stage.to_owned(),
                metric: metric.name(),
                // NaN is in no range: nothing would ever be below it.
                least: least
                    .parse()
                    .ok()
                    .filter(|least| (0.0..=1.0).contains(least))?,
            })
        };
        read().ok_or_else(|| {
            Error::invalid(format!("{text:?} is not STAGE:METRIC=VALUE, from 0 to 1"))
                .with_help("write it as in hybrid:nDCG@10=0.7")
        })
    }
}

/// What is asked of a report.
#[derive(Clone, Debug)]
pub struct Gate {
    /// Stages that are held to the baseline; all of the baseline's where empty.
    pub stages: Vec<String>,
    /// Metrics that are.
    pub metrics: Vec<String>,
    /// How much a mean may fall.
    pub tolerance: f64,
    /// Below which corrected p-value a fall fails however small it is; 0 asks the tolerance alone.
    pub alpha: f64,
    /// What must be reached whatever the baseline has.
    pub floors: Vec<Floor>,
}

/// One check.
#[derive(Clone, Debug, Serialize)]
struct Check {
    stage: String,
    metric: String,
    /// `held`, `fell` (more than the tolerance), `fell significantly` or `too low`.
    verdict: &'static str,
    /// The value that must be reached, where one is.
    least: Option<f64>,
    /// The value that was reached.
    value: f64,
    /// Against the baseline, where that is what is checked.
    comparison: Option<Comparison>,
}

#[derive(Debug, Serialize)]
struct Outcome {
    passed: bool,
    dataset: String,
    split: String,
    topics: usize,
    tolerance: f64,
    alpha: f64,
    checks: Vec<Check>,
}

impl Gate {
    /// Holds `report` to `baseline` and to the floors.
    ///
    /// # Errors
    /// `InvalidRequest` where the two were not measured on the same topics, or lack what is to be checked.
    pub fn check(&self, report: &Saved, baseline: &Saved) -> Result<Answer> {
        let differs = if (&report.dataset, &report.split) != (&baseline.dataset, &baseline.split) {
            Some("data")
        } else if report.topic_ids != baseline.topic_ids {
            Some("topics")
        } else {
            None
        };
        if let Some(what) = differs {
            let message = format!(
                "the baseline ({}, {}) and the report ({}, {}) were measured on different {what}",
                baseline.dataset, baseline.split, report.dataset, report.split
            );
            return Err(
                Error::invalid(message).with_help("measure both on the same dataset and split")
            );
        }
        let mut checks = self.comparisons(report, baseline)?;
        for floor in &self.floors {
            let value = mean(wanted(report, "the report", &floor.stage, &floor.metric)?);
            checks.push(Check {
                stage: floor.stage.clone(),
                metric: floor.metric.clone(),
                verdict: if value + ROUNDING < floor.least {
                    "too low"
                } else {
                    "held"
                },
                least: Some(floor.least),
                value,
                comparison: None,
            });
        }
        let passed = checks.iter().all(|check| check.verdict == "held");
        let outcome = Outcome {
            passed,
            dataset: report.dataset.clone(),
            split: report.split.clone(),
            topics: report.topic_ids.len(),
            tolerance: self.tolerance,
            alpha: self.alpha,
            checks,
        };
        let verdict = if passed {
            Verdict::Done
        } else {
            Verdict::Failed
        };
        Ok(Answer::new(outcome.text(), &outcome)?.ending(verdict))
    }

    fn comparisons(&self, report: &Saved, baseline: &Saved) -> Result<Vec<Check>> {
        let every = baseline.stages.iter().map(|stage| stage.stage.clone());
        let stages: Vec<String> = if self.stages.is_empty() {
            every.collect()
        } else {
            self.stages.clone()
        };
        // Named twice, a check would count twice in the correction.
        let (stages, metrics) = (once(&stages), once(&self.metrics));
        let mut rows = Vec::new();
        for stage in stages {
            for metric in &metrics {
                let before = wanted(baseline, "the baseline", stage, metric)?;
                let after = wanted(report, "the report", stage, metric)?;
                rows.push(Comparison {
                    run: stage.to_owned(),
                    baseline: stage.to_owned(),
                    ..compare_values((*metric).to_owned(), before, after)
                });
            }
        }
        correct(&mut rows);
        let check = |row: Comparison| Check {
            stage: row.run.clone(),
            metric: row.metric.clone(),
            verdict: if -row.difference > self.tolerance + ROUNDING {
                "fell"
            } else if row.difference < 0.0 && row.p_holm < self.alpha {
                "fell significantly"
            } else {
                "held"
            },
            least: None,
            value: row.b,
            comparison: Some(row),
        };
        Ok(rows.into_iter().map(check).collect())
    }
}

/// Each name where it stands first.
fn once(names: &[String]) -> Vec<&str> {
    let mut kept: Vec<&str> = Vec::new();
    for name in names {
        if !kept.contains(&name.as_str()) {
            kept.push(name);
        }
    }
    kept
}

fn wanted<'a>(saved: &'a Saved, name: &str, stage: &str, metric: &str) -> Result<&'a [f64]> {
    saved.values(stage, metric).ok_or_else(|| {
        Error::invalid(format!("{name} has no {metric} of the stage {stage:?}"))
            .with_help("name what both have with --stages and --metrics")
    })
}

impl Outcome {
    fn text(&self) -> String {
        let rows = self.checks.iter().map(|check| {
            let row = check.comparison.as_ref();
            let least = check.least.map(|least| format!("at least {least}"));
            vec![
                check.stage.clone(),
                check.metric.clone(),
                row.map_or_else(|| least.unwrap_or_default(), |row| format!("{:.4}", row.a)),
                format!("{:.4}", check.value),
                row.map_or_else(
                    || "-".to_owned(),
                    |row| signed(row.difference, row.low, row.high),
                ),
                row.map_or_else(|| "-".to_owned(), |row| p_value(row.p_holm)),
                check.verdict.to_owned(),
            ]
        });
        let header = [
            "stage",
            "metric",
            "baseline",
            "now",
            "difference, 95% interval",
            "p Holm",
            "verdict",
        ];
        format!(
            "{} ({}), {} topics, tolerance {}: {}\n{}",
            self.dataset,
            self.split,
            self.topics,
            self.tolerance,
            if self.passed { "passed" } else { "failed" },
            table(&header, &rows.collect::<Vec<_>>())
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(values: &[f64]) -> Saved {
        let metric = |name: &str| SavedMetric {
            metric: name.to_owned(),
            values: values.to_vec(),
        };
        Saved {
            dataset: "d".to_owned(),
            split: "test".to_owned(),
            topic_ids: (0..values.len()).map(|i| i.to_string()).collect(),
            stages: vec![SavedStage {
                stage: "hybrid".to_owned(),
                metrics: vec![metric("nDCG@10"), metric("AP")],
            }],
        }
    }

    fn gate(tolerance: f64, alpha: f64, floors: &[&str]) -> Gate {
        Gate {
            stages: Vec::new(),
            metrics: vec!["nDCG@10".to_owned()],
            tolerance,
            alpha,
            floors: floors.iter().map(|floor| floor.parse().unwrap()).collect(),
        }
    }

    fn verdict(gate: &Gate, before: &[f64], after: &[f64]) -> (Verdict, String) {
        let answer = gate.check(&saved(after), &saved(before)).unwrap();
        let said = answer.json["checks"].as_array().unwrap().last().unwrap()["verdict"].clone();
        (answer.verdict, said.as_str().unwrap().to_owned())
    }

    #[test]
    fn a_fall_fails_by_its_size_or_by_its_certainty() {
        let before = [0.5; 40];
        let slightly = before.map(|value| value - 0.002);
        let uneven: Vec<f64> = (0..40)
            .map(|i| 0.499 + if i % 2 == 0 { 0.3 } else { -0.3 })
            .collect();
        let failed = |said: &str| (Verdict::Failed, said.to_owned());
        let held = (Verdict::Done, "held".to_owned());
        assert_eq!(verdict(&gate(0.01, 0.05, &[]), &before, &before), held);
        assert_eq!(
            verdict(&gate(0.01, 0.05, &[]), &before, &slightly),
            failed("fell significantly")
        );
        assert_eq!(verdict(&gate(0.01, 0.0, &[]), &before, &slightly), held);
        assert_eq!(
            verdict(&gate(0.001, 0.0, &[]), &before, &slightly),
            failed("fell")
        );
        assert_eq!(verdict(&gate(0.01, 0.05, &[]), &before, &uneven), held);
        // A rise never fails.
        assert_eq!(verdict(&gate(0.0, 1.0, &[]), &slightly, &before), held);
    }

    #[test]
    fn a_floor_holds_whatever_the_baseline_was() {
        let low = [0.4; 10];
        let floor = gate(0.01, 0.05, &["hybrid:ndcg@10=0.45"]);
        assert_eq!(
            verdict(&floor, &low, &low),
            (Verdict::Failed, "too low".to_owned())
        );
        let floor = gate(0.01, 0.05, &["hybrid:AP=0.4"]);
        assert_eq!(verdict(&floor, &low, &low).0, Verdict::Done);
        for bad in [
            "hybrid",
            "hybrid:AP",
            "hybrid:AP=x",
            "hybrid:x=1",
            "hybrid:AP=NaN",
            "hybrid:AP=inf",
            "hybrid:AP=1.5",
            "hybrid:AP=-0.1",
        ] {
            assert!(bad.parse::<Floor>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_named_twice_is_checked_once() {
        let before = [0.5; 12];
        let after: Vec<f64> = (0..12).map(|i| if i < 9 { 0.499 } else { 0.5 }).collect();
        let mut once = gate(0.01, 0.05, &[]);
        let checks = |gate: &Gate| {
            let answer = gate.check(&saved(&after), &saved(&before)).unwrap();
            answer.json["checks"].clone()
        };
        let alone = checks(&once);
        once.stages = vec!["hybrid".to_owned(); 3];
        once.metrics = vec!["nDCG@10".to_owned(); 3];
        assert_eq!(checks(&once), alone);
        assert_eq!(alone[0]["verdict"], "fell significantly");
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let mut other = saved(&[0.5; 3]);
        other.topic_ids[0] = "x".to_owned();
        let error = gate(0.0, 0.05, &[])
            .check(&saved(&[0.5; 3]), &other)
            .unwrap_err();
        assert!(error.to_string().contains("different topics"), "{error}");
        // The same ids of other queries.
        for change in [
            |other: &mut Saved| other.dataset = "e".to_owned(),
            |other: &mut Saved| other.split = "train".to_owned(),
        ] {
            let mut other = saved(&[0.5; 3]);
            change(&mut other);
            let refused = gate(0.0, 0.05, &[]).check(&saved(&[0.5; 3]), &other);
            let error = refused.unwrap_err().to_string();
            assert!(error.contains("different data"), "{error}");
        }
        let mut asks = gate(0.0, 0.05, &[]);
        asks.stages = vec!["rerank".to_owned()];
        let error = asks.check(&saved(&[0.5]), &saved(&[0.5])).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("no nDCG@10 of the stage \"rerank\""),
            "{error}"
        );
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.json");
        std::fs::write(&path, "{}").unwrap();
        let error = Saved::read(&path).unwrap_err();
        assert!(
            error.to_string().contains("report.json") && error.help().is_some(),
            "{error}"
        );
    }
}
