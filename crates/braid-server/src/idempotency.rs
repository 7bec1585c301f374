//! `Idempotency-Key`: the same key with the same request returns the first answer; with another
//! request it is a conflict. Answers are kept for 24 hours, in the ledger, written in the
//! mutation's own transaction. A request that is refused before it reaches the ledger leaves no
//! record.
//!
//! Invariant: the first answer is made of the bytes that were recorded, by one function for both.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::HttpBody;
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
use crate::error::{ApiError, PROBLEM_JSON};
use crate::extract::{check_media_type, off_thread, parse, read_body};

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// The header's name.
pub(crate) const HEADER: &str = "idempotency-key";
/// Marks an answer that was recorded earlier.
pub(crate) const REPLAYED: &str = "idempotency-replayed";

/// A mutating request: its body and, if it has one, its idempotency key.
pub(crate) struct Mutation {
    bytes: Bytes,
    key: Option<IdempotencyKey>,
}

impl FromRequest<App> for Mutation {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let takes_body = *request.method() != Method::DELETE;
        if takes_body && !request.body().is_end_stream() {
            check_media_type(request.headers())?;
        }
        Self::of(request, app, "").await
    }
}

impl Mutation {
    /// A request whose body is of `media_type`, empty for JSON: another type is another request.
    pub(crate) async fn of(
        request: Request,
        app: &App,
        media_type: &str,
    ) -> Result<Self, ApiError> {
        let key = request.headers().get(HEADER).map(key_text).transpose()?;
        let target = format!("{} {}{media_type}", request.method(), request.uri());
        let bytes = read_body(request, app).await?;
        let key = match key {
            None => None,
            Some(key) => Some(IdempotencyKey {
                key,
                request: request_hash(target, bytes.clone()).await?,
                expires_at_ms: now_ms() + KEPT.as_millis() as i64,
            }),
        };
        Ok(Self { bytes, key })
    }

    /// What `check` makes of the body.
    pub(crate) async fn read<T: DeserializeOwned, R: Send + 'static>(
        &self,
        check: impl FnOnce(T) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let bytes = self.bytes.clone();
        off_thread(bytes.len(), move || check(parse(&bytes)?)).await
    }

    /// The body as it came.
    pub(crate) fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// Whether there is no body at all.
    pub(crate) fn is_bodyless(&self) -> bool {
        self.bytes.is_empty()
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

/// The first answer to a mutation.
pub(crate) fn first(answer: StoredResponse) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let kind = if status.is_success() {
        HeaderValue::from_static("application/json")
    } else {
        PROBLEM_JSON
    };
    (status, [(header::CONTENT_TYPE, kind)], answer.body).into_response()
}

/// The recorded answer to a mutation that was done before.
pub(crate) fn replay(recorded: StoredResponse) -> Response {
    let mut response = first(recorded);
    let replayed = HeaderValue::from_static("true");
    response.headers_mut().insert(REPLAYED, replayed);
    response
}

/// What a key's header says.
///
/// # Errors
/// `InvalidRequest` where it is no key.
pub(crate) fn key_text(value: &HeaderValue) -> Result<String> {
    let text = value.to_str().unwrap_or("");
    if text.is_empty() || text.len() > MAX_IDEMPOTENCY_KEY_BYTES {
        return Err(Error::invalid(format!(
            "Idempotency-Key must be 1 to {MAX_IDEMPOTENCY_KEY_BYTES} visible ASCII characters"
        )));
    }
    Ok(text.to_owned())
}

/// Hash of method, path, query and body.
async fn request_hash(target: String, body: Bytes) -> Result<ContentHash> {
    let size = body.len();
    let hash = move || {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(target.len() as u64).to_le_bytes());
        hasher.update(target.as_bytes());
        hasher.update(&body);
        Ok(ContentHash(*hasher.finalize().as_bytes()))
    };
    off_thread(size, hash).await
}

fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_millis() as i64)
}
