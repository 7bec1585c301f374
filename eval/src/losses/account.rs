//! The account of a collection: what the pipeline did with every relevant document.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use braid_core::limits::MAX_CANDIDATES;
use braid_core::lineage::ChunkStatus;
use braid_core::{DocumentId, Error, ErrorCode, Filter, Leg, Reranker, Result};
use braid_engine::Engine;
use braid_engine::query::{
    self, CandidateDepths, Place, RetrieveRequest, RetrieveResponse, Syntax,
};

use super::{Fate, Losses, Sighting};
use crate::dataset::{Dataset, Topic};

/// Chunks of a document read at once.
const PAGE: usize = 256;
/// Tokens that the embedder adds at both ends.
const SPECIAL_TOKENS: usize = 2;

/// What is accounted for.
#[derive(Clone, Debug)]
pub struct LossPlan {
    /// Topics and qrels.
    pub dataset: Dataset,
    /// What each topic asks for, and where; the query is the topic's.
    pub request: RetrieveRequest,
    /// How deep the legs are searched to tell a miss from a place below the depth.
    pub searched_to: usize,
}

/// Follows every relevant document of the plan through the pipeline. Each query is served as its request
/// says, and its legs searched once more, deep.
///
/// # Errors
/// What stops the whole account; the relevant documents of a topic that fails are counted as unanswered,
/// and the topic is named.
pub async fn account(
    engine: &Engine,
    plan: &LossPlan,
    mut progress: impl FnMut(usize),
) -> Result<Losses> {
    let passing = match &plan.request.filter {
        Some(filter) => Some(passing(engine, plan, filter).await?),
        None => None,
    };
    let searched_to = plan.searched_to.clamp(1, MAX_CANDIDATES);
    let mut losses = Losses::new(plan.request.top_k, searched_to);
    let texts: HashMap<&str, &Topic> = plan
        .dataset
        .topics
        .iter()
        .map(|topic| (topic.id.as_str(), topic))
        .collect();
    let mut done = 0;
    for (topic, judgements) in &plan.dataset.qrels {
        let mut relevant: Vec<(&String, i32)> =
            judgements.iter().map(|(id, grade)| (id, *grade)).collect();
        relevant.retain(|(_, grade)| *grade > 0);
        relevant.sort_unstable();
        let followed = match texts.get(topic.as_str()) {
            Some(topic) => follow(engine, plan, topic, searched_to).await,
            None => Err(Error::invalid("queries.jsonl does not have it")),
        };
        let followed = match followed {
            Ok(followed) => Some(followed),
            Err(error) => {
                losses.failed.insert(topic.clone(), error.to_string());
                None
            }
        };
        for (document, grade) in relevant {
            let (fate, seen) = match &followed {
                None => (Fate::Unanswered, Sighting::default()),
                Some(followed) => {
                    followed
                        .fate(engine, plan, passing.as_ref(), document)
                        .await?
                }
            };
            losses.add(topic, document, grade, fate, seen);
        }
        done += 1;
        progress(done);
    }
    Ok(losses)
}

async fn passing(
    engine: &Engine,
    plan: &LossPlan,
    filter: &Arc<Filter>,
) -> Result<BTreeSet<DocumentId>> {
    let found = engine
        .find_documents(&plan.request.collection, filter)
        .await?;
    Ok(found.into_iter().collect())
}

/// What the pipeline made of one query: ranks by document.
struct Followed {
    lexical: HashMap<String, usize>,
    dense: HashMap<String, usize>,
    base: HashMap<String, usize>,
    returned: BTreeSet<String>,
    /// What would be returned if nothing were re-ranked.
    unranked: BTreeSet<String>,
    /// Documents a passage of which says the same as one that is returned.
    same: BTreeSet<String>,
    /// Returned ones that the context leaves out because passages before them say nearly the same.
    left_out: BTreeSet<String>,
    /// `None` where no context is assembled.
    cited: Option<BTreeSet<String>>,
}

