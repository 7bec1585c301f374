//! Answers that an application made of what it retrieved, given again to questions that ask the same
//! in other words.
//!
//! A stored answer is found by the cosine similarity of the questions' embeddings, within its
//! collection and scope alone, while its time has not run out and the collection is as it was. What
//! is similar enough must still pass the [guard](super::guard). Everything is in memory, within
//! limits: a restart forgets it.

mod entries;
mod request;

use std::sync::Arc;
use std::time::{Duration, Instant};

use braid_core::{
    CollectionId, CollectionName, DocumentId, Embedder, Embedding, Error, Ledger, Result,
};
use braid_runtime::CpuPool;
use parking_lot::RwLock;

use self::entries::{Entries, Entry, Space, similarity};
use super::guard::{Difference, Reading};
use super::single_spaced;
use crate::observe;

pub use request::{AnswerLookup, NewAnswer};

/// How much is kept, how long, and what is similar enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SemanticOptions {
    /// Most answers.
    pub entries: usize,
    /// Most bytes of questions, answers and embeddings together.
    pub bytes: usize,
    /// How long an answer is kept where its request does not say, and the longest it may ask for.
    pub ttl: Duration,
    /// Least cosine similarity of a hit where a request does not say.
    pub threshold: f64,
}

/// The cache.
pub struct SemanticCache {
    embedder: Arc<dyn Embedder>,
    ledger: Arc<dyn Ledger>,
    pool: Arc<CpuPool>,
    options: SemanticOptions,
    entries: Arc<RwLock<Entries>>,
}

/// What a [`SemanticCache`] works with.
#[derive(Clone, Debug)]
pub struct SemanticParts {
    /// Embeds questions.
    pub embedder: Arc<dyn Embedder>,
    /// Says which state a collection is in.
    pub ledger: Arc<dyn Ledger>,
    /// Threads to compare on.
    pub pool: Arc<CpuPool>,
}

/// What a lookup says.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundAnswer {
    /// The answer, or why there is none.
    pub found: Result<AnswerHit, AnswerMiss>,
    /// The state that the collection is in. Handed in with an answer it proves that the collection did
    /// not change while the answer was made.
    pub state: String,
}

/// An answer that was stored before.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerHit {
    /// The question that it answered.
    pub query: Arc<str>,
    /// Cosine similarity of the two questions, -1 to 1.
    pub similarity: f64,
    /// The answer, as JSON.
    pub answer: Arc<str>,
    /// The documents that it rests on, as they were handed in.
    pub documents: Arc<[DocumentId]>,
    /// Time since it was stored.
    pub age: Duration,
    /// Time that it is still kept.
    pub expires_in: Duration,
    /// Whether the collection changed since; only where that was accepted.
    pub stale: bool,
}

/// Why no answer is given.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerMiss {
    /// What refused the most similar question.
    pub reason: MissReason,
    /// That question and its similarity.
    pub nearest: Option<(Arc<str>, f64)>,
}

/// What refused a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissReason {
    /// Nothing is stored there.
    Empty,
    /// No question is similar enough.
    BelowThreshold,
    /// The guard found this between the questions.
    Different(Difference),
    /// The collection changed since.
    Stale,
}

impl MissReason {
    /// Its name in answers and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::BelowThreshold => "below_threshold",
            Self::Different(_) => "different",
            Self::Stale => "stale",
        }
    }
}

/// What storing did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    /// Whether it is stored: not where the collection changed since the state that was handed in.
    pub stored: bool,
    /// Whether it took the place of an answer to the same question.
    pub replaced: bool,
    /// How many others had to go for it.
    pub evicted: usize,
    /// How long it is kept.
    pub ttl: Duration,
}

impl SemanticCache {
    /// An empty cache.
    pub fn new(parts: SemanticParts, options: SemanticOptions) -> Self {
        let SemanticParts {
            embedder,
            ledger,
            pool,
        } = parts;
        let entries = Entries::new(options.entries, options.bytes);
        Self {
            embedder,
            ledger,
            pool,
            options,
            entries: Arc::new(RwLock::new(entries)),
        }
    }

    /// The answer to the most similar question of the same collection and scope that is allowed.
    ///
    /// # Errors
    /// `InvalidRequest` naming each bad field, `CollectionNotFound`, or what the embedder fails with.
    pub async fn lookup(&self, request: AnswerLookup) -> Result<FoundAnswer> {
        request.check()?;
        let query = single_spaced(&request.query);
        let (collection, state) = self.state(&request.collection).await?;
        let embedding = self.embedder.embed_query(&query).await?;
        let wanted = Wanted {
            space: Space::new(collection, request.scope),
            threshold: request.threshold.unwrap_or(self.options.threshold),
            guarded: request.guard,
            fresh: (!request.accept_stale).then(|| state.clone()),
            state: state.clone(),
            query,
            embedding,
        };
        let entries = Arc::clone(&self.entries);
        let found = self
            .pool
            .run(move || find(&entries, &wanted, Instant::now()));
        let found = found.await?;
        observe::semantic_lookup(found.as_ref().err().map(|miss| miss.reason.as_str()));
        Ok(FoundAnswer { found, state })
    }

