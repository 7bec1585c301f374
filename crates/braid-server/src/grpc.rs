//! Braid over gRPC, on the port of the HTTP interface.
//!
//! A call becomes a request to the HTTP interface, within the process: [`proto`]'s messages have the
//! JSON form of the wire DTOs, so both interfaces share admission, limits, validation, idempotency,
//! metrics and errors by construction. What is gRPC's own is here: statuses, deadlines, streams,
//! health, reflection. Start at [`router`]; `docs/grpc.md` is for callers.

mod collections;
mod deadline;
mod health;
mod http;
mod ingestion;
mod jobs;
mod json;
mod retrieval;
mod status;
mod stream;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use axum::{Router, middleware};
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;

use crate::admission::{Line, Turn};
use crate::app::{App, defect};
use crate::{admission, extract, request_id};
use http::Http;
use proto::collections_server::CollectionsServer;
use proto::ingestion_server::IngestionServer;
use proto::jobs_server::JobsServer;
use proto::retrieval_server::RetrievalServer;

/// The messages, clients and servers of `proto/braid/v1`.
#[allow(clippy::all, missing_debug_implementations, reason = "generated")]
pub mod proto {
    tonic::include_proto!("braid.v1");
}

/// The encoded `FileDescriptorSet` of `proto/braid/v1`, as reflection serves it.
pub const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("braid.v1");

/// The services whose health is told.
const SERVICES: [&str; 4] = [
    proto::collections_server::SERVICE_NAME,
    proto::ingestion_server::SERVICE_NAME,
    proto::jobs_server::SERVICE_NAME,
    proto::retrieval_server::SERVICE_NAME,
];

/// Every gRPC service, over the HTTP interface `http` of `app`.
pub(crate) fn router(app: &App, http: Router) -> Router {
    let http = Http::new(http);
    let limit = app.options().max_body_bytes;
    let documents = ingestion::Documents::new(app, http.clone());
    let readiness = health::Readiness {
        http: http.clone(),
        app: app.clone(),
    };
    let collections = collections::CollectionCalls(http.clone());
    let jobs = jobs::JobCalls(http.clone());
    let retrievals = retrieval::Retrievals(http);
    let mut routes = Routes::default()
        .add_service(CollectionsServer::new(collections).max_decoding_message_size(limit))
        .add_service(IngestionServer::new(documents).max_decoding_message_size(limit))
        .add_service(JobsServer::new(jobs).max_decoding_message_size(limit))
        .add_service(RetrievalServer::new(retrievals).max_decoding_message_size(limit))
        .add_service(HealthServer::new(readiness));
    match reflection() {
        Ok(service) => routes = routes.add_service(service),
        Err(error) => tracing::error!(%error, "gRPC reflection is not served"),
    }
    routes
        .into_axum_router()
        .layer(middleware::from_fn_with_state(app.clone(), admit))
        .layer(middleware::map_response_with_state(limit, status::complete))
        .layer(CatchPanicLayer::custom(|panic| {
            status::of_error(defect(panic)).into_http::<axum::body::Body>()
        }))
        .layer(middleware::from_fn(request_id::layer))
}

/// Admits a call before its message is read, as the HTTP interface admits a request before its body is.
async fn admit(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(line) = line_of(request.uri().path()) else {
        return next.run(request).await;
    };
    let turn = deadline::of(request.headers()).map(|within| Turn {
        line,
        within,
        patient: None,
    });
    let answer = match turn {
        Ok(turn) => admission::in_turn(&app, turn, next.run(request)).await,
        Err(error) => Err(error),
    };
    answer.unwrap_or_else(|error| status::of_error(error).into_http())
}

/// The line in which a call stands; `None` for streams, whose steps are admitted one by one, and for
/// what is answered even when the server is full.
fn line_of(path: &str) -> Option<Line> {
    let (service, method) = path.strip_prefix("/braid.v1.")?.split_once('/')?;
    match (service, method) {
        ("Ingestion", "Ingest") => None,
        ("Retrieval", "Explain") => Some(Line::Explanations),
        ("Retrieval", _) => Some(Line::Reads),
        (_, method) if method.starts_with("Get") || method.starts_with("List") => Some(Line::Reads),
        (_, _) => Some(Line::Writes),
    }
}

fn reflection() -> Result<
    tonic_reflection::server::v1::ServerReflectionServer<
        impl tonic_reflection::server::v1::ServerReflection,
    >,
    tonic_reflection::server::Error,
> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
}

/// Takes gRPC calls out of what comes in on the port.
pub(crate) async fn steer(State(grpc): State<Router>, request: Request, next: Next) -> Response {
    if !is_grpc(request.headers()) {
        return next.run(request).await;
    }
    let Ok(response) = grpc.oneshot(request).await;
    response
}

/// Whether a request says it is a gRPC call; gRPC-Web is another protocol.
fn is_grpc(headers: &HeaderMap) -> bool {
    let (essence, _) = extract::content_type(headers);
    essence == "application/grpc" || essence.starts_with("application/grpc+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_stand_in_the_line_of_their_request() {
        let line = |method: &str| line_of(&format!("/braid.v1.{method}"));
        for method in ["Retrieval/Retrieve", "Retrieval/BatchRetrieve"] {
            assert_eq!(line(method), Some(Line::Reads), "{method}");
        }
        assert_eq!(line("Retrieval/Explain"), Some(Line::Explanations));
        for method in [
            "Collections/GetCollection",
            "Ingestion/ListDocuments",
            "Jobs/GetJob",
            "Jobs/ListFailures",
        ] {
            assert_eq!(line(method), Some(Line::Reads), "{method}");
        }
        for method in [
            "Collections/PutCollection",
            "Ingestion/DeleteDocument",
            "Ingestion/PutDocuments",
            "Jobs/CancelJob",
            "Jobs/RetryFailures",
        ] {
            assert_eq!(line(method), Some(Line::Writes), "{method}");
        }
        for path in [
            "/braid.v1.Ingestion/Ingest",
            "/grpc.health.v1.Health/Check",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "/",
        ] {
            assert_eq!(line_of(path), None, "{path}");
        }
    }
}
