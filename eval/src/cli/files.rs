//! Commands over run files and qrels: no engine, no corpus.

use std::path::PathBuf;

use braid_core::Result;

use super::{METRICS, name_of, names_of, write_file};
use crate::compare::{Comparison, Named, Score, compare, comparison_table, score, score_table};
use crate::convert::{self, Layout};
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
                text.push_str(&format!("\n{}  {}  {topic}  {value:.4}", score.run, score.metric));
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
    runs.map(|(name, path)| Ok((name, read_run(path)?))).collect()
}

fn named(runs: &[(String, Run)]) -> Vec<Named<'_>> {
    runs.iter().map(|(name, run)| (name.as_str(), run)).collect()
}
