//! An engine in a temporary directory and one way to evaluate on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use braid_config::Settings;
use braid_core::Embedder;
use braid_engine::{Engine, LoadModels, OpenOptions, retrieve_defaults};
use braid_eval::cli::RunArgs;
use braid_eval::metrics::Metric;
use braid_eval::report::Report;
use braid_testkit::{HashEmbedder, OverlapReranker};
use tempfile::TempDir;

/// The committed test collection.
pub(crate) fn mini() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/mini")
}

/// A data directory, an engine on it, and where run files go.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) settings: Settings,
    directory: TempDir,
}

impl World {
    /// With doubles in place of models and chunks of at most `target_tokens` words.
    pub(crate) async fn new(target_tokens: usize) -> Self {
        Self::with_embedder(target_tokens, HashEmbedder::new(256)).await
    }

    pub(crate) async fn with_embedder(
        target_tokens: usize,
        embedder: impl Embedder + 'static,
    ) -> Self {
        let mut settings = Settings::default();
        settings.chunking.target_tokens = target_tokens;
        let options = OpenOptions {
            instead_of_models: Some(Arc::new(embedder)),
            instead_of_reranker: Some(Arc::new(OverlapReranker::new().with_blend(0.5))),
            ..OpenOptions::default()
        };
        Self::open(settings, options).await
    }

    pub(crate) async fn open(mut settings: Settings, options: OpenOptions) -> Self {
        let directory = tempfile::tempdir().unwrap();
        settings.storage.data_dir = directory.path().join("data");
        settings.storage.map_size_gib = 0.25;
        settings.lexical.writer_memory_mib = 15;
        let engine = Engine::open(&settings, options)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        Self {
            engine,
            settings,
            directory,
        }
    }

    /// The same data directory, opened anew with so many inference threads.
    pub(crate) async fn reopened(self, models: LoadModels, threads: usize) -> Self {
        let Self {
            engine,
            mut settings,
            directory,
        } = self;
        engine.close().await;
        drop(engine);
        settings.models.threads = threads;
        let options = OpenOptions {
            models,
            ..OpenOptions::default()
        };
        let engine = Engine::open(&settings, options)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        Self {
            engine,
            settings,
            directory,
        }
    }

    /// Where reports and run files go.
    pub(crate) fn out(&self) -> PathBuf {
        self.directory.path().join("out")
    }

    /// Every stage of the test split of `dataset`.
    pub(crate) fn args(&self, dataset: &Path) -> RunArgs {
        RunArgs {
            dataset: dataset.to_owned(),
            split: "test".to_owned(),
            stages: ["lexical", "dense", "hybrid", "rerank"]
                .map(str::to_owned)
                .to_vec(),
            depth: 100,
            deadline: false,
            metrics: Metric::REPORTED.map(Metric::name).to_vec(),
            losses: false,
            html: None,
            out: Some(self.out()),
            json: false,
        }
    }

    pub(crate) async fn run(&self, args: &RunArgs) -> Report {
        let defaults = retrieve_defaults(&self.settings).unwrap();
        let prepared = args.prepare(&defaults).unwrap();
        prepared.run(&self.engine).await.unwrap()
    }

    /// The names of its collections, without what they end in.
    pub(crate) async fn collection_names(&self) -> Vec<String> {
        let collections = self.engine.collections().await.unwrap().into_iter();
        collections
            .map(|info| without_hash(info.collection.name.as_str()).to_owned())
            .collect()
    }
}

/// A collection's name without the hash of what it does not spell out.
#[track_caller]
fn without_hash(name: &str) -> &str {
    let (readable, hash) = name.rsplit_once('-').expect("it has parts");
    assert_eq!(hash.len(), 8, "{name}");
    readable
}

/// The mean of `metric` at `stage`.
#[track_caller]
pub(crate) fn mean(report: &Report, stage: &str, metric: &str) -> f64 {
    let stages = report.stages.iter().filter(|found| found.stage == stage);
    let metrics = stages.flat_map(|stage| &stage.metrics);
    let mut found = metrics.filter(|found| found.metric == metric);
    found.next().expect("the report has it").mean
}
