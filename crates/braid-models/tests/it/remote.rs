//! Models behind a server: the doubles of braid-testkit, over real sockets.

mod faults;
mod limits;
mod start;
mod suites;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use braid_core::{Embedder, Reranker, Result};
use braid_models::{
    EmbedderOptions, Endpoint, ModelKind, ModelPlace, ModelStore, RemoteOptions, RerankerOptions,
    StoreOptions,
};
use braid_testkit::model_server::folder::{write_served, write_served_folders};
use braid_testkit::{ModelServer, ServedModels};
use serde_json::Value;

const QUERY: &str = "where does the fox sleep";

/// Model folders without weights, of what a server serves.
struct Folder {
    directory: tempfile::TempDir,
}

impl Folder {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        write_served_folders(directory.path()).await;
        Self { directory }
    }

    /// Gives the model `name` another manifest.
    fn write(&self, name: &str, manifest: &Value) {
        write_served(self.directory.path(), name, manifest);
    }

    fn path(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    fn store(&self) -> ModelStore {
        ModelStore::new(StoreOptions {
            folder: Some(self.path()),
            library: None,
        })
    }

    /// The embedder at these addresses. Loading blocks, as a process does that starts.
    async fn embedder(&self, urls: &[String], options: RemoteOptions) -> Result<Arc<dyn Embedder>> {
        let (store, places) = (self.store(), places(urls, ModelKind::Embedder));
        let loading = tokio::task::spawn_blocking(move || {
            store.load_embedder_at("texts", &places, &EmbedderOptions::default(), &options)
        });
        loading.await.unwrap()
    }

    async fn reranker(&self, urls: &[String], options: RemoteOptions) -> Result<Arc<dyn Reranker>> {
        let (store, places) = (self.store(), places(urls, ModelKind::Reranker));
        let loading = tokio::task::spawn_blocking(move || {
            store.load_reranker_at("pairs", &places, &RerankerOptions::default(), &options)
        });
        loading.await.unwrap()
    }
}

fn places(urls: &[String], kind: ModelKind) -> Vec<ModelPlace> {
    let endpoints = urls.iter().map(|url| Endpoint::new(url, kind).unwrap());
    endpoints.map(ModelPlace::At).collect()
}

/// Quick to give up, and without waits between tries.
fn options() -> RemoteOptions {
    RemoteOptions {
        first_wait: Duration::ZERO,
        longest_wait: Duration::ZERO,
        ..RemoteOptions::default()
    }
}

fn texts(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("fox number {n}")).collect()
}

/// An address at which nothing listens.
async fn nowhere() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/embed", listener.local_addr().unwrap())
}

async fn start() -> (ModelServer, Folder) {
    (
        ModelServer::start(ServedModels::default()).await,
        Folder::new().await,
    )
}
