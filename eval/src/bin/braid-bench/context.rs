//! How often the answer to a question stands in its context, at several budgets: assembled, against
//! the same hits' texts put one below the other and cut at the budget.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use braid_core::TokenCounter;
use braid_engine::query::{
    AssembledContext, ContextExpansion, ContextOptions, RetrieveRequest, RetrievedHit,
};
use braid_engine::retrieve_defaults;
use braid_eval::bootstrap::{Estimate, estimate};
use braid_eval::dataset::Dataset;
use braid_eval::harness::load_corpus;
use serde::{Deserialize, Serialize};

use crate::{Cli, say};

const SET: &str = "squad_v1.1_dev";
const SPLIT: &str = "sample1000";
const BUDGETS: [usize; 3] = [500, 1_000, 2_000];
/// Hits that both take from: enough to fill the largest budget.
const HITS: usize = 20;
const NAIVE: &str = "concatenated";
const ASSEMBLED: &str = "assembled";

#[derive(Deserialize)]
struct QueryLine {
    #[serde(rename = "_id")]
    id: String,
    #[serde(default)]
    metadata: QueryMetadata,
}

#[derive(Default, Deserialize)]
struct QueryMetadata {
    #[serde(default)]
    answers: Vec<String>,
}

#[derive(Serialize)]
struct Row {
    variant: &'static str,
    budget: usize,
    recall: f64,
    /// Against concatenation, with a paired 95% interval.
    difference: f64,
    low: f64,
    high: f64,
    mean_tokens: f64,
    /// Topics with an answer in the concatenation alone, and in this context alone.
    lost: Vec<String>,
    gained: Vec<String>,
}

/// What became of one topic.
struct Outcome {
    topic: String,
    has_answer: bool,
    tokens: usize,
}

impl Outcome {
    fn of(topic: &str, text: &str, tokens: usize, answers: &[String]) -> Self {
        Self {
            topic: topic.to_owned(),
            has_answer: answers.iter().any(|answer| text.contains(answer)),
            tokens,
        }
    }

    fn value(&self) -> f64 {
        f64::from(u8::from(self.has_answer))
    }
}

/// What each variant changes.
fn variants(budget: usize) -> Vec<(&'static str, ContextOptions)> {
    let plain = ContextOptions {
        max_tokens: budget,
        ..ContextOptions::default()
    };
    let neighbors = ContextOptions {
        expand: ContextExpansion::Neighbors,
        ..plain
    };
    let mmr = ContextOptions {
        mmr: Some(0.7),
        ..plain
    };
    vec![
        (ASSEMBLED, plain),
        ("with neighbors", neighbors),
        ("with MMR, lambda 0.7", mmr),
    ]
}

