//! Answers that were given before, for as long as they are still the answer.
//!
//! A kept answer carries the state it was made of: the collection with its generation, the newest
//! acknowledged and the newest published operation, and how often any index was written. It is given
//! again only where the present state is equal, so a write ends it with the acknowledgement, and a
//! repair of an index with its end. Nothing is ever swept by time.

mod embedder;
pub mod guard;
pub mod semantic;

use std::sync::Arc;
use std::time::Instant;

use braid_core::{Collection, CollectionId, Ledger, LedgerPin, Result, Sequence};
use parking_lot::Mutex;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use rustc_hash::FxHashMap;

pub use embedder::CachingEmbedder;
pub use semantic::SemanticCache;

use crate::observe;
use crate::request::RetrieveRequest;
use crate::response::{RetrieveResponse, RetrievedHit, Timings};
use crate::retriever::Retriever;
use crate::search::milliseconds;

/// Counts the batches written to the indexes of each collection, whoever wrote them and why.
///
/// What an index answers can change without the ledger: a repair after damage, the catching up after
/// a crash. Whoever opens the indexes counts; an answer made before such a write is not given again.
#[derive(Debug, Default)]
pub struct IndexWrites(Mutex<FxHashMap<CollectionId, u64>>);

impl IndexWrites {
    /// Notes a batch. To be called after views of the index show it.
    pub fn note(&self, collection: CollectionId) {
        *self.0.lock().entry(collection).or_default() += 1;
    }

    /// The batches of a collection so far.
    pub fn count(&self, collection: CollectionId) -> u64 {
        self.0.lock().get(&collection).copied().unwrap_or_default()
    }
}

/// A [`Retriever`] that remembers.
pub struct CachingRetriever {
    retriever: Retriever,
    ledger: Arc<dyn Ledger>,
    writes: Arc<IndexWrites>,
    /// By request; none where nothing is to be kept.
    answers: Option<Cache<String, Kept, Bytes>>,
}

/// Everything that an answer is made of, beside the request and the models of the process.
///
/// States of one collection never come back: numbers only rise, a deleted collection's id is not
/// used again. An answer is of the state that was pinned for it. Only the indexes are read later: their
/// writes are counted before they are opened, so that one which an answer may have seen ends it too.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    collection: Collection,
    newest: Sequence,
    published: Sequence,
    writes: u64,
}

#[derive(Clone)]
struct Kept {
    state: Arc<State>,
    answer: Arc<RetrieveResponse>,
}

impl CachingRetriever {
    /// Keeps answers of at most `capacity` bytes together; 0 keeps none. `ledger` is the retriever's,
    /// and `writes` counts what is written to its indexes.
    pub fn new(
        retriever: Retriever,
        ledger: Arc<dyn Ledger>,
        writes: Arc<IndexWrites>,
        capacity: u64,
    ) -> Self {
        let kept = || Cache::with_weighter(expected_answers(capacity), capacity, Bytes);
        Self {
            retriever,
            ledger,
            writes,
            answers: (capacity > 0).then(kept),
        }
    }

    /// The retriever, which remembers nothing.
    pub fn retriever(&self) -> &Retriever {
        &self.retriever
    }

    /// As [`Retriever::retrieve`], from the cache where the same was asked of the same state; then
    /// `cached` is set and `timings` have the total alone.
    ///
    /// White space around the query, and more than one blank within it, does not tell requests apart.
    /// An answer in which a stage fell short is not kept, nor one during which the state changed.
    ///
    /// # Errors
    /// As [`Retriever::retrieve`].
    pub async fn retrieve(&self, request: RetrieveRequest) -> Result<RetrieveResponse> {
        self.retrieve_in(request, None).await
    }

