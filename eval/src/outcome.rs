//! What studies say: tables of trials, and what tuning came to.

use std::collections::BTreeMap;

use braid_core::Result;
use serde::Serialize;

use crate::bootstrap::{Estimate, estimate, mean};
use crate::compare::{Comparison, compare_values, correct};
use crate::study::{Study, StudyPlan};
use crate::table::{Answer, p_value, partly, signed, table, with_interval};
use crate::trials::Trial;
use crate::tune::{Decision, Validation, decide};

/// Everything about the trials of a study.
#[derive(Clone, Debug, Serialize)]
struct Tried {
    dataset: String,
    topics: usize,
    failed: BTreeMap<String, String>,
    not_searched: BTreeMap<String, BTreeMap<String, String>>,
    /// Times that the legs of a query were searched; everything else was replayed.
    searches: usize,
    rankings: usize,
    scored_pairs: usize,
    trials: Vec<TrialRow>,
}

/// One trial.
#[derive(Clone, Debug, Serialize)]
struct TrialRow {
    name: String,
    settings: BTreeMap<String, String>,
    metrics: Vec<MetricRow>,
}

/// One metric of a trial.
#[derive(Clone, Debug, Serialize)]
struct MetricRow {
    metric: String,
    mean: f64,
    low: f64,
    high: f64,
    /// Against the first trial; `null` for that one.
    against_baseline: Option<Comparison>,
}

/// Trials as a table against the first one, with p-values corrected over the whole table; the best by
/// the first metric on top where `by_quality`.
///
/// # Errors
/// `Internal` for a study that has no JSON form.
pub fn tried(plan: &StudyPlan, study: &Study, by_quality: bool) -> Result<Answer> {
    let mut comparisons: Vec<Comparison> = Vec::new();
    for trial in 1..plan.trials.len() {
        for (metric, values) in plan.metrics.iter().zip(&study.values) {
            let row = compare_values(metric.name(), &values[0], &values[trial]);
            comparisons.push(Comparison {
                run: plan.trials[trial].name.clone(),
                baseline: plan.trials[0].name.clone(),
                ..row
            });
        }
    }
    correct(&mut comparisons);
    let mut comparisons = comparisons.into_iter();
    let mut rows = Vec::new();
    for (index, trial) in plan.trials.iter().enumerate() {
        let metrics = plan
            .metrics
            .iter()
            .zip(&study.values)
            .map(|(metric, values)| {
                let Estimate { mean, low, high } = estimate(&values[index]);
                let against_baseline = if index == 0 { None } else { comparisons.next() };
                MetricRow {
                    metric: metric.name(),
                    mean,
                    low,
                    high,
                    against_baseline,
                }
            });
        rows.push(TrialRow {
            name: trial.name.clone(),
            settings: trial.pairs.iter().cloned().collect(),
            metrics: metrics.collect(),
        });
    }
    if by_quality {
        let quality = |row: &TrialRow| row.metrics.first().map_or(0.0, |metric| metric.mean);
        // Stable: of equal ones the first tried comes first.
        rows.sort_by(|a, b| quality(b).total_cmp(&quality(a)));
    }
    let tried = Tried {
        dataset: plan.dataset.name.clone(),
        topics: study.topics.len(),
        failed: study.failed.clone(),
        not_searched: study.not_searched.clone(),
        searches: study.searches,
        rankings: study.rankings,
        scored_pairs: study.scored_pairs,
        trials: rows,
    };
    Answer::new(tried.text(), &tried)
}

impl Tried {
    fn text(&self) -> String {
        let header = [
            "trial",
            "metric",
            "mean, 95% interval",
            "difference, 95% interval",
            "p",
            "p Holm",
            "wins",
            "losses",
        ];
        let mut cells = Vec::new();
        for trial in &self.trials {
            for metric in &trial.metrics {
                let against = metric.against_baseline.as_ref();
                let or_dash = |shown: Option<String>| shown.unwrap_or_else(|| "-".to_owned());
                cells.push(vec![
                    trial.name.clone(),
                    metric.metric.clone(),
                    with_interval(metric.mean, metric.low, metric.high),
                    or_dash(against.map(|row| signed(row.difference, row.low, row.high))),
                    or_dash(against.map(|row| p_value(row.p))),
                    or_dash(against.map(|row| p_value(row.p_holm))),
                    or_dash(against.map(|row| row.wins.to_string())),
                    or_dash(against.map(|row| row.losses.to_string())),
                ]);
            }
        }
        let head = format!(
            "{}: {} topics, {} failed, {} rankings out of {} searches",
            self.dataset,
            self.topics,
            self.failed.len(),
            self.rankings,
            self.searches
        );
        let mut lines = vec![head, table(&header, &cells)];
        lines.extend(missing(&self.failed, &self.not_searched));
        lines.join("\n")
    }
}

