//! Initial load against the embedder alone, on the same chunks.
//!
//! Loaded twice: as configured, and without the graph of the vectors. All are measured slice by slice in turn, so that whatever else the machine does meanwhile
//! weighs on both alike.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use braid_config::Settings;
use braid_core::{
    ChunkingSettings, ChunkingStrategy, CollectionName, CollectionSettings, Embedder, NewDocument,
};
use braid_engine::{Engine, Loader, OpenOptions};
use serde::Serialize;

use crate::machine::Machine;
use crate::passages::corpus;
use crate::{Cli, say};

/// The chunks of every so manieth passage are embedded alone: the same mix of lengths in a fraction of
/// the time.
const SAMPLE: usize = 5;

/// Most chunks of one passage that are taken.
const PAGE: usize = 100;

/// Slices that are measured in turn.
const SLICES: usize = 5;

/// Name of the loaded collection.
pub(crate) const COLLECTION: &str = "bench";

#[derive(Serialize)]
struct LoadResult {
    machine: Machine,
    source: String,
    documents: usize,
    chunks: u64,
    embedder_passages: usize,
    embedder_seconds: f64,
    embedder_chunks_per_second: f64,
    load_seconds: f64,
    load_chunks_per_second: f64,
    /// The same without the vectors' graph.
    plain_seconds: f64,
    plain_chunks_per_second: f64,
    staged_seconds: f64,
    disk_mib: f64,
    slices: Vec<Slice>,
}

/// What was measured in turn: of one slice, all three are equally disturbed, or not.
#[derive(Serialize)]
struct Slice {
    chunks: u64,
    load_seconds: f64,
    plain_seconds: f64,
    embedder_chunks: usize,
    embedder_seconds: f64,
}

pub(crate) async fn measure(cli: &Cli) -> Result<()> {
    let corpus = corpus(&cli.train, cli.passages, 0)?.cut(cli.words);
    let graph = Loading::open(cli.data_dir(), None).await?;
    let embedder = Arc::clone(graph.engine.embedder());
    let plain_dir = cli.work.join("data-without-graph");
    let plain = Loading::open(plain_dir, Some(Arc::clone(&embedder))).await?;
    let (mut graph, mut plain, mut alone) = (graph, plain, Alone::default());
    let mut slices = Vec::with_capacity(SLICES);
    for slice in corpus
        .documents
        .chunks(corpus.documents.len().div_ceil(SLICES).max(1))
    {
        let plain_seconds = plain.load(slice).await?;
        let sample = plain.chunk_texts(slice).await?;
        let embedder_seconds = alone.embed(&*embedder, &sample).await?;
        let before = graph.chunks().await?;
        let load_seconds = graph.load(slice).await?;
        slices.push(Slice {
            chunks: graph.chunks().await? - before,
            load_seconds,
            plain_seconds,
            embedder_chunks: sample.len(),
            embedder_seconds,
        });
        say(format!(
            "{} passages loaded in {:.1} s, without graph in {:.1} s; {} chunks embedded alone in {:.1} s",
            graph.passages, graph.seconds, plain.seconds, alone.chunks, alone.seconds
        ));
    }
    let (graph, plain) = (graph.close().await?, plain.close().await?);
    let embed_rate = alone.chunks as f64 / alone.seconds;
    let part = if cli.words == usize::MAX {
        "load"
    } else {
        "load_cut"
    };
    let result = LoadResult {
        machine: Machine::this(),
        source: corpus.source,
        documents: corpus.documents.len(),
        chunks: graph.chunks,
        embedder_passages: alone.chunks,
        embedder_seconds: alone.seconds,
        embedder_chunks_per_second: embed_rate,
        load_seconds: graph.seconds,
        load_chunks_per_second: graph.rate(),
        plain_seconds: plain.seconds,
        plain_chunks_per_second: plain.rate(),
        staged_seconds: graph.staged_seconds,
        disk_mib: graph.disk_mib,
        slices,
    };
    say(format!(
        "chunks a second: embedder alone {embed_rate:.1}, load {:.1}, without graph {:.1}",
        result.load_chunks_per_second, result.plain_chunks_per_second
    ));
    cli.save(part, &result)
}

/// A load in progress.
struct Loading {
    engine: Engine,
    directory: PathBuf,
    name: CollectionName,
    passages: usize,
    seconds: f64,
    staged_seconds: f64,
}

