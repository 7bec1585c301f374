//! What re-ranking gains over the frozen hybrid runs, topic by topic.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use braid_eval::compare::{Comparison, compare};
use braid_eval::trec::{read_qrels, read_run};
use serde::Serialize;

use crate::quality::SETS;
use crate::{Cli, say};

/// The metric that gains are stated in.
const METRIC: &str = "ndcg@10";

#[derive(Serialize)]
struct Gains {
    sets: BTreeMap<&'static str, Comparison>,
    /// Mean of the sets' gains.
    mean: f64,
}

/// Compares the re-ranked runs of the quality part with `NAME.hybrid.trec.gz` of `--runs`, which are
/// committed and do not change: a gain is always one over the same list.
pub(crate) fn measure(cli: &Cli) -> Result<()> {
    let mut sets = BTreeMap::new();
    for (name, split, _) in SETS {
        let frozen = cli.runs.join(format!("{name}.hybrid.trec.gz"));
        let reranked = cli.work.join("quality").join(name).join("run.rerank.trec");
        if !frozen.is_file() || !reranked.is_file() {
            say(format!(
                "skipping {name}: {} or {} is absent",
                frozen.display(),
                reranked.display()
            ));
            continue;
        }
        let qrels = cli.data.join(name).join(format!("qrels/{split}.tsv"));
        let rows = compare(
            &read_run(&frozen)?,
            &read_run(&reranked)?,
            &read_qrels(&qrels)?,
        );
        let row = rows.into_iter().find(|row| row.metric == METRIC);
        sets.insert(name, row.context("the metric is not reported")?);
    }
    if sets.is_empty() {
        say("no set to compare: measure the quality part first");
        return Ok(());
    }
    let mean = sets.values().map(|set| set.difference).sum::<f64>() / sets.len() as f64;
    say(format!("mean gain of re-ranking: {mean:+.4} {METRIC}"));
    cli.save("gain", &Gains { sets, mean })
}
