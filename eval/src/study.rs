//! Many trials over the same queries: each query's legs are searched once for a collection, and every
//! trial that needs no other collection and no other search is replayed over them.

use std::collections::{BTreeMap, BTreeSet};

use braid_core::{CollectionName, CollectionSettings, Reranker, Result};
use braid_engine::Engine;
use braid_engine::query::{Place, Recording, RetrieveRequest, Syntax, Typos};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::dataset::{Dataset, Topic};
use crate::harness::load_corpus;
use crate::memo::MemoReranker;
use crate::metrics::{Judgements, Metric};
use crate::trials::Trial;

/// What is tried on what.
#[derive(Clone, Debug)]
pub struct StudyPlan {
    /// Topics and qrels.
    pub dataset: Dataset,
    /// What is tried; the first is the baseline.
    pub trials: Vec<Trial>,
    /// What is measured.
    pub metrics: Vec<Metric>,
    /// So many times the first metric is also measured against labels drawn at random.
    pub random_labels: u64,
}

/// What a study measured.
#[derive(Clone, Debug, Default)]
pub struct Study {
    /// Topics in qrels order; each counts.
    pub topics: Vec<String>,
    /// `[metric][trial][topic]`.
    pub values: Vec<Vec<Vec<f64>>>,
    /// The first metric against random labels: `[seed][trial][topic]`.
    pub random: Vec<Vec<Vec<f64>>>,
    /// Topics that failed in any collection, with the reason: they count 0 for every trial, so that
    /// none gains by it.
    pub failed: BTreeMap<String, String>,
    /// Documents that a collection lacks because they could not be read or indexed, by collection,
    /// with the reason. A trial in whose collection they are has the advantage.
    pub not_searched: BTreeMap<String, BTreeMap<String, String>>,
    /// Times that a query's legs were searched.
    pub searches: usize,
    /// Rankings that were measured.
    pub rankings: usize,
    /// Pairs that the re-ranker scored.
    pub scored_pairs: usize,
}

/// Where a study stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many documents of a collection were read.
    Ingesting(usize),
    /// So many queries were answered, of so many.
    Ranking(usize, usize),
}

/// Runs every trial of the plan on every topic.
///
/// # Errors
/// What stops the whole study; a topic that fails counts 0 and is named.
pub async fn run(engine: &Engine, plan: &StudyPlan, progress: impl Fn(Step)) -> Result<Study> {
    let topics: Vec<String> = plan.dataset.qrels.keys().cloned().collect();
    let zeros = vec![vec![0.0; topics.len()]; plan.trials.len()];
    let mut study = Study {
        values: vec![zeros.clone(); plan.metrics.len()],
        random: vec![zeros; plan.random_labels as usize],
        topics,
        ..Study::default()
    };
    for topic in plan.dataset.topics_without_text() {
        study
            .failed
            .insert(topic, "queries.jsonl does not have it".to_owned());
    }
    let mut places = Vec::new();
    for (settings, group) in collections(&plan.trials) {
        let told = |read| progress(Step::Ingesting(read));
        let loaded = load_corpus(engine, settings, &plan.dataset, told).await?;
        if !loaded.not_searched.is_empty() {
            let name = loaded.collection.to_string();
            study.not_searched.insert(name, loaded.not_searched);
        }
        places.push((loaded.collection, group));
    }
    let all = plan.dataset.topics.len();
    for (topic, done) in plan.dataset.topics.iter().zip(1..) {
        match study.answer(engine, plan, &places, topic).await {
            Ok(rankings) => study.measure(plan, topic, &rankings),
            Err(error) => {
                study.failed.insert(topic.id.clone(), error.to_string());
            }
        }
        progress(Step::Ranking(done, all));
    }
    Ok(study)
}

/// Trials by the collection that they need, in order of appearance.
fn collections(trials: &[Trial]) -> Vec<(CollectionSettings, Vec<usize>)> {
    let mut groups: Vec<(CollectionSettings, Vec<usize>)> = Vec::new();
    for (index, trial) in trials.iter().enumerate() {
        match groups
            .iter_mut()
            .find(|(settings, _)| *settings == trial.collection)
        {
            Some((_, group)) => group.push(index),
            None => groups.push((trial.collection, vec![index])),
        }
    }
    groups
}

/// A collection with the trials that are answered from it.
type Answering = (CollectionName, Vec<usize>);

impl Study {
    /// What every trial makes of a topic.
    async fn answer(
        &mut self,
        engine: &Engine,
        plan: &StudyPlan,
        places: &[Answering],
        topic: &Topic,
    ) -> Result<Vec<Vec<String>>> {
        let mut rankings = vec![Vec::new(); plan.trials.len()];
        for (collection, group) in places {
            let found = self.answer_from(engine, plan, collection, group, topic);
            for (trial, ranking) in group.iter().zip(found.await?) {
                rankings[*trial] = ranking;
            }
        }
        Ok(rankings)
    }