/// A load that is done.
struct Loaded {
    chunks: u64,
    seconds: f64,
    staged_seconds: f64,
    disk_mib: f64,
}

impl Loaded {
    fn rate(&self) -> f64 {
        self.chunks as f64 / self.seconds
    }
}

impl Loading {
    /// An empty data directory, as it is configured; with an `embedder` already loaded, one that
    /// builds no graph.
    async fn open(directory: PathBuf, embedder: Option<Arc<dyn Embedder>>) -> Result<Self> {
        if directory.exists() {
            std::fs::remove_dir_all(&directory)?;
        }
        let mut settings = Settings::default();
        settings.storage.data_dir.clone_from(&directory);
        if embedder.is_some() {
            settings.dense.exact_threshold = usize::MAX;
        }
        let options = OpenOptions {
            instead_of_models: embedder,
            ..OpenOptions::default()
        };
        let engine = Engine::open(&settings, options).await?;
        let name = CollectionName::new(COLLECTION)?;
        let collection_settings = CollectionSettings {
            chunking: ChunkingSettings {
                strategy: ChunkingStrategy::Whole,
                ..ChunkingSettings::default()
            },
            ..engine.default_collection_settings()
        };
        engine
            .create_collection(name.clone(), collection_settings, None)
            .await?;
        Ok(Self {
            engine,
            directory,
            name,
            passages: 0,
            seconds: 0.0,
            staged_seconds: 0.0,
        })
    }

    /// From handing documents in to all of them being retrievable: the seconds it took.
    async fn load(&mut self, documents: &[NewDocument]) -> Result<f64> {
        let start = Instant::now();
        let mut loader = Loader::new(self.engine.clone(), self.name.clone(), 256);
        for document in documents.iter().cloned() {
            loader.push(document).await?;
        }
        loader.flush().await?;
        self.staged_seconds += start.elapsed().as_secs_f64();
        let report = loader.finish().await?;
        let seconds = start.elapsed().as_secs_f64();
        self.seconds += seconds;
        self.passages += documents.len();
        anyhow::ensure!(
            report.failed.is_empty(),
            "{} passages failed",
            report.failed.len()
        );
        Ok(seconds)
    }

    /// Chunks so far.
    async fn chunks(&self) -> Result<u64> {
        Ok(self.engine.collection_info(&self.name).await?.stats.chunks)
    }

    /// The texts that were embedded for a sample of loaded documents.
    async fn chunk_texts(&self, documents: &[NewDocument]) -> Result<Vec<String>> {
        let mut texts = Vec::new();
        for document in documents.iter().step_by(SAMPLE) {
            let chunks = self
                .engine
                .document_chunks(&self.name, &document.id, None, PAGE);
            let (_, page) = chunks.await?;
            let records = page.items.into_iter().map(|chunk| chunk.record);
            texts.extend(records.map(|record| record.embedded_text()));
        }
        Ok(texts)
    }

    async fn close(self) -> Result<Loaded> {
        let chunks = self.chunks().await?;
        self.engine.close().await;
        Ok(Loaded {
            chunks,
            seconds: self.seconds,
            staged_seconds: self.staged_seconds,
            disk_mib: disk_bytes(&self.directory)? as f64 / (1024.0 * 1024.0),
        })
    }
}

/// The embedder alone.
#[derive(Default)]
struct Alone {
    chunks: usize,
    seconds: f64,
}

impl Alone {
    /// Embeds `texts` in calls of the size that the pipeline makes: the seconds it took.
    async fn embed(&mut self, embedder: &dyn Embedder, texts: &[String]) -> Result<f64> {
        let start = Instant::now();
        for batch in texts.chunks(256) {
            embedder.embed_passages(batch.to_vec()).await?;
        }
        let seconds = start.elapsed().as_secs_f64();
        self.seconds += seconds;
        self.chunks += texts.len();
        Ok(seconds)
    }
}

/// Bytes on disk below a directory (allocated, so that sparse maps count what they use).
pub(crate) fn disk_bytes(directory: &std::path::Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut total = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        total += if metadata.is_dir() {
            disk_bytes(&entry.path())?
        } else {
            metadata.blocks() * 512
        };
    }
    Ok(total)
}
