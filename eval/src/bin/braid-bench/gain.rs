//! What the re-ranking stage gains over the frozen hybrid runs, topic by topic, and which part of
//! it is due to what.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use braid_config::Settings;
use braid_core::Reranker;
use braid_engine::{Engine, OpenOptions, retrieve_defaults};
use braid_eval::bootstrap;
use braid_eval::cli::RunArgs;
use braid_eval::compare::{Comparison, compare_metric};
use braid_eval::metrics::Metric;
use braid_eval::trec::{read_qrels, read_run};
use serde::Serialize;

use crate::quality::SETS;
use crate::{Cli, say};
use braid_eval::memo::MemoReranker;

/// The metric that gains are stated in.
const METRIC: Metric = Metric::ndcg(10);

/// What is compared with the frozen run: the stage without the model's say, with its recommended
/// one, and with nothing else.
const BLENDS: [(&str, Option<f64>); 3] = [
    ("without the model (blend 0)", Some(0.0)),
    (RECOMMENDED, None),
    ("model alone (blend 1)", Some(1.0)),
];
const RECOMMENDED: &str = "recommended blend";
const IN_FULL: &str = "recommended blend, fp32";

#[derive(Serialize)]
struct Gains {
    model: String,
    blend: f64,
    candidates: usize,
    /// By set, then by variant.
    sets: BTreeMap<&'static str, BTreeMap<&'static str, Comparison>>,
    /// Mean over the sets of each variant's gain.
    means: BTreeMap<&'static str, f64>,
}

/// Re-ranks every topic, without a deadline, and compares with `NAME.hybrid.trec.gz` of `--runs`,
/// which are committed and do not change: a gain is always one over the same list.
pub(crate) async fn measure(cli: &Cli) -> Result<()> {
    let mut found = Gains {
        model: cli.settings().models.reranker,
        blend: 0.0,
        candidates: 0,
        sets: BTreeMap::new(),
        means: BTreeMap::new(),
    };
    for (name, split, _) in SETS {
        let set = Set::new(cli, name, split);
        if !set.frozen.is_file() || !set.folder.is_dir() {
            let (frozen, folder) = (set.frozen.display(), set.folder.display());
            say(format!("skipping {name}: {frozen} or {folder} is absent"));
            continue;
        }
        let (variants, blend, candidates) = set.measure(cli).await?;
        (found.blend, found.candidates) = (blend, candidates);
        found.sets.insert(name, variants);
    }
    found.means = means(&found.sets);
    for (variant, mean) in &found.means {
        say(format!("{variant}: mean gain {mean:+.4} {}", METRIC.name()));
    }
    cli.save("gain", &found)
}

fn means(
    sets: &BTreeMap<&'static str, BTreeMap<&'static str, Comparison>>,
) -> BTreeMap<&'static str, f64> {
    let mut gains: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (variant, gain) in sets.values().flatten() {
        gains.entry(variant).or_default().push(gain.difference);
    }
    gains
        .into_iter()
        .map(|(variant, gains)| (variant, bootstrap::mean(&gains)))
        .collect()
}

/// One collection and where its things are.
struct Set {
    folder: PathBuf,
    split: &'static str,
    frozen: PathBuf,
    /// The index that the quality part made, or that is made now.
    out: PathBuf,
}

impl Set {
    fn new(cli: &Cli, name: &str, split: &'static str) -> Self {
        Self {
            folder: cli.data.join(name),
            split,
            frozen: cli.runs.join(format!("{name}.hybrid.trec.gz")),
            out: cli.work.join("quality").join(name),
        }
    }

    /// Each variant's gain, the recommended blend, and how many candidates are re-ranked.
    async fn measure(&self, cli: &Cli) -> Result<(BTreeMap<&'static str, Comparison>, f64, usize)> {
        let mut settings = cli.settings();
        settings.storage.data_dir = self.out.join("data");
        let candidates = settings.retrieve.rerank_candidates;
        let mut variants = BTreeMap::new();
        let (engine, reranker) = open(&settings).await?;
        for (variant, blend) in BLENDS {
            settings.retrieve.rerank_blend = blend;
            variants.insert(variant, self.gain(&engine, &settings, variant).await?);
        }
        engine.close().await;
        // The next one has the same data directory.
        drop(engine);
        if let Some(in_full) = &cli.in_full {
            settings.retrieve.rerank_blend =
                Some(reranker.recommended_blend(settings.lexical.language.of_document(None)));
            settings.models.reranker = in_full.display().to_string();
            let (engine, _) = open(&settings).await?;
            variants.insert(IN_FULL, self.gain(&engine, &settings, IN_FULL).await?);
            engine.close().await;
        }
        Ok((
            variants,
            reranker.recommended_blend(settings.lexical.language.of_document(None)),
            candidates,
        ))
    }

    async fn gain(
        &self,
        engine: &Engine,
        settings: &Settings,
        variant: &str,
    ) -> Result<Comparison> {
        let out = self.out.join("gain");
        let args = RunArgs {
            dataset: self.folder.clone(),
            split: self.split.to_owned(),
            stages: vec!["rerank".to_owned()],
            depth: 100,
            deadline: false,
            metrics: Metric::REPORTED.map(Metric::name).to_vec(),
            losses: false,
            html: None,
            out: Some(out.clone()),
            json: false,
        };
        args.prepare(&retrieve_defaults(settings)?)?
            .run(engine)
            .await?;
        let reranked = read_run(&out.join("run.rerank.trec"))?;
        let gain = compare_metric(METRIC, &read_run(&self.frozen)?, &reranked, &self.qrels()?);
        say(format!(
            "{}: {variant}: {:.4} -> {:.4} ({:+.4} [{:+.4}, {:+.4}])",
            name_of(&self.folder),
            gain.a,
            gain.b,
            gain.difference,
            gain.low,
            gain.high
        ));
        Ok(gain)
    }

    fn qrels(&self) -> Result<braid_eval::trec::Qrels> {
        let path = self.folder.join(format!("qrels/{}.tsv", self.split));
        Ok(read_qrels(&path)?)
    }
}

fn name_of(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// An engine whose re-ranker scores each pair once.
pub(crate) async fn open(settings: &Settings) -> Result<(Engine, Arc<dyn Reranker>)> {
    let plain = Engine::open(settings, OpenOptions::default()).await?;
    let embedder = Arc::clone(plain.embedder());
    let reranker = plain.reranker().context("no re-ranker is configured")?;
    let reranker: Arc<dyn Reranker> = Arc::new(MemoReranker::new(Arc::clone(reranker)));
    plain.close().await;
    drop(plain);
    let options = OpenOptions {
        instead_of_models: Some(embedder),
        instead_of_reranker: Some(Arc::clone(&reranker)),
        ..OpenOptions::default()
    };
    Ok((Engine::open(settings, options).await?, reranker))
}
