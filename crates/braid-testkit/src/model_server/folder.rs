//! Model folders without weights, of what a [`ModelServer`](super::ModelServer) serves.

use std::fs;
use std::path::Path;

use braid_core::{Embedder, Reranker};
use serde_json::{Value, json};

use super::ServedModels;
use crate::{HashEmbedder, OverlapReranker};

/// What the server's models are called there.
pub const SERVED_NAME: &str = "org/double";
/// The folder of the embedder.
pub const SERVED_EMBEDDER: &str = "texts";
/// The folder of the cross-encoder.
pub const SERVED_RERANKER: &str = "pairs";
/// The texts that both manifests have as probes.
pub const PROBES: [&str; 2] = ["the red fox sleeps in its den", "revenue rose"];

const QUERY: &str = "where does the fox sleep";
const DIMENSION: usize = 256;

impl Default for ServedModels {
    /// A [`HashEmbedder`] of 256 dimensions and an [`OverlapReranker`].
    fn default() -> Self {
        Self {
            embedder: std::sync::Arc::new(HashEmbedder::new(DIMENSION)),
            reranker: std::sync::Arc::new(OverlapReranker::new()),
            name: SERVED_NAME,
            most_texts: 32,
            most_words: 300,
            key: None,
            unnormalised: false,
        }
    }
}

/// Writes the folders of the default models into `directory`.
pub async fn write_served_folders(directory: &Path) {
    write_served(directory, SERVED_EMBEDDER, &embedder_manifest().await);
    write_served(directory, SERVED_RERANKER, &reranker_manifest().await);
}

/// Writes the folder of a model with this manifest and the bundled embedder's tokenizer.
pub fn write_served(directory: &Path, name: &str, manifest: &Value) {
    let dir = directory.join(name);
    fs::create_dir_all(&dir).unwrap();
    let bundled = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../models/all-MiniLM-L6-v2-int8/tokenizer.json"
    );
    fs::copy(bundled, dir.join("tokenizer.json")).unwrap();
    fs::write(dir.join("manifest.json"), manifest.to_string()).unwrap();
}

/// The manifest of the default embedder.
pub async fn embedder_manifest() -> Value {
    let model = HashEmbedder::new(DIMENSION);
    let vectors = model.embed_passages(PROBES.map(str::to_owned).to_vec());
    let vectors = vectors.await.unwrap();
    let probes = PROBES.iter().zip(&vectors);
    let probes: Vec<Value> = probes
        .map(|(text, vector)| json!({"text": text, "vector_starts": &vector[..]}))
        .collect();
    json!({
        "schema": 1, "name": SERVED_EMBEDDER, "kind": "embedder", "max_tokens": 256,
        "batching": "tokens",
        "embedder": {"dimension": DIMENSION, "pooling": "mean", "probes": probes},
        "remote": {"model": SERVED_NAME, "revision": "1"},
        "files": files(),
    })
}

/// The manifest of the default cross-encoder.
pub async fn reranker_manifest() -> Value {
    let passages = PROBES.map(str::to_owned);
    let model = OverlapReranker::new();
    let scores = model.score(QUERY, &passages);
    let scores = scores.await.unwrap();
    let probes = passages.iter().zip(scores);
    let probes: Vec<Value> = probes
        .map(|(passage, logit)| json!({"query": QUERY, "passage": passage, "logit": logit}))
        .collect();
    json!({
        "schema": 1, "name": SERVED_RERANKER, "kind": "reranker", "max_tokens": 128,
        "batching": "tokens",
        "reranker": {"recommended_blend": 0.5, "probe_tolerance": 0.01, "probes": probes},
        "remote": {"model": SERVED_NAME, "revision": "1"},
        "files": files(),
    })
}

fn files() -> Value {
    let tokenizer = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037";
    json!({"tokenizer.json": {"bytes": 466_247, "sha256": tokenizer}})
}