/// What failed, and what collections lack, one line each.
fn missing(
    failed: &BTreeMap<String, String>,
    not_searched: &BTreeMap<String, BTreeMap<String, String>>,
) -> Vec<String> {
    let mut unseen = BTreeMap::new();
    for (collection, documents) in not_searched {
        for (document, reason) in documents {
            unseen.insert(format!("{collection}: {document}"), reason.clone());
        }
    }
    partly(failed, &unseen)
}

/// What tuning came to.
#[derive(Clone, Debug, Serialize)]
pub struct Tuned {
    /// The dataset's folder.
    pub dataset: String,
    /// What was to be improved.
    pub metric: String,
    /// How the gain was held out.
    pub validation: Validation,
    /// Judged topics.
    pub topics: usize,
    /// Topics that failed and counted 0.
    pub failed: BTreeMap<String, String>,
    /// Documents that a collection lacks, by collection, with the reason.
    pub not_searched: BTreeMap<String, BTreeMap<String, String>>,
    /// Settings tried, those in force included.
    pub trials: usize,
    /// Times that the legs of a query were searched; everything else was replayed.
    pub searches: usize,
    /// Rankings that were measured.
    pub rankings: usize,
    /// Pairs that the re-ranker scored.
    pub scored_pairs: usize,
    /// Mean of the settings in force over all topics.
    pub baseline_mean: f64,
    /// The settings chosen, empty for those in force.
    pub chosen: BTreeMap<String, String>,
    /// Their mean over all topics.
    pub chosen_mean: f64,
    /// The decision.
    #[serde(flatten)]
    pub decision: Decision,
    /// What each measuring fold's other topics chose, by name.
    pub choices: Vec<String>,
    /// Why.
    pub reason: &'static str,
    /// The same on labels drawn at random; `null` where not asked for.
    pub random_labels: Option<RandomLabels>,
}

/// Tuning on labels that no setting can know anything about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RandomLabels {
    /// How often it was done.
    pub seeds: usize,
    /// How often something was recommended.
    pub recommended: usize,
}

impl Tuned {
    /// Chooses by the first metric of `study`.
    pub fn of(plan: &StudyPlan, study: &Study, validation: Validation, seed: u64) -> Self {
        let values = study.of_metric(0);
        let decision = decide(values, validation, seed);
        let of = |trial: usize| values.get(trial).map_or(0.0, |values| mean(values));
        let name = |trial: &usize| plan.trials[*trial].name.clone();
        let chosen: Option<&Trial> = plan.trials.get(decision.chosen);
        let random = (!study.random.is_empty()).then(|| {
            let seeds = study.random.iter().zip(seed..);
            let claims =
                seeds.filter(|(values, seed)| decide(values, validation, *seed).recommended);
            RandomLabels {
                seeds: study.random.len(),
                recommended: claims.count(),
            }
        });
        Self {
            dataset: plan.dataset.name.clone(),
            metric: plan
                .metrics
                .first()
                .map(|metric| metric.name())
                .unwrap_or_default(),
            validation,
            topics: study.topics.len(),
            failed: study.failed.clone(),
            not_searched: study.not_searched.clone(),
            trials: plan.trials.len(),
            searches: study.searches,
            rankings: study.rankings,
            scored_pairs: study.scored_pairs,
            baseline_mean: of(0),
            chosen: chosen
                .map(|trial| trial.pairs.iter().cloned().collect())
                .unwrap_or_default(),
            chosen_mean: of(decision.chosen),
            choices: decision.choices.iter().map(name).collect(),
            reason: decision.reason(),
            random_labels: random,
            decision,
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let decision = &self.decision;
        let (low, high) = (decision.low, decision.high);
        let mut lines = vec![
            format!(
                "{}: {} topics, {} failed; {} settings tried, {} rankings out of {} searches",
                self.dataset,
                self.topics,
                self.failed.len(),
                self.trials,
                self.rankings,
                self.searches
            ),
            format!("{} as set: {:.4}", self.metric, self.baseline_mean),
        ];
        if decision.chosen != 0 {
            let pairs: Vec<String> = self
                .chosen
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            lines.push(format!(
                "best on the topics that choose: {} ({:.4})",
                pairs.join(" "),
                decision.choosing_mean
            ));
            lines.push(format!(
                "gain on the topics that choose it: {:+.4} (too good to be true)",
                decision.apparent_gain
            ));
        }
        lines.push(format!(
            "gain held out, {} topics: {}, 99% interval",
            decision.measured_topics,
            signed(decision.held_out_gain, low, high)
        ));
        lines.push(format!(
            "chosen by each fold's others: {}",
            self.choices.join("; ")
        ));
        if let Some(random) = self.random_labels {
            let RandomLabels { seeds, recommended } = random;
            lines.push(format!(
                "on random labels: something recommended in {recommended} of {seeds}"
            ));
        }
        lines.extend(missing(&self.failed, &self.not_searched));
        lines.push(if decision.recommended {
            let sets = self
                .chosen
                .iter()
                .map(|(key, value)| format!(" --set {key}={value}"));
            format!("recommended:{} ({})", sets.collect::<String>(), self.reason)
        } else {
            format!("nothing is recommended: {}", self.reason)
        });
        lines.join("\n")
    }
}
