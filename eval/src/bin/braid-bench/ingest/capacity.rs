//! What so many chunks take: bytes of each component, memory, and CPU time, for `eval/capacity/measured.json`.
//!
//! Each size is loaded and asked in a process of its own, with made-up text and vectors; what the models
//! take is measured apart, once.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};
use braid_config::Settings;
use braid_core::{
    ChunkingStrategy, CollectionName, DocumentId, Format, Metadata, NewDocument, TokenCounter,
};
use braid_engine::query::{Mode, RetrieveRequest};
use braid_engine::{Engine, Loader, OpenOptions, file_bytes, model_store, retrieve_defaults};
use braid_eval::capacity::{
    Machine, Measured, MeasuredModels, MeasuredSize, MeasuredStore, Profile,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::memory::Watch;
use super::zipf::Words;
use super::{open_fresh, stores, without_work};
use crate::load::COLLECTION;
use crate::machine;
use crate::qdrant::work;
use crate::{Cli, say};

/// Words of a chunk: some 900 bytes.
const WORDS: usize = 145;
/// As `braid ingest` stages them.
const BATCH_DOCUMENTS: usize = 128;
/// Queries of each kind, after those that are not counted.
const QUERIES: u64 = 400;
const WARM_UP: u64 = 50;
/// Tokens of the chunks that the models are given, and how many of them.
const TOKENS: usize = 180;
const EMBEDDED: usize = 128;
const RERANKED: usize = 30;

const SOURCE: &str = "braid-bench capacity: 40,000 words by Zipf's law, vectors around 256 directions, both seeded; chunks \
                      of 145 words; queries of 6 words, no caches; CPU is that of the whole process";

pub(crate) async fn measure(cli: &Cli) -> Result<()> {
    let mut measured = Measured {
        models: models(cli).await?,
        ..before(cli)?
    };
    write(cli, &mut measured)?;
    for chunks in &cli.sizes.capacity_chunks {
        let size = measure_size(cli, *chunks)?;
        say(format!("{size:#?}"));
        measured.sizes.retain(|old| old.chunks != size.chunks);
        measured.sizes.push(size);
        write(cli, &mut measured)?;
    }
    stores::measure(cli, |store| {
        let is_other =
            |old: &MeasuredStore| (old.profile, old.chunks) != (store.profile, store.chunks);
        measured.stores.retain(is_other);
        measured.stores.push(store);
        write(cli, &mut measured)
    })
}

/// What stays unless it is measured again: everything in the file, if it was written by this machine with
/// the same source.
fn before(cli: &Cli) -> Result<Measured> {
    let machine = machine::Machine::this();
    let this = Measured {
        machine: Some(Machine {
            cpu: machine.cpu,
            cores: machine.cores,
            memory_gib: machine.memory_gib,
            kernel: machine.kernel,
        }),
        source: Some(SOURCE.to_owned()),
        dimension: super::instant(&Settings::default())?.dimension(),
        ..Measured::default()
    };
    let path = &cli.sizes.capacity_out;
    if !path.exists() {
        return Ok(this);
    }
    let before: Measured = serde_json::from_str(&std::fs::read_to_string(path)?)
        .with_context(|| format!("{} is not what this program writes", path.display()))?;
    let kind = |machine: &Option<Machine>| machine.as_ref().map(|it| (it.cpu.clone(), it.cores));
    let is_same = kind(&before.machine) == kind(&this.machine)
        && before.source == this.source
        && before.dimension == this.dimension;
    if !is_same {
        say("the file is of another machine or source: nothing of it is kept");
    }
    Ok(if is_same { before } else { this })
}

/// After every size: the largest take hours.
fn write(cli: &Cli, measured: &mut Measured) -> Result<()> {
    measured.sizes.sort_by_key(|size| size.chunks);
    let order = |store: &MeasuredStore| (store.profile == Profile::Cluster, store.chunks);
    measured.stores.sort_by_key(order);
    let path = &cli.sizes.capacity_out;
    std::fs::write(path, serde_json::to_string_pretty(measured)? + "\n")
        .with_context(|| format!("cannot write {}", path.display()))
}

/// This program again: once to load, once to be asked, so that neither has the other's memory.
fn measure_size(cli: &Cli, chunks: u64) -> Result<MeasuredSize> {
    let loaded: Loaded = run_child(cli, "capacity-load", chunks, &[])?;
    let asked: Asked = run_child(cli, "capacity-ask", chunks, &[])?;
    let directory = data_dir(cli);
    Ok(MeasuredSize {
        chunks: loaded.chunks,
        text_bytes: loaded.text_bytes,
        ledger_bytes: file_bytes(&directory.join("ledger")),
        lexical_bytes: index_bytes(&directory, "lexical")?,
        vector_bytes: index_bytes(&directory, "vector")?,
        ingest_memory_bytes: bytes(loaded.peak_mib),
        serving_memory_bytes: bytes(asked.peak_mib),
        ingest_seconds: loaded.seconds,
        ingest_cpu_seconds: loaded.cpu_seconds,
        hybrid_cpu_ms: asked.hybrid_cpu_ms,
        lexical_cpu_ms: asked.lexical_cpu_ms,
        dense_cpu_ms: asked.dense_cpu_ms,
    })
}

pub(super) fn run_child<T: DeserializeOwned>(
    cli: &Cli,
    part: &str,
    chunks: u64,
    more: &[String],
) -> Result<T> {
    let output = Command::new(std::env::current_exe()?)
        .arg(part)
        .arg("--work")
        .arg(&cli.work)
        .args(["--capacity-chunks", &chunks.to_string()])
        .args(more)
        .stderr(Stdio::inherit())
        .output()?;
    anyhow::ensure!(output.status.success(), "the measured process failed");
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn data_dir(cli: &Cli) -> PathBuf {
    cli.work.join("capacity-data")
}

fn settings(cli: &Cli) -> Settings {
    let mut settings = Settings::default();
    settings.storage.data_dir = data_dir(cli);
    settings.cache.answers_mib = 0;
    settings.cache.query_embeddings = 0;
    settings.cache.pages_mib = 0;
    if let (Some(profile), Some(url)) = (cli.sizes.store_profile, &cli.sizes.store_url) {
        settings.storage.profile = profile.configured();
        settings.qdrant.url.clone_from(url);
    }
    settings
}

/// What loading took.
#[derive(Serialize, Deserialize)]
pub(super) struct Loaded {
    pub(super) chunks: u64,
    text_bytes: u64,
    peak_mib: f64,
    seconds: f64,
    pub(super) cpu_seconds: f64,
}

/// What being asked took.
#[derive(Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) peak_mib: f64,
    pub(super) hybrid_cpu_ms: f64,
    lexical_cpu_ms: f64,
    dense_cpu_ms: f64,
    /// CPU of the server for a query with both legs, where there is one.
    pub(super) server_cpu_ms: Option<f64>,
}

/// Loads the first size and prints what it took.
pub(crate) async fn run_load(cli: &Cli) -> Result<()> {
    let chunks = *cli.sizes.capacity_chunks.first().context("no size")?;
    let watch = Watch::begin(std::process::id());
    let (start, cpu) = (Instant::now(), cpu_seconds(None)?);
    let (chunks, text_bytes) = load(&settings(cli), chunks).await?;
    print(&Loaded {
        chunks,
        text_bytes,
        peak_mib: watch.take_mib(),
        seconds: start.elapsed().as_secs_f64(),
        cpu_seconds: cpu_seconds(None)? - cpu,
    })
}

/// Asks what was loaded and prints what it took.
pub(crate) async fn run_ask(cli: &Cli) -> Result<()> {
    let settings = settings(cli);
    let watch = Watch::begin(std::process::id());
    let engine = Engine::open(&settings, without_work(&settings)?).await?;
    let server = cli.sizes.store_pid;
    let (hybrid_cpu_ms, server_cpu_ms) = ask(&engine, &settings, Mode::Hybrid, server).await?;
    let asked = Asked {
        hybrid_cpu_ms,
        lexical_cpu_ms: ask(&engine, &settings, Mode::Lexical, None).await?.0,
        dense_cpu_ms: ask(&engine, &settings, Mode::Dense, None).await?.0,
        server_cpu_ms,
        peak_mib: watch.take_mib(),
    };
    engine.close().await;
    print(&asked)
}

#[expect(clippy::print_stdout, reason = "its parent reads it")]
fn print(value: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(value)?);
    Ok(())
}

