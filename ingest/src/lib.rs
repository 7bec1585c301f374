//! Batch ingestion: `braid ingest` into a data directory or a running server.
//!
//! Reads sources, stages documents a batch at a time, waits until they are retrievable and reports
//! what was done, document by document where something failed. Chunking, embedding and indexing
//! are the engine's; this crate only feeds it. Start at [`run`].

mod args;
mod known;
mod local;
mod progress;
pub mod remote;
mod report;
mod server;
mod sync;
mod watch;

pub use args::IngestArgs;
pub use report::IngestReport;
pub use watch::{Told, watch};

use args::Sources;
use braid_core::Result;
use braid_engine::Engine;
use braid_engine::file::isolated::Parser;

/// Where documents go.
#[derive(Clone, Debug)]
pub enum Target {
    /// A data directory this process owns.
    Local(Engine),
    /// A running server.
    Server(remote::Remote),
}

/// Ingests what `args` names.
///
/// `parser` reads files that are not text; without one they are reported as failed.
///
/// # Errors
/// For what stops the whole ingestion; a document that fails is in the report instead.
pub async fn run(
    args: &IngestArgs,
    parser: Option<Parser>,
    target: Target,
) -> Result<IngestReport> {
    ingest(args, &args.sources(parser)?, target).await
}

/// Passes over the sources: more than one only where documents were skipped.
const MOST_PASSES: usize = 4;

/// A document may have been skipped as a duplicate of one that the same pass then replaced or
/// deleted, as a renamed file is of its old name under `--sync`. So it is looked at again, until
/// nothing moves any more.
async fn ingest(args: &IngestArgs, sources: &Sources, target: Target) -> Result<IngestReport> {
    let mut last = pass(args, sources, target.clone()).await?;
    let mut passes = vec![];
    while last.may_have_skipped_too_much() && passes.len() + 1 < MOST_PASSES {
        let next = pass(args, sources, target.clone()).await?;
        passes.push(std::mem::replace(&mut last, next));
    }
    Ok(passes
        .into_iter()
        .rev()
        .fold(last, IngestReport::preceded_by))
}

async fn pass(args: &IngestArgs, sources: &Sources, target: Target) -> Result<IngestReport> {
    match target {
        Target::Local(engine) => local::ingest(args, sources, engine).await,
        Target::Server(remote) => server::ingest(args, sources, remote).await,
    }
}
