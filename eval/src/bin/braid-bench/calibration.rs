//! Whether the re-ranker's relevance is a probability, and what a threshold on it does: measured
//! with the parameters in the model's manifest, on the evaluation sets and on sources that the model
//! was not trained on. Half of the latter fits the parameters anew, for the manifest of a new model
//! and to show how far those in force have drifted.

mod abstention;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use braid_core::Calibration;
use braid_engine::query::RetrieveRequest;
use braid_engine::{Engine, OpenOptions, retrieve_defaults};
use braid_eval::calibration::{Labelled, Trueness, fit, trueness};
use braid_eval::dataset::{Dataset, Topic};
use braid_eval::harness::load_corpus;
use braid_eval::metrics::Judgements;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::quality::SETS;
use crate::{Cli, say};
use abstention::Foreign;

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

/// A collection with its judged topics.
struct Source {
    name: &'static str,
    folder: PathBuf,
    split: &'static str,
    is_fitted_on: bool,
}

/// What is re-ranked for one topic, with raw scores and labels: of a document its best chunk.
type Candidates = Vec<Labelled>;

/// What a collection answered.
struct Asked {
    name: &'static str,
    is_fitted_on: bool,
    /// To each of its own topics.
    own: Vec<Candidates>,
    /// To topics of another set, and which.
    foreign: Option<(&'static str, Vec<Candidates>)>,
    /// The parameters in the manifest of the model that scored.
    manifest: Option<Calibration>,
}

impl Asked {
    /// Every other topic, where parameters are fitted on this set.
    fn fitted_on(&self) -> impl Iterator<Item = &Candidates> {
        let most = if self.is_fitted_on { usize::MAX } else { 0 };
        self.own.iter().step_by(2).take(most)
    }

    /// The topics that are measured: those that no parameters are fitted on.
    fn held_out(&self) -> impl Iterator<Item = &Candidates> {
        let (first, step) = if self.is_fitted_on { (1, 2) } else { (0, 1) };
        self.own.iter().skip(first).step_by(step)
    }

    fn label(&self) -> String {
        let half = if self.is_fitted_on {
            ", other half"
        } else {
            ""
        };
        format!("{}{half}", self.name)
    }
}

#[derive(Serialize)]
struct Measured {
    /// What is measured: the manifest's, or those fitted anew where it has none.
    measured: Parameters,
    is_of_manifest: bool,
    fitted: Parameters,
    fitted_pairs: usize,
    sets: Vec<SetRow>,
    abstention: Vec<abstention::Row>,
}

#[derive(Clone, Copy, Serialize)]
struct Parameters {
    slope: f64,
    intercept: f64,
}

impl From<Calibration> for Parameters {
    fn from(calibration: Calibration) -> Self {
        Self {
            slope: calibration.slope,
            intercept: calibration.intercept,
        }
    }
}

/// How true relevance is on one set: with the parameters measured, with those fitted anew, and as the
/// plain logistic of the raw score.
#[derive(Serialize)]
struct SetRow {
    set: String,
    measured: Trueness,
    fitted: Trueness,
    plain: Trueness,
}

pub(crate) async fn measure(cli: &Cli) -> Result<()> {
    let sources = sources(cli)?;
    let mut asked = Vec::new();
    for source in &sources {
        let foreign = abstention::foreign_to(source, &sources, cli.calibration_topics)?;
        asked.push(ask(cli, source, foreign).await?);
    }
    let pairs = asked.iter().flat_map(Asked::fitted_on).flatten().copied();
    let pairs: Vec<Labelled> = pairs.collect();
    let fitted = fit(&pairs).context("the scores do not tell relevant from irrelevant")?;
    let fitted = as_in_a_manifest(fitted);
    // All of them were scored by one model.
    let manifest = asked.iter().find_map(|one| one.manifest);
    let chosen = manifest.unwrap_or(fitted);
    let sets = asked.iter().filter_map(|one| true_to(one, chosen, fitted));
    let rows = asked.iter().filter_map(|one| abstention::row(one, chosen));
    let measured = Measured {
        measured: chosen.into(),
        is_of_manifest: manifest.is_some(),
        fitted: fitted.into(),
        fitted_pairs: pairs.len(),
        sets: sets.collect(),
        abstention: rows.collect(),
    };
    say(table(&measured));
    say(abstention::table(&measured.abstention));
    cli.save("calibration", &measured)
}

/// The sources that parameters are fitted on, and the evaluation sets that are there.
fn sources(cli: &Cli) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for name in FITTED_ON {
        sources.push(Source {
            name,
            folder: make_set(cli, name)?,
            split: SPLIT,
            is_fitted_on: true,
        });
    }
    for (name, split, _) in SETS {
        let folder = cli.data.join(name);
        if !folder.is_dir() {
            say(format!("skipping {name}: {} is absent", folder.display()));
            continue;
        }
        sources.push(Source {
            name,
            folder,
            split,
            is_fitted_on: false,
        });
    }
    Ok(sources)
}

