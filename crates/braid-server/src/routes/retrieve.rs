//! `POST /retrieve`.

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::dto::problem::Problem;
use crate::dto::retrieve::{RetrieveAnswer, RetrieveBody};
use crate::error::ApiError;
use crate::extract::JsonBody;
use crate::request_id;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(retrieve))
        .routes(routes!(retrieve_v1))
}

/// Search both legs, fuse, re-rank, and assemble cited context.
#[utoipa::path(
    post,
    path = "/retrieve",
    operation_id = "retrieve",
    tag = "retrieve",
    request_body = RetrieveBody,
    responses(
        (status = 200, description = "Hits, best first, with context and timings", body = RetrieveAnswer),
        (status = "4XX", description = "The request is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn retrieve(
    State(app): State<App>,
    JsonBody(body): JsonBody<RetrieveBody>,
) -> Result<Json<RetrieveAnswer>, ApiError> {
    let request = body.into_request(app.defaults())?;
    let explain = request.explain;
    let response = app.engine().retrieve(request).await?;
    Ok(Json(RetrieveAnswer::new(
        request_id::current(),
        response,
        explain,
    )))
}

/// The same as `/retrieve`.
#[utoipa::path(
    post,
    path = "/v1/retrieve",
    operation_id = "retrieve_v1",
    tag = "retrieve",
    request_body = RetrieveBody,
    responses(
        (status = 200, description = "Hits, best first, with context and timings", body = RetrieveAnswer),
        (status = "4XX", description = "The request is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn retrieve_v1(
    state: State<App>,
    body: JsonBody<RetrieveBody>,
) -> Result<Json<RetrieveAnswer>, ApiError> {
    retrieve(state, body).await
}
