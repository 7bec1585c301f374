//! What an evaluation found, as `report.json` and as a table.

use std::collections::BTreeMap;

use braid_core::Result;
use braid_engine::query::{Stage, Timings};
use serde::Serialize;

use crate::bootstrap::{Estimate, estimate, mean};
use crate::compare::per_topic;
use crate::harness::TopicResult;
use crate::losses::Losses;
use crate::metrics::Metric;
use crate::table::{Answer, Verdict, partly};
use crate::trec::{Qrels, Run};

/// Everything an evaluation found, and under which settings.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Name of the dataset's folder.
    pub dataset: String,
    /// The qrels' split.
    pub split: String,
    /// Braid's version.
    pub version: String,
    /// Judged topics; each counts, answered or not.
    pub topics: usize,
    /// Their ids, in the order of every `values`.
    pub topic_ids: Vec<String>,
    /// Topics that failed and scored 0, with the reason.
    pub failed: BTreeMap<String, String>,
    /// Documents of the corpus that could not be indexed, with the reason.
    pub not_searched: BTreeMap<String, String>,
    /// Settings that shape the rankings.
    pub settings: ReportSettings,
    /// One per stage, in pipeline order.
    pub stages: Vec<StageReport>,
    /// Latency in milliseconds by part of the pipeline that ran.
    pub latency_ms: BTreeMap<String, Latency>,
    /// The milliseconds of each answered topic, by the same parts.
    pub latency_values_ms: BTreeMap<String, Vec<f64>>,
    /// What lost the relevant documents, where asked for.
    pub losses: Option<Losses>,
    /// Share of topics whose re-ranking took longer than the served deadline; `null` without
    /// re-ranking.
    pub missed_deadline: Option<f64>,
}

/// Settings that shape the rankings.
#[derive(Clone, Debug, Serialize)]
pub struct ReportSettings {
    /// Distinct documents ranked by each leg.
    pub depth: usize,
    /// How the legs' lists became one.
    pub fusion_method: &'static str,
    /// Whether the legs' weights were shifted for each query.
    pub leg_trust: &'static str,
    /// RRF's constant.
    pub fusion_k: f64,
    /// Weight of the lexical leg.
    pub weight_lexical: f64,
    /// Weight of the dense leg.
    pub weight_dense: f64,
    /// Fused hits that were re-ranked.
    pub rerank_candidates: usize,
    /// Weight of the re-ranker in the final score.
    pub blend: Option<f64>,
    /// Deadline of re-ranking that was applied, in milliseconds.
    pub deadline_ms: Option<u64>,
    /// Documents in the collection.
    pub documents: u64,
    /// Chunks in the collection.
    pub chunks: u64,
    /// Embedder.
    pub embedder: String,
    /// Reader and chunker.
    pub chunker: String,
    /// Analyzer.
    pub analyzer: String,
    /// Re-ranker.
    pub reranker: Option<String>,
    /// What the stage `served` asks beside these; `null` where it was not measured.
    pub served: Option<ServedSettings>,
}

/// Settings that only the stage `served` asks.
#[derive(Clone, Debug, Serialize)]
pub struct ServedSettings {
    /// Which legs.
    pub mode: &'static str,
    /// Hits returned; no leg is searched for fewer candidates.
    pub top_k: usize,
    /// Depth of the lexical leg.
    pub candidates_lexical: usize,
    /// Depth of the dense leg.
    pub candidates_dense: usize,
    /// Whether the list was re-ranked.
    pub rerank: bool,
}

/// One stage's metrics.
#[derive(Clone, Debug, Serialize)]
pub struct StageReport {
    /// The stage.
    pub stage: String,
    /// Each metric with its 95% bootstrap interval.
    pub metrics: Vec<MetricReport>,
    /// Mean recall at each of these cuts, up to the depth.
    pub recall_at: Vec<(usize, f64)>,
}

/// One metric.
#[derive(Clone, Debug, Serialize)]
pub struct MetricReport {
    /// Its name.
    pub metric: String,
    /// Mean over topics.
    pub mean: f64,
    /// Low end of the interval.
    pub low: f64,
    /// High end.
    pub high: f64,
    /// The value of each topic.
    pub values: Vec<f64>,
}

/// Percentiles over topics.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
}

/// Cuts at which recall is told, as far as the depth goes.
const CUTS: [usize; 15] = [1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 200, 500, 1000];

/// As [`measure_run`], of the rankings at `stage`.
pub fn measure_stage(
    stage: Stage,
    results: &[TopicResult],
    qrels: &Qrels,
    metrics: &[Metric],
    depth: usize,
) -> StageReport {
    let run: Run = results
        .iter()
        .map(|result| {
            let ids = result
                .ranking(stage)
                .iter()
                .map(|r| r.document.as_str().to_owned());
            (result.topic.id.clone(), ids.collect())
        })
        .collect();
    measure_run(stage.as_str(), &run, qrels, metrics, depth)
}

/// `metrics` of a stage's run, over all judged topics, and its recall down to `depth`.
pub fn measure_run(
    stage: &str,
    run: &Run,
    qrels: &Qrels,
    metrics: &[Metric],
    depth: usize,
) -> StageReport {
    let metrics = metrics.iter().map(|metric| {
        let values = per_topic(*metric, run, qrels);
        let Estimate { mean, low, high } = estimate(&values);
        MetricReport {
            metric: metric.name(),
            mean,
            low,
            high,
            values,
        }
    });
    let cuts = CUTS.into_iter().filter(|cut| *cut < depth).chain([depth]);
    StageReport {
        stage: stage.to_owned(),
        metrics: metrics.collect(),
        recall_at: cuts
            .map(|cut| (cut, mean(&per_topic(Metric::recall(cut), run, qrels))))
            .collect(),
    }
}

