//! Health and metrics: answered even when the server is full.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use braid_core::{Error, ErrorCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::dto::problem::Problem;
use crate::error::ApiError;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(metrics))
}

/// That the process runs.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
struct HealthAnswer {
    /// `ok`.
    status: String,
    /// Braid's version.
    version: String,
}

/// Whether requests are served, and what is not retrievable yet.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
struct ReadyAnswer {
    /// `ready`.
    status: String,
    /// Acknowledged writes that are not retrievable yet, over all collections.
    lag: u64,
    /// Collections with lag.
    lagging: Vec<LaggingCollection>,
    /// Collections whose indexes are being compared with what is published, as at every start:
    /// until that is done, hits that a damaged index lost are missing.
    reconciling: Vec<String>,
    /// Collections whose indexing cannot go on.
    stalled: Vec<StalledCollection>,
    /// Why the server that has the vectors cannot be reached, where one has them and it cannot:
    /// retrieval is by the lexical leg alone meanwhile, and says so. With storage.profile = cluster
    /// everything is there, and nothing can be retrieved.
    vectors_unreachable: Option<String>,
    /// Whether what lags is indexed by workers (storage.profile = cluster). Whether any runs is not
    /// known here: watch that the lag falls.
    by_workers: bool,
}

/// A collection with writes that are not retrievable yet.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
struct LaggingCollection {
    /// Its name.
    collection: String,
    /// How many writes.
    lag: u64,
}

/// A collection whose indexing cannot go on.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
struct StalledCollection {
    /// Its name.
    collection: String,
    /// Why.
    reason: String,
}

/// Whether the process runs.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "healthz",
    tag = "operations",
    responses((status = 200, description = "It runs", body = HealthAnswer))
)]
async fn healthz() -> Json<HealthAnswer> {
    Json(HealthAnswer {
        status: "ok".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// Whether requests are served: published data is, even while newer writes are being indexed.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "readyz",
    tag = "operations",
    responses(
        (status = 200, description = "Requests are served", body = ReadyAnswer),
        (status = 503, description = "The server is shutting down, or cannot reach the cluster that has everything", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn readyz(State(app): State<App>) -> Result<Json<ReadyAnswer>, ApiError> {
    if app.is_draining() {
        return Err(Error::new(ErrorCode::ShuttingDown, "the server is shutting down").into());
    }
    let readiness = app.engine().readiness().await?;
    if let (true, Some(reason)) = (readiness.by_workers, &readiness.unreachable) {
        let message = format!("the cluster cannot be reached: {reason}");
        return Err(Error::new(ErrorCode::Unavailable, message).into());
    }
    let lagging = readiness
        .lag
        .into_iter()
        .map(|(name, lag)| LaggingCollection {
            collection: name.as_str().to_owned(),
            lag,
        });
    let stalled = readiness
        .stalled
        .into_iter()
        .map(|(name, reason)| StalledCollection {
            collection: name.as_str().to_owned(),
            reason,
        });
    let lagging: Vec<_> = lagging.collect();
    Ok(Json(ReadyAnswer {
        status: "ready".to_owned(),
        lag: lagging.iter().map(|collection| collection.lag).sum(),
        lagging,
        reconciling: readiness
            .reconciling
            .iter()
            .map(|name| name.as_str().to_owned())
            .collect(),
        stalled: stalled.collect(),
        vectors_unreachable: readiness.unreachable,
        by_workers: readiness.by_workers,
    }))
}

/// Counters and histograms in the Prometheus text format.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    tag = "operations",
    responses((status = 200, description = "Prometheus text format", body = String, content_type = "text/plain"))
)]
async fn metrics(State(app): State<App>) -> Response {
    // It tells the gauges; a cluster that is away is told by /readyz.
    let _ = app.engine().work_depth().await;
    if let Ok(in_use) = app.engine().storage_use().await
        && in_use.limit_bytes < u64::MAX
    {
        metrics::gauge!("braid_ledger_used_bytes").set(in_use.used_bytes as f64);
        metrics::gauge!("braid_ledger_limit_bytes").set(in_use.limit_bytes as f64);
    }
    let text = app.metrics().map(|handle| {
        handle.run_upkeep();
        handle.render()
    });
    let headers = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (StatusCode::OK, headers, text.unwrap_or_default()).into_response()
}
