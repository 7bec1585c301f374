//! One module per command.

pub(crate) mod cache;
pub(crate) mod collection;
pub(crate) mod doctor;
pub(crate) mod document;
pub(crate) mod eval;
pub(crate) mod explain;
pub(crate) mod inspect;
pub(crate) mod job;
pub(crate) mod migrate;
pub(crate) mod models;
pub(crate) mod parse_file;
pub(crate) mod plan;
pub(crate) mod retrieve;
pub(crate) mod serve;
mod synonyms;
pub(crate) mod verify;
pub(crate) mod worker;

use braid_core::{Error, Result};
use braid_ingest::remote::{Answer, Remote};
use serde::de::DeserializeOwned;

/// Asks a running server, off the async threads.
///
/// # Errors
/// The server's own, or `Unavailable` when it cannot be reached.
async fn ask<A: DeserializeOwned + Send + 'static>(
    url: &str,
    question: impl FnOnce(&Remote) -> Result<Answer> + Send + 'static,
) -> Result<A> {
    converse(url, move |remote| read(question(remote)?)).await
}

/// Talks with a running server, off the async threads.
///
/// # Errors
/// As [`ask`].
async fn converse<A: Send + 'static>(
    url: &str,
    conversation: impl FnOnce(&Remote) -> Result<A> + Send + 'static,
) -> Result<A> {
    let remote = Remote::new(url)?;
    let done = tokio::task::spawn_blocking(move || conversation(&remote));
    done.await
        .map_err(|error| Error::internal("request stopped").with_source(error))?
}

/// What an answer says.
fn read<A: DeserializeOwned>(answer: Answer) -> Result<A> {
    serde_json::from_value(answer.body)
        .map_err(|error| Error::internal("the server's answer has another form").with_source(error))
}
