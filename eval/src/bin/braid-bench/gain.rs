//! What re-ranking gains over the frozen hybrid runs, topic by topic.

use std::collections::BTreeMap;

use anyhow::Result;
use braid_eval::bootstrap;
use braid_eval::compare::{Comparison, compare_metric};
use braid_eval::metrics::Metric;
use braid_eval::trec::{read_qrels, read_run};
use serde::Serialize;

use crate::quality::SETS;
use crate::{Cli, say};

/// The metric that gains are stated in.
const METRIC: Metric = Metric::Ndcg(10);

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
        let (frozen, reranked) = (read_run(&frozen)?, read_run(&reranked)?);
        let gain = compare_metric(METRIC, &frozen, &reranked, &read_qrels(&qrels)?);
        sets.insert(name, gain);
    }
    if sets.is_empty() {
        say("no set to compare: measure the quality part first");
        return Ok(());
    }
    let gains: Vec<f64> = sets.values().map(|set| set.difference).collect();
    let mean = bootstrap::mean(&gains);
    say(format!(
        "mean gain of re-ranking: {mean:+.4} {}",
        METRIC.name()
    ));
    cli.save("gain", &Gains { sets, mean })
}
