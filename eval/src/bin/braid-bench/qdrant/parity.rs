//! The same rankings and the same quality.

use std::path::Path;

use anyhow::{Context, Result};
use braid_config::Settings;
use braid_engine::{Engine, OpenOptions, retrieve_defaults};
use braid_eval::cli::RunArgs;
use braid_eval::metrics::Metric;
use braid_eval::report::Report;
use braid_eval::trec::{Run, read_run};
use serde::Serialize;

use super::server::{Ours, forget, settle};
use super::{clustered, copy, remote, work};
use crate::{Cli, say};

const SETS: [&str; 2] = ["scifact", "cranfield"];
const STAGES: [&str; 3] = ["lexical", "dense", "hybrid"];
/// Ranks that are compared.
const NEAREST: usize = 10;

#[derive(Serialize)]
pub(super) struct Parity {
    set: &'static str,
    topics: usize,
    /// Profile `qdrant`.
    stages: Vec<Stage>,
    /// Profile `cluster`.
    cluster: Vec<Stage>,
}

#[derive(Serialize)]
struct Stage {
    stage: &'static str,
    /// Share of the ten best documents that are the same.
    overlap: f64,
    embedded_ndcg: f64,
    remote_ndcg: f64,
}

pub(super) async fn measure(cli: &Cli, url: &str, rest: &str) -> Result<Vec<Parity>> {
    let mut all = Vec::new();
    for set in SETS {
        if cli.data.join(set).is_dir() {
            all.push(measure_set(cli, (url, rest), set).await?);
        } else {
            say(format!(
                "skipping {set}: it is not in {}",
                cli.data.display()
            ));
        }
    }
    Ok(all)
}

async fn measure_set(cli: &Cli, (url, rest): (&str, &str), set: &'static str) -> Result<Parity> {
    let folder = cli.work.join("qdrant-parity").join(set);
    let mut settings = Settings::default();
    settings.storage.data_dir = folder.join("data");
    let embedded = cli.work.join("quality").join(set).join("data");
    if embedded.is_dir() && !settings.storage.data_dir.is_dir() {
        copy(&embedded, &settings.storage.data_dir)?;
    }
    let here = run(cli, &settings, set, &folder.join("embedded"), None).await?;
    let mut far = remote(&settings, url);
    far.storage.data_dir = folder.join("qdrant-data");
    copy(&settings.storage.data_dir, &far.storage.data_dir)?;
    let vectors = run(cli, &far, set, &folder.join("qdrant"), Some(rest)).await?;
    forget(rest, &Ours::of(&far)?)?;
    let shared = clustered(&settings, url);
    // What an interrupted run left would be taken for this one's.
    forget(rest, &Ours::of(&shared)?)?;
    let everything = run(cli, &shared, set, &folder.join("cluster"), Some(rest)).await?;
    forget(rest, &Ours::of(&shared)?)?;
    Ok(Parity {
        set,
        topics: here.0.topics,
        stages: compare(set, "qdrant", &here, &vectors)?,
        cluster: compare(set, "cluster", &here, &everything)?,
    })
}

/// A side's report, and its runs by stage.
type Side = (Report, Vec<Run>);

fn compare(set: &str, profile: &str, here: &Side, there: &Side) -> Result<Vec<Stage>> {
    let mut stages = Vec::new();
    for (index, stage) in STAGES.into_iter().enumerate() {
        let stage = Stage {
            stage,
            overlap: overlap(&here.1[index], &there.1[index]),
            embedded_ndcg: ndcg(&here.0, stage)?,
            remote_ndcg: ndcg(&there.0, stage)?,
        };
        say(format!(
            "{set} {profile} {}: overlap@10 {:.4}, nDCG@10 {:.4} and {:.4}",
            stage.stage, stage.overlap, stage.embedded_ndcg, stage.remote_ndcg
        ));
        stages.push(stage);
    }
    Ok(stages)
}

/// The report of a side and its runs, by stage.
async fn run(
    cli: &Cli,
    settings: &Settings,
    set: &str,
    out: &Path,
    rest: Option<&str>,
) -> Result<Side> {
    let args = RunArgs {
        dataset: cli.data.join(set),
        split: "test".to_owned(),
        stages: STAGES.map(str::to_owned).to_vec(),
        depth: 100,
        deadline: false,
        metrics: vec!["nDCG@10".to_owned()],
        losses: false,
        html: None,
        out: Some(out.to_owned()),
        json: false,
    };
    let engine = Engine::open(settings, OpenOptions::default()).await?;
    work(&engine)?;
    if !engine.has_workers() {
        for info in engine.collections().await? {
            engine.indexer().wait_idle(info.collection.id).await?;
        }
    }
    if let Some(rest) = rest {
        settle(rest, &Ours::of(settings)?).await?;
    }
    let report = args
        .prepare(&retrieve_defaults(settings)?)?
        .run(&engine)
        .await?;
    engine.close().await;
    anyhow::ensure!(report.failed.is_empty(), "{:?}", report.failed);
    let runs = STAGES.map(|stage| read_run(&out.join(format!("run.{stage}.trec"))));
    Ok((report, runs.into_iter().collect::<Result<_, _>>()?))
}

/// Mean share of the best of `here` that are among the best of `there`, over topics.
fn overlap(here: &Run, there: &Run) -> f64 {
    let shares = here.iter().map(|(topic, ranking)| {
        let other = there.get(topic).map_or(&[][..], Vec::as_slice);
        let other = &other[..other.len().min(NEAREST)];
        let best = ranking.iter().take(NEAREST);
        let of = best.len().max(1);
        best.filter(|id| other.contains(id)).count() as f64 / of as f64
    });
    shares.sum::<f64>() / here.len().max(1) as f64
}

fn ndcg(report: &Report, stage: &str) -> Result<f64> {
    let found = report.stages.iter().find(|it| it.stage == stage);
    let stage = found.with_context(|| format!("no stage {stage}"))?;
    let name = Metric::ndcg(10).name();
    let metric = stage.metrics.iter().find(|it| it.metric == name);
    Ok(metric.context("no nDCG@10")?.mean)
}
