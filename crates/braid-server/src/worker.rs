//! What a worker, which serves no requests, tells of itself: that it runs, and its metrics.

use axum::Router;
use axum::http::header;
use axum::routing::get;
use braid_core::{Error, ErrorCode, Result};
use braid_runtime::telemetry::PrometheusHandle;
use tokio::net::TcpListener;

/// Serves `/healthz`, `/readyz` and `/metrics` until the future is dropped.
///
/// # Errors
/// `Unavailable` when the listener breaks.
pub async fn serve_worker(listener: TcpListener, metrics: PrometheusHandle) -> Result<()> {
    let text = move || async move {
        metrics.run_upkeep();
        let kind = "text/plain; version=0.0.4; charset=utf-8";
        ([(header::CONTENT_TYPE, kind)], metrics.render())
    };
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(async || "ok\n"))
        .route("/metrics", get(text));
    axum::serve(listener, router).await.map_err(|error| {
        Error::new(ErrorCode::Unavailable, "the listener broke").with_source(error)
    })
}