/// Milliseconds of each answered topic, by part of the pipeline that ran.
pub fn latency_values(results: &[TopicResult]) -> BTreeMap<String, Vec<f64>> {
    type Part = (&'static str, fn(&Timings) -> f64);
    let parts: [Part; 6] = [
        ("embed", |timings| timings.embed),
        ("lexical", |timings| timings.lexical),
        ("dense", |timings| timings.dense),
        ("fuse", |timings| timings.fuse),
        ("hydrate", |timings| timings.hydrate),
        ("rerank", |timings| timings.rerank),
    ];
    parts
        .into_iter()
        .filter_map(|(name, part)| {
            let answered = results.iter().filter_map(TopicResult::timings);
            let values: Vec<f64> = answered.map(part).collect();
            let ran = values.iter().any(|value| *value > 0.0);
            ran.then(|| (name.to_owned(), values))
        })
        .collect()
}

/// Median and 95th percentile (nearest rank), 0 of nothing.
pub fn percentiles(mut values: Vec<f64>) -> Latency {
    values.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| {
        let rank = (values.len() as f64 * share).ceil() as usize;
        values.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
    };
    Latency {
        p50: at(0.5),
        p95: at(0.95),
    }
}

impl Report {
    /// The report as it is printed.
    ///
    /// # Errors
    /// `Internal` for a report that has no JSON form.
    pub fn answer(&self) -> Result<Answer> {
        let unserved = self.losses.as_ref();
        let is_whole = self.failed.is_empty()
            && self.not_searched.is_empty()
            && unserved.is_none_or(|losses| losses.failed.is_empty());
        let answer = Answer::new(self.table(), self)?;
        Ok(answer.ending(Verdict::of(is_whole)))
    }

    /// The report as a table for people.
    pub fn table(&self) -> String {
        let mut lines = vec![format!(
            "{} ({}): {} topics, {} failed, {} documents, {} chunks, depth {}",
            self.dataset,
            self.split,
            self.topics,
            self.failed.len(),
            self.settings.documents,
            self.settings.chunks,
            self.settings.depth
        )];
        let metrics = self.stages.first().map_or(&[][..], |stage| &stage.metrics);
        let names = metrics.iter().map(|m| format!("{:>20}", m.metric));
        lines.push(format!("{:<8}{}", "stage", names.collect::<String>()));
        for stage in &self.stages {
            let cells = stage.metrics.iter().map(|m| {
                format!(
                    "{:>20}",
                    format!("{:.3} [{:.3},{:.3}]", m.mean, m.low, m.high)
                )
            });
            lines.push(format!("{:<8}{}", stage.stage, cells.collect::<String>()));
        }
        let parts = self
            .latency_ms
            .iter()
            .map(|(name, latency)| format!("{name} {:.1}/{:.1}", latency.p50, latency.p95));
        lines.push(format!(
            "ms p50/p95: {}",
            parts.collect::<Vec<_>>().join(", ")
        ));
        lines.extend(partly(&self.failed, &self.not_searched));
        if let Some(share) = self.missed_deadline {
            lines.push(format!(
                "re-ranking past the served deadline: {:.1}%",
                share * 100.0
            ));
        }
        lines.extend(self.losses.as_ref().map(Losses::text));
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let latency = percentiles((1..=100).rev().map(f64::from).collect());
        assert_eq!((latency.p50, latency.p95), (50.0, 95.0));
        assert_eq!(percentiles(Vec::new()).p95, 0.0);
    }

    #[test]
    fn a_failed_topic_scores_zero_and_is_counted_in_the_mean() {
        use crate::dataset::Topic;
        let qrels: Qrels = ["a", "b"]
            .into_iter()
            .map(|topic| {
                (
                    topic.to_owned(),
                    [("d".to_owned(), 1)].into_iter().collect(),
                )
            })
            .collect();
        let topic = |id: &str| Topic {
            id: id.to_owned(),
            text: "q".to_owned(),
        };
        let ranked = braid_engine::query::RankedDocument {
            document: braid_core::DocumentId::new("d").unwrap(),
            chunk: braid_core::ChunkId(uuid::Uuid::nil()),
            score: 1.0,
        };
        let answered = braid_engine::query::StageRankings {
            lexical: Some(vec![ranked]),
            ..Default::default()
        };
        let results = [
            TopicResult {
                topic: topic("a"),
                rankings: Ok(answered),
            },
            TopicResult {
                topic: topic("b"),
                rankings: Err("boom".to_owned()),
            },
        ];
        let report = measure_stage(Stage::Lexical, &results, &qrels, &Metric::REPORTED, 100);
        assert!(
            report.metrics.iter().all(|metric| metric.mean == 0.5),
            "{report:?}"
        );
        assert_eq!(report.metrics[0].values, [1.0, 0.0]);
        assert_eq!(report.recall_at.first(), Some(&(1, 0.5)));
        assert_eq!(report.recall_at.last(), Some(&(100, 0.5)));
    }
}
