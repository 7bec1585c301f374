//! `braid eval run`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use braid_core::limits::MAX_CANDIDATES;
use braid_core::{Error, Result};
use braid_engine::Engine;
use braid_engine::query::{RankRequest, RerankOptions, RetrieveRequest, Stage};

use super::bars::{bar_of_topics, spinner};
use super::{METRICS, write_file};
use crate::convert::check_ids;
use crate::dataset::Dataset;
use crate::harness::{self, EvalPlan, TopicResult};
use crate::html;
use crate::losses::{LossPlan, Losses, account};
use crate::metrics::{Metric, metrics};
use crate::report::{
    Report, ReportSettings, ServedSettings, latency_values, measure_run, measure_stage, percentiles,
};
use crate::served::{SERVED, Served, serve_topics, write_served};

/// How deep the legs are searched for the account of losses.
const SEARCHED_TO: usize = 1000;

/// `braid eval run`.
///
/// Without --data-dir the corpus is ingested into a temporary directory; with it, the index is kept
/// and an unchanged corpus is not embedded again.
#[derive(Clone, Debug, clap::Args)]
pub struct RunArgs {
    /// BEIR folder: corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv
    #[arg(long, value_name = "DIR")]
    pub dataset: PathBuf,
    /// Which qrels
    #[arg(long, default_value = "test")]
    pub split: String,
    /// Stages to rank and measure; served asks the mode, depths and count of hits that are set, too
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "lexical,dense,hybrid,rerank,served"
    )]
    pub stages: Vec<String>,
    /// Distinct documents ranked by each leg
    #[arg(long, default_value_t = 100)]
    pub depth: usize,
    /// Apply the served re-ranking deadline instead of scoring every candidate
    #[arg(long)]
    pub deadline: bool,
    /// What to measure: nDCG@10, R@100, P@5, P(rel=2)@5, RR@10, AP, Success@1, ... at any cut
    #[arg(long, value_delimiter = ',', value_name = "METRICS", default_value = METRICS)]
    pub metrics: Vec<String>,
    /// Also say which stage lost each relevant document, which answers every query once more
    #[arg(long)]
    pub losses: bool,
    /// Where the report is written as a page that opens offline
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Where report.json and run.STAGE.trec are written
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

impl RunArgs {
    /// Checks what can be checked before an engine is opened.
    ///
    /// # Errors
    /// `InvalidRequest` for a bad stage or dataset, and for topics that the files asked for cannot hold.
    pub fn prepare(&self, defaults: &RetrieveRequest) -> Result<Prepared> {
        let stages = stages(&self.stages)?;
        if !(1..=MAX_CANDIDATES).contains(&self.depth) {
            let depth = self.depth;
            return Err(Error::invalid(format!(
                "--depth is {depth}, it must be 1 to {MAX_CANDIDATES}"
            )));
        }
        let metrics = metrics_within(&self.metrics, self.depth)?;
        let dataset = Dataset::open(&self.dataset, &self.split)?;
        if self.out.is_some() {
            // What cannot be written in the end is refused before hours of ranking.
            check_ids(dataset.topics.iter().map(|topic| topic.id.as_str()))?;
        }
        let deadline_ms = if self.deadline {
            defaults.rerank.deadline_ms
        } else {
            None
        };
        let request = RankRequest {
            stages,
            depth: self.depth,
            typos: defaults.typos,
            fusion: defaults.fusion,
            rerank: RerankOptions {
                deadline_ms,
                ..defaults.rerank
            },
            // The collection is named once the engine says what it is made of.
            ..RankRequest::new("", defaults.collection.clone())
        };
        Ok(Prepared {
            plan: EvalPlan { dataset, request },
            split: self.split.clone(),
            out: self.out.clone(),
            html: self.html.clone(),
            served: self
                .stages
                .iter()
                .any(|name| name == SERVED)
                .then(|| defaults.clone()),
            losses: self.losses.then(|| RetrieveRequest {
                rerank: RerankOptions {
                    deadline_ms,
                    ..defaults.rerank
                },
                ..defaults.clone()
            }),
            metrics,
            served_deadline: defaults.rerank.deadline_ms.map(Duration::from_millis),
        })
    }
}

/// An evaluation that is ready to run.
#[derive(Clone, Debug)]
pub struct Prepared {
    plan: EvalPlan,
    split: String,
    out: Option<PathBuf>,
    html: Option<PathBuf>,
    /// What each topic asks for in the stage `served`, where that is asked for.
    served: Option<RetrieveRequest>,
    /// What is served where losses are asked for.
    losses: Option<RetrieveRequest>,
    metrics: Vec<Metric>,
    served_deadline: Option<Duration>,
}

