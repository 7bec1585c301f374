//! The data directory: room on the disk, its owner, the ledger, and each collection.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use braid_config::{Settings, StorageProfile};
use braid_core::ports::WorkDepth;
use braid_core::{Embedder, Error, ErrorCode, Result, StorageUse};
use braid_engine::{DataFiles, Engine, LoadModels, OpenOptions, VectorServer, file_bytes};

use super::collection::Checks;
use super::{Finding, Report, collection};
use crate::commands::inspect::size;
use crate::signals::Signals;

/// Free bytes below which writes are about to be refused.
const LEAST_FREE: u64 = 64 << 20;
/// Free bytes below which somebody should look.
const ENOUGH_FREE: u64 = 1 << 30;

/// Parts of the ledger in use at which it is a warning, and a problem.
const NEARLY_FULL: f64 = 0.8;
const FULL: f64 = 0.95;

/// Checks everything in the data directory of `settings`, if it is there. The engine is opened
/// without indexing: what is pending stays pending.
pub(super) async fn check(
    settings: &Settings,
    embedder: Option<Arc<dyn Embedder>>,
    quick: bool,
    report: &mut Report,
) -> Result<()> {
    if settings.storage.profile == StorageProfile::Cluster {
        return cluster(settings, embedder, report).await;
    }
    let directory = settings.storage.data_dir.clone();
    report.add(disk(&directory));
    if !DataFiles::of(&directory).ledger.is_dir() {
        let message = format!("there is no data in {}", directory.display());
        let remedy = "run `braid ingest PATH` or `braid serve`, which make it, or name another with --data-dir";
        // Where none was named, there is none before the first ingestion.
        let is_named = directory != Settings::default().storage.data_dir;
        let found = if is_named {
            Finding::problem("data directory", message)
        } else {
            Finding::ok("data directory", message)
        };
        report.add(found.remedy(remedy));
        return Ok(());
    }
    let checks = Checks {
        quick,
        has_embedder: embedder.is_some(),
        map_bytes: settings.storage.map_size_gib * f64::from(1 << 30),
    };
    let options = OpenOptions {
        models: LoadModels::None,
        instead_of_models: embedder,
        ..OpenOptions::default()
    };
    let signals = Signals::watch()?;
    let engine = match Engine::open(settings, options).await {
        Ok(engine) => engine,
        Err(error) => {
            report.add(unopened(&error));
            return Ok(());
        }
    };
    let message = format!("{} opens", directory.display());
    report.add(Finding::ok("data directory", message));
    let checked = tokio::select! {
        checked = check_engine(&engine, &checks, report) => checked,
        _ = signals.stop() => Err(Error::new(ErrorCode::ShuttingDown, "stopped by a signal")),
    };
    engine.close().await;
    checked
}

fn unopened(error: &Error) -> Finding {
    if error.code() != ErrorCode::DataDirLocked {
        return Finding::error("data directory", error);
    }
    let message = format!("{}, so its content was not checked", error.message());
    let remedy = "ask its owner: `braid doctor --server URL`, or stop it first";
    Finding::warning("data directory", message).remedy(remedy)
}

/// Checks what a cluster lets be checked: the server, what waits, and each collection's heads.
async fn cluster(
    settings: &Settings,
    embedder: Option<Arc<dyn Embedder>>,
    report: &mut Report,
) -> Result<()> {
    let checks = Checks {
        quick: true,
        has_embedder: embedder.is_some(),
        map_bytes: f64::INFINITY,
    };
    let options = OpenOptions {
        models: LoadModels::None,
        instead_of_models: embedder,
        ..OpenOptions::default()
    };
    let signals = Signals::watch()?;
    let engine = match Engine::open(settings, options).await {
        Ok(engine) => engine,
        Err(error) => {
            report.add(Finding::error("cluster", &error));
            return Ok(());
        }
    };
    let checked = tokio::select! {
        checked = check_cluster(&engine, &checks, report) => checked,
        _ = signals.stop() => Ok(()),
    };
    engine.close().await;
    checked
}

async fn check_cluster(engine: &Engine, checks: &Checks, report: &mut Report) -> Result<()> {
    report.add(match engine.work_depth().await {
        Ok(depth) => waiting(depth.unwrap_or_default()),
        Err(error) => Finding::error("queue", &error),
    });
    let unchecked = "indexes and boilerplate are not checked: the chunks in Qdrant are the index";
    report.add(Finding::ok("indexes", unchecked));
    check_collections(engine, checks, report).await
}

