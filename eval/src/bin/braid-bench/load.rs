//! Initial load against the embedder alone, on the same chunks.

use std::time::Instant;

use anyhow::Result;
use braid_config::Settings;
use braid_core::{ChunkingSettings, ChunkingStrategy, CollectionName, CollectionSettings};
use braid_engine::{Engine, Loader, OpenOptions};
use serde::Serialize;

use crate::machine::Machine;
use crate::passages::corpus;
use crate::{Cli, say};

/// Name of the loaded collection.
pub(crate) const COLLECTION: &str = "bench";

#[derive(Serialize)]
struct LoadResult {
    machine: Machine,
    source: String,
    documents: usize,
    chunks: u64,
    embedder_seconds: f64,
    embedder_chunks_per_second: f64,
    load_seconds: f64,
    load_chunks_per_second: f64,
    share_of_embedder: f64,
    staged_seconds: f64,
    disk_mib: f64,
}

pub(crate) async fn measure(cli: &Cli) -> Result<()> {
    let corpus = corpus(&cli.train, cli.chunks, 0)?;
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

    say(format!("loading {} passages", corpus.documents.len()));
    let start = Instant::now();
    let mut loader = Loader::new(engine.clone(), name.clone(), 256);
    for document in corpus.documents.iter().cloned() {
        loader.push(document).await?;
    }
    loader.flush().await?;
    let staged_seconds = start.elapsed().as_secs_f64();
    let report = loader.finish().await?;
    let load_seconds = start.elapsed().as_secs_f64();
    anyhow::ensure!(
        report.failed.is_empty(),
        "{} passages failed",
        report.failed.len()
    );
    let chunks = engine.collection_info(&name).await?.stats.chunks;
    say(format!("loaded {chunks} chunks in {load_seconds:.1} s"));

    let embedder_seconds = embed_alone(&engine, &corpus.documents).await?;
    engine.close().await;
    let (load_rate, embed_rate) = (
        chunks as f64 / load_seconds,
        chunks as f64 / embedder_seconds,
    );
    say(format!(
        "embedder alone {embed_rate:.1}/s, load {load_rate:.1}/s"
    ));
    cli.save(
        "load",
        &LoadResult {
            machine: Machine::this(),
            source: corpus.source,
            documents: corpus.documents.len(),
            chunks,
            embedder_seconds,
            embedder_chunks_per_second: embed_rate,
            load_seconds,
            load_chunks_per_second: load_rate,
            share_of_embedder: load_rate / embed_rate,
            staged_seconds,
            disk_mib: disk_bytes(&directory)? as f64 / (1024.0 * 1024.0),
        },
    )
}

/// Seconds the embedder alone takes for the same texts, in the calls the pipeline makes.
async fn embed_alone(engine: &Engine, documents: &[braid_core::NewDocument]) -> Result<f64> {
    say("embedding the same passages without anything else");
    let start = Instant::now();
    for batch in documents.chunks(256) {
        let texts = batch.iter().map(|document| document.text.clone()).collect();
        engine.embedder().embed_passages(texts).await?;
    }
    Ok(start.elapsed().as_secs_f64())
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
