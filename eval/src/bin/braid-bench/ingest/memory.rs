//! Peak anonymous memory of ingesting, and whether it grows with the corpus.
//!
//! Measured in processes of their own, so that what was measured before does not count: one with a
//! model that costs nothing, for the size, and `braid ingest` itself, for everything.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use braid_config::Settings;
use braid_core::{
    ChunkingStrategy, CollectionName, CollectionSettings, DocumentId, Format, Metadata, NewDocument,
};
use braid_engine::Loader;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::prose::{Prose, WORDS_PER_CHUNK};
use super::{empty, open_fresh};
use crate::load::COLLECTION;
use crate::machine::{Machine, field};
use crate::{Cli, say};

/// Shares of the corpus after which the peak is noted.
const MARKS: [f64; 3] = [0.25, 0.5, 1.0];
/// Time between two looks at the memory.
const LOOK: Duration = Duration::from_millis(20);
/// As `braid ingest` stages them.
const BATCH_DOCUMENTS: usize = 128;

#[derive(Serialize)]
struct MemoryResult {
    machine: Machine,
    /// Without the model's work, by size.
    marks: Vec<Mark>,
    /// Of `braid ingest` with the model.
    command: Mark,
}

/// The most memory until so many chunks were retrievable.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Mark {
    chunks: usize,
    /// Since the mark before.
    peak_mib: f64,
    seconds: f64,
}

pub(crate) fn measure(cli: &Cli) -> Result<()> {
    let marks = run_child(cli)?;
    let command = run_command(cli)?;
    for mark in marks.iter().chain([&command]) {
        say(format!("{mark:?}"));
    }
    let machine = Machine::this();
    cli.save(
        "memory",
        &MemoryResult {
            machine,
            marks,
            command,
        },
    )
}

/// This program again, as the part `memory-child`.
fn run_child(cli: &Cli) -> Result<Vec<Mark>> {
    let output = Command::new(std::env::current_exe()?)
        .arg("memory-child")
        .arg("--train")
        .arg(&cli.train)
        .arg("--work")
        .arg(&cli.work)
        .args(["--memory-chunks", &cli.sizes.memory_chunks.to_string()])
        .stderr(Stdio::inherit())
        .output()?;
    anyhow::ensure!(output.status.success(), "the measured process failed");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Ingests and prints the marks.
#[expect(clippy::print_stdout, reason = "its parent reads it")]
pub(crate) async fn run(cli: &Cli) -> Result<()> {
    let prose = Prose::read(&cli.train)?;
    let mut settings = Settings::default();
    settings.storage.data_dir = cli.work.join("memory-data");
    let engine = open_fresh(&settings).await?;
    let name = CollectionName::new(COLLECTION)?;
    let mut whole: CollectionSettings = engine.default_collection_settings();
    whole.chunking.strategy = ChunkingStrategy::Whole;
    engine.create_collection(name.clone(), whole, None).await?;
    let watch = Watch::begin(std::process::id());
    let (mut marks, mut index) = (Vec::new(), 0);
    let start = std::time::Instant::now();
    for share in MARKS {
        let until = (cli.sizes.memory_chunks as f64 * share) as usize;
        let mut loader = Loader::new(engine.clone(), name.clone(), BATCH_DOCUMENTS);
        while index < until {
            loader.push(document(&prose, index)?).await?;
            index += 1;
        }
        loader.finish().await?;
        marks.push(Mark {
            chunks: until,
            peak_mib: watch.take_mib(),
            seconds: start.elapsed().as_secs_f64(),
        });
        say(format!("{:?}", marks.last()));
    }
    engine.close().await;
    println!("{}", serde_json::to_string(&marks)?);
    Ok(())
}

fn document(prose: &Prose, index: usize) -> Result<NewDocument> {
    Ok(NewDocument {
        origin: None,
        id: DocumentId::new(format!("document/{index}"))?,
        text: prose.text(index, WORDS_PER_CHUNK),
        title: None,
        uri: None,
        format: Format::Text,
        metadata: Metadata::default(),
    })
}

/// `braid ingest` of a file of documents of one chunk.
fn run_command(cli: &Cli) -> Result<Mark> {
    let prose = Prose::read(&cli.train)?;
    let (file, directory) = (cli.work.join("memory.jsonl"), cli.work.join("command-data"));
    let chunks = cli.sizes.memory_embedded_chunks;
    let lines = (0..chunks).map(|index| {
        let text = prose.text(index, WORDS_PER_CHUNK);
        json!({"id": format!("document/{index}"), "text": text}).to_string()
    });
    std::fs::write(&file, lines.collect::<Vec<_>>().join("\n"))?;
    empty(&directory)?;
    let start = std::time::Instant::now();
    let child = ingest_command(&cli.braid, &file, &directory).spawn();
    let mut child = child.with_context(|| format!("cannot start {}", cli.braid.display()))?;
    let watch = Watch::begin(child.id());
    let status = child.wait()?;
    anyhow::ensure!(status.success(), "braid ingest failed");
    Ok(Mark {
        chunks,
        peak_mib: watch.take_mib(),
        seconds: start.elapsed().as_secs_f64(),
    })
}

fn ingest_command(braid: &Path, file: &Path, directory: &Path) -> Command {
    let mut command = Command::new(braid);
    command.arg("ingest").arg(file).arg("--data-dir");
    command.arg(directory).stdout(Stdio::null());
    command
}

/// Looks at a process's anonymous memory until it is dropped.
pub(super) struct Watch {
    peak_kib: Arc<AtomicU64>,
    done: Arc<AtomicBool>,
}

impl Watch {
    pub(super) fn begin(pid: u32) -> Self {
        let (peak_kib, done) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let watch = Self {
            peak_kib: Arc::clone(&peak_kib),
            done: Arc::clone(&done),
        };
        let path = format!("/proc/{pid}/status");
        std::thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                // A process that has ended has no memory to tell of.
                let found = field(&path, "RssAnon");
                let kib = found.and_then(|text| text.split(' ').next()?.parse().ok());
                peak_kib.fetch_max(kib.unwrap_or(0), Ordering::Relaxed);
                std::thread::sleep(LOOK);
            }
        });
        watch
    }

    /// The peak so far; begins anew.
    pub(super) fn take_mib(&self) -> f64 {
        self.peak_kib.swap(0, Ordering::Relaxed) as f64 / 1024.0
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
    }
}
