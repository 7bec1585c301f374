//! Stored answers on the wire.

use std::time::Duration;

use braid_core::{CollectionName, DocumentId, Error, FieldError, Result};
use braid_engine::query::cache::semantic::{
    AnswerHit, AnswerLookup, AnswerMiss, FoundAnswer, MissReason, NewAnswer, StoredAnswer,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A question that may have been answered before.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CacheLookupBody)]
pub struct LookupBody {
    /// The question: 1 to 8192 bytes, not only white space.
    #[schema(min_length = 1, max_length = 8192, pattern = r"\S")]
    pub query: String,
    /// The collection that the answer would be made of; `default` when absent.
    #[schema(pattern = "^[a-z0-9][a-z0-9_-]{0,63}$")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// Whose answers are looked at: those stored with the same scope, and where absent those stored
    /// without one.
    #[schema(min_length = 1, max_length = 256)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Least cosine similarity of the two questions; the server's configuration says it when absent.
    #[schema(minimum = 0, maximum = 1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Whether questions that look alike are read for what tells them apart: a name, a number, a
    /// negation, an opposite, another order.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub guard: bool,
    /// Whether an answer is given although the collection changed since it was stored.
    #[serde(default)]
    pub accept_stale: bool,
}

fn yes() -> bool {
    true
}

/// An answer to be kept for questions that ask the same.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CacheStoreBody)]
pub struct StoreBody {
    /// The question: 1 to 8192 bytes, not only white space.
    #[schema(min_length = 1, max_length = 8192, pattern = r"\S")]
    pub query: String,
    /// The answer: any JSON value of at most 65536 bytes. Numbers have 64 bits.
    pub answer: Value,
    /// The collection that the answer was made of; `default` when absent.
    #[schema(pattern = "^[a-z0-9][a-z0-9_-]{0,63}$")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// Who may find it: lookups with the same scope, and where absent those without one.
    #[schema(min_length = 1, max_length = 256)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The documents that it rests on; given back with it.
    #[schema(max_items = 256)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_ids: Option<Vec<String>>,
    /// How long it is kept, in seconds; the server's configuration has the longest time, which is
    /// taken when absent.
    #[schema(minimum = 1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
    /// The `collection_state` of a lookup made before the answer was. The answer is not stored if the collection
    /// changed since; when absent, it is taken to be made of the collection as it is now.
    #[schema(max_length = 256)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection_state: Option<String>,
}

impl LookupBody {
    /// What it asks, in `default` where it names no collection.
    ///
    /// # Errors
    /// `InvalidRequest` naming each bad field.
    pub fn into_request(self, default: &CollectionName) -> Result<AnswerLookup> {
        let mut fields = Vec::new();
        let request = AnswerLookup {
            collection: named(self.collection, default, &mut fields),
            query: self.query,
            scope: self.scope,
            threshold: self.threshold,
            guard: self.guard,
            accept_stale: self.accept_stale,
        };
        checked(fields, request.check())?;
        Ok(request)
    }
}

impl StoreBody {
    /// The answer to be kept, in `default` where it names no collection.
    ///
    /// # Errors
    /// `InvalidRequest` naming each bad field; the cache knows how long an answer may be kept.
    pub fn into_request(self, default: &CollectionName) -> Result<NewAnswer> {
        let mut fields = Vec::new();
        let ids = self.document_ids.unwrap_or_default();
        let mut documents = Vec::new();
        for (index, id) in ids.into_iter().enumerate() {
            match DocumentId::new(id) {
                Ok(id) => documents.push(id),
                Err(error) => {
                    let pointer = format!("/document_ids/{index}");
                    fields.push(FieldError::new(pointer, error.message()));
                }
            }
        }
        let request = NewAnswer {
            collection: named(self.collection, default, &mut fields),
            query: self.query,
            scope: self.scope,
            answer: self.answer.to_string(),
            documents,
            ttl: self.ttl_seconds.map(Duration::from_secs),
            state: self.collection_state,
        };
        checked(fields, request.check())?;
        Ok(request)
    }
}

fn named(
    name: Option<String>,
    default: &CollectionName,
    fields: &mut Vec<FieldError>,
) -> CollectionName {
    match name.map(CollectionName::new).transpose() {
        Ok(name) => name.unwrap_or_else(|| default.clone()),
        Err(error) => {
            fields.push(FieldError::new("/collection", error.message()));
            default.clone()
        }
    }
}

