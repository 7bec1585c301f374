//! The settings, section by section, with their defaults.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use braid_core::{
    ChunkingOverride, ChunkingSettings, ChunkingStrategy, DuplicateAction, LanguageSetting,
};

use crate::qdrant::{QdrantSection, StorageProfile};
use crate::worker::WorkerSection;

/// Every setting.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Where and how much is stored.
    pub storage: StorageSection,
    /// The Qdrant server of the profiles `qdrant` and `cluster`.
    pub qdrant: QdrantSection,
    /// The HTTP server.
    pub server: ServerSection,
    /// Models and their runtime.
    pub models: ModelsSection,
    /// How documents of new collections are chunked.
    pub chunking: ChunkingSection,
    /// What is done about duplicates.
    pub duplicates: DuplicatesSection,
    /// The lexical leg.
    pub lexical: LexicalSection,
    /// The dense leg.
    pub dense: DenseSection,
    /// Defaults of retrieval requests.
    pub retrieve: RetrieveSection,
    /// What is remembered of retrievals.
    pub cache: CacheSection,
    /// Background indexing.
    pub ingest: IngestSection,
    /// Workers of the profile `cluster`.
    pub worker: WorkerSection,
    /// Log lines.
    pub log: LogSection,
}

/// Where and how much is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StorageSection {
    /// Where things are stored.
    pub profile: StorageProfile,
    /// The data directory.
    pub data_dir: PathBuf,
    /// Most GiB of the ledger, and of each collection's vectors.
    pub map_size_gib: f64,
}

/// The HTTP server.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerSection {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Whether it may listen beyond loopback.
    pub allow_unauthenticated: bool,
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
    /// Longest time for one request, in milliseconds.
    pub request_timeout_ms: u64,
    /// Requests that run at once.
    pub max_concurrent_requests: usize,
    /// Requests that wait.
    pub max_waiting_requests: usize,
    /// How long shutdown waits for requests in flight, in milliseconds.
    pub shutdown_grace_ms: u64,
    /// Most retrievals in one batch.
    pub max_batch_requests: usize,
    /// Retrievals of one batch that run at once.
    pub batch_concurrency: usize,
}

/// Models and their runtime.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelsSection {
    /// Folder of model folders, searched first.
    pub dir: Option<PathBuf>,
    /// Name of the embedder.
    pub embedder: String,
    /// Where the embedder runs.
    pub embedder_endpoints: ModelEndpoints,
    /// A file with the key for its servers.
    pub embedder_key_file: Option<PathBuf>,
    /// Name of the re-ranker; `none` runs without.
    pub reranker: String,
    /// Where the re-ranker runs.
    pub reranker_endpoints: ModelEndpoints,
    /// A file with the key for its servers.
    pub reranker_key_file: Option<PathBuf>,
    /// Longest time for one request to a model server, in milliseconds.
    pub remote_timeout_ms: u64,
    /// Most texts in one request to a model server.
    pub remote_batch_texts: usize,
    /// Requests to one model server at once, in bulk.
    pub remote_concurrency: usize,
    /// The ONNX Runtime library.
    pub ort_library: Option<PathBuf>,
    /// Inference threads per model; 0 is one a core.
    pub threads: usize,
}

/// Places at which one model runs, in the order in which they are asked: `local`, which is this
/// process, and addresses of servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelEndpoints(pub Vec<String>);

impl ModelEndpoints {
    /// The place that is this process.
    pub const LOCAL: &str = "local";
}

impl Default for ModelEndpoints {
    fn default() -> Self {
        Self(vec![Self::LOCAL.to_owned()])
    }
}

/// How documents of new collections are chunked.
#[derive(Clone, Debug, PartialEq)]
pub struct ChunkingSection {
    /// Where boundaries are sought.
    pub strategy: ChunkingStrategy,
    /// Most tokens in a chunk.
    pub target_tokens: usize,
    /// Tokens repeated from the chunk before.
    pub overlap_tokens: usize,
    /// What is different for plain text.
    pub text: Option<ChunkingOverride>,
    /// What is different for Markdown.
    pub markdown: Option<ChunkingOverride>,
    /// What is different for HTML.
    pub html: Option<ChunkingOverride>,
    /// What is different for source code.
    pub code: Option<ChunkingOverride>,
}

