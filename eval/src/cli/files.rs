//! Commands over run files and qrels: no engine, no corpus.

use std::path::PathBuf;

use braid_core::Result;

use super::{METRICS, name_of, names_of, write_file};
use crate::compare::{Comparison, Named, Score, compare, comparison_table, score, score_table};
use crate::convert::{self, Layout};
use crate::gate::{Floor, Gate, Saved};
use crate::metrics::metrics;
use crate::table::Answer;
use crate::trec::{Run, read_qrels, read_run};

/// `braid eval score`.
#[derive(Clone, Debug, clap::Args)]
pub struct ScoreArgs {
    /// Run files: TREC lines or BEIR results as JSON; gzipped where the name ends in .gz
    #[arg(required = true)]
    pub runs: Vec<PathBuf>,
    /// Qrels: BEIR TSV or TREC
    #[arg(long, value_name = "F")]
    pub qrels: PathBuf,
    /// What to measure: nDCG@10, R@100, P@5, P(rel=2)@5, RR@10, AP, Success@1, ... at any cut
    #[arg(long, value_delimiter = ',', value_name = "METRICS", default_value = METRICS)]
    pub metrics: Vec<String>,
    /// Give the value of each topic too
    #[arg(long)]
    pub per_topic: bool,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

impl ScoreArgs {
    /// Reads and measures the runs.
    ///
    /// # Errors
    /// `InvalidRequest` naming the file and line, or the metric, that cannot be read.
    pub fn scores(&self) -> Result<Vec<Score>> {
        let metrics = metrics(&self.metrics)?;
        let qrels = read_qrels(&self.qrels)?;
        let runs = read_runs(&self.runs)?;
        Ok(score(&named(&runs), &qrels, &metrics, self.per_topic))
    }

    /// The scores as they are printed.
    ///
    /// # Errors
    /// As [`Self::scores`].
    pub fn answer(&self) -> Result<Answer> {
        let scores = self.scores()?;
        let mut text = score_table(&scores);
        for score in scores.iter().filter(|_| self.per_topic) {
            for (topic, value) in score.topics.iter().flatten() {
                text.push_str(&format!(
                    "\n{}  {}  {topic}  {value:.4}",
                    score.run, score.metric
                ));
            }
        }
        Answer::new(text, &scores)
    }
}

/// `braid eval compare`.
#[derive(Clone, Debug, clap::Args)]
pub struct CompareArgs {
    /// The run to compare with: TREC lines or BEIR results as JSON (.gz too)
    pub a: PathBuf,
    /// The runs that are compared with it
    #[arg(required = true)]
    pub b: Vec<PathBuf>,
    /// Qrels: BEIR TSV or TREC
    #[arg(long, value_name = "F")]
    pub qrels: PathBuf,
    /// What to measure: nDCG@10, R@100, P@5, P(rel=2)@5, RR@10, AP, Success@1, ... at any cut
    #[arg(long, value_delimiter = ',', value_name = "METRICS", default_value = METRICS)]
    pub metrics: Vec<String>,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

impl CompareArgs {
    /// Reads the runs and compares each with the first.
    ///
    /// # Errors
    /// `InvalidRequest` naming the file and line, or the metric, that cannot be read.
    pub fn run(&self) -> Result<Vec<Comparison>> {
        let metrics = metrics(&self.metrics)?;
        let qrels = read_qrels(&self.qrels)?;
        let (baseline, runs) = (read_run(&self.a)?, read_runs(&self.b)?);
        let name = name_of(&self.a);
        Ok(compare((&name, &baseline), &named(&runs), &qrels, &metrics))
    }

    /// The comparisons as they are printed.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn answer(&self) -> Result<Answer> {
        let rows = self.run()?;
        Answer::new(comparison_table(&rows), &rows)
    }
}

/// `braid eval gate`.
///
/// Exits with 1 when a metric fell by more than the tolerance, or fell significantly, or is below what it
/// must at least be.
#[derive(Clone, Debug, clap::Args)]
pub struct GateArgs {
    /// The report.json of `braid eval run` that is checked
    pub report: PathBuf,
    /// The report.json that it is held to
    #[arg(long, value_name = "F")]
    pub baseline: PathBuf,
    /// Stages to check; all of the baseline's where not given
    #[arg(long, value_delimiter = ',')]
    pub stages: Vec<String>,
    /// Metrics to check
    #[arg(long, value_delimiter = ',', default_value = "nDCG@10")]
    pub metrics: Vec<String>,
    /// How much a mean may fall
    #[arg(long, default_value_t = 0.01, value_parser = share)]
    pub tolerance: f64,
    /// A fall with a corrected p-value below this fails however small it is; 0 asks the tolerance alone
    #[arg(long, default_value_t = 0.05, value_parser = share)]
    pub alpha: f64,
    /// What a stage must reach whatever the baseline has, repeatable: hybrid:nDCG@10=0.7
    #[arg(long, value_name = "STAGE:METRIC=VALUE")]
    pub at_least: Vec<Floor>,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

fn share(text: &str) -> Result<f64, String> {
    let read = text
        .parse()
        .ok()
        .filter(|value| (0.0..=1.0).contains(value));
    read.ok_or_else(|| "must be from 0 to 1".to_owned())
}

impl GateArgs {
    /// Reads both reports and holds one to the other.
    ///
    /// # Errors
    /// `InvalidRequest` for reports that cannot be read or compared.
    pub fn answer(&self) -> Result<Answer> {
        let gate = Gate {
            stages: self.stages.clone(),
            metrics: metrics(&self.metrics)?
                .into_iter()
                .map(|metric| metric.name())
                .collect(),
            tolerance: self.tolerance,
            alpha: self.alpha,
            floors: self.at_least.clone(),
        };
        gate.check(&Saved::read(&self.report)?, &Saved::read(&self.baseline)?)
    }
}

/// `braid eval convert`.
#[derive(Clone, Debug, clap::Args)]
pub struct ConvertArgs {
    /// Qrels or a run, in either layout
    pub file: PathBuf,
    /// The layout to write
    #[arg(long, value_enum)]
    pub to: Layout,
    /// Where to write; standard output where not given
    #[arg(long, value_name = "F")]
    pub out: Option<PathBuf>,
}

impl ConvertArgs {
    /// Reads the file; writes it, or gives what is to be printed.
    ///
    /// # Errors
    /// `InvalidRequest` for a file that is neither; `Unavailable` when it cannot be written.
    pub fn run(&self) -> Result<Option<String>> {
        let mut written = Vec::new();
        convert::write(&convert::read(&self.file)?, self.to, &mut written)?;
        let text = String::from_utf8_lossy(&written).into_owned();
        let Some(out) = &self.out else {
            return Ok(Some(text));
        };
        write_file(out, &text)?;
        Ok(None)
    }
}

fn read_runs(paths: &[PathBuf]) -> Result<Vec<(String, Run)>> {
    let runs = names_of(paths).into_iter().zip(paths);
    runs.map(|(name, path)| Ok((name, read_run(path)?)))
        .collect()
}

fn named(runs: &[(String, Run)]) -> Vec<Named<'_>> {
    runs.iter()
        .map(|(name, run)| (name.as_str(), run))
        .collect()
}
