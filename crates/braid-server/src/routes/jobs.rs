//! Bulk jobs.

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::dto::jobs::JobAnswer;
use crate::dto::problem::Problem;
use crate::error::ApiError;
use crate::extract::JobPath;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get))
}

/// A bulk job and what became of each document.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}",
    operation_id = "get_job",
    tag = "jobs",
    params(("id" = String, Path, description = "The job's id")),
    responses(
        (status = 200, description = "The job as it stands", body = JobAnswer),
        (status = "4XX", description = "There is no such job", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn get(State(app): State<App>, JobPath(id): JobPath) -> Result<Json<JobAnswer>, ApiError> {
    Ok(Json(app.engine().job(id).await?.into()))
}
