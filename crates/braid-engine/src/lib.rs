//! Settings in, a working Braid out: the only crate that names adapters.
//!
//! [`Engine::open`] takes a data directory's lock, opens the ledger, loads the models, wires the
//! ingest and retrieve pipelines over the adapters of the storage profile and starts background
//! replay. Of the profile `cluster` it opens no directory: everything is in Qdrant. The server, the CLI and the eval harness all talk to the one [`Engine`]; none of them
//! sees an adapter. This crate has no ranking, chunking or storage logic of its own.

mod answers;
mod cluster;
mod collections;
mod counted;
mod diagnosis;
mod documents;
mod durable;
mod engine;
mod jobs;
mod known;
mod lineage;
mod load;
mod lock;
mod maintenance;
mod migrate;
mod models;
mod parsing;
mod place;
mod provider;
mod remote;
mod wiring;

pub use braid_indexing::{
    BoilerplateReport, Breakpoint, Breakpoints, Counted, Health, IndexReport, IngestOutcome,
    IngestRequest, Migrated, MigrationProgress, Progress, RebuildProgress, Sampled, SharedKind,
    SharedText, Until, VerifyReport, Worker, WorkerOptions, WorkerProgress,
};
pub use braid_models as model_files;
pub use braid_query as query;
pub use braid_readers::{decode, file, source};
pub use braid_text::hashing::handed_in;
pub use collections::CollectionInfo;
pub use diagnosis::{DataFiles, FingerprintMismatch, IndexState, file_bytes};
pub use engine::{Engine, LoadModels, OpenOptions, Readiness};
pub use known::StoredTexts;
pub use lineage::{ChunkTerms, IndexedSlots};
pub use load::{FoundDuplicate, LoadReport, Loader, SourceStep, read_ahead};
pub use migrate::migrate;
pub use models::{
    ServerCheck, check_model_servers, load_embedder, load_reranker, runs_models_here,
};
pub use remote::VectorServer;
pub use wiring::{collection_settings, model_store, retrieve_defaults};