    async fn answer_from(
        &mut self,
        engine: &Engine,
        plan: &StudyPlan,
        collection: &CollectionName,
        group: &[usize],
        topic: &Topic,
    ) -> Result<Vec<Vec<String>>> {
        let mut recordings: Vec<(Searched, Recording)> = Vec::new();
        let memo = engine
            .reranker()
            .map(|model| MemoReranker::new(model.clone()));
        let mut rankings = Vec::with_capacity(group.len());
        for index in group {
            let trial = &plan.trials[*index];
            let searched = searched_as(&trial.request);
            let known = recordings.iter().position(|(known, _)| *known == searched);
            let at = match known {
                Some(at) => at,
                None => {
                    let requests = group.iter().map(|trial| &plan.trials[*trial].request);
                    let alike: Vec<&RetrieveRequest> = requests
                        .filter(|request| searched_as(request) == searched)
                        .collect();
                    let request = RetrieveRequest {
                        query: topic.text.clone(),
                        // Topics are not written with operators.
                        syntax: Syntax::Off,
                        collection: collection.clone(),
                        ..deepest(&trial.request, &alike)
                    };
                    recordings.push((searched, engine.record(&request).await?));
                    self.searches += 1;
                    recordings.len() - 1
                }
            };
            rankings.push(rank(&recordings[at].1, trial, memo.as_ref()).await?);
        }
        self.rankings += rankings.len();
        self.scored_pairs += memo.as_ref().map_or(0, MemoReranker::scored);
        Ok(rankings)
    }

    /// `rankings` by trial.
    fn measure(&mut self, plan: &StudyPlan, topic: &Topic, rankings: &[Vec<String>]) {
        let Some(judgements) = plan.dataset.qrels.get(&topic.id) else {
            return;
        };
        let Ok(at) = self.topics.binary_search(&topic.id) else {
            return;
        };
        for (metric, values) in plan.metrics.iter().zip(&mut self.values) {
            for (values, ranking) in values.iter_mut().zip(rankings) {
                values[at] = metric.measure(ranking, judgements);
            }
        }
        let Some(metric) = plan.metrics.first() else {
            return;
        };
        for (seed, values) in (0..).zip(&mut self.random) {
            // Drawn from what any trial found: from one collection's alone, its trials would gain.
            let labels = random_labels(judgements, rankings, seed ^ ((at as u64) << 32));
            for (values, ranking) in values.iter_mut().zip(rankings) {
                values[at] = metric.measure(ranking, &labels);
            }
        }
    }

    /// Means by trial of the metric at `index`.
    pub fn of_metric(&self, index: usize) -> &[Vec<f64>] {
        self.values.get(index).map_or(&[], Vec::as_slice)
    }
}

/// What of a request its legs are searched by, beside the depth, which a replay cuts: requests that differ
/// in it cannot share a recording. Query, syntax and collection are the same for all trials of a group, and a
/// trial has no filter.
type Searched = Typos;

fn searched_as(request: &RetrieveRequest) -> Searched {
    request.typos
}

/// The first request, with legs that hold those of all.
pub(crate) fn deepest(first: &RetrieveRequest, all: &[&RetrieveRequest]) -> RetrieveRequest {
    let mut deep = first.clone();
    for one in all {
        let candidates = &mut deep.candidates;
        candidates.lexical = candidates
            .lexical
            .max(one.candidates.lexical)
            .max(one.top_k);
        candidates.dense = candidates.dense.max(one.candidates.dense).max(one.top_k);
    }
    deep
}

/// Documents in the order in which `trial` returns their best passages.
async fn rank(
    recording: &Recording,
    trial: &Trial,
    memo: Option<&MemoReranker>,
) -> Result<Vec<String>> {
    let reranker = memo.map(|memo| memo as &dyn Reranker);
    let replay = recording.replay(&trial.request, reranker).await?;
    let places = match replay.reranked {
        _ if trial.is_distinct => replay.distinct,
        Some(reranked) => reranked,
        None => replay.base,
    };
    Ok(documents(&places))
}

/// Each document once, where its best passage stands.
pub fn documents(places: &[Place]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let first = places.iter().filter(|place| seen.insert(&place.document));
    first
        .map(|place| place.document.as_str().to_owned())
        .collect()
}

/// As many relevant documents with the same grades as `judgements` has, drawn from what any ranking
/// found: labels that no setting can know anything about.
pub fn random_labels(judgements: &Judgements, rankings: &[Vec<String>], seed: u64) -> Judgements {
    let found: BTreeSet<&String> = rankings.iter().flatten().collect();
    let mut pool: Vec<&String> = found.into_iter().collect();
    pool.shuffle(&mut StdRng::seed_from_u64(seed));
    let mut grades: Vec<i32> = judgements
        .values()
        .copied()
        .filter(|grade| *grade > 0)
        .collect();
    grades.sort_unstable();
    pool.into_iter().cloned().zip(grades).collect()
}