/// What is done about documents of a new collection that say the same.
#[derive(Clone, Debug, PartialEq)]
pub struct DuplicatesSection {
    /// What is done.
    pub action: DuplicateAction,
    /// From which similarity on, 0.8 to 1.
    pub min_similarity: f64,
}

/// The lexical leg.
#[derive(Clone, Debug, PartialEq)]
pub struct LexicalSection {
    /// Language of new collections.
    pub language: LanguageSetting,
    /// Memory of an index writer while it is open, in MiB.
    pub writer_memory_mib: usize,
}

/// The dense leg.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseSection {
    /// Neighbours considered when a vector is linked into the graph.
    pub ef_construction: usize,
    /// Neighbours kept while the graph is walked.
    pub ef_search: usize,
    /// Up to this many vectors are compared one by one.
    pub exact_threshold: usize,
}

/// Which legs a request searches when it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetrieveMode {
    /// BM25 alone.
    Lexical,
    /// Embeddings alone.
    Dense,
    /// Both, fused.
    #[default]
    Hybrid,
}

/// How the legs' lists become one when a request does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetrieveFusion {
    /// By ranks.
    Rrf,
    /// By scores from 0 to 1.
    MinMax,
    /// By scores in standard deviations.
    #[default]
    Dbsf,
}

/// Whether the legs' weights are shifted for each query when a request does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetrieveTrust {
    /// They are.
    #[default]
    Auto,
    /// They are not.
    Off,
}

/// Whether words that no document has are corrected when a request does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetrieveTypos {
    /// They are.
    #[default]
    Auto,
    /// They are not.
    Off,
}

/// Defaults of retrieval requests.
#[derive(Clone, Debug, PartialEq)]
pub struct RetrieveSection {
    /// Which legs.
    pub mode: RetrieveMode,
    /// Whether words that no document has are corrected.
    pub typos: RetrieveTypos,
    /// Hits returned.
    pub top_k: usize,
    /// Depth of the lexical leg.
    pub candidates_lexical: usize,
    /// Depth of the dense leg.
    pub candidates_dense: usize,
    /// How the legs' lists become one.
    pub fusion_method: RetrieveFusion,
    /// RRF's constant.
    pub fusion_k: f64,
    /// Weight of the lexical leg.
    pub weight_lexical: f64,
    /// Weight of the dense leg.
    pub weight_dense: f64,
    /// Whether these weights are shifted for each query.
    pub leg_trust: RetrieveTrust,
    /// Whether the head of the list is re-ranked.
    pub rerank: bool,
    /// How many hits are.
    pub rerank_candidates: usize,
    /// Weight of the re-ranker; `None` is the model's own.
    pub rerank_blend: Option<f64>,
    /// Time for re-ranking, in milliseconds.
    pub rerank_deadline_ms: u64,
    /// Most tokens of context.
    pub context_max_tokens: usize,
    /// Time a leg has before it counts as failed, in milliseconds.
    pub leg_timeout_ms: u64,
}

/// What is remembered of retrievals.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheSection {
    /// Memory of answers, in MiB.
    pub answers_mib: u64,
    /// Embeddings of queries.
    pub query_embeddings: usize,
    /// Memory of lists whose next pages can be asked for, in MiB.
    pub pages_mib: u64,
    /// How long a list is kept after its last page, in seconds.
    pub pages_seconds: u64,
    /// Whether applications may store answers for questions that ask the same.
    pub semantic: bool,
    /// Least cosine similarity of two such questions.
    pub semantic_threshold: f64,
    /// Most stored answers.
    pub semantic_entries: usize,
    /// Memory of stored answers, in MiB.
    pub semantic_mib: u64,
    /// Longest time that an answer is kept, in seconds.
    pub semantic_ttl_seconds: u64,
}

