//! The router: routes, layers and shared state.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, middleware};
use braid_core::{Error, ErrorCode};
use braid_engine::Engine;
use braid_engine::query::RetrieveRequest;
use braid_runtime::telemetry::PrometheusHandle;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::admission::{self, Admission, Line};
use crate::error::ApiError;
use crate::{grpc, playground, reference, request_id, routes};

/// Explanations that run at once: each takes as much as some hundred retrievals.
const MOST_EXPLANATIONS: usize = 2;

/// Limits of the server.
#[derive(Clone, Copy, Debug)]
pub struct ServerOptions {
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
    /// Longest time for one request, waiting in line included.
    pub request_timeout: Duration,
    /// Requests that run at once.
    pub max_concurrent_requests: usize,
    /// Requests that may wait in line; more are answered 429.
    pub max_waiting_requests: usize,
    /// How long shutdown waits for requests in flight.
    pub shutdown_grace: Duration,
    /// Most retrievals in one batch.
    pub max_batch_requests: usize,
    /// Retrievals of one batch that run at once where there is room.
    pub batch_concurrency: usize,
}

/// What every handler sees. Clones share it.
#[derive(Clone, Debug)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    options: ServerOptions,
    defaults: RetrieveRequest,
    metrics: Option<PrometheusHandle>,
    reads: Admission,
    explanations: Admission,
    writes: Admission,
    draining: CancellationToken,
    models: Admission,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl App {
    /// An application over `engine`; `defaults` fill what retrieval requests leave open, and
    /// `metrics` is what `/metrics` renders.
    pub fn new(
        engine: Engine,
        options: ServerOptions,
        defaults: RetrieveRequest,
        metrics: Option<PrometheusHandle>,
    ) -> Self {
        let admission = |most: usize| {
            let running = options.max_concurrent_requests.min(most);
            Admission::new(running, options.max_waiting_requests)
        };
        let (reads, writes) = (admission(usize::MAX), admission(usize::MAX));
        let explanations = admission(MOST_EXPLANATIONS);
        let models = admission(usize::MAX);
        let draining = CancellationToken::new();
        let inner = Inner {
            engine,
            options,
            defaults,
            metrics,
            reads,
            explanations,
            writes,
            models,
            draining,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    pub(crate) fn options(&self) -> &ServerOptions {
        &self.inner.options
    }

    pub(crate) fn defaults(&self) -> &RetrieveRequest {
        &self.inner.defaults
    }

    pub(crate) fn metrics(&self) -> Option<&PrometheusHandle> {
        self.inner.metrics.as_ref()
    }

    pub(crate) fn admission(&self, line: Line) -> &Admission {
        match line {
            Line::Reads => &self.inner.reads,
            Line::Explanations => &self.inner.explanations,
            Line::Writes => &self.inner.writes,
            Line::Models => &self.inner.models,
        }
    }

    /// Refuses every request from now on with `SHUTTING_DOWN`; those in flight go on.
    pub fn drain(&self) {
        self.inner.draining.cancel();
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.inner.draining.is_cancelled()
    }

    /// Resolves when draining starts.
    pub(crate) fn draining(&self) -> impl Future<Output = ()> + Send + use<> {
        self.inner.draining.clone().cancelled_owned()
    }

    /// The router with every route and layer, for HTTP and gRPC.
    pub fn router(&self) -> Router {
        let behind_grpc = self.http(api().merge(routes::documents::each::router()));
        let grpc = grpc::router(self, behind_grpc);
        self.http(api())
            .layer(middleware::from_fn_with_state(grpc, grpc::steer))
    }

    /// The HTTP interface with these routes behind admission control.
    fn http(&self, api: OpenApiRouter<Self>) -> Router {
        let (api, mut document) = api.split_for_parts();
        let (probes, probe_paths) = probes().split_for_parts();
        document.merge(probe_paths);
        let admitted = api.layer(middleware::from_fn_with_state(
            self.clone(),
            admission::layer,
        ));
        admitted
            .merge(probes)
            .merge(reference::router(document))
            .merge(playground::router())
            .fallback(|| async { refuse(ErrorCode::RouteNotFound, "no such route; see /docs") })
            .method_not_allowed_fallback(|| async {
                refuse(
                    ErrorCode::MethodNotAllowed,
                    "this route does not take this method; see /docs",
                )
            })
            .layer(DefaultBodyLimit::max(self.options().max_body_bytes))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(middleware::from_fn(routes::record))
            .layer(middleware::from_fn(request_id::layer))
            .layer(SetResponseHeaderLayer::overriding(
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            ))
            .with_state(self.clone())
    }
}

/// The OpenAPI document of everything that is served.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let (_, mut document) = api().split_for_parts();
    let (_, probes) = probes().split_for_parts();
    document.merge(probes);
    document
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Braid",
        description = "Hybrid-search retrieval for RAG. Every error is a problem document (RFC 9457) with a stable `error_code`. Every mutation takes an `Idempotency-Key`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    tags(
        (name = "retrieve", description = "Search, fuse, re-rank, cite."),
        (name = "collections", description = "Named sets of documents."),
        (name = "documents", description = "What is searched."),
        (name = "jobs", description = "Bulk writes."),
        (name = "cache", description = "Answers kept for questions that ask the same."),
        (name = "models", description = "The models of this server, for others."),
        (name = "operations", description = "Health and metrics.")
    )
)]
struct Document;

/// Routes behind admission control.
fn api() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(routes::retrieve::router())
        .merge(routes::batch::router())
        .merge(routes::explain::router())
        .merge(routes::collections::router())
        .merge(routes::synonyms::router())
        .merge(routes::documents::router())
        .merge(routes::jobs::router())
        .merge(routes::cache::router())
        .merge(routes::models::router())
}

/// Routes that answer even when the server is full.
fn probes() -> OpenApiRouter<App> {
    routes::operations::router()
}

fn refuse(code: ErrorCode, message: &str) -> Response {
    ApiError(Error::new(code, message)).into_response()
}

fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    ApiError(defect(panic)).into_response()
}

/// What a panic is to a client; logged.
#[expect(clippy::needless_pass_by_value, reason = "a panic is handed on")]
pub(crate) fn defect(panic: Box<dyn std::any::Any + Send>) -> Error {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    tracing::error!(panic = message, "a request handler panicked");
    Error::new(
        ErrorCode::Internal,
        "a defect in Braid stopped this request",
    )
}