    /// Keeps an answer. One to the same question in the same collection and scope is replaced.
    ///
    /// # Errors
    /// `InvalidRequest` naming each bad field, `CollectionNotFound`, or what the embedder fails with.
    pub async fn store(&self, new: NewAnswer) -> Result<StoredAnswer> {
        new.check()?;
        let ttl = new.ttl.unwrap_or(self.options.ttl);
        if ttl > self.options.ttl {
            let detail = format!("must be at most {}", self.options.ttl.as_secs());
            return Err(Error::invalid_field("/ttl_seconds", detail));
        }
        let query = single_spaced(&new.query);
        let (collection, state) = self.state(&new.collection).await?;
        if new.state.as_ref().is_some_and(|made_of| *made_of != state) {
            return Ok(StoredAnswer {
                stored: false,
                replaced: false,
                evicted: 0,
                ttl: Duration::ZERO,
            });
        }
        let embedding = self.embedder.embed_query(&query).await?;
        let space = Space::new(collection, new.scope);
        let done = self.change(move |entries| {
            let stored = Instant::now();
            let entry = Entry {
                reading: Reading::of(&query),
                query: query.into(),
                embedding,
                answer: new.answer.into(),
                documents: new.documents.into(),
                state,
                stored,
                expires: stored + ttl,
            };
            entries.write().insert(space, entry, stored)
        });
        let done = done.await?;
        observe::semantic_evictions("expired", done.evicted.expired);
        observe::semantic_evictions("limit", done.evicted.by_limit);
        Ok(StoredAnswer {
            stored: true,
            replaced: done.replaced,
            evicted: done.evicted.by_limit,
            ttl,
        })
    }

    /// Forgets the answers of a collection, of all where none is named, and of them those of a scope,
    /// of every one where none is named. Says how many.
    ///
    /// # Errors
    /// `CollectionNotFound`.
    pub async fn forget(
        &self,
        collection: Option<&CollectionName>,
        scope: Option<&str>,
    ) -> Result<usize> {
        let collection = match collection {
            Some(name) => Some(self.state(name).await?.0),
            None => None,
        };
        self.clear(collection, scope).await
    }

    /// As [`Self::forget`], of a collection that may be gone.
    ///
    /// # Errors
    /// `Internal` where a thread panicked.
    pub async fn clear(
        &self,
        collection: Option<CollectionId>,
        scope: Option<&str>,
    ) -> Result<usize> {
        let scope = scope.map(str::to_owned);
        self.change(move |entries| entries.write().remove(collection, scope.as_deref()))
            .await
    }

    /// Changes the entries on a thread that may wait, and tells how full the cache is then.
    async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&RwLock<Entries>) -> T + Send + 'static,
    ) -> Result<T> {
        let entries = Arc::clone(&self.entries);
        let changed = self.pool.run(move || {
            let changed = change(&entries);
            let entries = entries.read();
            (changed, entries.len(), entries.bytes())
        });
        let (changed, entries, bytes) = changed.await?;
        observe::semantic_size(entries, bytes);
        Ok(changed)
    }

    /// The collection's number and the state that it is in. States of one collection never come back:
    /// numbers only rise.
    async fn state(&self, collection: &CollectionName) -> Result<(CollectionId, String)> {
        let pin = self.ledger.pin(collection).await?;
        let (id, generation) = (pin.collection().id, pin.collection().generation);
        let (newest, published) = (pin.stats().newest, pin.stats().published);
        let state = format!("{}-{}-{newest}-{published}", id.0, generation.0);
        Ok((id, state))
    }
}

/// How similar two questions are that were embedded, -1 to 1; 1 where they are the same text. Each has
/// one blank between words.
pub fn question_similarity(one: (&str, &[f32]), other: (&str, &[f32])) -> f64 {
    if one.0 == other.0 {
        return 1.0;
    }
    similarity(one.1, other.1)
}

/// What is looked for.
struct Wanted {
    space: Space,
    query: String,
    embedding: Embedding,
    threshold: f64,
    guarded: bool,
    /// The state that an answer must be of, where any must.
    fresh: Option<String>,
    state: String,
}

/// The first candidate that nothing refuses, most similar first; else what refused the first.
fn find(entries: &RwLock<Entries>, wanted: &Wanted, now: Instant) -> Result<AnswerHit, AnswerMiss> {
    let read = entries.read();
    let candidates = read.nearest(&wanted.space, &wanted.embedding, wanted.threshold, now);
    let reading = Reading::of(&wanted.query);
    let mut miss = AnswerMiss {
        reason: MissReason::Empty,
        nearest: None,
    };
    for (id, similarity) in candidates {
        let Some(entry) = read.get(id) else { continue };
        let same = *entry.query == wanted.query;
        let similarity = if same { 1.0 } else { similarity };
        let Some(reason) = refusal(entry, &reading, wanted, similarity) else {
            let hit = AnswerHit {
                query: Arc::clone(&entry.query),
                similarity,
                answer: Arc::clone(&entry.answer),
                documents: Arc::clone(&entry.documents),
                age: now.saturating_duration_since(entry.stored),
                expires_in: entry.expires.saturating_duration_since(now),
                stale: entry.state != wanted.state,
            };
            drop(read);
            entries.write().touch(id);
            return Ok(hit);
        };
        if miss.nearest.is_none() {
            miss = AnswerMiss {
                reason,
                nearest: Some((Arc::clone(&entry.query), similarity)),
            };
        }
    }
    Err(miss)
}

fn refusal(
    entry: &Entry,
    reading: &Reading,
    wanted: &Wanted,
    similarity: f64,
) -> Option<MissReason> {
    if similarity < wanted.threshold {
        return Some(MissReason::BelowThreshold);
    }
    let guarded = wanted.guarded && *entry.query != wanted.query;
    if let Some(difference) = guarded
        .then(|| Difference::between(reading, &entry.reading))
        .flatten()
    {
        return Some(MissReason::Different(difference));
    }
    let fresh = wanted.fresh.as_ref();
    fresh
        .is_some_and(|fresh| *fresh != entry.state)
        .then_some(MissReason::Stale)
}

impl std::fmt::Debug for SemanticCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SemanticCache")
            .field("options", &self.options)
            .field("entries", &self.entries.read().len())
            .finish_non_exhaustive()
    }
}
