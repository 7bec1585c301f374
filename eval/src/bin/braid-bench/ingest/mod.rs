//! Ingestion without the model: throughput step by step, re-runs, and memory.
//!
//! The embedder is replaced by [`stub::Instant`], so that everything else is what is measured. What
//! a load costs beside the model is the `load` part's question.

pub(crate) mod capacity;
pub(crate) mod memory;
mod prose;
pub(crate) mod rerun;
mod steps;
mod stores;
mod stub;
pub(crate) mod throughput;
mod zipf;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use braid_config::Settings;
use braid_core::Embedder;
use braid_engine::{Engine, OpenOptions, model_store};

use crate::Cli;

/// How much is ingested.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Sizes {
    /// Chunks of the throughput measurement
    #[arg(long, default_value_t = 20_000)]
    ingest_chunks: usize,
    /// Documents of the unchanged re-run
    #[arg(long, default_value_t = 10_000)]
    rerun_documents: usize,
    /// Chunks of the memory measurement without the model
    #[arg(long, default_value_t = 200_000)]
    memory_chunks: usize,
    /// Chunks of the memory measurement with it
    #[arg(long, default_value_t = 5_000)]
    memory_embedded_chunks: usize,
    /// Sizes of the capacity measurement, in chunks; others that the file has from this machine stay. Without any the
    /// models alone are measured
    #[arg(long, num_args = 0.., value_delimiter = ',', default_value = "10000,100000,1000000")]
    capacity_chunks: Vec<u64>,
    /// Where the capacity measurement is written
    #[arg(long, default_value = "eval/capacity/measured.json")]
    capacity_out: PathBuf,
    /// A Qdrant server to start for the capacity of profiles qdrant and cluster
    #[arg(long, value_name = "FILE")]
    qdrant_bin: Option<PathBuf>,
    /// Sizes of its capacity measurement, in chunks; others that the file has stay too
    #[arg(long, num_args = 0.., value_delimiter = ',', default_value = "10000,100000,1000000")]
    store_chunks: Vec<u64>,
    /// Profiles of its capacity measurement
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "qdrant,cluster"
    )]
    store_profiles: Vec<stores::StoreProfile>,
    /// The profile of a measured process
    #[arg(long, value_enum, hide = true)]
    store_profile: Option<stores::StoreProfile>,
    /// Its server
    #[arg(long, hide = true)]
    store_url: Option<String>,
    /// The server's process
    #[arg(long, hide = true)]
    store_pid: Option<u32>,
}

/// Everything but the load.
pub(crate) async fn measure(cli: &Cli) -> Result<()> {
    throughput::measure(cli).await?;
    rerun::measure(cli).await?;
    memory::measure(cli)
}

/// The embedder of `settings` with its tokenizer and its name, but without its work.
pub(crate) fn instant(settings: &Settings) -> Result<Arc<dyn Embedder>> {
    let store = model_store(settings);
    let options = braid_engine::model_files::EmbedderOptions::default();
    let real = store.load_embedder(&settings.models.embedder, &options)?;
    Ok(Arc::new(stub::Instant::of(&*real)))
}

/// An engine on an empty directory with that embedder.
async fn open_fresh(settings: &Settings) -> Result<Engine> {
    empty(&settings.storage.data_dir)?;
    Ok(Engine::open(settings, without_work(settings)?).await?)
}

fn without_work(settings: &Settings) -> Result<OpenOptions> {
    Ok(OpenOptions {
        instead_of_models: Some(instant(settings)?),
        ..OpenOptions::default()
    })
}

fn empty(directory: &Path) -> Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}
