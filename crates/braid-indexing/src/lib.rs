//! The ingest pipeline: documents in, both indexes up to date, nothing acknowledged ever lost.
//!
//! [`Indexer::ingest`] hashes, extracts, chunks and stages documents; the ledger's answer is the
//! acknowledgement. From there a pair of background tasks per collection takes over (see
//! [`applier`](self)): one embeds what was staged, one applies it to the vector store, then to the
//! lexical index, then publishes. Everything after the acknowledgement is replayed after a crash.
//!
//! This crate speaks to ports only. It never searches, never reads files, never decides what a
//! reader may see (the ledger does) and never writes to an index outside [`applier`](self),
//! [`reconcile`](self) and [`rebuild`](self). Start at [`Indexer`].

mod applier;
mod breakpoints;
mod embeddings;
mod indexer;
mod indexes;
mod ingest;
mod options;
mod pipeline;
mod plan;
mod progress;
mod rebuild;
mod reconcile;
mod retry;
mod state;
mod verify;

pub use breakpoints::{Breakpoint, Breakpoints, Hook};
pub use indexer::{Indexer, IndexerParts};
pub use ingest::{IngestOutcome, IngestRequest};
pub use options::{IndexingOptions, RetryPolicy};
pub use progress::{Health, Progress};
pub use rebuild::RebuildProgress;
pub use verify::{IndexReport, VerifyReport};
