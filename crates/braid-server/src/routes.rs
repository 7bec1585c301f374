//! Handlers, one module per resource.

pub(crate) mod batch;
pub(crate) mod cache;
pub(crate) mod collections;
pub(crate) mod documents;
pub(crate) mod explain;
pub(crate) mod jobs;
pub(crate) mod models;
pub(crate) mod operations;
pub(crate) mod retrieve;
pub(crate) mod synonyms;

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;

use crate::request_id;

/// Counts, times and logs every request once.
pub(crate) async fn record(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched", MatchedPath::as_str)
        .to_owned();
    let start = Instant::now();
    let response = next.run(request).await;
    let (seconds, status) = (start.elapsed().as_secs_f64(), response.status().as_u16());
    let labels = [
        ("route", route.clone()),
        ("method", method_label(&method).to_owned()),
        ("status", status.to_string()),
    ];
    metrics::counter!("braid_http_requests_total", &labels).increment(1);
    metrics::histogram!("braid_http_request_seconds", "route" => route.clone()).record(seconds);
    let request_id = request_id::current();
    tracing::info!(%request_id, %method, route, status, seconds, "request");
    response
}

/// A label of bounded number: a client may send any method.
fn method_label(method: &Method) -> &str {
    let known = [
        Method::GET,
        Method::HEAD,
        Method::OPTIONS,
        Method::POST,
        Method::PUT,
        Method::DELETE,
    ];
    if known.contains(method) {
        method.as_str()
    } else {
        "other"
    }
}
