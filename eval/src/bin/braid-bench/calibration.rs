//! Whether the re-ranker's relevance is a probability: fitted on sources that the model was not
//! trained on, measured on the evaluation sets. Prints the parameters for the model's manifest and a
//! table.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use braid_core::Calibration;
use braid_engine::query::RetrieveRequest;
use braid_engine::{Engine, OpenOptions, retrieve_defaults};
use braid_eval::calibration::{Labelled, Trueness, fit, trueness};
use braid_eval::dataset::Dataset;
use braid_eval::harness::load_corpus;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::quality::SETS;
use crate::{Cli, say};

/// Sources of labelled pairs that the re-ranker was validated on and not trained on.
const FITTED_ON: [&str; 2] = ["doc_faq", "mtrag"];
const SPLIT: &str = "all";

#[derive(Deserialize)]
struct PairLine {
    query: String,
    positive: String,
}

#[derive(Deserialize)]
struct PassageLine {
    id: String,
    text: String,
}

#[derive(Serialize)]
struct Measured {
    slope: f64,
    intercept: f64,
    fitted_pairs: usize,
    /// By set: with the fitted parameters, and with the plain logistic of the raw score.
    sets: BTreeMap<String, (Trueness, Trueness)>,
}

pub(crate) async fn measure(cli: &Cli) -> Result<()> {
    let mut pairs = Vec::new();
    let mut halves = BTreeMap::new();
    for name in FITTED_ON {
        let folder = make_set(cli, name)?;
        let of_set = labelled(cli, &folder, SPLIT).await?;
        // Every other topic says how true it is where it was fitted.
        pairs.extend(of_set.iter().step_by(2).flatten().copied());
        let rest = of_set.iter().skip(1).step_by(2).flatten().copied();
        halves.insert(format!("{name}, other half"), rest.collect::<Vec<_>>());
    }
    let fitted = fit(&pairs).context("the scores do not tell relevant from irrelevant")?;
    let mut sets = BTreeMap::new();
    for (name, held_out) in halves {
        sets.extend(true_to(fitted, &held_out).map(|both| (name, both)));
    }
    for (name, split, _) in SETS {
        let folder = cli.data.join(name);
        if !folder.is_dir() {
            say(format!("skipping {name}: {} is absent", folder.display()));
            continue;
        }
        let held_out: Vec<Labelled> = labelled(cli, &folder, split).await?.concat();
        sets.extend(true_to(fitted, &held_out).map(|both| (name.to_owned(), both)));
    }
    let measured = Measured {
        slope: fitted.slope,
        intercept: fitted.intercept,
        fitted_pairs: pairs.len(),
        sets,
    };
    say(table(&measured));
    cli.save("calibration", &measured)
}

fn true_to(fitted: Calibration, pairs: &[Labelled]) -> Option<(Trueness, Trueness)> {
    let plain = Calibration {
        slope: 1.0,
        intercept: 0.0,
    };
    let by = |calibration: Calibration| {
        let pairs = pairs.iter().map(|pair| Labelled {
            score: calibration.relevance(pair.score),
            ..*pair
        });
        trueness(&pairs.collect::<Vec<_>>())
    };
    Some((by(fitted)?, by(plain)?))
}

fn table(measured: &Measured) -> String {
    let mut table = format!(
        "slope {:.4}, intercept {:.4}, fitted on {} pairs\n\n\
         | set | pairs | relevant | mean relevance | ECE | ECE of the plain logistic | Brier | Brier of the share |\n\
         |---|---|---|---|---|---|---|---|\n",
        measured.slope, measured.intercept, measured.fitted_pairs
    );
    for (name, (fitted, plain)) in &measured.sets {
        table += &format!(
            "| {name} | {} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} |\n",
            fitted.pairs,
            fitted.relevant,
            fitted.predicted,
            fitted.expected_calibration_error,
            plain.expected_calibration_error,
            fitted.brier,
            fitted.brier_of_share,
        );
    }
    table
}

/// The candidates that are re-ranked for each topic, with their raw scores and labels: of a document
/// its best chunk.
async fn labelled(cli: &Cli, folder: &Path, split: &str) -> Result<Vec<Vec<Labelled>>> {
    let mut settings = cli.settings();
    let name = folder.file_name().unwrap_or_default();
    settings.storage.data_dir = cli.work.join("quality").join(name).join("data");
    let dataset = Dataset::open(folder, split)?;
    let engine = Engine::open(&settings, OpenOptions::default()).await?;
    let chosen = engine.default_collection_settings();
    let collection = load_corpus(&engine, chosen, &dataset, |_| ())
        .await?
        .collection;
    let mut request = RetrieveRequest {
        collection,
        ..retrieve_defaults(&settings)?
    };
    request.top_k = request.rerank.candidates;
    request.rerank.deadline_ms = None;
    request.context.max_tokens = 0;
    let mut topics = Vec::new();
    for topic in dataset.topics.iter().take(cli.calibration_topics) {
        request.query.clone_from(&topic.text);
        let judged = dataset.qrels.get(&topic.id);
        let mut best: HashMap<String, f64> = HashMap::new();
        for hit in engine.retrieve(request.clone()).await?.hits {
            let Some(scored) = hit.scores.rerank else {
                continue;
            };
            let document = hit.passage.record.document.to_string();
            let score = best.entry(document).or_insert(f64::NEG_INFINITY);
            *score = score.max(scored.score);
        }
        let mut pairs: Vec<(String, f64)> = best.into_iter().collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        let pairs = pairs.into_iter().map(|(document, score)| Labelled {
            score,
            is_relevant: judged.is_some_and(|of| of.get(&document).is_some_and(|grade| *grade > 0)),
        });
        topics.push(pairs.collect());
    }
    say(format!("{}: {} topics", dataset.name, topics.len()));
    engine.close().await;
    Ok(topics)
}

/// A BEIR folder out of a source of pairs: every passage a document, every query a topic.
fn make_set(cli: &Cli, name: &str) -> Result<PathBuf> {
    let folder = cli.work.join("calibration").join(name);
    std::fs::create_dir_all(folder.join("qrels"))?;
    let passages: Vec<PassageLine> = read(&cli.train.join(format!("{name}.passages.jsonl")))?;
    let mut by_text: HashMap<String, &str> = HashMap::new();
    let mut corpus = String::new();
    for passage in &passages {
        by_text.insert(squeezed(&passage.text), &passage.id);
        let line = json!({"_id": passage.id, "title": "", "text": passage.text});
        corpus += &format!("{line}\n");
    }
    let pairs: Vec<PairLine> = read(&cli.train.join(format!("{name}.jsonl")))?;
    let mut relevant: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for pair in pairs {
        if let Some(id) = by_text.get(&squeezed(&pair.positive)) {
            relevant.entry(pair.query).or_default().insert(id);
        }
    }
    let (mut queries, mut qrels) = (String::new(), "query-id\tcorpus-id\tscore\n".to_owned());
    for (at, (query, ids)) in relevant.iter().enumerate() {
        queries += &format!("{}\n", json!({"_id": format!("q{at:05}"), "text": query}));
        for id in ids {
            qrels += &format!("q{at:05}\t{id}\t1\n");
        }
    }
    std::fs::write(folder.join("corpus.jsonl"), corpus)?;
    std::fs::write(folder.join("queries.jsonl"), queries)?;
    std::fs::write(folder.join(format!("qrels/{SPLIT}.tsv")), qrels)?;
    Ok(folder)
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Vec<T>> {
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
