//! A gRPC call as a request to the HTTP interface, within the process: what is admitted, validated,
//! done, recorded, counted and refused is one code path for both.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request as HttpRequest, StatusCode, header};
use braid_core::{CollectionName, Error, ErrorCode, Result};
use bytes::Bytes;
use http_body_util::BodyExt;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use tower::ServiceExt;

use super::{json, proto, status};
use crate::admission::{Admitted, Patient, Within};
use crate::dto::problem::{FieldProblem, Problem};
use crate::error::ApiError;
use crate::extract::{Transcoded, off_thread};
use crate::idempotency::{HEADER as IDEMPOTENCY_KEY, REPLAYED, key_text};
use crate::request_id::{self, REQUEST_ID};

/// The HTTP interface.
#[derive(Clone, Debug)]
pub(super) struct Http {
    router: Router,
}

/// What accompanies a request.
#[derive(Clone, Debug, Default)]
pub(super) struct Context {
    pub(super) request_id: String,
    pub(super) key: Option<HeaderValue>,
    pub(super) turn: Turned,
}

/// Whose turn a request is part of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Turned {
    /// That of the call, which was admitted before its message was read.
    #[default]
    Call,
    /// Its own, as a step of a stream: it waits whatever the line's length, as the number of streams
    /// is bounded.
    Own(Option<Within>),
}

/// An answer, and whether it was recorded earlier.
#[derive(Debug)]
pub(super) struct Answer<A> {
    pub(super) message: A,
    pub(super) is_replayed: bool,
}

impl Http {
    pub(super) fn new(router: Router) -> Self {
        Self { router }
    }

    /// Answers a call that has no body over HTTP.
    pub(super) async fn ask<A: DeserializeOwned + Send + 'static>(
        &self,
        metadata: &MetadataMap,
        method: Method,
        target: Result<Target>,
    ) -> Result<Response<A>, Status> {
        self.tell(metadata, (method, target), None::<()>).await
    }

    /// Answers a call whose body over HTTP is the JSON form of `body`.
    pub(super) async fn tell<B, A>(
        &self,
        metadata: &MetadataMap,
        (method, target): (Method, Result<Target>),
        body: Option<B>,
    ) -> Result<Response<A>, Status>
    where
        B: Message + Serialize + 'static,
        A: DeserializeOwned + Send + 'static,
    {
        let sent = async {
            let target = target.map_err(told)?;
            let context = Context::of(metadata);
            let body = match body {
                Some(body) => Some(write(body.encoded_len(), body).await.map_err(told)?),
                None => None,
            };
            self.send(context, (method, target), body).await
        };
        let answer = sent.await.map_err(|problem| status::of_problem(&problem))?;
        let mut response = Response::new(answer.message);
        if answer.is_replayed {
            let headers = response.metadata_mut();
            headers.insert(
                REPLAYED,
                tonic::metadata::MetadataValue::from_static("true"),
            );
        }
        Ok(response)
    }

    /// Answers a request, or says why not.
    pub(super) async fn send<A: DeserializeOwned + Send + 'static>(
        &self,
        context: Context,
        (method, target): (Method, Target),
        body: Option<Bytes>,
    ) -> Result<Answer<A>, Problem> {
        let (key, collection) = (context.key.clone(), target.collection.clone());
        let request = request(context, (method, target), body).map_err(told)?;
        let Ok(response) = self.router.clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| {
            told(Error::internal("an answer cannot be read").with_source(error))
        })?;
        let body = body.to_bytes();
        if !parts.status.is_success() {
            let problem = problem(parts.status, &body);
            return Err(naming_field(problem, collection, key.as_ref()));
        }
        let size = body.len();
        let read = move || {
            json::read_answer(&body)
                .map_err(|error| Error::internal("an answer has no gRPC form").with_source(error))
        };
        Ok(Answer {
            is_replayed: parts.headers.contains_key(REPLAYED),
            message: off_thread(size, read).await.map_err(told)?,
        })
    }
}

impl Context {
    /// What a call says about itself.
    pub(super) fn of(metadata: &MetadataMap) -> Self {
        Self {
            request_id: request_id::current(),
            key: metadata.as_ref().get(IDEMPOTENCY_KEY).cloned(),
            turn: Turned::Call,
        }
    }
}

/// A path, with its query, in which names stand that a client sent.
#[derive(Clone, Debug)]
pub(super) struct Target {
    text: String,
    /// As it was sent.
    collection: Option<String>,
    has_query: bool,
}

impl Target {
    pub(super) fn new(path: &str) -> Self {
        Self {
            text: path.to_owned(),
            collection: None,
            has_query: false,
        }
    }