/// With as many digits as a manifest has: what is measured is what would ship.
fn as_in_a_manifest(fitted: Calibration) -> Calibration {
    let rounded = |value: f64| (value * 1e4).round() / 1e4;
    Calibration {
        slope: rounded(fitted.slope),
        intercept: rounded(fitted.intercept),
    }
}

fn true_to(asked: &Asked, chosen: Calibration, fitted: Calibration) -> Option<SetRow> {
    let plain = Calibration {
        slope: 1.0,
        intercept: 0.0,
    };
    let by = |calibration: Calibration| {
        let pairs = asked.held_out().flatten().map(|pair| Labelled {
            score: calibration.relevance(pair.score),
            ..*pair
        });
        trueness(&pairs.collect::<Vec<_>>())
    };
    Some(SetRow {
        set: asked.label(),
        measured: by(chosen)?,
        fitted: by(fitted)?,
        plain: by(plain)?,
    })
}

fn table(found: &Measured) -> String {
    let origin = match found.is_of_manifest {
        true => "the manifest's",
        false => "fitted anew, as the manifest has none",
    };
    let mut table = format!(
        "measured: slope {:.4}, intercept {:.4}, {origin}\n\
         fitted anew: slope {:.4}, intercept {:.4}, on {} pairs\n\n\
         | set | pairs | relevant | mean relevance | ECE | ECE fitted anew | ECE of the plain logistic | Brier | Brier of the share |\n\
         |---|---|---|---|---|---|---|---|---|\n",
        found.measured.slope,
        found.measured.intercept,
        found.fitted.slope,
        found.fitted.intercept,
        found.fitted_pairs
    );
    for row in &found.sets {
        table += &format!(
            "| {} | {} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} |\n",
            row.set,
            row.measured.pairs,
            row.measured.relevant,
            row.measured.predicted,
            row.measured.expected_calibration_error,
            row.fitted.expected_calibration_error,
            row.plain.expected_calibration_error,
            row.measured.brier,
            row.measured.brier_of_share,
        );
    }
    table
}

/// Asks a collection its own topics, and those that have no answer in it.
async fn ask(cli: &Cli, source: &Source, foreign: Option<Foreign>) -> Result<Asked> {
    let mut settings = cli.settings();
    settings.storage.data_dir = cli.work.join("quality").join(source.name).join("data");
    let dataset = Dataset::open(&source.folder, source.split)?;
    let engine = Engine::open(&settings, OpenOptions::default()).await?;
    let reranker = engine.reranker().context("no re-ranker is configured")?;
    let manifest = reranker.calibration(settings.lexical.language.of_document(None));
    let chosen = engine.default_collection_settings();
    let loaded = load_corpus(&engine, chosen, &dataset, |_| ()).await?;
    let mut request = RetrieveRequest {
        collection: loaded.collection,
        ..retrieve_defaults(&settings)?
    };
    request.top_k = request.rerank.candidates;
    request.rerank.deadline_ms = None;
    request.context.max_tokens = 0;
    let own_topics = dataset.topics.iter().take(cli.calibration_topics);
    let judged = own_topics.map(|topic| (topic, dataset.qrels.get(&topic.id)));
    let own = answers(&engine, &request, judged).await?;
    say(format!("{}: {} topics", source.name, own.len()));
    let mut to_foreign = None;
    if let Some(Foreign { from, topics }) = foreign {
        let unjudged = topics.iter().map(|topic| (topic, None));
        to_foreign = Some((from, answers(&engine, &request, unjudged).await?));
    }
    engine.close().await;
    Ok(Asked {
        name: source.name,
        is_fitted_on: source.is_fitted_on,
        own,
        foreign: to_foreign,
        manifest,
    })
}

async fn answers<'a>(
    engine: &Engine,
    request: &RetrieveRequest,
    topics: impl Iterator<Item = (&'a Topic, Option<&'a Judgements>)>,
) -> Result<Vec<Candidates>> {
    let mut answers = Vec::new();
    for (topic, judged) in topics {
        answers.push(candidates(engine, request, topic, judged).await?);
    }
    Ok(answers)
}

async fn candidates(
    engine: &Engine,
    request: &RetrieveRequest,
    topic: &Topic,
    judged: Option<&Judgements>,
) -> Result<Candidates> {
    let request = RetrieveRequest {
        query: topic.text.clone(),
        ..request.clone()
    };
    let mut best: BTreeMap<String, f64> = BTreeMap::new();
    for hit in engine.retrieve(request).await?.hits {
        let Some(scored) = hit.scores.rerank else {
            continue;
        };
        let document = hit.passage.record.document.to_string();
        let score = best.entry(document).or_insert(f64::NEG_INFINITY);
        *score = score.max(scored.score);
    }
    let pairs = best.into_iter().map(|(document, score)| Labelled {
        score,
        is_relevant: judged.is_some_and(|of| of.get(&document).is_some_and(|grade| *grade > 0)),
    });
    Ok(pairs.collect())
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
