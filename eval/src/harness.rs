//! `braid eval run`: ingest a BEIR corpus, rank every topic per stage, measure.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use braid_core::limits::MAX_COLLECTION_NAME_BYTES;
use braid_core::{
    ChunkingStrategy, CollectionName, CollectionSettings, DocumentId, Error, FormatFamily, Result,
};
use braid_engine::query::{RankRequest, RankedDocument, Stage, StageRankings, Timings};
use braid_engine::source::{self, SourceFormat, SourceOptions};
use braid_engine::{Engine, Loader, SourceStep, Until, read_ahead};

use crate::convert::check_ids;
use crate::dataset::{Dataset, Topic};

/// Documents staged, listed or deleted at once.
const BATCH_DOCUMENTS: usize = 256;
/// Most bytes of a dataset's name in its collection's.
const NAME_BYTES: usize = 24;
/// Hexadecimal digits in a collection's name for what the rest of it does not say.
const HASH_DIGITS: usize = 8;

/// What is evaluated.
#[derive(Clone, Debug)]
pub struct EvalPlan {
    /// Topics and qrels.
    pub dataset: Dataset,
    /// What each topic asks for, and where; the query is the topic's.
    pub request: RankRequest,
}

/// One topic's rankings, or why there are none.
#[derive(Clone, Debug)]
pub struct TopicResult {
    /// The topic.
    pub topic: Topic,
    /// Its rankings; an error scores 0 and is counted.
    pub rankings: Result<StageRankings, String>,
}

impl TopicResult {
    /// The ranking at `stage`, best first.
    pub fn ranking(&self, stage: Stage) -> &[RankedDocument] {
        let rankings = self.rankings.as_ref().ok();
        let list = rankings.and_then(|rankings| match stage {
            Stage::Lexical => rankings.lexical.as_ref(),
            Stage::Dense => rankings.dense.as_ref(),
            Stage::Hybrid => rankings.hybrid.as_ref(),
            Stage::Rerank => rankings.rerank.as_ref(),
        });
        list.map_or(&[], Vec::as_slice)
    }

    /// Its timings, if it was answered.
    pub fn timings(&self) -> Option<&Timings> {
        self.rankings
            .as_ref()
            .ok()
            .map(|rankings| &rankings.timings)
    }
}

/// A corpus in its collection.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The collection.
    pub collection: CollectionName,
    /// Documents that could not be read or indexed, with the reason: no query finds them.
    pub not_searched: BTreeMap<String, String>,
}

/// The collection that `dataset` is evaluated in with the settings in force.
///
/// # Errors
/// None that is known: the name is valid by construction.
pub fn collection_of(engine: &Engine, dataset: &Dataset) -> Result<CollectionName> {
    let embedder = engine.embedder().fingerprint().as_str();
    collection_named(
        &dataset.name,
        &engine.default_collection_settings(),
        embedder,
    )
}

/// The collection that a dataset of this name is evaluated in with these settings and this embedder.
/// Every one of them has a collection of its own, so that one data directory can hold many
/// evaluations and none is measured on another's chunks. The name says the settings that matter most
/// to people, and a hash of all says the rest.
///
/// # Errors
/// None that is known: the name is valid by construction.
pub fn collection_named(
    dataset: &str,
    settings: &CollectionSettings,
    embedder: &str,
) -> Result<CollectionName> {
    // A corpus is plain text.
    let chunking = settings.chunking.rule(FormatFamily::Text);
    let sizes = match chunking.strategy {
        ChunkingStrategy::Whole => String::new(),
        ChunkingStrategy::Structure
        | ChunkingStrategy::Tokens
        | ChunkingStrategy::Sentences
        | ChunkingStrategy::Headings
        | ChunkingStrategy::Code => {
            format!("-{}-{}", chunking.target_tokens, chunking.overlap_tokens)
        }
    };
    let plain = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_alphanumeric() => c,
        _ => '-',
    };
    let name: String = dataset.chars().map(plain).take(NAME_BYTES).collect();
    let (strategy, language) = (chunking.strategy.as_str(), settings.language);
    let mut readable = format!("eval-{name}-{strategy}{sizes}-{language}");
    readable.truncate(MAX_COLLECTION_NAME_BYTES - HASH_DIGITS - 1);
    // The debug form has every setting, also one that is added later. Where another version writes
    // it otherwise, a corpus is ingested once more, and nothing is measured on what it is not.
    let all = blake3::hash(format!("{dataset:?} {settings:?} {embedder:?}").as_bytes()).to_hex();
    CollectionName::new(format!("{readable}-{}", &all[..HASH_DIGITS]))
}