/// What waits for workers.
fn waiting(depth: WorkDepth) -> Finding {
    let WorkDepth {
        waiting,
        claimed,
        failed,
    } = depth;
    let message =
        format!("{waiting} documents wait, {claimed} of them are claimed; {failed} dead letters");
    match waiting > 0 && claimed == 0 {
        true => Finding::warning("queue", message)
            .remedy("run a worker if none runs: `braid ingest --worker`"),
        false => Finding::ok("queue", message),
    }
}

async fn check_engine(engine: &Engine, checks: &Checks, report: &mut Report) -> Result<()> {
    report.add(match engine.storage_use().await {
        Ok(in_use) => ledger(in_use),
        Err(error) => Finding::error("ledger", &error),
    });
    check_collections(engine, checks, report).await
}

async fn check_collections(engine: &Engine, checks: &Checks, report: &mut Report) -> Result<()> {
    if let Some(server) = engine.vector_server().await {
        report.add(vector_server(&server));
    }
    match engine.collections().await {
        Ok(infos) if infos.is_empty() => {
            report.add(Finding::ok("collections", "there are none"));
        }
        Ok(infos) => {
            for info in infos {
                collection::check(engine, &info, checks, report).await;
            }
        }
        Err(error) => report.add(Finding::error("collections", &error)),
    }
    Ok(())
}

/// The server that has the vectors.
fn vector_server(server: &VectorServer) -> Finding {
    match &server.version {
        Ok(version) => Finding::ok("qdrant", format!("{} runs Qdrant {version}", server.url)),
        Err(error) => Finding::error("qdrant", error),
    }
}

/// How full the ledger is.
pub(super) fn ledger(in_use: StorageUse) -> Finding {
    let (used, limit) = (in_use.used_bytes, in_use.limit_bytes);
    let part = used as f64 / limit.max(1) as f64;
    let message = format!("{} of {} in use", size(used), size(limit));
    let remedy = "raise storage.map_size_gib and restart; when it is full, writes are refused";
    if part >= FULL {
        Finding::problem("ledger", message).remedy(remedy)
    } else if part >= NEARLY_FULL {
        Finding::warning("ledger", message).remedy(remedy)
    } else {
        Finding::ok("ledger", message)
    }
}

fn disk(directory: &Path) -> Finding {
    let place = existing(directory);
    match fs4::available_space(&place) {
        Ok(free) => {
            let files = DataFiles::of(directory);
            let (ledger, indexes) = (file_bytes(&files.ledger), file_bytes(&files.indexes));
            judge_disk(free, ledger, indexes)
        }
        Err(error) => {
            let message = format!(
                "cannot see how much of {} is free: {error}",
                place.display()
            );
            Finding::warning("disk", message)
        }
    }
}

/// The directory, or the nearest one above that exists.
fn existing(directory: &Path) -> PathBuf {
    let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    let found = absolute.ancestors().find(|path| path.is_dir());
    found.unwrap_or(Path::new("/")).to_owned()
}

fn judge_disk(free: u64, ledger: u64, indexes: u64) -> Finding {
    let message = format!(
        "{} free; the ledger takes {}, indexes take {}",
        size(free),
        size(ledger),
        size(indexes)
    );
    if free < LEAST_FREE {
        let remedy = "free space now: on a full disk writes are refused";
        Finding::problem("disk", message).remedy(remedy)
    } else if free < ENOUGH_FREE.max(indexes) {
        let remedy = "free space: a rebuild needs as much again as the indexes take";
        Finding::warning("disk", message).remedy(remedy)
    } else {
        Finding::ok("disk", message)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn a_disk_is_full_before_it_is() {
        let level = |free, indexes| judge_disk(free, 0, indexes).level;
        assert_eq!(level(10 << 20, 0), Level::Problem);
        assert_eq!(level(500 << 20, 0), Level::Warning);
        assert_eq!(level(2 << 30, 0), Level::Ok);
        assert_eq!(level(2 << 30, 3 << 30), Level::Warning);
        assert!(judge_disk(0, 0, 0).remedy.is_some());
    }

    #[test]
    fn a_ledger_is_full_before_it_is() {
        let level = |used_bytes| {
            let in_use = StorageUse {
                used_bytes,
                limit_bytes: 100,
            };
            ledger(in_use).level
        };
        assert_eq!(
            [79, 80, 94].map(level),
            [Level::Ok, Level::Warning, Level::Warning]
        );
        assert_eq!([95, 200].map(level), [Level::Problem; 2]);
    }

    #[test]
    fn a_directory_that_is_not_there_is_on_the_disk_above() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        assert_eq!(existing(&root.join("a/b")), root);
        assert!(disk(&root.join("a/b")).message.contains("free"));
    }
}
