//! Arguments of `braid collection synonyms`.

use std::path::PathBuf;

use braid_core::CollectionName;
use clap::Args;

/// `braid collection synonyms`.
#[derive(Debug, Args)]
pub(crate) struct SynonymsArgs {
    /// The collection
    pub(crate) name: CollectionName,
    /// Replace them by the rules of a file, one a line: `a, b` for equivalent terms, `a => b` for one
    /// direction
    #[arg(long, value_name = "FILE", conflicts_with = "clear")]
    pub(crate) rules: Option<PathBuf>,
    /// Take all of them away
    #[arg(long)]
    pub(crate) clear: bool,
    /// Ask a running server instead of opening a data directory
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
