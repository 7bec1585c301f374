//! The storage profiles `qdrant` and `cluster` beside `embedded`: same corpus, same embeddings, same queries.
//!
//! Takes a running server, which [`Sizes`] names; its data stays its own: every measurement has a data
//! directory, and with it collections, of its own. Both sides are measured slice by slice or query by
//! query in turn, so that whatever else the machine does weighs on both.

mod ingest;
mod latency;
mod parity;
mod server;
mod servers;

use std::path::Path;

use anyhow::{Context, Result};
use braid_config::{Settings, StorageProfile};
use braid_engine::{Engine, Until};
use serde::Serialize;
use serde_json::Value;

use crate::machine::Machine;
use crate::{Cli, say};

/// Which server, and how much is asked of it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Sizes {
    /// gRPC address of a Qdrant server for the qdrant part; its REST port is the one below
    #[arg(long, env = "BRAID_TEST_QDRANT_URL")]
    qdrant_url: Option<String>,
    /// Passages of the ingest with made-up embeddings
    #[arg(long, default_value_t = 20_000)]
    qdrant_passages: usize,
    /// Passages of the ingest with the embedder
    #[arg(long, default_value_t = 2_000)]
    qdrant_embedded_passages: usize,
    /// Cores of each query server where one and two are compared; without it a quarter of the machine's, and no comparison where
    /// it has fewer than 8
    #[arg(long, value_name = "N")]
    server_cores: Option<usize>,
}

/// A part that was left out keeps what was measured before.
#[derive(Serialize)]
struct QdrantResult {
    machine: Machine,
    version: String,
    ingest: Value,
    latency: Value,
    parity: Value,
}

pub(crate) async fn measure(cli: &Cli) -> Result<()> {
    let Some(url) = &cli.qdrant.qdrant_url else {
        say(
            "skipping qdrant: --qdrant-url or BRAID_TEST_QDRANT_URL is to name the gRPC address of a server",
        );
        return Ok(());
    };
    let rest = server::rest_of(url)?;
    let before = cli.saved("qdrant")?.unwrap_or_default();
    let or_before = |part: &str, now: Value| {
        let is_empty = now.is_null() || now.as_array().is_some_and(Vec::is_empty);
        if is_empty { before[part].clone() } else { now }
    };
    let ingest = serde_json::to_value(ingest::measure(cli, url, &rest).await?)?;
    let latency = serde_json::to_value(latency::measure(cli, url, &rest).await?)?;
    let parity = serde_json::to_value(parity::measure(cli, url, &rest).await?)?;
    let result = QdrantResult {
        machine: Machine::this(),
        version: server::version(&rest)?,
        ingest: or_before("ingest", ingest),
        latency: or_before("latency", latency),
        parity: or_before("parity", parity),
    };
    cli.save("qdrant", &result)
}

/// `settings` with the vectors in the server.
fn remote(settings: &Settings, url: &str) -> Settings {
    let mut settings = settings.clone();
    settings.storage.profile = StorageProfile::Qdrant;
    url.clone_into(&mut settings.qdrant.url);
    settings
}

/// `settings` with everything in the server.
fn clustered(settings: &Settings, url: &str) -> Settings {
    let mut settings = remote(settings, url);
    settings.storage.profile = StorageProfile::Cluster;
    "braid-bench".clone_into(&mut settings.qdrant.prefix);
    settings
}

/// Indexes what is staged, where workers do that: in this process, until the engine is closed.
pub(crate) fn work(engine: &Engine) -> Result<()> {
    if engine.has_workers() {
        let worker = engine.worker()?;
        tokio::spawn(async move {
            // Whoever waits for it would never know.
            if let Err(error) = worker.run(Until::Stopped).await {
                say(format!("the worker ended: {}", error.chain()));
                std::process::exit(1);
            }
        });
    }
    Ok(())
}

/// A copy of a data directory, which gets collections of its own.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        std::fs::remove_dir_all(to)?;
    }
    copy_folder(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    let id = to.join("qdrant-id");
    if id.exists() {
        std::fs::remove_file(id)?;
    }
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
