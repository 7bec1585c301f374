//! Documents, chunks and tokens per second of everything but the model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use braid_config::Settings;
use braid_core::CollectionName;
use braid_engine::source::{self, SourceOptions};
use braid_engine::{Loader, SourceStep, read_ahead};
use serde::Serialize;

use super::prose::Prose;
use super::steps::Steps;
use super::{empty, open_fresh};
use crate::load::COLLECTION;
use crate::machine::Machine;
use crate::{Cli, say};

/// Chunks of one file.
const CHUNKS_PER_FILE: usize = 10;
/// As `braid ingest` stages them.
const BATCH_DOCUMENTS: usize = 128;

#[derive(Serialize)]
struct ThroughputResult {
    machine: Machine,
    source: String,
    documents: usize,
    chunks: u64,
    tokens: usize,
    bytes: usize,
    /// Reading the files and extracting what needs it, alone.
    read_seconds: f64,
    /// Until everything is durable.
    staged_seconds: f64,
    /// Until everything is retrievable.
    seconds: f64,
    /// What each step took; several run at once.
    steps: BTreeMap<String, f64>,
}

/// What the files hold.
#[derive(Default)]
struct Files {
    documents: usize,
    tokens: usize,
    bytes: usize,
}

pub(crate) async fn measure(cli: &Cli) -> Result<()> {
    let prose = Prose::read(&cli.train)?;
    let mut settings = Settings::default();
    settings.storage.data_dir = cli.work.join("ingest-data");
    // Chunks of about 200 tokens, and no graph: that is the load's question.
    settings.chunking.target_tokens = 250;
    settings.dense.exact_threshold = usize::MAX;
    let engine = open_fresh(&settings).await?;
    let folder = cli.work.join("ingest-files");
    let counter = engine.embedder().token_counter();
    let files = write_files(&prose, &folder, cli.sizes.ingest_chunks, |text| {
        counter.count(text)
    })?;
    let read_seconds = read_alone(&folder)?;
    let steps = Steps::install()?;
    let name = CollectionName::new(COLLECTION)?;
    engine.ensure_collection(&name).await?;
    let start = Instant::now();
    let mut loader = Loader::new(engine.clone(), name.clone(), BATCH_DOCUMENTS);
    let documents = source::open(std::slice::from_ref(&folder), &SourceOptions::default())?;
    let mut ahead = read_ahead(documents);
    while let Some(step) = ahead.recv().await {
        if let SourceStep::Item(item) = step {
            let found = item.map_err(|failure| anyhow::anyhow!("{failure:?}"))?;
            loader.push(found.document).await?;
        }
    }
    loader.flush().await?;
    let staged_seconds = start.elapsed().as_secs_f64();
    let report = loader.finish().await?;
    let seconds = start.elapsed().as_secs_f64();
    anyhow::ensure!(report.failed.is_empty(), "{:?}", report.failed);
    let chunks = engine.collection_info(&name).await?.stats.chunks;
    engine.close().await;
    let result = ThroughputResult {
        machine: Machine::this(),
        source: prose.source,
        documents: files.documents,
        chunks,
        tokens: files.tokens,
        bytes: files.bytes,
        read_seconds,
        staged_seconds,
        seconds,
        steps: steps.seconds(),
    };
    say(format!(
        "{chunks} chunks of {:.0} tokens in {seconds:.2} s: {:.0}/s (staged after {staged_seconds:.2} s, read alone {read_seconds:.2} s)\n{:#?}",
        result.tokens as f64 / chunks as f64,
        chunks as f64 / seconds,
        result.steps
    ));
    cli.save("throughput", &result)
}

fn write_files(
    prose: &Prose,
    folder: &Path,
    chunks: usize,
    count: impl Fn(&str) -> usize,
) -> Result<Files> {
    empty(folder)?;
    let mut files = Files::default();
    for index in 0..chunks.div_ceil(CHUNKS_PER_FILE) {
        let text = prose.markdown(index, CHUNKS_PER_FILE);
        write(&folder.join(path_of(index)), &text)?;
        files.documents += 1;
        files.tokens += text.lines().map(&count).sum::<usize>();
        files.bytes += text.len();
    }
    Ok(files)
}

/// Files lie in folders of a hundred.
pub(super) fn path_of(index: usize) -> PathBuf {
    PathBuf::from(format!("{:03}/{index}.md", index / 100))
}

pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Reads every document and drops it.
fn read_alone(folder: &Path) -> Result<f64> {
    let start = Instant::now();
    let folder = [folder.to_owned()];
    for item in source::open(&folder, &SourceOptions::default())? {
        item.map_err(|failure| anyhow::anyhow!("{failure:?}"))?;
    }
    Ok(start.elapsed().as_secs_f64())
}
