//! What is asked of the cache, with its limits.

use std::time::Duration;

use braid_core::limits::{
    MAX_ANSWER_DOCUMENTS, MAX_CACHED_ANSWER_BYTES, MAX_QUERY_BYTES, MAX_SCOPE_BYTES,
};
use braid_core::{CollectionName, DocumentId, Error, FieldError, Result};

/// A question that may have been answered before.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerLookup {
    /// The question.
    pub query: String,
    /// The collection that its answer would be made of.
    pub collection: CollectionName,
    /// Whose answers are looked at; those that were stored without a scope where `None`.
    pub scope: Option<String>,
    /// Least cosine similarity of a hit, 0 to 1; the configured one where `None`.
    pub threshold: Option<f64>,
    /// Whether questions that look alike are read for what tells them apart.
    pub guard: bool,
    /// Whether an answer is given although the collection changed since.
    pub accept_stale: bool,
}

/// An answer to be kept.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAnswer {
    /// The question.
    pub query: String,
    /// The collection that the answer was made of.
    pub collection: CollectionName,
    /// Who may find it: lookups with the same scope.
    pub scope: Option<String>,
    /// The answer, as JSON.
    pub answer: String,
    /// The documents that it rests on.
    pub documents: Vec<DocumentId>,
    /// How long it is kept; as long as is configured where `None`.
    pub ttl: Option<Duration>,
    /// The state that the collection was in before the answer was made, as a lookup said.
    pub state: Option<String>,
}

impl AnswerLookup {
    /// Checks every field.
    ///
    /// # Errors
    /// `InvalidRequest` naming each bad field.
    pub fn check(&self) -> Result<()> {
        let mut fields = Vec::new();
        check_query(&self.query, &mut fields);
        check_scope(self.scope.as_deref(), &mut fields);
        let within = |threshold: f64| (0.0..=1.0).contains(&threshold);
        if !self.threshold.is_none_or(within) {
            fields.push(FieldError::new("/threshold", "must be from 0 to 1"));
        }
        refuse(fields)
    }
}

impl NewAnswer {
    /// Checks every field but for the longest time, which the cache knows.
    ///
    /// # Errors
    /// `InvalidRequest` naming each bad field.
    pub fn check(&self) -> Result<()> {
        let mut fields = Vec::new();
        check_query(&self.query, &mut fields);
        check_scope(self.scope.as_deref(), &mut fields);
        check_size(
            "/answer",
            self.answer.len(),
            MAX_CACHED_ANSWER_BYTES,
            &mut fields,
        );
        if self.documents.len() > MAX_ANSWER_DOCUMENTS {
            let (given, most) = (self.documents.len(), MAX_ANSWER_DOCUMENTS);
            let detail = format!("has {given} documents, the limit is {most}");
            fields.push(FieldError::new("/document_ids", detail));
        }
        if self.ttl.is_some_and(|ttl| ttl.is_zero()) {
            fields.push(FieldError::new("/ttl_seconds", "must be 1 or more"));
        }
        refuse(fields)
    }
}

fn check_query(query: &str, fields: &mut Vec<FieldError>) {
    if query.trim().is_empty() {
        fields.push(FieldError::new("/query", "must not be empty"));
    }
    check_size("/query", query.len(), MAX_QUERY_BYTES, fields);
}

fn check_scope(scope: Option<&str>, fields: &mut Vec<FieldError>) {
    if scope.is_some_and(str::is_empty) {
        fields.push(FieldError::new("/scope", "must not be empty"));
    }
    check_size("/scope", scope.map_or(0, str::len), MAX_SCOPE_BYTES, fields);
}

fn check_size(pointer: &str, bytes: usize, most: usize, fields: &mut Vec<FieldError>) {
    if bytes > most {
        let detail = format!("has {bytes} bytes, the limit is {most}");
        fields.push(FieldError::new(pointer, detail));
    }
}

fn refuse(fields: Vec<FieldError>) -> Result<()> {
    match fields.first() {
        None => Ok(()),
        Some(first) => {
            let message = format!("{}: {}", first.pointer, first.detail);
            Err(Error::invalid(message).with_fields(fields))
        }
    }
}
