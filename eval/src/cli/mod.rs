//! The command line of `braid eval`.

mod files;
mod run;

use std::path::{Path, PathBuf};

use braid_core::{Error, ErrorCode, Result};

pub use files::{CompareArgs, ConvertArgs, ScoreArgs};
pub use run::{Prepared, RunArgs};

/// `braid eval`.
#[derive(Clone, Debug, clap::Args)]
pub struct EvalArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: EvalCommand,
}

/// What to do.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum EvalCommand {
    /// Ingest a BEIR corpus, rank every topic per stage, and measure
    Run(Box<RunArgs>),
    /// Measure run files
    Score(ScoreArgs),
    /// Compare run files pairwise over topics
    Compare(CompareArgs),
    /// Write qrels or a run in the other layout: TREC or BEIR
    Convert(ConvertArgs),
}

/// The metrics that are reported where none are named.
pub(crate) const METRICS: &str = "nDCG@10,R@10,R@50,R@100,RR@10,AP";

/// Writes a file that was asked for.
pub(crate) fn write_file(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|error| {
        let message = format!("cannot write {}: {error}", path.display());
        Error::new(ErrorCode::Unavailable, message).with_help("name another place")
    })
}

/// A file's name in tables.
pub(crate) fn name_of(path: &Path) -> String {
    path.display().to_string()
}

/// Paths as they are named in tables.
pub(crate) fn names_of(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| name_of(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metric;

    #[test]
    fn the_metrics_named_in_the_help_are_those_of_a_report() {
        assert_eq!(METRICS, Metric::REPORTED.map(Metric::name).join(","));
    }
}
