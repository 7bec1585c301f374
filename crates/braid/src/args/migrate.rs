//! The command line of `braid migrate`.

use braid_core::CollectionName;
use clap::{Args, ValueEnum};

/// A storage profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// Everything in a data directory
    Embedded,
    /// Vectors in Qdrant, the rest in a data directory
    Qdrant,
    /// Everything in Qdrant
    Cluster,
}

/// `braid migrate`.
#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// Where from; the data directory is that of --data-dir
    #[arg(long, value_enum)]
    pub(crate) from: Profile,
    /// Where to; the cluster is that of --config
    #[arg(long, value_enum)]
    pub(crate) to: Profile,
    /// One collection; all where left out
    #[arg(long, short)]
    pub(crate) collection: Option<CollectionName>,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
