//! `POST /v1/explain`.

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::dto::explain::{ExplainAnswer, ExplainBody};
use crate::dto::problem::Problem;
use crate::error::ApiError;
use crate::extract::JsonBody;
use crate::request_id;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(explain))
}

/// Say where a document was lost for a retrieval, and which smallest change returns it.
#[utoipa::path(
    post,
    path = "/v1/explain",
    operation_id = "explain",
    tag = "retrieve",
    request_body = ExplainBody,
    responses(
        (status = 200, description = "What became of the document at every stage", body = ExplainAnswer),
        (status = "4XX", description = "The request is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn explain(
    State(app): State<App>,
    JsonBody(body): JsonBody<ExplainBody>,
) -> Result<Json<ExplainAnswer>, ApiError> {
    let document = body.document_id.clone();
    let filter = body.retrieve.filter.clone();
    let request = body.into_request(app.defaults())?;
    let explanation = app.engine().explain(request).await?;
    Ok(Json(ExplainAnswer::new(
        request_id::current(),
        document,
        filter.as_ref(),
        explanation,
    )))
}
