//! `braid ingest --worker`.

use std::time::Duration;

use braid_config::{Settings, StorageProfile};
use braid_core::{Error, Result};
use braid_engine::{Engine, LoadModels, OpenOptions, Until, WorkerProgress};
use braid_runtime::telemetry;
use braid_server::{serve, serve_worker};
use serde::Serialize;
use tokio::sync::watch;

use crate::output::{self, Exit};
use crate::signals::Signals;

/// Least time between two lines.
const BETWEEN_LINES: Duration = Duration::from_secs(1);

/// What a worker has done, as one line.
#[derive(Serialize)]
struct Line {
    published: u64,
    superseded: u64,
    lost: u64,
    failed: u64,
    given_back: u64,
    chunks_embedded: u64,
    chunks_reused: u64,
    embedding_seconds: f64,
    swept: u64,
    waiting: u64,
    claimed: u64,
    dead_letters: u64,
}

impl Line {
    fn of(progress: &WorkerProgress) -> Self {
        Self {
            published: progress.published,
            superseded: progress.superseded,
            lost: progress.lost,
            failed: progress.failed,
            given_back: progress.given_back,
            chunks_embedded: progress.chunks_embedded,
            chunks_reused: progress.chunks_reused,
            embedding_seconds: progress.embedding.as_secs_f64(),
            swept: progress.swept,
            waiting: progress.depth.waiting,
            claimed: progress.depth.claimed,
            dead_letters: progress.depth.failed,
        }
    }

    fn print(&self, json: bool) {
        if json {
            return output::json_line(self);
        }
        let Self {
            published,
            failed,
            chunks_embedded,
            chunks_reused,
            waiting,
            dead_letters,
            ..
        } = self;
        output::line(format!(
            "published {published}, failed {failed}; chunks embedded {chunks_embedded}, reused {chunks_reused}; waiting {waiting}, dead letters {dead_letters}"
        ));
    }
}

/// Works until a signal comes, or until nothing waits.
pub(crate) async fn run(settings: &Settings, once: bool, json: bool) -> Result<Exit> {
    if settings.storage.profile != StorageProfile::Cluster {
        let message = "there are workers with storage.profile = cluster only";
        let help =
            "name its file with --config; in other profiles `braid ingest PATH` indexes by itself";
        return Err(Error::invalid(message).with_help(help));
    }
    let metrics = telemetry::install_metrics()?;
    let signals = Signals::watch()?;
    let listener = match settings.worker.listen {
        Some(address) => Some(serve::bind(address, settings.server.allow_unauthenticated).await?),
        None => None,
    };
    let options = OpenOptions {
        models: LoadModels::Embedder,
        ..OpenOptions::default()
    };
    let engine = Engine::open(settings, options).await?;
    tokio::spawn(telemetry::keep_upkeep(metrics.clone()));
    if let Some(listener) = listener {
        tokio::spawn(serve_worker(listener, metrics));
    }
    let done = work(&engine, signals, once, json).await;
    engine.close().await;
    done
}

async fn work(engine: &Engine, signals: Signals, once: bool, json: bool) -> Result<Exit> {
    let worker = engine.worker()?;
    let telling = tokio::spawn(tell(worker.progress(), json));
    let until = if once { Until::Idle } else { Until::Stopped };
    let working = worker.run(until);
    tokio::pin!(working);
    let (done, stop) = tokio::select! {
        done = &mut working => (done, None),
        stop = signals.stop() => {
            output::note("stopping: what is claimed is given back");
            let ((), done) = tokio::join!(engine.close(), working);
            (done, Some(stop))
        }
    };
    telling.abort();
    let progress = done?;
    Line::of(&progress).print(json);
    Ok(match stop {
        Some(stop) => Exit::Stopped(stop),
        None if progress.failed > 0 => Exit::Partly,
        None => Exit::Done,
    })
}

/// A line whenever something was done, at most one a second.
async fn tell(mut progress: watch::Receiver<WorkerProgress>, json: bool) {
    let mut told = 0;
    while progress.changed().await.is_ok() {
        let line = {
            let now = progress.borrow_and_update();
            let done = now.published + now.failed + now.superseded + now.lost;
            (done > told).then(|| (done, Line::of(&now)))
        };
        if let Some((done, line)) = line {
            told = done;
            line.print(json);
            tokio::time::sleep(BETWEEN_LINES).await;
        }
    }
}
