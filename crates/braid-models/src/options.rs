//! What can be set, with defaults that suit the bundled models.

use std::num::NonZero;
use std::path::PathBuf;
use std::thread;

/// Where a [`ModelStore`](crate::ModelStore) looks. `None` everywhere finds what a checkout or
/// `make models` provides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreOptions {
    /// A folder of model directories, searched first.
    pub folder: Option<PathBuf>,
    /// The ONNX Runtime library; `BRAID_ORT_LIB` goes before it.
    pub library: Option<PathBuf>,
}

/// How an embedder runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbedderOptions {
    /// Cores for bulk passages. Queries have a thread of their own besides.
    pub threads: usize,
    /// Queries that may wait; one more is refused as overloaded.
    pub query_queue: usize,
    /// Padded tokens in a batch, for models that may be batched.
    pub batch_tokens: usize,
}

impl Default for EmbedderOptions {
    fn default() -> Self {
        Self {
            threads: cores(),
            query_queue: 128,
            batch_tokens: 1024,
        }
    }
}

/// How a cross-encoder runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RerankerOptions {
    /// Cores to use.
    pub threads: usize,
    /// Pieces of work (of four pairs or more) that may wait; one more is refused as overloaded.
    pub queue: usize,
    /// Padded tokens in a batch, for models that may be batched.
    pub batch_tokens: usize,
}

impl Default for RerankerOptions {
    fn default() -> Self {
        Self {
            threads: cores(),
            queue: 64,
            batch_tokens: 1024,
        }
    }
}

/// Every core, up to where copies of the weights would cost more than they are worth unasked.
fn cores() -> usize {
    const MOST: usize = 8;
    thread::available_parallelism()
        .map_or(1, NonZero::get)
        .min(MOST)
}
