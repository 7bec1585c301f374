//! The form of `eval/capacity/measured.json`. `null` is what was not measured.

use serde::{Deserialize, Serialize};

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
    /// A Qdrant server.
    pub qdrant: MeasuredQdrant,
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

/// What a Qdrant server needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredQdrant {
    /// Bytes of metadata and its indexes on disk, a chunk.
    pub payload_bytes: Option<f64>,
    /// CPU milliseconds of a search.
    pub search_cpu_ms: Option<f64>,
}
