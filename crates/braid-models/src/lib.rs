//! Models: the embedder and the cross-encoder, run in process on ONNX Runtime or by another server.
//!
//! [`ModelStore`] finds model directories, verifies them and loads them into the ports
//! [`Embedder`](braid_core::Embedder) and [`Reranker`](braid_core::Reranker). No model is fetched
//! while serving, and nothing here blocks an async thread: inference runs on threads of its own
//! behind bounded queues (`lane`), queries apart from and ahead of bulk work (`gate`).
//!
//! Sessions are driven through `ort` directly rather than through fastembed's `TextEmbedding` and
//! `TextRerank`, because those pad and truncate for themselves: they cannot batch by token budget,
//! truncate only the passage of a pair, skip abandoned work or run a dynamically quantized model
//! one text at a time (which is what keeps its vectors independent of their batch mates). fastembed
//! gives the pooling vocabulary, the catalogue of built-in models and, with the `hub` feature, the
//! download behind `braid models pull`.
//!
//! Start at [`store`] for what can be loaded, at `embedder` for how a text becomes a vector, at
//! `remote` for models that another server runs.

mod batch;
mod catalogue;
mod embedder;
mod gate;
mod json;
mod lane;
mod language_model;
mod library;
mod manifest;
mod options;
mod places;
mod pooling;
mod probe;
#[cfg(feature = "hub")]
mod pull;
mod remote;
mod reranker;
mod session;
pub mod store;
mod tokenizer;
mod verify;

pub use embedder::OnnxEmbedder;
pub use language_model::LanguageModelTokens;
pub use library::{LibraryInfo, LibrarySource, ORT_VERSION, library_path};
pub use manifest::{Batching, Manifest, ModelKind, PoolingKind, Relevance, RemoteManifest};
pub use options::{EmbedderOptions, RerankerOptions, StoreOptions};
pub use remote::{
    ApiKey, Endpoint, FallbackEmbedder, FallbackReranker, ModelPlace, RemoteEmbedder,
    RemoteOptions, RemoteReranker,
};
pub use reranker::OnnxReranker;
pub use store::{
    DEFAULT_EMBEDDER, DEFAULT_RERANKER, ModelDir, ModelStatus, ModelStore, ModelSummary,
};
pub use verify::{FileCheck, FileState};