async fn follow(
    engine: &Engine,
    plan: &LossPlan,
    topic: &Topic,
    searched_to: usize,
) -> Result<Followed> {
    let request = RetrieveRequest {
        query: topic.text.clone(),
        // Topics are not written with operators.
        syntax: Syntax::Off,
        ..plan.request.clone()
    };
    let served = engine.retrieve(request.clone()).await?;
    let reach = |depth: usize| depth.max(request.top_k).max(searched_to);
    let deep = RetrieveRequest {
        candidates: CandidateDepths {
            lexical: reach(request.candidates.lexical),
            dense: reach(request.candidates.dense),
        },
        ..request.clone()
    };
    let recording = engine.record(&deep).await?;
    let mut plain = request.clone();
    plain.rerank.enabled = false;
    let plain = recording.replay(&plain, None::<&dyn Reranker>).await?;
    let unranked = plain.distinct.iter().take(request.top_k);
    let returned = served
        .hits
        .iter()
        .map(|hit| hit.passage.record.document.to_string());
    let same = served
        .hits
        .iter()
        .flat_map(|hit| &hit.same)
        .map(|same| same.document.to_string());
    let citations = served
        .context
        .citations
        .iter()
        .map(|cited| cited.document.to_string());
    Ok(Followed {
        lexical: ranks(&recording.leg(Leg::Lexical)),
        dense: ranks(&recording.leg(Leg::Dense)),
        base: ranks(&plain.base),
        unranked: unranked.map(|place| place.document.to_string()).collect(),
        returned: returned.collect(),
        same: same.collect(),
        left_out: left_out(&served, &request).await?,
        cited: (request.context.max_tokens > 0).then(|| citations.collect()),
    })
}

/// Returned documents each hit of which is kept out of the context whatever room there is.
async fn left_out(
    served: &RetrieveResponse,
    request: &RetrieveRequest,
) -> Result<BTreeSet<String>> {
    if request.context.max_tokens == 0 {
        return Ok(BTreeSet::new());
    }
    let (hits, options) = (served.hits.clone(), request.context);
    let left_out = tokio::task::spawn_blocking(move || query::left_out(&hits, &options));
    let left_out = left_out.await;
    let left_out = left_out.map_err(|error| Error::internal(error.to_string()))?;
    Ok(left_out.iter().map(DocumentId::to_string).collect())
}

/// The rank of each document's best passage.
fn ranks(places: &[Place]) -> HashMap<String, usize> {
    let mut ranks = HashMap::new();
    for (place, rank) in places.iter().zip(1..) {
        ranks
            .entry(place.document.as_str().to_owned())
            .or_insert(rank);
    }
    ranks
}

impl Followed {
    async fn fate(
        &self,
        engine: &Engine,
        plan: &LossPlan,
        passing: Option<&BTreeSet<DocumentId>>,
        document: &str,
    ) -> Result<(Fate, Sighting)> {
        let rank = |of: &HashMap<String, usize>| of.get(document).copied();
        let mut seen = Sighting {
            is_returned: self.returned.contains(document),
            is_cited: self.cited.as_ref().map(|cited| cited.contains(document)),
            is_duplicate: self.same.contains(document),
            is_left_out: self.left_out.contains(document),
            is_returned_unranked: self.unranked.contains(document),
            lexical: rank(&self.lexical),
            dense: rank(&self.dense),
            base: rank(&self.base),
            ..Sighting::default()
        };
        if !seen.is_returned {
            // An id that cannot be one was never ingested.
            let id = DocumentId::new(document).ok();
            if let Some(id) = &id {
                (seen.is_ingested, seen.is_truncated) = stored(engine, plan, id).await?;
            }
            seen.is_filtered = match (passing, &id) {
                (Some(passing), Some(id)) => !passing.contains(id),
                (None, _) | (_, None) => false,
            };
        }
        let request = &plan.request;
        let depths = (
            request.candidates.lexical.max(request.top_k),
            request.candidates.dense.max(request.top_k),
        );
        Ok((seen.fate(request.mode, depths), seen))
    }
}

/// Whether the collection has a document's chunks, and whether the embedder could not read one whole.
async fn stored(engine: &Engine, plan: &LossPlan, id: &DocumentId) -> Result<(bool, bool)> {
    let counter = engine.embedder().token_counter();
    let (mut is_stored, mut is_truncated) = (false, false);
    let mut cursor = None;
    loop {
        let name = &plan.request.collection;
        let page = match engine
            .document_chunks(name, id, cursor.as_deref(), PAGE)
            .await
        {
            Ok((_, page)) => page,
            Err(error) if error.code() == ErrorCode::DocumentNotFound => return Ok((false, false)),
            Err(error) => return Err(error),
        };
        for chunk in page
            .items
            .iter()
            .filter(|chunk| chunk.status == ChunkStatus::Live)
        {
            is_stored = true;
            let tokens = counter.count(&chunk.record.embedded_text());
            is_truncated |= tokens + SPECIAL_TOKENS > counter.max_tokens();
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok((is_stored, is_truncated));
        }
    }
}
