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

use crate::app::{App, defect};
use crate::{extract, request_id};
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
        .layer(middleware::map_response_with_state(limit, status::complete))
        .layer(CatchPanicLayer::custom(|panic| {
            status::of_error(defect(panic)).into_http::<axum::body::Body>()
        }))
        .layer(middleware::from_fn(request_id::layer))
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
