//! The command line of `braid eval`.

mod bars;
mod cache;
mod files;
mod losses;
mod run;
mod tries;

use std::path::{Path, PathBuf};

use braid_core::{Error, ErrorCode, Result};

pub use cache::CacheArgs;
pub use files::{CompareArgs, ConvertArgs, GateArgs, ScoreArgs};
pub use losses::{FieldIs, LossesArgs};
pub use run::{Prepared, RunArgs};
pub use tries::{AblateArgs, DataArgs, SweepArgs, TuneArgs};

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
    /// Say which stage lost each relevant document
    Losses(LossesArgs),
    /// Take each stage out in turn and measure the rest
    Ablate(AblateArgs),
    /// Measure every combination of some settings
    Sweep(SweepArgs),
    /// Look for better settings and say whether the gain holds on other queries
    Tune(TuneArgs),
    /// Measure how often a cache of answers would give a wrong one, on labelled pairs of questions
    Cache(CacheArgs),
    /// Measure run files
    Score(ScoreArgs),
    /// Compare run files pairwise over topics
    Compare(CompareArgs),
    /// Hold a report to an earlier one, with an exit status for continuous integration
    Gate(GateArgs),
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