impl Prepared {
    /// Whether the re-ranker is needed.
    pub fn needs_reranker(&self) -> bool {
        let serves = |request: &RetrieveRequest| request.rerank.enabled;
        let requests = self.losses.iter().chain(&self.served);
        self.ranks_with_reranker() || requests.into_iter().any(serves)
    }

    fn ranks_with_reranker(&self) -> bool {
        self.plan.request.stages.contains(&Stage::Rerank)
    }

    /// Ingests, ranks, measures, and writes the files that were asked for.
    ///
    /// # Errors
    /// What stops the whole evaluation; a topic that fails scores 0 and is counted.
    pub async fn run(&self, engine: &Engine) -> Result<Report> {
        let mut plan = self.plan.clone();
        let bar = spinner("ingesting {spinner} {pos} documents");
        let settings = engine.default_collection_settings();
        let loaded = harness::load_corpus(engine, settings, &plan.dataset, |n| {
            bar.set_position(n as u64)
        })
        .await?;
        bar.finish_and_clear();
        plan.request.collection = loaded.collection;
        let plan = &plan;
        let topics = plan.dataset.topics.len() as u64;
        let results = if plan.request.stages.is_empty() {
            Vec::new()
        } else {
            let bar = bar_of_topics(topics);
            let results = harness::rank_topics(engine, plan, |n| bar.set_position(n as u64)).await;
            bar.finish_and_clear();
            results
        };
        let served = self.serve(engine, plan).await;
        let mut report = Report {
            not_searched: loaded.not_searched,
            losses: self.account(engine, plan).await?,
            ..self.measure(&results, settings_of(engine, plan).await?)
        };
        if let Some((request, served)) = &served {
            self.add_served(&mut report, request, served);
        }
        if let Some(out) = &self.out {
            write_files(out, plan, &results, &report)?;
            if let Some((_, served)) = &served {
                write_served(out, &plan.dataset, served)?;
            }
        }
        if let Some(page) = &self.html {
            write_file(page, &html::page(&report))?;
        }
        Ok(report)
    }

    /// What each topic is answered with, where that stage is asked for.
    async fn serve(&self, engine: &Engine, plan: &EvalPlan) -> Option<(RetrieveRequest, Served)> {
        let request = RetrieveRequest {
            collection: plan.request.collection.clone(),
            ..self.served.clone()?
        };
        let bar = bar_of_topics(plan.dataset.topics.len() as u64);
        let show = |done| bar.set_position(done as u64);
        let served = serve_topics(engine, &plan.dataset, &request, show).await;
        bar.finish_and_clear();
        Some((request, served))
    }

    fn add_served(&self, report: &mut Report, request: &RetrieveRequest, served: &Served) {
        let EvalPlan {
            dataset,
            request: ranked,
        } = &self.plan;
        let (metrics, depth) = (&self.metrics, ranked.depth);
        let stage = measure_run(SERVED, &served.run, &dataset.qrels, metrics, depth);
        report.stages.push(stage);
        for (topic, reason) in &served.failed {
            let reasons = report.failed.entry(topic.clone());
            reasons.or_insert_with(|| reason.clone());
        }
        report.settings.served = Some(ServedSettings {
            mode: request.mode.as_str(),
            top_k: request.top_k,
            candidates_lexical: request.candidates.lexical,
            candidates_dense: request.candidates.dense,
            rerank: request.rerank.enabled,
        });
    }

    async fn account(&self, engine: &Engine, plan: &EvalPlan) -> Result<Option<Losses>> {
        let Some(request) = &self.losses else {
            return Ok(None);
        };
        let plan = LossPlan {
            dataset: plan.dataset.clone(),
            request: RetrieveRequest {
                collection: plan.request.collection.clone(),
                ..request.clone()
            },
            searched_to: SEARCHED_TO,
        };
        let bar = bar_of_topics(plan.dataset.qrels.len() as u64);
        let losses = account(engine, &plan, |done| bar.set_position(done as u64)).await?;
        bar.finish_and_clear();
        Ok(Some(losses))
    }

