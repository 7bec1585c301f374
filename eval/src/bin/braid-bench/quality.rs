//! Ranking quality on BEIR folders, per stage, at depth 100 and as served, hybrid beside its better leg and
//! beside fusion by ranks.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use braid_engine::query::{
    ContextOptions, FusionMethod, FusionOptions, LegTrust, LegWeights, RetrieveRequest,
};
use braid_engine::{Engine, OpenOptions, retrieve_defaults};
use braid_eval::bootstrap::{Estimate, estimate};
use braid_eval::cli::RunArgs;
use braid_eval::compare::{Comparison, compare_values};
use braid_eval::dataset::Dataset;
use braid_eval::harness::collection_of;
use braid_eval::metrics::Metric;
use braid_eval::report::{MetricReport, Report, StageReport};
use serde::Serialize;

use crate::{Cli, say};

/// Folder, split, and the reference nDCG@10 of BM25, dense and RRF (one vector a document, bm25s).
pub(crate) const SETS: [(&str, &str, [f64; 3]); 5] = [
    ("scifact", "test", [0.679, 0.650, 0.715]),
    ("cranfield", "test", [0.376, 0.401, 0.426]),
    ("cosqa", "test", [0.336, 0.587, 0.476]),
    ("claude_docs", "test", [0.702, 0.678, 0.791]),
    ("squad_v1.1_dev", "sample1000", [0.873, 0.753, 0.852]),
];

/// The metric that stages are held to one another in.
const METRIC: Metric = Metric::ndcg(10);

/// One set's results.
#[derive(Serialize)]
struct SetResult {
    reference: [f64; 3],
    report: Report,
    /// Hybrid by Reciprocal Rank Fusion, from the same index.
    rrf: StageReport,
    paired: Paired,
    /// nDCG@10 as served: default candidates a leg, not re-ranked and re-ranked.
    served: BTreeMap<&'static str, Interval>,
}

/// Stages held to one another, topic by topic.
#[derive(Serialize)]
struct Paired {
    /// Hybrid against the leg that is better on the whole set.
    hybrid: Comparison,
    /// Re-ranked against hybrid; `null` where nothing was re-ranked.
    reranked: Option<Comparison>,
}

impl Paired {
    /// `None` where the report lacks a stage before re-ranking.
    fn of(report: &Report) -> Option<Self> {
        let mean = |leg| value_of(report, leg).map(|value| value.mean);
        let better = if mean("dense")? > mean("lexical")? {
            "dense"
        } else {
            "lexical"
        };
        Some(Self {
            hybrid: compared(report, better, "hybrid")?,
            reranked: compared(report, "hybrid", "rerank"),
        })
    }
}

#[derive(Serialize)]
struct Interval {
    mean: f64,
    low: f64,
    high: f64,
}

pub(crate) async fn measure(cli: &Cli) -> Result<()> {
    let mut results = BTreeMap::new();
    for (name, split, reference) in SETS {
        let folder = cli.data.join(name);
        if !folder.is_dir() {
            say(format!("skipping {name}: {} is absent", folder.display()));
            continue;
        }
        say(format!("measuring {name}"));
        results.insert(name, measure_set(cli, &folder, split, reference).await?);
    }
    cli.save("quality", &results)
}

