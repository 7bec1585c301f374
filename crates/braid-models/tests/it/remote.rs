//! Models behind a server: the doubles of braid-testkit, over real sockets.

mod faults;
mod limits;
mod start;
mod suites;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use braid_core::{Embedder, Reranker, Result};
use braid_models::{
    DEFAULT_EMBEDDER, EmbedderOptions, Endpoint, ModelKind, ModelPlace, ModelStore, RemoteOptions,
    RerankerOptions, StoreOptions,
};
use braid_testkit::{HashEmbedder, ModelServer, OverlapReranker, ServedModels};
use serde_json::{Value, json};

use crate::bundled_folder;

/// What the doubles call their models.
const NAME: &str = "org/double";
/// What is asked at start.
const PROBES: [&str; 2] = ["the red fox sleeps in its den", "revenue rose"];
const QUERY: &str = "where does the fox sleep";

fn served() -> ServedModels {
    ServedModels {
        embedder: Arc::new(HashEmbedder::new(256)),
        reranker: Arc::new(OverlapReranker::new()),
        name: NAME,
        most_texts: 32,
        most_words: 300,
        key: None,
        unnormalised: false,
    }
}

/// Model folders without weights, of what a server serves.
struct Folder {
    directory: tempfile::TempDir,
}

impl Folder {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let folder = Self { directory };
        folder.write("texts", &embedder_manifest().await);
        folder.write("pairs", &reranker_manifest().await);
        folder
    }

    /// Writes the manifest of the model `name`, and copies a tokenizer.
    fn write(&self, name: &str, manifest: &Value) {
        let dir = self.directory.path().join(name);
        fs::create_dir_all(&dir).unwrap();
        let tokenizer = bundled_folder()
            .join(DEFAULT_EMBEDDER)
            .join("tokenizer.json");
        fs::copy(tokenizer, dir.join("tokenizer.json")).unwrap();
        fs::write(dir.join("manifest.json"), manifest.to_string()).unwrap();
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

fn files() -> Value {
    let tokenizer = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037";
    json!({"tokenizer.json": {"bytes": 466_247, "sha256": tokenizer}})
}

async fn embedder_manifest() -> Value {
    let model = HashEmbedder::new(256);
    let vectors = model.embed_passages(PROBES.map(str::to_owned).to_vec());
    let vectors = vectors.await.unwrap();
    let probes = PROBES.iter().zip(&vectors);
    let probes: Vec<Value> = probes
        .map(|(text, vector)| json!({"text": text, "vector_starts": &vector[..]}))
        .collect();
    json!({
        "schema": 1, "name": "texts", "kind": "embedder", "max_tokens": 256, "batching": "tokens",
        "embedder": {"dimension": 256, "pooling": "mean", "probes": probes},
        "remote": {"model": NAME, "revision": "1"},
        "files": files(),
    })
}

async fn reranker_manifest() -> Value {
    let passages = PROBES.map(str::to_owned);
    let scores = OverlapReranker::new()
        .score(QUERY, &passages)
        .await
        .unwrap();
    let probes = passages.iter().zip(scores);
    let probes: Vec<Value> = probes
        .map(|(passage, logit)| json!({"query": QUERY, "passage": passage, "logit": logit}))
        .collect();
    json!({
        "schema": 1, "name": "pairs", "kind": "reranker", "max_tokens": 128, "batching": "tokens",
        "reranker": {"recommended_blend": 0.5, "probe_tolerance": 0.01, "probes": probes},
        "remote": {"model": NAME, "revision": "1"},
        "files": files(),
    })
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
    (ModelServer::start(served()).await, Folder::new().await)
}
