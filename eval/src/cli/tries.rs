//! Commands that try settings: `braid eval ablate`, `sweep` and `tune`.

use std::path::PathBuf;

use braid_config::Settings;
use braid_core::Result;
use braid_engine::Engine;
use indicatif::ProgressBar;

use super::METRICS;
use super::bars::{bar_of_topics, spinner};
use crate::dataset::Dataset;
use crate::metrics::{Metric, metrics};
use crate::outcome::{Tuned, tried};
use crate::study::{self, Step, Study, StudyPlan};
use crate::table::{Answer, Verdict};
use crate::trials::{Axis, Trial, ablations, default_trials, trials};
use crate::tune::Validation;

/// What is measured on.
#[derive(Clone, Debug, clap::Args)]
pub struct DataArgs {
    /// BEIR folder: corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv
    #[arg(long, value_name = "DIR")]
    pub dataset: PathBuf,
    /// Which qrels
    #[arg(long, default_value = "test")]
    pub split: String,
}

/// `braid eval ablate`.
///
/// Each stage of the pipeline is taken out in turn and the rest measured against the whole. The legs of a
/// query are searched once for all.
#[derive(Clone, Debug, clap::Args)]
pub struct AblateArgs {
    /// What is measured on.
    #[command(flatten)]
    pub data: DataArgs,
    /// Also without chunking and without an analyzer, each of which ingests the corpus anew
    #[arg(long)]
    pub reingest: bool,
    /// What to measure
    #[arg(long, value_delimiter = ',', value_name = "METRICS", default_value = METRICS)]
    pub metrics: Vec<String>,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

/// `braid eval sweep`.
///
/// Every combination of the settings is measured against those in force. Settings of requests
/// (retrieve.*) are tried over one search of the legs; those of collections (chunking.*, duplicates.*,
/// lexical.language) ingest the corpus once for each value.
#[derive(Clone, Debug, clap::Args)]
pub struct SweepArgs {
    /// What is measured on.
    #[command(flatten)]
    pub data: DataArgs,
    /// A setting and its values, repeatable: retrieve.fusion_k=10,60
    #[arg(long, value_name = "KEY=V,V,...", required = true)]
    pub grid: Vec<Axis>,
    /// What to measure; rows are ordered by the first
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "METRICS",
        default_value = "nDCG@10,R@100"
    )]
    pub metrics: Vec<String>,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

/// `braid eval tune`.
///
/// Looks for settings that answer these queries better, measures the gain on queries that had no part in
/// the choice, and recommends nothing where the interval of that gain reaches 0. Never tune on queries
/// that you report on.
#[derive(Clone, Debug, clap::Args)]
pub struct TuneArgs {
    /// What is measured on.
    #[command(flatten)]
    pub data: DataArgs,
    /// A setting and its values, repeatable; where not given fusion, depths and blend are tried
    #[arg(long, value_name = "KEY=V,V,...")]
    pub grid: Vec<Axis>,
    /// What to improve
    #[arg(long, default_value = "nDCG@10")]
    pub metric: String,
    /// How the gain is held out
    #[arg(long, value_enum, default_value = "nested")]
    pub validation: Validation,
    /// Also tune so many times on labels drawn at random, and say how often something would have been recommended
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=1000))]
    pub random_labels: u64,
    /// How the topics are split
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

impl DataArgs {
    fn plan(
        &self,
        trials: Vec<Trial>,
        metrics: Vec<Metric>,
        random_labels: u64,
    ) -> Result<StudyPlan> {
        Ok(StudyPlan {
            dataset: Dataset::open(&self.dataset, &self.split)?,
            trials,
            metrics,
            random_labels,
        })
    }
}

impl AblateArgs {
    /// Checks what can be checked before an engine is opened.
    ///
    /// # Errors
    /// `InvalidRequest` for a bad metric or dataset.
    pub fn prepare(&self, settings: &Settings) -> Result<StudyPlan> {
        let trials = ablations(settings, self.reingest)?;
        self.data.plan(trials, metrics(&self.metrics)?, 0)
    }

    /// Measures.
    ///
    /// # Errors
    /// What stops the study.
    pub async fn answer(&self, engine: &Engine, plan: &StudyPlan) -> Result<Answer> {
        let study = watched(engine, plan).await?;
        ending(&study, tried(plan, &study, false)?)
    }
}

impl SweepArgs {
    /// Checks what can be checked before an engine is opened.
    ///
    /// # Errors
    /// `InvalidRequest` for a bad metric, setting or dataset.
    pub fn prepare(&self, settings: &Settings) -> Result<StudyPlan> {
        let trials = trials(settings, &self.grid)?;
        self.data.plan(trials, metrics(&self.metrics)?, 0)
    }

    /// Measures.
    ///
    /// # Errors
    /// What stops the study.
    pub async fn answer(&self, engine: &Engine, plan: &StudyPlan) -> Result<Answer> {
        let study = watched(engine, plan).await?;
        ending(&study, tried(plan, &study, true)?)
    }
}

impl TuneArgs {
    /// Checks what can be checked before an engine is opened.
    ///
    /// # Errors
    /// `InvalidRequest` for a bad metric, setting or dataset.
    pub fn prepare(&self, settings: &Settings) -> Result<StudyPlan> {
        let trials = if self.grid.is_empty() {
            default_trials(settings)?
        } else {
            trials(settings, &self.grid)?
        };
        let metric: Metric = self.metric.parse()?;
        self.data.plan(trials, vec![metric], self.random_labels)
    }

    /// Tries, chooses and validates.
    ///
    /// # Errors
    /// What stops the study.
    pub async fn answer(&self, engine: &Engine, plan: &StudyPlan) -> Result<Answer> {
        let study = watched(engine, plan).await?;
        let tuned = Tuned::of(plan, &study, self.validation, self.seed);
        ending(&study, Answer::new(tuned.text(), &tuned)?)
    }
}

impl StudyPlan {
    /// Whether the re-ranker is needed.
    pub fn needs_reranker(&self) -> bool {
        self.trials.iter().any(|trial| trial.request.rerank.enabled)
    }
}

fn ending(study: &Study, answer: Answer) -> Result<Answer> {
    let is_whole = study.failed.is_empty() && study.not_searched.is_empty();
    Ok(answer.ending(Verdict::of(is_whole)))
}

/// Runs a study behind a progress bar.
async fn watched(engine: &Engine, plan: &StudyPlan) -> Result<Study> {
    let ingesting = spinner("ingesting {spinner} {pos} documents");
    let ranking = bar_of_topics(0);
    let show = |bar: &ProgressBar, at: usize| bar.set_position(at as u64);
    let study = study::run(engine, plan, |step| match step {
        Step::Ingesting(read) => show(&ingesting, read),
        Step::Ranking(done, of) => {
            ranking.set_length(of as u64);
            show(&ranking, done);
        }
    })
    .await;
    ingesting.finish_and_clear();
    ranking.finish_and_clear();
    study
}
