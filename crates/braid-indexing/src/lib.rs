//! The ingest pipeline: documents in, both indexes up to date, nothing acknowledged ever lost.
//!
//! [`Indexer::ingest`] hashes, extracts, chunks and stages documents; the ledger's answer is the
//! acknowledgement. From there two background tasks per collection take over (`applier`): one embeds
//! what was staged, the other applies it to the vector store, then to the lexical index, then
//! publishes. Everything after the acknowledgement is replayed after a crash.
//!
//! Where several processes share one store, nothing is embedded behind the acknowledgement here: a
//! [`Worker`], in whichever process, claims what waits in a [`WorkQueue`](braid_core::WorkQueue).
//!
//! The crate speaks to ports only. It never searches, never reads files, and never decides what a
//! reader may see: the ledger does. It writes indexes in three places, `applier`, `verify` and
//! `rebuild`, each under the collection's `applying` lock or on a generation nobody reads yet.
//! Metrics are named `braid_index_*`. Start at [`Indexer`].

mod again;
mod applier;
mod boilerplate;
mod breakpoints;
mod embeddings;
mod indexer;
mod indexes;
mod ingest;
mod migrate;
mod options;
mod pipeline;
mod plan;
mod progress;
mod rebuild;
mod reconcile;
mod retry;
mod state;
mod steps;
mod sweeper;
mod verify;
mod worker;

pub use boilerplate::{BoilerplateReport, SharedKind, SharedText};
pub use breakpoints::{Breakpoint, Breakpoints, Hook};
pub use indexer::{Indexer, IndexerParts};
pub use ingest::{IngestOutcome, IngestRequest};
pub use migrate::{Counted, Migrated, Migration, MigrationProgress, Sampled, Side};
pub use options::{IndexingOptions, RetryPolicy};
pub use progress::{Health, Progress};
pub use rebuild::RebuildProgress;
pub use verify::{IndexReport, VerifyReport};
pub use worker::{Until, Worker, WorkerOptions, WorkerParts, WorkerProgress, record_depth};
