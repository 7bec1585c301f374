//! Workers are killed as the system kills them, wherever they are.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use braid_config::Settings;
use braid_engine::Until;
use braid_qdrant_double::poll;
use braid_testkit::HashEmbedder;

use crate::stories::{check_documents, wait_drained};
use crate::world::{DIMENSION, World, document, ingest, name, open};

/// What the process for [`a_worker`] is told: the server, and the prefix.
const SERVER: &str = "BRAID_TEST_WORKER_SERVER";
const PREFIX: &str = "BRAID_TEST_WORKER_PREFIX";

const DOCUMENTS: usize = 400;
const KILLS: usize = 6;

/// In a process that [`workers_killed_at_any_moment_lose_nothing`] starts and kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker() {
    let (Ok(url), Ok(prefix)) = (std::env::var(SERVER), std::env::var(PREFIX)) else {
        return;
    };
    let mut settings = World::at(url).settings();
    settings.qdrant.prefix = prefix;
    let engine = open(&hasty(settings), Arc::new(HashEmbedder::new(DIMENSION))).await;
    engine.worker().unwrap().run(Until::Stopped).await.unwrap();
}

/// Small steps, so that there are many moments, and leases that end soon.
fn hasty(mut settings: Settings) -> Settings {
    settings.worker.documents = 8;
    settings.worker.batch_chunks = 4;
    settings.worker.lease_seconds = 2;
    settings
}

/// A worker, which is killed when this is dropped.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(settings: &Settings) -> Worker {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["processes::a_worker", "--exact"])
        .env(SERVER, &settings.qdrant.url)
        .env(PREFIX, &settings.qdrant.prefix)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Worker(command.spawn().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_killed_at_any_moment_lose_nothing() {
    let world = World::new();
    let settings = hasty(world.settings());
    let engine = world.open().await;
    engine.ensure_collection(&name()).await.unwrap();
    ingest(&engine, (0..DOCUMENTS).map(|it| document(it, 1)).collect()).await;
    let mut waiting = DOCUMENTS as u64;
    for kill in 0..KILLS {
        let worker = spawn(&settings);
        poll("it works", async || {
            let depth = engine.work_depth().await.unwrap().unwrap();
            match depth.waiting < waiting && depth.claimed > 0 {
                true => Ok(()),
                false => Err(format!("{depth:?}")),
            }
        })
        .await;
        drop(worker);
        // Some are replaced while they are claimed, some that are published.
        let replaced = (kill..DOCUMENTS).step_by(KILLS);
        ingest(&engine, replaced.map(|it| document(it, 2)).collect()).await;
        waiting = engine.work_depth().await.unwrap().unwrap().waiting;
    }
    let last = world
        .open_with(Arc::new(HashEmbedder::new(DIMENSION)))
        .await;
    let progress = last.worker().unwrap().run(Until::Idle).await.unwrap();
    assert_eq!(progress.failed, 0, "{progress:?}");
    wait_drained(&engine).await;
    check_documents(&engine, (0..DOCUMENTS).map(|it| (it, 2)).collect()).await;
    last.close().await;
    engine.close().await;
}