async fn measure_set(
    cli: &Cli,
    folder: &Path,
    split: &str,
    reference: [f64; 3],
) -> Result<SetResult> {
    let mut settings = cli.settings();
    let name = folder.file_name().unwrap_or_default();
    let out = cli.work.join("quality").join(name);
    settings.storage.data_dir = out.join("data");
    let defaults = retrieve_defaults(&settings)?;
    let dataset = Dataset::open(folder, split)?;
    let is_reranked = dataset.topics.len() <= cli.rerank_topics;
    let mut stages = vec!["lexical", "dense", "hybrid"];
    stages.extend(is_reranked.then_some("rerank"));
    let args = RunArgs {
        dataset: folder.to_owned(),
        split: split.to_owned(),
        stages: stages.into_iter().map(str::to_owned).collect(),
        depth: 100,
        deadline: false,
        metrics: Metric::REPORTED.map(Metric::name).to_vec(),
        losses: false,
        html: None,
        out: Some(out),
        json: false,
    };
    let engine = Engine::open(&settings, OpenOptions::default()).await?;
    let report = args.prepare(&defaults)?.run(&engine).await?;
    say(report.table());
    let rrf = measure_rrf(&engine, args, &defaults).await?;
    let mut served = BTreeMap::new();
    for (name, enabled) in [("fused", false), ("reranked", true)] {
        let is_wanted = is_reranked && dataset.topics.len() <= cli.served_rerank_topics;
        if is_wanted || !enabled {
            let measured = measure_served(&engine, &dataset, &defaults, enabled).await?;
            served.insert(name, measured);
        }
    }
    engine.close().await;
    Ok(SetResult {
        reference,
        rrf,
        paired: Paired::of(&report).context("a stage was not ranked")?,
        report,
        served,
    })
}

/// Hybrid by the textbook's method, from the index that is there: the legs' ranks alone, k = 60, and both legs
/// count the same for every query.
async fn measure_rrf(
    engine: &Engine,
    args: RunArgs,
    defaults: &RetrieveRequest,
) -> Result<StageReport> {
    let fusion = FusionOptions {
        method: FusionMethod::Rrf,
        k: 60.0,
        weights: LegWeights {
            lexical: 1.0,
            dense: 1.0,
        },
        leg_trust: LegTrust::Off,
    };
    let defaults = RetrieveRequest {
        fusion,
        ..defaults.clone()
    };
    let args = RunArgs {
        stages: vec!["hybrid".to_owned()],
        // The files there are those of the method in force.
        out: None,
        ..args
    };
    let report = args.prepare(&defaults)?.run(engine).await?;
    let stage = report.stages.into_iter().next();
    stage.context("hybrid was not ranked")
}

/// What a stage reaches.
fn value_of<'a>(report: &'a Report, stage: &str) -> Option<&'a MetricReport> {
    let stage = report.stages.iter().find(|found| found.stage == stage)?;
    let name = METRIC.name();
    stage.metrics.iter().find(|found| found.metric == name)
}

/// A stage against another, topic by topic.
fn compared(report: &Report, baseline: &str, run: &str) -> Option<Comparison> {
    let (a, b) = (value_of(report, baseline)?, value_of(report, run)?);
    Some(Comparison {
        run: run.to_owned(),
        baseline: baseline.to_owned(),
        ..compare_values(METRIC.name(), &a.values, &b.values)
    })
}

/// nDCG@10 of served answers: default depths, a document where its best hit stands.
async fn measure_served(
    engine: &Engine,
    dataset: &Dataset,
    defaults: &RetrieveRequest,
    rerank: bool,
) -> Result<Interval> {
    let collection = collection_of(engine, dataset)?;
    let mut rankings: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for topic in &dataset.topics {
        let mut request = RetrieveRequest {
            query: topic.text.clone(),
            collection: collection.clone(),
            top_k: 100,
            context: ContextOptions {
                max_tokens: 0,
                ..defaults.context
            },
            ..defaults.clone()
        };
        request.rerank.enabled = rerank;
        request.rerank.deadline_ms = None;
        let mut ids: Vec<String> = Vec::new();
        if let Ok(response) = engine.retrieve(request).await {
            for hit in response.hits {
                let id = hit.passage.record.document.as_str();
                if !ids.iter().any(|seen| seen == id) {
                    ids.push(id.to_owned());
                }
            }
        }
        rankings.insert(&topic.id, ids);
    }
    let nothing = Vec::new();
    let values: Vec<f64> = dataset
        .qrels
        .iter()
        .map(|(topic, judgements)| {
            let ranking = rankings.get(topic.as_str()).unwrap_or(&nothing);
            Metric::ndcg(10).measure(ranking, judgements)
        })
        .collect();
    let Estimate { mean, low, high } = estimate(&values);
    Ok(Interval { mean, low, high })
}