/// Loads the corpus of `dataset` into its collection with these settings (made if needed), deletes
/// what the corpus does not have, and waits until it is retrievable. `progress` is told how many
/// documents were read so far.
///
/// # Errors
/// What the source or the engine reports; `CollectionExists` where the collection is made of
/// something else, by an earlier version for example.
pub async fn load_corpus(
    engine: &Engine,
    settings: CollectionSettings,
    dataset: &Dataset,
    progress: impl Fn(usize),
) -> Result<Loaded> {
    let embedder = engine.embedder().fingerprint().as_str();
    let collection = collection_named(&dataset.name, &settings, embedder)?;
    engine
        .create_collection(collection.clone(), settings, None)
        .await?;
    let options = SourceOptions {
        format: SourceFormat::Beir,
        ..SourceOptions::default()
    };
    let mut steps = read_ahead(source::open(std::slice::from_ref(&dataset.path), &options)?);
    let mut loader = Loader::new(engine.clone(), collection.clone(), BATCH_DOCUMENTS);
    let mut present = HashSet::new();
    let mut read = 0;
    while let Some(SourceStep::Item(item)) = steps.recv().await {
        match *item {
            Ok(found) => {
                present.insert(found.document.id.clone());
                loader.push(found.document).await?;
            }
            Err(failure) => loader.fail(failure.name, failure.reason),
        }
        read += 1;
        progress(read);
    }
    delete_others(engine, &collection, &present, &mut loader).await?;
    let report = loader.finish().await?;
    if engine.has_workers() {
        // Whether any other worker runs is not known.
        engine.worker()?.run(Until::Idle).await?;
    }
    for (document, reason) in &report.failed {
        tracing::warn!(document, reason, "a document of the corpus is not searched");
    }
    Ok(Loaded {
        collection,
        not_searched: report.failed.into_iter().collect(),
    })
}

/// Deletes what is in the collection and not in `present`: left from an earlier version of the
/// corpus, it would be ranked.
async fn delete_others(
    engine: &Engine,
    collection: &CollectionName,
    present: &HashSet<DocumentId>,
    loader: &mut Loader,
) -> Result<()> {
    let mut cursor = None;
    let mut others = Vec::new();
    loop {
        let page = engine
            .documents(collection, cursor.as_deref(), BATCH_DOCUMENTS)
            .await?;
        let ids = page.items.into_iter().map(|summary| summary.id);
        others.extend(ids.filter(|id| !present.contains(id)));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    for ids in others.chunks(BATCH_DOCUMENTS) {
        loader.delete(ids.to_vec()).await?;
    }
    Ok(())
}

/// Ranks every topic of the plan, one after another, so that latencies are those of an idle server.
pub async fn rank_topics(
    engine: &Engine,
    plan: &EvalPlan,
    mut progress: impl FnMut(usize),
) -> Vec<TopicResult> {
    let mut results = Vec::with_capacity(plan.dataset.topics.len());
    for topic in &plan.dataset.topics {
        let request = RankRequest {
            query: topic.text.clone(),
            ..plan.request.clone()
        };
        let rankings = engine
            .rank(request)
            .await
            .map_err(|error| error.to_string());
        results.push(TopicResult {
            topic: topic.clone(),
            rankings,
        });
        progress(results.len());
    }
    results
}

/// Writes `run.STAGE.trec` for each stage into `directory`.
///
/// # Errors
/// `InvalidRequest` for a topic's id that a run file cannot hold; `Unavailable` naming the file that
/// cannot be written.
pub fn write_runs(
    directory: &Path,
    stages: &[Stage],
    results: &[TopicResult],
) -> Result<Vec<PathBuf>> {
    check_ids(results.iter().map(|result| result.topic.id.as_str()))?;
    let mut paths = Vec::new();
    for stage in stages {
        let path = directory.join(format!("run.{}.trec", stage.as_str()));
        write_run(&path, *stage, results).map_err(|error| {
            Error::new(
                braid_core::ErrorCode::Unavailable,
                format!("cannot write {}: {error}", path.display()),
            )
            .with_source(error)
        })?;
        paths.push(path);
    }
    Ok(paths)
}

fn write_run(path: &Path, stage: Stage, results: &[TopicResult]) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::fs::File::create(path)?);
    let tag = format!("braid-{}", stage.as_str());
    for result in results {
        let ranking = falling_scores(stage, result.ranking(stage));
        crate::trec::write_ranking(&mut out, &result.topic.id, &ranking, &tag)?;
    }
    std::io::Write::flush(&mut out)
}

/// Document ids with scores that fall along the list. The re-ranker stage's own scores change
/// their meaning between scored and unscored hits, so its runs carry one over the rank instead.
fn falling_scores(stage: Stage, ranking: &[RankedDocument]) -> Vec<(String, f64)> {
    ranking
        .iter()
        .enumerate()
        .map(|(index, ranked)| {
            let score = match stage {
                Stage::Rerank => 1.0 / (index + 1) as f64,
                Stage::Lexical | Stage::Dense | Stage::Hybrid => ranked.score,
            };
            (ranked.document.as_str().to_owned(), score)
        })
        .collect()
}

/// Share of answered topics whose re-ranking took longer than `deadline`.
pub fn missed_share(results: &[TopicResult], deadline: Duration) -> f64 {
    let times: Vec<f64> = results
        .iter()
        .filter_map(TopicResult::timings)
        .map(|timings| timings.rerank)
        .collect();
    let limit = deadline.as_secs_f64() * 1e3;
    let missed = times.iter().filter(|time| **time > limit).count();
    missed as f64 / times.len().max(1) as f64
}