pub(super) fn bytes(mib: f64) -> u64 {
    (mib * 1024.0 * 1024.0) as u64
}

/// The words of the configured embedder.
fn words(settings: &Settings) -> Result<Words> {
    let store = model_store(settings);
    let models = store.list();
    let mut models = models.iter();
    let model = models.find(|model| model.name == settings.models.embedder);
    Words::of(&model.context("the embedder is not there")?.path)
}

/// Ingests `documents` documents, each of one chunk unless it is a very long one, into an empty directory;
/// how many chunks that were, and the bytes of their texts.
async fn load(settings: &Settings, documents: u64) -> Result<(u64, u64)> {
    let words = words(settings)?;
    let engine = open_fresh(settings).await?;
    let name = CollectionName::new(COLLECTION)?;
    let mut whole = engine.default_collection_settings();
    whole.chunking.strategy = ChunkingStrategy::Whole;
    engine.create_collection(name.clone(), whole, None).await?;
    work(&engine)?;
    let mut loader = Loader::new(engine.clone(), name.clone(), BATCH_DOCUMENTS);
    let mut text_bytes = 0;
    for index in 0..documents {
        let document = document(index, words.text(index, WORDS))?;
        text_bytes += document.text.len() as u64;
        loader.push(document).await?;
    }
    let report = loader.finish().await?;
    anyhow::ensure!(report.failed.is_empty(), "{:?}", report.failed);
    let chunks = engine.collection_info(&name).await?.stats.chunks;
    engine.close().await;
    Ok((chunks, text_bytes))
}