    /// One more segment of the path: the name in `field` of the request.
    ///
    /// # Errors
    /// `InvalidRequest` where it is empty: no path says that.
    pub(super) fn name(mut self, field: &str, name: &str) -> Result<Self> {
        if name.is_empty() {
            let pointer = format!("/{field}");
            return Err(Error::invalid_field(pointer, "must not be empty"));
        }
        self.text.push('/');
        self.text
            .extend(utf8_percent_encode(name, NON_ALPHANUMERIC));
        if field == "collection" {
            self.collection = Some(name.to_owned());
        }
        Ok(self)
    }

    /// One more segment of the path.
    pub(super) fn then(mut self, segment: &str) -> Self {
        self.text.push('/');
        self.text.push_str(segment);
        self
    }

    /// One more parameter, where it is given.
    pub(super) fn query(mut self, key: &str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            self.text.push(if self.has_query { '&' } else { '?' });
            self.has_query = true;
            self.text.push_str(key);
            self.text.push('=');
            let value = value.to_string();
            self.text
                .extend(utf8_percent_encode(&value, NON_ALPHANUMERIC));
        }
        self
    }
}

/// The metadata and the message of a call.
pub(super) fn parts<T>(request: Request<T>) -> (MetadataMap, T) {
    let (metadata, _, message) = request.into_parts();
    (metadata, message)
}

/// The JSON form of a message of about `size` bytes.
///
/// # Errors
/// None in practice: every message has one.
pub(super) async fn write(size: usize, message: impl Serialize + Send + 'static) -> Result<Bytes> {
    let written = move || {
        serde_json::to_vec(&message)
            .map_err(|error| Error::internal("a message has no JSON form").with_source(error))
    };
    off_thread(size, written).await.map(Bytes::from)
}

/// The problem that `error` is to the client; logged and counted.
pub(super) fn told(error: Error) -> Problem {
    ApiError(error).told()
}

fn request(
    context: Context,
    (method, target): (Method, Target),
    body: Option<Bytes>,
) -> Result<HttpRequest<Body>> {
    let mut request = HttpRequest::new(Body::empty());
    *request.method_mut() = method;
    *request.uri_mut() = target.text.parse().map_err(|error| {
        Error::new(ErrorCode::TooLarge, "a name is too long").with_source(error)
    })?;
    let headers = request.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&context.request_id) {
        headers.insert(REQUEST_ID, id);
    }
    if let Some(key) = context.key {
        headers.insert(IDEMPOTENCY_KEY, key);
    }
    if let Some(body) = body {
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        *request.body_mut() = Body::from(body);
    }
    let extensions = request.extensions_mut();
    extensions.insert(Transcoded);
    match context.turn {
        Turned::Call => {
            extensions.insert(Admitted);
        }
        Turned::Own(within) => {
            extensions.insert(Patient);
            within.map(|within| extensions.insert(within));
        }
    }
    Ok(request)
}

/// The problem document in a refusal.
fn problem(status: StatusCode, body: &[u8]) -> Problem {
    serde_json::from_slice(body).unwrap_or_else(|_| {
        told(Error::internal(format!(
            "a refusal with status {status} has no problem document"
        )))
    })
}

/// Names the field that is bad: over HTTP these are no fields, but the path and a header.
fn naming_field(
    mut problem: Problem,
    collection: Option<String>,
    key: Option<&HeaderValue>,
) -> Problem {
    if !problem.errors.is_empty() {
        return problem;
    }
    let collection = collection.and_then(|name| CollectionName::new(name).err());
    let key = key.and_then(|key| key_text(key).err());
    let refusals = [("/collection", collection), ("/idempotency_key", key)];
    for (pointer, error) in refusals {
        let detail = error.map(|error| error.to_string());
        if let Some(detail) = detail.filter(|detail| *detail == problem.detail) {
            let pointer = pointer.to_owned();
            problem.errors.push(FieldProblem { pointer, detail });
        }
    }
    problem
}

impl From<Problem> for proto::Problem {
    fn from(problem: Problem) -> Self {
        let errors = problem.errors.into_iter().map(|field| proto::FieldProblem {
            pointer: field.pointer,
            detail: field.detail,
        });
        Self {
            r#type: problem.kind,
            title: problem.title,
            status: problem.status.into(),
            detail: problem.detail,
            error_code: problem.error_code,
            retryable: problem.retryable,
            retry_after_seconds: problem.retry_after_seconds,
            request_id: problem.request_id,
            errors: errors.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_place_in_a_path() {
        let target = Target::new("/v1/collections").name("collection", "a/../b?x#y");
        let target = target
            .unwrap()
            .then("documents")
            .query("cursor", Some("&="));
        let target = target
            .query("limit", None::<u32>)
            .query("wait", Some("indexed"));
        assert_eq!(
            target.text,
            "/v1/collections/a%2F%2E%2E%2Fb%3Fx%23y/documents?cursor=%26%3D&wait=indexed"
        );
        let error = Target::new("/v1").name("collection", "").unwrap_err();
        assert_eq!(error.fields()[0].pointer, "/collection");
    }
}
