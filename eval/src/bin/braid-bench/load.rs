//! Initial load against the embedder alone, on the same chunks.
//!
//! Both are measured slice by slice in turn, so that whatever else the machine does meanwhile
//! weighs on both alike.

use std::time::Instant;

use anyhow::Result;
use braid_config::Settings;
use braid_core::{
    ChunkingSettings, ChunkingStrategy, CollectionName, CollectionSettings, NewDocument,
};
use braid_engine::{Engine, Loader, OpenOptions};
use serde::Serialize;

use crate::machine::Machine;
use crate::passages::corpus;
use crate::{Cli, say};

/// Every so manieth passage is embedded alone: the same mix of lengths in a fraction of the time.
const SAMPLE: usize = 5;

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
    share_of_embedder: f64,
    staged_seconds: f64,
    disk_mib: f64,
}

pub(crate) async fn measure(cli: &Cli) -> Result<()> {
    let corpus = corpus(&cli.train, cli.chunks, 0)?.cut(cli.words);
    let directory = cli.data_dir();
    if directory.exists() {
        std::fs::remove_dir_all(&directory)?;
    }
    let mut settings = Settings::default();
    settings.storage.data_dir.clone_from(&directory);
    let engine = Engine::open(&settings, OpenOptions::default()).await?;
    let name = CollectionName::new(COLLECTION)?;
    let whole = ChunkingSettings {
        strategy: ChunkingStrategy::Whole,
        ..ChunkingSettings::default()
    };
    let collection_settings = CollectionSettings {
        chunking: whole,
        ..engine.default_collection_settings()
    };
    engine
        .create_collection(name.clone(), collection_settings, None)
        .await?;

    let mut seconds = Seconds::default();
    for slice in corpus
        .documents
        .chunks(corpus.documents.len().div_ceil(SLICES).max(1))
    {
        load_slice(&engine, &name, slice, &mut seconds).await?;
        embed_alone(&engine, slice, &mut seconds).await?;
        say(format!(
            "{} passages loaded in {:.1} s, {} of them embedded alone in {:.1} s",
            seconds.passages, seconds.load, seconds.embedded, seconds.embedder
        ));
    }
    let chunks = engine.collection_info(&name).await?.stats.chunks;
    engine.close().await;
    let (load_rate, embed_rate) = (
        chunks as f64 / seconds.load,
        seconds.embedded as f64 / seconds.embedder,
    );
    say(format!(
        "embedder alone {embed_rate:.1}/s, load {load_rate:.1}/s"
    ));
    let part = if cli.words == usize::MAX {
        "load"
    } else {
        "load_cut"
    };
    cli.save(
        part,
        &LoadResult {
            machine: Machine::this(),
            source: corpus.source,
            documents: corpus.documents.len(),
            chunks,
            embedder_passages: seconds.embedded,
            embedder_seconds: seconds.embedder,
            embedder_chunks_per_second: embed_rate,
            load_seconds: seconds.load,
            load_chunks_per_second: load_rate,
            share_of_embedder: load_rate / embed_rate,
            staged_seconds: seconds.staged,
            disk_mib: disk_bytes(&directory)? as f64 / (1024.0 * 1024.0),
        },
    )
}

/// What was measured so far.
#[derive(Default)]
struct Seconds {
    passages: usize,
    embedded: usize,
    load: f64,
    staged: f64,
    embedder: f64,
}

/// From handing documents in to all of them being retrievable.
async fn load_slice(
    engine: &Engine,
    name: &CollectionName,
    documents: &[NewDocument],
    seconds: &mut Seconds,
) -> Result<()> {
    let start = Instant::now();
    let mut loader = Loader::new(engine.clone(), name.clone(), 256);
    for document in documents.iter().cloned() {
        loader.push(document).await?;
    }
    loader.flush().await?;
    seconds.staged += start.elapsed().as_secs_f64();
    let report = loader.finish().await?;
    seconds.load += start.elapsed().as_secs_f64();
    seconds.passages += documents.len();
    anyhow::ensure!(
        report.failed.is_empty(),
        "{} passages failed",
        report.failed.len()
    );
    Ok(())
}

/// A sample of the same texts through the embedder alone, in calls of the size that the pipeline
/// makes.
async fn embed_alone(
    engine: &Engine,
    documents: &[NewDocument],
    seconds: &mut Seconds,
) -> Result<()> {
    let sample: Vec<&NewDocument> = documents.iter().step_by(SAMPLE).collect();
    let start = Instant::now();
    for batch in sample.chunks(256) {
        let texts = batch.iter().map(|document| document.text.clone()).collect();
        engine.embedder().embed_passages(texts).await?;
    }
    seconds.embedder += start.elapsed().as_secs_f64();
    seconds.embedded += sample.len();
    Ok(())
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
