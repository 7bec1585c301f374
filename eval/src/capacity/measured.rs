//! The form of `eval/capacity/measured.json`. `null` is what was not measured.

use serde::{Deserialize, Serialize};

use super::nodes::Profile;

/// Everything that was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// The machine; `None` before anything was measured.
    pub machine: Option<Machine>,
    /// What was ingested and asked.
    pub source: Option<String>,
    /// Numbers in a vector.
    pub dimension: usize,
    /// By size, rising.
    pub sizes: Vec<MeasuredSize>,
    /// The bundled models.
    pub models: MeasuredModels,
    /// Qdrant servers, by profile and then by size, rising.
    pub stores: Vec<MeasuredStore>,
}

/// What the numbers depend on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Its name.
    pub cpu: String,
    /// Threads that run at once.
    pub cores: usize,
    /// Memory, in GiB.
    pub memory_gib: f64,
    /// The release of Linux.
    pub kernel: String,
}

/// One collection of so many chunks, embedded profile, its model replaced by made-up vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredSize {
    /// Chunks, each a document of its own.
    pub chunks: u64,
    /// Bytes of their texts.
    pub text_bytes: u64,
    /// Bytes of the ledger on disk.
    pub ledger_bytes: u64,
    /// Bytes of the lexical index on disk.
    pub lexical_bytes: u64,
    /// Bytes of vectors and graph on disk.
    pub vector_bytes: u64,
    /// Peak of anonymous memory while they go in, in bytes.
    pub ingest_memory_bytes: u64,
    /// Peak of anonymous memory while queries are answered, in bytes.
    pub serving_memory_bytes: u64,
    /// Seconds until all are retrievable.
    pub ingest_seconds: f64,
    /// CPU seconds of the process meanwhile.
    pub ingest_cpu_seconds: f64,
    /// CPU milliseconds of a query with both legs, without models and caches.
    pub hybrid_cpu_ms: f64,
    /// CPU milliseconds of a query with the lexical leg alone.
    pub lexical_cpu_ms: f64,
    /// CPU milliseconds of a query with the dense leg alone.
    pub dense_cpu_ms: f64,
}

/// CPU milliseconds of the bundled models.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredModels {
    /// To embed a chunk of 180 tokens.
    pub embed_chunk_cpu_ms: Option<f64>,
    /// To embed a query.
    pub embed_query_cpu_ms: Option<f64>,
    /// To score 30 chunks of 180 tokens for a query.
    pub rerank_cpu_ms: Option<f64>,
}

/// One collection of so many chunks in a Qdrant server of one node, one copy of it, nothing compressed, its
/// embedder replaced by made-up vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredStore {
    /// What it holds: `qdrant` or `cluster`.
    pub profile: Profile,
    /// The version of the server.
    pub server: String,
    /// Chunks, each a document of its own.
    pub chunks: u64,
    /// Bytes of its storage folder.
    pub disk_bytes: u64,
    /// Resident memory of the server after the queries, file-backed pages included, in bytes.
    pub memory_bytes: u64,
    /// Whether it had built a graph of the vectors then: of few vectors it builds none and compares all.
    pub has_graph: bool,
    /// CPU seconds of the server until all are retrievable and its optimizers rest.
    pub ingest_cpu_seconds: f64,
    /// CPU seconds of Braid until all are retrievable, models apart.
    pub braid_ingest_cpu_seconds: f64,
    /// CPU milliseconds of the server for a query with both legs.
    pub query_cpu_ms: f64,
    /// CPU milliseconds of Braid for the same, models apart.
    pub braid_query_cpu_ms: f64,
    /// Peak of anonymous memory of the Braid that asks, in bytes.
    pub braid_memory_bytes: u64,
}
