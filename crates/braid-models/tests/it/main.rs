//! The bundled models on the real library. They fail, with the command that mends it, when the
//! library has not been fetched (`make models`).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bundled;
mod custom;
mod priority;
mod remote;

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use braid_core::{Embedder, Reranker};
use braid_models::{
    DEFAULT_EMBEDDER, DEFAULT_RERANKER, EmbedderOptions, ModelStore, RerankerOptions, StoreOptions,
};

/// One store for the whole binary, as in a server.
static STORE: LazyLock<ModelStore> = LazyLock::new(|| ModelStore::new(StoreOptions::default()));

static EMBEDDER: LazyLock<Arc<dyn Embedder>> = LazyLock::new(|| {
    let options = EmbedderOptions {
        threads: 2,
        ..EmbedderOptions::default()
    };
    STORE
        .load_embedder(DEFAULT_EMBEDDER, &options)
        .unwrap_or_else(|error| panic!("{error}"))
});

static RERANKER: LazyLock<Arc<dyn Reranker>> = LazyLock::new(|| {
    let options = RerankerOptions {
        threads: 2,
        ..RerankerOptions::default()
    };
    STORE
        .load_reranker(DEFAULT_RERANKER, &options)
        .unwrap_or_else(|error| panic!("{error}"))
});

/// The repository's `models/`.
fn bundled_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models")
}
