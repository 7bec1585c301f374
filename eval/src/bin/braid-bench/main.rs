//! `make bench`: measures what docs/benchmarks.md states, and writes it there.
//!
//! Each part writes one JSON file into `target/bench`; `report` renders all of them, so that parts
//! can be measured apart. Data comes from `BRAID_DATA_DIR` (BEIR folders) and `BRAID_TRAIN_DIR`
//! (passages); without the latter a seeded generator makes the passages.

mod calibration;
mod context;
mod gain;
mod http;
mod ingest;
mod latency;
mod load;
mod machine;
mod passages;
mod process;
mod qdrant;
mod quality;
mod report;
mod rerank;

use std::path::PathBuf;

use anyhow::{Context, Result};
use braid_config::Settings;
use clap::{Parser, ValueEnum};

/// Measures Braid and writes docs/benchmarks.md.
#[derive(Debug, Parser)]
struct Cli {
    /// What to measure
    #[arg(
        value_delimiter = ',',
        default_value = "quality,gain,rerank,ingest,load,latency,http,startup,report"
    )]
    parts: Vec<Part>,
    /// BEIR folders
    #[arg(long, env = "BRAID_DATA_DIR", default_value = "../shared/data")]
    data: PathBuf,
    /// Folder of NAME.passages.jsonl files
    #[arg(long, env = "BRAID_TRAIN_DIR", default_value = "../shared/train")]
    train: PathBuf,
    /// Folder of the frozen hybrid runs
    #[arg(long, default_value = "eval/runs")]
    runs: PathBuf,
    /// Where intermediate files are kept
    #[arg(long, default_value = "target/bench")]
    work: PathBuf,
    /// Passages in the load and latency measurements: those longer than the model's window are cut, so
    /// that 38,000 make some 50,000 chunks
    #[arg(long, default_value_t = 38_000)]
    passages: usize,
    #[command(flatten)]
    sizes: ingest::Sizes,
    #[command(flatten)]
    qdrant: qdrant::Sizes,
    /// Re-rank only sets of at most so many topics: each topic takes a fraction of a second, twice
    #[arg(long, default_value_t = usize::MAX)]
    rerank_topics: usize,
    /// As --rerank-topics, for the served defaults alone
    #[arg(long, default_value_t = usize::MAX)]
    served_rerank_topics: usize,
    /// Topics of each set that calibration takes
    #[arg(long, default_value_t = 300)]
    calibration_topics: usize,
    /// Topics that the context part asks
    #[arg(long, default_value_t = usize::MAX)]
    context_topics: usize,
    /// Cut each passage of the load after so many words
    #[arg(long, default_value_t = usize::MAX)]
    words: usize,
    /// The server binary that the http and startup parts start
    #[arg(long, default_value = "target/release/braid")]
    braid: PathBuf,
    /// The re-ranker that is measured, by name or folder; that of the defaults where not given
    #[arg(long)]
    model: Option<String>,
    /// The same re-ranker in fp32, a folder: `gain` then also states what quantization costs
    #[arg(long, value_name = "DIR")]
    in_full: Option<PathBuf>,
    /// What is written
    #[arg(long, default_value = "docs/benchmarks.md")]
    out: PathBuf,
    /// The re-ranker's card: what stands between its `measured` marks is written too
    #[arg(long, default_value = "models/braid-rerank-mini-en/README.md")]
    card: PathBuf,
}

/// A part of the measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// nDCG and other metrics on BEIR folders
    Quality,
    /// What re-ranking gains over the frozen hybrid runs
    Gain,
    /// Time of the re-ranker for windows of pairs
    Rerank,
    /// Throughput without the model, re-runs and memory: all three of the next
    Ingest,
    /// Documents, chunks and tokens per second of each step but the model
    Throughput,
    /// A second run over unchanged documents
    Rerun,
    /// Anonymous memory while ingesting
    Memory,
    /// The process that `memory` measures
    #[value(hide = true)]
    MemoryChild,
    /// Bytes, memory and CPU time of several sizes, for `braid plan`: hours at the largest
    Capacity,
    /// The process that loads for `capacity`
    #[value(hide = true)]
    CapacityLoad,
    /// The process that is asked for it
    #[value(hide = true)]
    CapacityAsk,
    /// Documents per second against the embedder alone, with the vectors' graph and without
    Load,
    /// Latency in process (needs `load`)
    Latency,
    /// Requests per second over HTTP (needs `load`)
    Http,
    /// Start-up time and memory (needs `load`)
    Startup,
    /// How true the re-ranker's relevance is, and the parameters for its manifest
    Calibration,
    /// How often answers stand in contexts of several sizes
    Context,
    /// Latency, ingest and parity of the profile qdrant against a running server (its latency needs `load`)
    Qdrant,
    /// Write the page from what was measured
    Report,
}

// As the `braid` binary, whose memory and times are measured here in process.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> Result<()> {
    let cli = Cli::parse();
    std::fs::create_dir_all(&cli.work)
        .with_context(|| format!("cannot make {}", cli.work.display()))?;
    for part in &cli.parts {
        match part {
            Part::Quality => quality::measure(&cli).await?,
            Part::Gain => gain::measure(&cli).await?,
            Part::Rerank => rerank::measure(&cli).await?,
            Part::Ingest => ingest::measure(&cli).await?,
            Part::Throughput => ingest::throughput::measure(&cli).await?,
            Part::Rerun => ingest::rerun::measure(&cli).await?,
            Part::Memory => ingest::memory::measure(&cli)?,
            Part::MemoryChild => ingest::memory::run(&cli).await?,
            Part::Capacity => ingest::capacity::measure(&cli).await?,
            Part::CapacityLoad => ingest::capacity::run_load(&cli).await?,
            Part::CapacityAsk => ingest::capacity::run_ask(&cli).await?,
            Part::Load => load::measure(&cli).await?,
            Part::Latency => latency::measure(&cli).await?,
            Part::Http => http::measure(&cli).await?,
            Part::Startup => process::measure(&cli)?,
            Part::Calibration => calibration::measure(&cli).await?,
            Part::Context => context::measure(&cli).await?,
            Part::Qdrant => qdrant::measure(&cli).await?,
            Part::Report => report::write(&cli)?,
        }
    }
    Ok(())
}

impl Cli {
    /// The defaults, with the re-ranker that was asked for.
    fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        if let Some(model) = &self.model {
            settings.models.reranker.clone_from(model);
        }
        settings
    }

    /// The data directory that `load` fills and the other parts read.
    fn data_dir(&self) -> PathBuf {
        self.work.join("data")
    }

    /// Writes one part's result.
    fn save(&self, name: &str, value: &impl serde::Serialize) -> Result<()> {
        let path = self.work.join(format!("{name}.json"));
        let text = serde_json::to_string_pretty(value)?;
        std::fs::write(&path, text + "\n")
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// One part's result, if it was measured.
    fn saved(&self, name: &str) -> Result<Option<serde_json::Value>> {
        let path = self.work.join(format!("{name}.json"));
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(serde_json::from_str(&text)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }
}

/// A line on standard error.
#[expect(clippy::print_stderr, reason = "a measuring tool reports to its user")]
fn say(text: impl AsRef<str>) {
    eprintln!("{}", text.as_ref());
}