/// Background indexing.
#[derive(Clone, Debug, PartialEq)]
pub struct IngestSection {
    /// Texts in one call of the embedder.
    pub embed_batch_chunks: usize,
    /// Chunks in one index batch.
    pub apply_batch_chunks: usize,
    /// Shortest wait for more while a load is in progress, in milliseconds.
    pub apply_interval_ms: u64,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Log lines.
#[derive(Clone, Debug, PartialEq)]
pub struct LogSection {
    /// A `tracing` filter.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}

impl Default for StorageSection {
    fn default() -> Self {
        Self {
            profile: StorageProfile::Embedded,
            data_dir: PathBuf::from("data"),
            map_size_gib: 16.0,
        }
    }
}

impl Default for ServerSection {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
            allow_unauthenticated: false,
            max_body_bytes: 32 * 1024 * 1024,
            request_timeout_ms: 30_000,
            max_concurrent_requests: 32,
            max_waiting_requests: 128,
            shutdown_grace_ms: 10_000,
            max_batch_requests: 100,
            batch_concurrency: 1,
        }
    }
}

impl Default for ModelsSection {
    fn default() -> Self {
        Self {
            dir: None,
            embedder: "all-MiniLM-L6-v2-int8".to_owned(),
            embedder_endpoints: ModelEndpoints::default(),
            embedder_key_file: None,
            reranker: "braid-rerank-mini-en".to_owned(),
            reranker_endpoints: ModelEndpoints::default(),
            reranker_key_file: None,
            remote_timeout_ms: 30_000,
            remote_batch_texts: 32,
            remote_concurrency: 4,
            ort_library: None,
            threads: 0,
        }
    }
}

impl Default for ChunkingSection {
    fn default() -> Self {
        let ChunkingSettings {
            strategy,
            target_tokens,
            overlap_tokens,
            formats: _,
        } = ChunkingSettings::default();
        Self {
            strategy,
            target_tokens,
            overlap_tokens,
            text: None,
            markdown: None,
            html: None,
            code: None,
        }
    }
}

impl Default for DuplicatesSection {
    fn default() -> Self {
        Self {
            action: DuplicateAction::default(),
            min_similarity: 1.0,
        }
    }
}

impl Default for LexicalSection {
    fn default() -> Self {
        Self {
            language: LanguageSetting::Auto,
            writer_memory_mib: 64,
        }
    }
}

impl Default for DenseSection {
    fn default() -> Self {
        Self {
            ef_construction: 144,
            ef_search: 160,
            exact_threshold: 4000,
        }
    }
}

impl Default for RetrieveSection {
    fn default() -> Self {
        Self {
            mode: RetrieveMode::Hybrid,
            typos: RetrieveTypos::Auto,
            top_k: 8,
            candidates_lexical: 50,
            candidates_dense: 50,
            fusion_method: RetrieveFusion::Dbsf,
            fusion_k: 60.0,
            weight_lexical: 1.0,
            weight_dense: 1.0,
            leg_trust: RetrieveTrust::Auto,
            rerank: true,
            rerank_candidates: 30,
            rerank_blend: None,
            rerank_deadline_ms: 150,
            context_max_tokens: 2000,
            leg_timeout_ms: 5000,
        }
    }
}

impl Default for CacheSection {
    fn default() -> Self {
        Self {
            answers_mib: 64,
            query_embeddings: 10_000,
            pages_mib: 32,
            pages_seconds: 600,
            semantic: false,
            semantic_threshold: 0.95,
            semantic_entries: 10_000,
            semantic_mib: 64,
            semantic_ttl_seconds: 24 * 60 * 60,
        }
    }
}

impl Default for IngestSection {
    fn default() -> Self {
        Self {
            embed_batch_chunks: 256,
            apply_batch_chunks: 8192,
            apply_interval_ms: 2000,
        }
    }
}

impl Default for LogSection {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}