    fn measure(&self, results: &[TopicResult], settings: ReportSettings) -> Report {
        let plan = &self.plan;
        let unanswered = results.iter().filter_map(|result| {
            let error = result.rankings.as_ref().err()?;
            Some((result.topic.id.clone(), error.clone()))
        });
        let unasked = plan.dataset.topics_without_text();
        let missed = self
            .served_deadline
            .filter(|_| self.ranks_with_reranker())
            .map(|deadline| harness::missed_share(results, deadline));
        let stages = plan.request.stages.iter();
        let depth = plan.request.depth;
        let latency_values = latency_values(results);
        let latencies = latency_values.iter();
        Report {
            dataset: plan.dataset.name.clone(),
            split: self.split.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            topics: plan.dataset.qrels.len(),
            topic_ids: plan.dataset.qrels.keys().cloned().collect(),
            failed: unanswered
                .chain(unasked.map(|topic| (topic, "queries.jsonl does not have it".to_owned())))
                .collect(),
            not_searched: BTreeMap::new(),
            settings,
            stages: stages
                .map(|stage| {
                    measure_stage(*stage, results, &plan.dataset.qrels, &self.metrics, depth)
                })
                .collect(),
            latency_ms: latencies
                .map(|(part, values)| (part.clone(), percentiles(values.clone())))
                .collect(),
            latency_values_ms: latency_values,
            losses: None,
            missed_deadline: missed,
        }
    }
}

async fn settings_of(engine: &Engine, plan: &EvalPlan) -> Result<ReportSettings> {
    let request = &plan.request;
    let info = engine.collection_info(&request.collection).await?;
    let reranker = engine.reranker();
    // Where it is detected, the blend may differ from query to query: that of most corpora is told.
    let language = info.collection.settings.language.of_document(None);
    let fingerprint = info.collection.fingerprint;
    Ok(ReportSettings {
        depth: request.depth,
        fusion_method: request.fusion.method.as_str(),
        leg_trust: request.fusion.leg_trust.as_str(),
        fusion_k: request.fusion.k,
        weight_lexical: request.fusion.weights.lexical,
        weight_dense: request.fusion.weights.dense,
        rerank_candidates: request.rerank.candidates,
        blend: request
            .rerank
            .blend
            .or(reranker.map(|model| model.recommended_blend(language))),
        deadline_ms: request.rerank.deadline_ms,
        documents: info.stats.documents,
        chunks: info.stats.chunks,
        embedder: fingerprint.embedder.to_string(),
        chunker: fingerprint.chunker.to_string(),
        analyzer: fingerprint.analyzer.to_string(),
        reranker: reranker.map(|model| model.fingerprint().to_string()),
        served: None,
    })
}

/// The named metrics. Of a list that ends at `depth` a deeper one would say what nobody measured: those of
/// the default set are left out, and one that was asked for is refused.
fn metrics_within(names: &[String], depth: usize) -> Result<Vec<Metric>> {
    let mut asked = metrics(names)?;
    let cut_beyond = |metric: &Metric| metric.cut.filter(|cut| *cut > depth);
    if asked == Metric::REPORTED {
        asked.retain(|metric| cut_beyond(metric).is_none());
    }
    for metric in &asked {
        if let Some(cut) = cut_beyond(metric) {
            return Err(Error::invalid(format!(
                "{metric} is deeper than --depth {depth}: rank more with --depth {cut}, or name a metric with a cut of at most {depth}"
            )));
        }
    }
    Ok(asked)
}

/// The named stages but [`SERVED`], each once, in pipeline order.
fn stages(names: &[String]) -> Result<Vec<Stage>> {
    let known: Vec<&str> = Stage::ALL
        .map(Stage::as_str)
        .into_iter()
        .chain([SERVED])
        .collect();
    if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
        let known = known.join(", ");
        return Err(Error::invalid(format!(
            "unknown stage {name:?}: use {known}"
        )));
    }
    let asked = |stage: &Stage| names.iter().any(|name| name == stage.as_str());
    Ok(Stage::ALL.into_iter().filter(asked).collect())
}

fn write_files(
    out: &Path,
    plan: &EvalPlan,
    results: &[TopicResult],
    report: &Report,
) -> Result<()> {
    let unwritable = |error: std::io::Error| {
        Error::new(
            braid_core::ErrorCode::Unavailable,
            format!("cannot write to {}: {error}", out.display()),
        )
        .with_help("choose another directory with --out")
    };
    std::fs::create_dir_all(out).map_err(unwritable)?;
    harness::write_runs(out, &plan.request.stages, results)?;
    let text = serde_json::to_string_pretty(report)
        .map_err(|error| Error::internal("cannot write the report").with_source(error))?;
    std::fs::write(out.join("report.json"), text + "\n").map_err(unwritable)
}
