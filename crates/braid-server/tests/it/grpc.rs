//! gRPC beside HTTP: what a client sends and sees.

mod contract;
mod errors;
mod parity;
mod resources;
mod socket;
mod stream;

use axum::Router;
use braid_server::grpc::proto;
use braid_server::grpc::proto::collections_client::CollectionsClient;
use braid_server::grpc::proto::ingestion_client::IngestionClient;
use braid_server::grpc::proto::jobs_client::JobsClient;
use braid_server::grpc::proto::retrieval_client::RetrievalClient;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tonic::{Request, Response, Status};
use tonic_types::StatusExt;

use crate::server::{Answer, Server};

fn retrieval(server: &Server) -> RetrievalClient<Router> {
    RetrievalClient::new(server.router())
}

fn ingestion(server: &Server) -> IngestionClient<Router> {
    IngestionClient::new(server.router())
}

fn jobs(server: &Server) -> JobsClient<Router> {
    JobsClient::new(server.router())
}

fn collections(server: &Server) -> CollectionsClient<Router> {
    CollectionsClient::new(server.router())
}

/// The message that has this JSON form.
#[track_caller]
fn message<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).unwrap()
}

/// A call with an idempotency key.
fn keyed<T>(key: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    metadata.insert("idempotency-key", key.parse().unwrap());
    request
}

/// A document to be put.
fn new_document(id: &str, text: &str) -> proto::NewDocument {
    proto::NewDocument {
        id: id.to_owned(),
        text: text.to_owned(),
        ..proto::NewDocument::default()
    }
}

/// Both interfaces said the same: the same answer, or the same refusal.
#[track_caller]
fn assert_same<T: Serialize>(rest: &Answer, grpc: Result<Response<T>, Status>, what: &str) {
    match grpc {
        Ok(response) => {
            assert!((200..300).contains(&rest.status), "{what}: {}", rest.text());
            let answer = serde_json::to_value(response.into_inner()).unwrap();
            assert_eq!(comparable(rest.json()), comparable(answer), "{what}");
        }
        Err(status) => assert_same_refusal(rest, &status, what),
    }
}

/// A status says what a problem document says. Of what HTTP has in the path or a header, it alone can
/// name the field.
#[track_caller]
fn assert_same_refusal(rest: &Answer, status: &Status, what: &str) {
    assert!(rest.status >= 400, "{what}: {status} and {}", rest.text());
    let problem = rest.json();
    let details = status.get_error_details();
    let info = details
        .error_info()
        .unwrap_or_else(|| panic!("{what}: {status:?}"));
    assert_eq!(problem["error_code"], info.reason, "{what}");
    assert_eq!(problem["detail"], status.message(), "{what}");
    assert_eq!(
        problem["status"].to_string(),
        info.metadata["http_status"],
        "{what}"
    );
    assert_eq!(
        problem["retryable"].to_string(),
        info.metadata["retryable"],
        "{what}"
    );
    let wait = details.retry_info().and_then(|info| info.retry_delay);
    let wait = wait.map(|wait| wait.as_secs());
    assert_eq!(problem["retry_after_seconds"].as_u64(), wait, "{what}");
    let fields = details.bad_request().map(|bad| &bad.field_violations[..]);
    let fields: Vec<(&str, &str)> = fields
        .unwrap_or_default()
        .iter()
        .map(|field| (field.field.as_str(), field.description.as_str()))
        .collect();
    let expected: Vec<(&str, &str)> = problem["errors"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|field| {
            (
                field["pointer"].as_str().unwrap(),
                field["detail"].as_str().unwrap(),
            )
        })
        .collect();
    let own = ["/collection", "/idempotency_key"];
    if !(expected.is_empty() && matches!(fields[..], [(field, _)] if own.contains(&field))) {
        assert_eq!(fields, expected, "{what}");
    }
}

/// The stable code of a refusal.
#[track_caller]
fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("{status:?}"));
    assert_eq!(info.domain, "braid");
    info.reason.clone()
}

/// An answer without what the encodings say differently (what is absent, how a number is written) and
/// what differs from one request to the next.
fn comparable(answer: Value) -> Value {
    match answer {
        Value::Number(number) => Value::from(number.as_f64().unwrap()),
        Value::Array(items) => items.into_iter().map(comparable).collect(),
        Value::Object(fields) => Value::Object(comparable_fields(fields)),
        Value::Null | Value::Bool(_) | Value::String(_) => answer,
    }
}

fn comparable_fields(fields: Map<String, Value>) -> Map<String, Value> {
    let changes = [
        "request_id",
        "timings_ms",
        "created_at_ms",
        "updated_at_ms",
        "failed_at_ms",
        "job_id",
    ];
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    fields
        .into_iter()
        .filter(|(name, _)| !changes.contains(&name.as_str()))
        .map(|(name, value)| (name, comparable(value)))
        .filter(|(_, value)| !is_empty(value))
        .collect()
}