    /// The same of a state that is pinned already, or of the newest.
    pub(crate) async fn retrieve_in(
        &self,
        mut request: RetrieveRequest,
        pin: Option<Arc<dyn LedgerPin>>,
    ) -> Result<RetrieveResponse> {
        let answers = self.answers.as_ref().filter(|_| request.cache);
        let Some(answers) = answers else {
            return self.retriever.retrieve_in(request, pin).await;
        };
        let started = Instant::now();
        request.check()?;
        normalize(&mut request);
        // The whole request, with whatever fields it will have.
        let key = format!("{request:?}");
        let pin = match pin {
            Some(pin) => pin,
            None => self.ledger.pin(&request.collection).await?,
        };
        // Before an index is opened: what is written from now on may show in the answer, or not.
        let id = pin.collection().id;
        let writes = self.writes.count(id);
        let state = State::of(&*pin, writes);
        if let Some(kept) = answers.get(&key).filter(|kept| *kept.state == state) {
            observe::cache("results", true);
            return Ok(again(&kept.answer, started));
        }
        observe::cache("results", false);
        let answer = self.retriever.retrieve_in(request, Some(pin)).await?;
        // One that can never be given again is not kept.
        if self.writes.count(id) == writes && is_complete(&answer) {
            let kept = Kept {
                state: Arc::new(state),
                answer: Arc::new(answer.clone()),
            };
            answers.insert(key, kept);
        }
        Ok(answer)
    }
}

impl State {
    fn of(pin: &dyn LedgerPin, writes: u64) -> Self {
        Self {
            collection: pin.collection().clone(),
            newest: pin.stats().newest,
            published: pin.stats().published,
            writes,
        }
    }
}

impl std::fmt::Debug for CachingRetriever {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CachingRetriever")
            .field("answers", &self.answers.as_ref().map(Cache::len))
            .finish_non_exhaustive()
    }
}

/// Takes out of a request what tells no two questions apart.
pub(crate) fn normalize(request: &mut RetrieveRequest) {
    request.query = single_spaced(&request.query);
    for phrasing in &mut request.also {
        *phrasing = single_spaced(phrasing);
    }
}

/// Words of the query, with one blank between two: what tokenizers and analyzers see of it.
fn single_spaced(query: &str) -> String {
    query.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_complete(answer: &RetrieveResponse) -> bool {
    let all_scored = |rerank: crate::RerankSummary| rerank.scored == rerank.of;
    answer.degraded.is_empty() && answer.rerank.is_none_or(all_scored)
}

fn again(answer: &RetrieveResponse, started: Instant) -> RetrieveResponse {
    RetrieveResponse {
        timings: Timings {
            total: milliseconds(started.elapsed()),
            ..Timings::default()
        },
        cached: true,
        ..answer.clone()
    }
}

/// Bytes of an ordinary answer: eight passages and a context.
const ANSWER_BYTES: u64 = 32 * 1024;
/// Bytes of what an answer holds beside its texts.
const FIXED_BYTES: usize = 1024;

fn expected_answers(capacity: u64) -> usize {
    (capacity / ANSWER_BYTES + 1) as usize
}

/// Weighs answers by the bytes of their texts.
#[derive(Clone, Copy, Debug)]
struct Bytes;

impl Weighter<String, Kept> for Bytes {
    fn weight(&self, key: &String, kept: &Kept) -> u64 {
        let answer = &kept.answer;
        let hits: usize = answer.hits.iter().map(bytes).sum();
        let context = answer.context.text.len() + answer.context.citations.len() * FIXED_BYTES / 4;
        let listing = answer.more.as_ref().map_or(0, |more| more.listing.bytes());
        (key.len() + hits + context + listing + FIXED_BYTES) as u64
    }
}

fn bytes(hit: &RetrievedHit) -> usize {
    let record = &hit.passage.record;
    let same = hit.same.len() * FIXED_BYTES / 4;
    let texts = [&record.title, &hit.passage.uri].into_iter().flatten();
    let texts = texts
        .chain(&record.chunk.heading_path)
        .map(String::len)
        .sum::<usize>();
    let chunk = record.chunk.text.len() + record.chunk.context_header.len();
    FIXED_BYTES + chunk + texts + hit.passage.metadata.bytes() + same
}