fn checked(mut fields: Vec<FieldError>, checked: Result<()>) -> Result<()> {
    if let Err(error) = checked {
        fields.extend(error.fields().iter().cloned());
    }
    match fields.first() {
        None => Ok(()),
        Some(first) => {
            let message = format!("{}: {}", first.pointer, first.detail);
            Err(Error::invalid(message).with_fields(fields))
        }
    }
}

/// The answer to a question that asks the same, or why there is none.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = CacheLookupAnswer)]
pub struct LookupAnswer {
    /// The request's id, as in the server's log.
    pub request_id: String,
    /// The stored answer; `null` where there is none.
    pub hit: Option<HitBody>,
    /// Why there is none; `null` where there is one.
    pub miss: Option<MissBody>,
    /// The state that the collection is in, to be handed in with the answer that is made now.
    pub collection_state: String,
}

/// A stored answer.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = CacheHit)]
pub struct HitBody {
    /// The question that it answered.
    pub query: String,
    /// Cosine similarity of the two questions, -1 to 1.
    pub similarity: f64,
    /// The answer, as it was stored.
    pub answer: Value,
    /// The documents that it rests on, as they were handed in.
    pub document_ids: Vec<String>,
    /// Seconds since it was stored.
    pub age_seconds: u64,
    /// Seconds that it is still kept.
    pub expires_in_seconds: u64,
    /// Whether the collection changed since it was stored.
    pub stale: bool,
}

/// Why no answer is given.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = CacheMiss)]
pub struct MissBody {
    /// `empty` (nothing is stored in this collection and scope), `below_threshold`, `different` (the
    /// guard refused) or `stale` (the collection changed since).
    pub reason: String,
    /// What the guard found between the questions: `name`, `negation`, `opposite`, `question`,
    /// `order` or `word`; `null` where it is not the reason.
    pub difference: Option<String>,
    /// The most similar question that is stored; `null` where there is none.
    pub nearest: Option<NearestBody>,
}

/// The most similar question that is stored.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = CacheNearest)]
pub struct NearestBody {
    /// The question.
    pub query: String,
    /// Its cosine similarity, -1 to 1.
    pub similarity: f64,
}

/// What storing an answer did.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = CacheStoreAnswer)]
pub struct StoreAnswer {
    /// Whether it is stored. It is not where the collection changed since `collection_state`.
    pub stored: bool,
    /// Whether it took the place of an answer to the same question.
    pub replaced: bool,
    /// How many answers had to go for it.
    pub evicted: usize,
    /// How long it is kept, in seconds.
    pub ttl_seconds: u64,
}

/// What deleting answers did.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = CacheDeletedAnswer)]
pub struct AnswersDeleted {
    /// How many were deleted.
    pub deleted: usize,
}

impl LookupAnswer {
    /// What was found for the request `request_id`.
    pub fn new(request_id: String, found: FoundAnswer) -> Self {
        let (hit, miss) = match found.found {
            Ok(hit) => (Some(HitBody::from(hit)), None),
            Err(miss) => (None, Some(MissBody::from(miss))),
        };
        Self {
            request_id,
            hit,
            miss,
            collection_state: found.state,
        }
    }
}

impl From<AnswerHit> for HitBody {
    fn from(hit: AnswerHit) -> Self {
        Self {
            query: hit.query.to_string(),
            similarity: hit.similarity,
            // What is kept was written by `into_request`.
            answer: serde_json::from_str(&hit.answer).unwrap_or_default(),
            document_ids: hit.documents.iter().map(ToString::to_string).collect(),
            age_seconds: hit.age.as_secs(),
            expires_in_seconds: hit.expires_in.as_secs(),
            stale: hit.stale,
        }
    }
}

impl From<AnswerMiss> for MissBody {
    fn from(miss: AnswerMiss) -> Self {
        let difference = match miss.reason {
            MissReason::Different(difference) => Some(difference.as_str().to_owned()),
            MissReason::Empty | MissReason::BelowThreshold | MissReason::Stale => None,
        };
        Self {
            reason: miss.reason.as_str().to_owned(),
            difference,
            nearest: miss.nearest.map(|(query, similarity)| NearestBody {
                query: query.to_string(),
                similarity,
            }),
        }
    }
}

impl From<&StoredAnswer> for StoreAnswer {
    fn from(stored: &StoredAnswer) -> Self {
        Self {
            stored: stored.stored,
            replaced: stored.replaced,
            evicted: stored.evicted,
            ttl_seconds: stored.ttl.as_secs(),
        }
    }
}
