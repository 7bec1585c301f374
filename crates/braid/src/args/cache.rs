//! Arguments of `braid cache`.

use braid_core::CollectionName;
use clap::{Args, Subcommand};
use serde_json::Value;

/// `braid cache`.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Look for the answer to a question that asks the same
    ///
    /// Prints the answer. Exit status 1 where there is none, with the reason.
    Lookup(LookupArgs),
    /// Keep an answer for questions that ask the same
    Store(StoreArgs),
    /// Forget stored answers
    Delete(DeleteArgs),
}

/// Which server, whose answers, and how to print.
#[derive(Debug, Args)]
pub(crate) struct Answers {
    /// The server: answers are in its memory alone
    #[arg(long, value_name = "URL")]
    pub(crate) server: String,
    /// The collection that the answers are made of [default: default; all for delete]
    #[arg(long, short, value_name = "C")]
    pub(crate) collection: Option<CollectionName>,
    /// Whose answers these are [default: nobody's; all for delete]
    #[arg(long, value_name = "S")]
    pub(crate) scope: Option<String>,
    /// Print as JSON, as the API answers
    #[arg(long)]
    pub(crate) json: bool,
}

/// `braid cache lookup`.
#[derive(Debug, Args)]
pub(crate) struct LookupArgs {
    /// The question
    pub(crate) query: String,
    #[command(flatten)]
    pub(crate) answers: Answers,
    /// Least cosine similarity of the two questions, 0 to 1 [default: the server's]
    #[arg(long, value_name = "T", allow_negative_numbers = true, value_parser = super::retrieve::number)]
    pub(crate) threshold: Option<f64>,
    /// Do not read questions that look alike for what tells them apart
    #[arg(long)]
    pub(crate) no_guard: bool,
    /// Take an answer although the collection changed since it was stored
    #[arg(long)]
    pub(crate) accept_stale: bool,
}

/// `braid cache store`.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// The question
    pub(crate) query: String,
    /// The answer, a text
    #[arg(long, value_name = "TEXT", required_unless_present = "answer_json")]
    pub(crate) answer: Option<String>,
    /// The answer, any JSON value
    #[arg(long, value_name = "JSON", conflicts_with = "answer", value_parser = json)]
    pub(crate) answer_json: Option<Value>,
    #[command(flatten)]
    pub(crate) answers: Answers,
    /// A document that it rests on, repeatable
    #[arg(long, short, value_name = "ID")]
    pub(crate) document: Vec<String>,
    /// How long it is kept [default: as long as the server keeps any]
    #[arg(long, value_name = "N")]
    pub(crate) ttl_seconds: Option<u64>,
    /// The `collection_state` of the lookup before: where the collection changed since, it is not stored
    #[arg(long, value_name = "S")]
    pub(crate) collection_state: Option<String>,
}

/// `braid cache delete`.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    pub(crate) answers: Answers,
    /// Those of every collection and scope
    #[arg(long, conflicts_with_all = ["collection", "scope"])]
    pub(crate) all: bool,
}

fn json(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text)
}