fn document(index: u64, text: String) -> Result<NewDocument> {
    Ok(NewDocument {
        origin: None,
        id: DocumentId::new(format!("document/{index}"))?,
        text,
        title: None,
        uri: None,
        format: Format::Text,
        metadata: Metadata::default(),
    })
}

/// CPU milliseconds of a query without re-ranking, here and in the process `server`.
async fn ask(
    engine: &Engine,
    settings: &Settings,
    mode: Mode,
    server: Option<u32>,
) -> Result<(f64, Option<f64>)> {
    let defaults = RetrieveRequest {
        collection: CollectionName::new(COLLECTION)?,
        mode,
        ..retrieve_defaults(settings)?
    };
    let words = words(settings)?;
    let spent = || -> Result<(f64, Option<f64>)> {
        let there = server.map(|pid| cpu_seconds(Some(pid))).transpose()?;
        Ok((cpu_seconds(None)?, there))
    };
    let mut started = spent()?;
    for index in 0..WARM_UP + QUERIES {
        if index == WARM_UP {
            started = spent()?;
        }
        let mut request = RetrieveRequest {
            query: words.query(index),
            ..defaults.clone()
        };
        request.rerank.enabled = false;
        let answer = engine.retrieve(request).await?;
        anyhow::ensure!(answer.degraded.is_empty(), "{:?}", answer.degraded);
    }
    let (here, there) = spent()?;
    let each = |seconds: f64| seconds * 1000.0 / QUERIES as f64;
    let there = there.zip(started.1).map(|(end, start)| each(end - start));
    Ok((each(here - started.0), there))
}

/// Bytes of one leg's index.
fn index_bytes(directory: &Path, leg: &str) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory.join("indexes"))? {
        bytes += file_bytes(&entry?.path().join(leg));
    }
    Ok(bytes)
}

/// CPU seconds of a process so far, by all its threads, to a hundredth; of this one for `None`.
pub(super) fn cpu_seconds(process: Option<u32>) -> Result<f64> {
    /// Of the clock that `/proc` counts in, on every architecture that Linux runs Braid on.
    const TICKS: f64 = 100.0;
    let process = process.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name, in parentheses, may have spaces.
    let (_, fields) = stat
        .rsplit_once(')')
        .context("/proc/PID/stat has no name")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |at: usize| -> Result<f64> {
        Ok(fields.get(at).context("/proc/PID/stat is short")?.parse()?)
    };
    Ok((ticks(11)? + ticks(12)?) / TICKS)
}

/// What the bundled models take.
async fn models(cli: &Cli) -> Result<MeasuredModels> {
    let mut settings = cli.settings();
    settings.storage.data_dir = cli.work.join("capacity-models-data");
    super::empty(&settings.storage.data_dir)?;
    let engine = Engine::open(&settings, OpenOptions::default()).await?;
    let embedder = engine.embedder();
    let counter = embedder.token_counter();
    let words = words(&settings)?;
    let texts: Vec<String> = (0..EMBEDDED as u64)
        .map(|index| cut(&words.text(index, WORDS), &*counter))
        .collect();
    embedder.embed_passages(texts[..16].to_vec()).await?;
    let start = cpu_seconds(None)?;
    embedder.embed_passages(texts.clone()).await?;
    let embed_chunk = (cpu_seconds(None)? - start) * 1000.0 / EMBEDDED as f64;
    let start = cpu_seconds(None)?;
    for index in 0..100 {
        embedder.embed_query(&words.query(index)).await?;
    }
    let embed_query = (cpu_seconds(None)? - start) * 1000.0 / 100.0;
    let mut rerank = None;
    if let Some(reranker) = engine.reranker() {
        let start = cpu_seconds(None)?;
        for index in 0..10 {
            reranker
                .score(&words.query(index), &texts[..RERANKED])
                .await?;
        }
        rerank = Some((cpu_seconds(None)? - start) * 1000.0 / 10.0);
    }
    engine.close().await;
    Ok(MeasuredModels {
        embed_chunk_cpu_ms: Some(embed_chunk),
        embed_query_cpu_ms: Some(embed_query),
        rerank_cpu_ms: rerank,
    })
}

/// The first [`TOKENS`] tokens of a text.
fn cut(text: &str, counter: &dyn TokenCounter) -> String {
    let mut kept = String::new();
    let mut left = TOKENS;
    for word in text.split(' ') {
        let tokens = counter.count(word);
        if tokens > left {
            break;
        }
        left -= tokens;
        kept.push_str(word);
        kept.push(' ');
    }
    kept
}
