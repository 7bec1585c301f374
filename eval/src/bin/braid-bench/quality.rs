//! Ranking quality on BEIR folders, per stage, at depth 100 and as served.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use braid_engine::query::{ContextOptions, RetrieveRequest};
use braid_engine::{Engine, OpenOptions, retrieve_defaults};
use braid_eval::bootstrap::{Estimate, estimate};
use braid_eval::cli::RunArgs;
use braid_eval::dataset::Dataset;
use braid_eval::harness::collection_of;
use braid_eval::metrics::Metric;
use braid_eval::report::Report;
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

/// One set's results.
#[derive(Serialize)]
struct SetResult {
    reference: [f64; 3],
    report: Report,
    /// nDCG@10 as served: default candidates a leg, not re-ranked and re-ranked.
    served: BTreeMap<&'static str, Interval>,
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
        report,
        served,
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