pub(crate) async fn measure(cli: &Cli) -> Result<()> {
    let folder = cli.data.join(SET);
    let answers = read_answers(&folder.join("queries.jsonl"))?;
    let mut settings = cli.settings();
    // A leg that is cut short would measure the machine.
    settings.retrieve.leg_timeout_ms = 600_000;
    settings.storage.data_dir = cli.work.join("quality").join(SET).join("data");
    let dataset = Dataset::open(&folder, SPLIT)?;
    let (engine, _) = crate::gain::open(&settings).await?;
    let chosen = engine.default_collection_settings();
    let collection = load_corpus(&engine, chosen, &dataset, |_| ())
        .await?
        .collection;
    let mut request = RetrieveRequest {
        collection,
        top_k: HITS,
        ..retrieve_defaults(&settings)?
    };
    request.rerank.deadline_ms = None;
    let counter = engine.embedder().token_counter();
    let mut found: BTreeMap<(usize, &'static str), Vec<Outcome>> = BTreeMap::new();
    for topic in dataset.topics.iter().take(cli.context_topics) {
        let Some(answers) = answers.get(&topic.id) else {
            continue;
        };
        request.query.clone_from(&topic.text);
        for budget in BUDGETS {
            for (variant, options) in variants(budget) {
                request.context = options;
                let response = engine.retrieve(request.clone()).await?;
                let body = body_of(&response.context);
                let own = Outcome::of(&topic.id, &body, response.context.tokens, answers);
                found.entry((budget, variant)).or_default().push(own);
                if options == variants(budget)[0].1 {
                    let naive = concatenated(&response.hits, budget, &*counter);
                    let naive = Outcome::of(&topic.id, &naive, counter.count(&naive), answers);
                    found.entry((budget, NAIVE)).or_default().push(naive);
                }
            }
        }
    }
    engine.close().await;
    let rows = rows(&found);
    say(table(&rows));
    cli.save("context", &rows)?;
    check(&rows)
}

/// The bar: with the options as they are by default, no budget has the answer less often than concatenation.
fn check(rows: &[Row]) -> Result<()> {
    for row in rows.iter().filter(|row| row.variant == ASSEMBLED) {
        ensure!(
            row.difference >= 0.0,
            "{} tokens: the answer is in the context in {:+.4} of the cases against concatenation, the bar is 0; lost: {}",
            row.budget,
            row.difference,
            row.lost.join(", ")
        );
    }
    Ok(())
}

fn rows(found: &BTreeMap<(usize, &'static str), Vec<Outcome>>) -> Vec<Row> {
    let rows = found.iter().map(|((budget, variant), outcomes)| {
        let pairs = || outcomes.iter().zip(&found[&(*budget, NAIVE)]);
        let differences = pairs().map(|(own, naive)| own.value() - naive.value());
        let only = |is_own: bool| {
            let differ = pairs().filter(|(own, naive)| own.has_answer != naive.has_answer);
            let differ = differ.filter(|(own, _)| own.has_answer == is_own);
            differ.map(|(own, _)| own.topic.clone()).collect()
        };
        let Estimate { mean, low, high } = estimate(&differences.collect::<Vec<_>>());
        let count = outcomes.len() as f64;
        Row {
            variant,
            budget: *budget,
            recall: outcomes.iter().map(Outcome::value).sum::<f64>() / count,
            difference: mean,
            low,
            high,
            mean_tokens: outcomes
                .iter()
                .map(|outcome| outcome.tokens as f64)
                .sum::<f64>()
                / count,
            lost: only(false),
            gained: only(true),
        }
    });
    rows.collect()
}

fn table(rows: &[Row]) -> String {
    let mut table = "| tokens | context | answer in it | against concatenation (95% interval) | mean tokens |\n\
                     |---|---|---|---|---|\n"
        .to_owned();
    for row in rows {
        table += &format!(
            "| {} | {} | {:.3} | {:+.3} [{:+.3}, {:+.3}] | {:.0} |\n",
            row.budget, row.variant, row.recall, row.difference, row.low, row.high, row.mean_tokens
        );
    }
    table
}

/// The hits' texts, one below the other, as much of them as has `budget` tokens.
fn concatenated(hits: &[RetrievedHit], budget: usize, counter: &dyn TokenCounter) -> String {
    let texts = hits
        .iter()
        .map(|hit| hit.passage.record.chunk.text.as_str());
    let whole = texts.collect::<Vec<_>>().join("\n\n");
    let ends: Vec<usize> = whole
        .char_indices()
        .map(|(at, _)| at)
        .chain([whole.len()])
        .collect();
    let fit = ends.partition_point(|end| counter.count(&whole[..*end]) <= budget);
    whole[..ends[fit.saturating_sub(1)]].to_owned()
}

/// The context without markers and source lines: an answer in a title does not count.
fn body_of(context: &AssembledContext) -> String {
    let markers: Vec<&str> = context
        .citations
        .iter()
        .map(|one| one.marker.as_str())
        .collect();
    let mut next = 0;
    let lines = context.text.lines().filter(|line| {
        let is_lead = markers
            .get(next)
            .is_some_and(|marker| *line == *marker || line.starts_with(&format!("{marker} ")));
        next += usize::from(is_lead);
        !is_lead
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn read_answers(path: &Path) -> Result<HashMap<String, Vec<String>>> {
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    let mut answers = HashMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let query: QueryLine = serde_json::from_str(line)?;
        answers.insert(query.id, query.metadata.answers);
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(has_answer: &[(&str, &'static str, bool)]) -> Result<()> {
        let mut found: BTreeMap<(usize, &'static str), Vec<Outcome>> = BTreeMap::new();
        for (topic, variant, has_answer) in has_answer {
            let text = if *has_answer { "in the den" } else { "nowhere" };
            let outcome = Outcome::of(topic, text, 3, &["den".to_owned()]);
            found.entry((500, variant)).or_default().push(outcome);
        }
        check(&rows(&found))
    }

    #[test]
    fn a_context_that_loses_answers_fails_and_names_them() {
        let naive = [("a", NAIVE, true), ("b", NAIVE, true)];
        let own = |b: bool| [("a", ASSEMBLED, true), ("b", ASSEMBLED, b)];
        assert!(checked(&[naive, own(true)].concat()).is_ok());
        let error = checked(&[naive, own(false)].concat()).unwrap_err();
        assert!(error.to_string().ends_with("lost: b"), "{error}");
        // Another variant may.
        let mmr = [("a", "with MMR", true), ("b", "with MMR", false)];
        assert!(checked(&[naive, own(true), mmr].concat()).is_ok());
    }
}
