//! `braid eval cache`.

use std::path::PathBuf;

use braid_config::Settings;
use braid_core::Result;
use braid_engine::Engine;

use super::bars::bar_of_pairs;
use crate::paraphrases::{Pair, compare, measure, read_pairs, time_lookups};
use crate::table::Answer;

/// `braid eval cache`.
///
/// Each pair of questions is embedded and read as the cache of stored answers does. A hit is true where
/// both have the same answer and false where they have not. Choose a threshold on some pairs and report
/// on others.
#[derive(Clone, Debug, clap::Args)]
pub struct CacheArgs {
    /// Labelled pairs, repeatable: tab-separated one, other, same (0 or 1) and kind, or .jsonl
    #[arg(long, value_name = "FILE", required = true)]
    pub pairs: Vec<PathBuf>,
    /// Least similarities to measure
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "T,T,...",
        default_value = "0.70,0.75,0.80,0.85,0.90,0.92,0.94,0.95,0.96,0.97,0.98,0.99",
        value_parser = threshold
    )]
    pub thresholds: Vec<f64>,
    /// The threshold that kinds of pairs are measured at; cache.semantic_threshold where not given
    #[arg(long, value_name = "T", value_parser = threshold)]
    pub at: Option<f64>,
    /// Also time lookups in a cache of so many answers
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub entries: Option<u32>,
    /// Give every pair with its similarity and what the guard finds; with --json
    #[arg(long, requires = "json")]
    pub per_pair: bool,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

fn threshold(text: &str) -> Result<f64, String> {
    let read = text
        .parse()
        .ok()
        .filter(|value| (0.0..=1.0).contains(value));
    read.ok_or_else(|| "must be from 0 to 1".to_owned())
}

impl CacheArgs {
    /// Reads the pairs.
    ///
    /// # Errors
    /// `InvalidRequest` naming the file and line.
    pub fn prepare(&self) -> Result<Vec<Pair>> {
        let mut pairs = Vec::new();
        for file in &self.pairs {
            pairs.extend(read_pairs(file)?);
        }
        Ok(pairs)
    }

    /// Embeds, reads and counts.
    ///
    /// # Errors
    /// What the embedder fails with.
    pub async fn answer(
        &self,
        engine: &Engine,
        settings: &Settings,
        pairs: &[Pair],
    ) -> Result<Answer> {
        let bar = bar_of_pairs(pairs.len() as u64);
        let measured = compare(engine, pairs, |done| bar.set_position(done as u64)).await?;
        bar.finish_and_clear();
        let mut thresholds = self.thresholds.clone();
        thresholds.sort_by(f64::total_cmp);
        let at = self.at.unwrap_or(settings.cache.semantic_threshold);
        let embedder = engine.embedder().fingerprint().to_string();
        let mut report = measure(embedder, &measured, &thresholds, at);
        if let Some(entries) = self.entries {
            report.lookup = Some(time_lookups(engine, entries as usize).await?);
        }
        if self.per_pair {
            report = report.with_each(&measured);
        }
        Answer::new(report.text(), &report)
    }
}
