//! `Idempotency-Key`: the same key with the same request returns the first answer; with another
//! request it is a conflict. Answers are kept for 24 hours, in the ledger, written in the
//! mutation's own transaction.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use braid_core::limits::MAX_IDEMPOTENCY_KEY_BYTES;
use braid_core::ports::{IdempotencyKey, StoredResponse, WriteGuard};
use braid_core::{ContentHash, Error, Result};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::error::ApiError;
use crate::extract::{check_media_type, parse, read_body};

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// The header's name.
const HEADER: &str = "idempotency-key";
/// Marks an answer that was recorded earlier.
const REPLAYED: &str = "idempotency-replayed";

/// A mutating request: its body and, if it has one, its idempotency key.
pub(crate) struct Mutation {
    bytes: Bytes,
    key: Option<IdempotencyKey>,
}

impl FromRequest<App> for Mutation {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let takes_body = *request.method() != Method::DELETE;
        if takes_body && !is_bodyless(&request) {
            check_media_type(request.headers())?;
        }
        let key = request.headers().get(HEADER).map(key_text).transpose()?;
        let target = format!("{} {}", request.method(), request.uri());
        let bytes = read_body(request, app).await?;
        let key = key.map(|key| IdempotencyKey {
            key,
            request: request_hash(&target, &bytes),
            expires_at_ms: now_ms() + KEPT.as_millis() as i64,
        });
        Ok(Self { bytes, key })
    }
}

/// A `PUT` without settings may have no body at all.
fn is_bodyless(request: &Request) -> bool {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let is_empty = length.is_none_or(|length| length.as_bytes() == b"0");
    is_empty && !request.headers().contains_key(header::TRANSFER_ENCODING)
}

impl Mutation {
    /// The body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        parse(&self.bytes)
    }

    /// The body as JSON, or the default where there is none.
    pub(crate) fn json_or_default<T: DeserializeOwned + Default>(&self) -> Result<T> {
        if self.bytes.is_empty() {
            Ok(T::default())
        } else {
            self.json()
        }
    }

    /// The answer this request was given before, if it was.
    ///
    /// # Errors
    /// `IdempotencyConflict` when the key was used with another request.
    pub(crate) async fn recorded(&self, app: &App) -> Result<Option<StoredResponse>> {
        match &self.key {
            Some(key) => app.engine().recorded_response(key).await,
            None => Ok(None),
        }
    }

    /// Records the answer that `respond` renders together with the mutation.
    pub(crate) fn guard<R>(
        self,
        respond: impl FnOnce(&R) -> StoredResponse + Send + 'static,
    ) -> Option<WriteGuard<R>> {
        self.key.map(|key| WriteGuard {
            key,
            respond: Box::new(respond),
        })
    }
}

/// An answer in the form it is recorded in.
pub(crate) fn stored(status: StatusCode, body: &impl Serialize) -> StoredResponse {
    // Wire DTOs have string keys and finite numbers: they always serialize.
    let body = serde_json::to_vec(body).unwrap_or_default();
    StoredResponse {
        status: status.as_u16(),
        body,
    }
}

/// A recorded answer as a response.
pub(crate) fn replay(recorded: StoredResponse) -> Response {
    let status = StatusCode::from_u16(recorded.status).unwrap_or(StatusCode::OK);
    let mut response = (status, recorded.body).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

fn key_text(value: &HeaderValue) -> Result<String> {
    let text = value.to_str().unwrap_or("");
    if text.is_empty() || text.len() > MAX_IDEMPOTENCY_KEY_BYTES {
        return Err(Error::invalid(format!(
            "Idempotency-Key must be 1 to {MAX_IDEMPOTENCY_KEY_BYTES} visible ASCII characters"
        )));
    }
    Ok(text.to_owned())
}

/// Hash of method, path, query and body.
fn request_hash(target: &str, body: &[u8]) -> ContentHash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(target.len() as u64).to_le_bytes());
    hasher.update(target.as_bytes());
    hasher.update(body);
    ContentHash(*hasher.finalize().as_bytes())
}

fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_millis() as i64)
}
