//! Errors on the wire: problem documents (RFC 9457).

use braid_core::Error;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What went wrong, for a program and for a person.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Problem {
    /// `about:blank`: the status says what kind of problem this is.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What happened, and what to do next.
    pub detail: String,
    /// Stable code, `UPPER_SNAKE`.
    #[schema(example = "COLLECTION_NOT_FOUND")]
    pub error_code: String,
    /// Whether the same request may succeed later without being changed.
    pub retryable: bool,
    /// After how many seconds to try again, where it is retryable.
    pub retry_after_seconds: Option<u64>,
    /// Names this request in logs.
    pub request_id: String,
    /// The bad fields of the request, where it is not valid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
}

/// One bad field.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct FieldProblem {
    /// JSON pointer (RFC 6901) of the field; empty for the whole body.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

impl Problem {
    /// The wire form of `error`, answered with `status`.
    pub fn new(error: &Error, status: axum::http::StatusCode, request_id: String) -> Self {
        let code = error.code();
        let errors = error.fields().iter().map(|field| FieldProblem {
            pointer: field.pointer.clone(),
            detail: field.detail.clone(),
        });
        Self {
            kind: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: error.to_string(),
            error_code: code.as_str().to_owned(),
            retryable: code.is_retryable(),
            retry_after_seconds: code
                .is_retryable()
                .then_some(crate::error::RETRY_AFTER_SECONDS),
            request_id,
            errors: errors.collect(),
        }
    }
}
