//! One module per command.

pub(crate) mod collection;
pub(crate) mod document;
pub(crate) mod models;
pub(crate) mod parse_file;
pub(crate) mod retrieve;
pub(crate) mod serve;
pub(crate) mod verify;

use braid_core::{Error, Result};
use braid_ingest::remote::{Answer, Remote};
use serde::de::DeserializeOwned;

/// Asks a running server, off the async threads.
///
/// # Errors
/// The server's own, or `Unavailable` when it cannot be reached.
async fn ask<A: DeserializeOwned>(
    url: &str,
    question: impl FnOnce(&Remote) -> Result<Answer> + Send + 'static,
) -> Result<A> {
    let remote = Remote::new(url)?;
    let asked = tokio::task::spawn_blocking(move || question(&remote));
    let answer = asked
        .await
        .map_err(|error| Error::internal("request stopped").with_source(error))??;
    serde_json::from_value(answer.body)
        .map_err(|error| Error::internal("the server's answer has another form").with_source(error))
}
