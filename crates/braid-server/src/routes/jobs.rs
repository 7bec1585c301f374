//! Bulk jobs, and the documents that they could not index.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use braid_core::ports::{CancelReceipt, JobItemStatus, Recorded, StageReceipt, StoredResponse};
use braid_core::{CollectionName, DocumentId, Error, JobId, Result};
use braid_engine::Health;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::dto::jobs::{
    FailuresAnswer, JobAccepted, JobAnswer, JobCancelled, JobItems, JobsAnswer, RetryBody,
};
use crate::dto::problem::Problem;
use crate::error::{ApiError, about};
use crate::extract::{CollectionPath, JobPath, QueryParameters};
use crate::idempotency::{Mutation, first, replay, stored};
use crate::routes::documents::bulk::{Accepted, answer, check_ids};
use crate::routes::documents::{Wait, WriteParameters, checked_limit};

/// Entries on a page where the request does not say.
const DEFAULT_LIMIT: usize = 50;
/// Most entries on a page. Every document of every listed job is counted.
const MAX_LIMIT: usize = 100;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(cancel))
        .routes(routes!(retry))
        .routes(routes!(failures))
        .routes(routes!(retry_failures))
}

/// Which page of jobs.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListParameters {
    /// Jobs of this collection alone.
    #[param(pattern = "^[a-z0-9][a-z0-9_-]{0,63}$")]
    collection: Option<String>,
    /// Where the page starts: `next_cursor` of the page before.
    cursor: Option<String>,
    /// Most jobs on the page.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
}

/// Jobs, newest first, a page at a time. Jobs are kept for seven days.
#[utoipa::path(
    get,
    path = "/v1/jobs",
    operation_id = "list_jobs",
    tag = "jobs",
    params(ListParameters),
    responses(
        (status = 200, description = "A page of jobs", body = JobsAnswer),
        (status = "4XX", description = "The request is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(
    State(app): State<App>,
    QueryParameters(page): QueryParameters<ListParameters>,
) -> Result<Json<JobsAnswer>, ApiError> {
    let limit = checked_limit(page.limit, DEFAULT_LIMIT, MAX_LIMIT)?;
    let name = page.collection.map(CollectionName::new).transpose();
    let name = name.map_err(|error| about("/collection", error))?;
    let cursor = page.cursor.as_deref();
    let jobs = app.engine().jobs(name.as_ref(), cursor, limit).await;
    Ok(Json(jobs.map_err(|error| about("/cursor", error))?.into()))
}

/// Which documents of a job are listed.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct GetParameters {
    /// `all`, `unsuccessful` (refused, failed, cancelled) or `none`: the counts are of every one.
    #[serde(default)]
    #[param(inline)]
    items: JobItems,
}

/// A bulk job and what became of each document.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}",
    operation_id = "get_job",
    tag = "jobs",
    params(("id" = String, Path, description = "The job's id"), GetParameters),
    responses(
        (status = 200, description = "The job as it stands", body = JobAnswer),
        (status = "4XX", description = "There is no such job", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn get(
    State(app): State<App>,
    JobPath(id): JobPath,
    QueryParameters(GetParameters { items }): QueryParameters<GetParameters>,
) -> Result<Json<JobAnswer>, ApiError> {
    let engine = app.engine();
    let job = engine.job(id).await?;
    let is_pending = |item: &braid_core::ports::JobItem| item.status == JobItemStatus::Pending;
    let health = match job.items.iter().any(is_pending) {
        true => engine.indexing_health(&job.collection).await?,
        false => Health::Working,
    };
    Ok(Json(JobAnswer::new(job, items, &health)))
}

/// Takes back what a job put and is not retrievable yet: those documents are as they were before
/// it. What is retrievable stays, and so do deletes.
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/cancel",
    operation_id = "cancel_job",
    tag = "jobs",
    params(
        ("id" = String, Path, description = "The job's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat", min_length = 1, max_length = 255),
    ),
    responses(
        (status = 200, description = "Cancelled; a job that was done has nothing to take back", body = JobCancelled),
        (status = "4XX", description = "The request is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn cancel(
    State(app): State<App>,
    JobPath(id): JobPath,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    if let Some(recorded) = mutation.recorded(&app).await? {
        return Ok(replay(recorded));
    }
    refuse_body(&mutation)?;
    let guard = mutation.guard(move |receipt: &CancelReceipt| cancelled(id, *receipt));
    Ok(match app.engine().cancel_job(id, guard).await? {
        Recorded::Done(receipt) => first(cancelled(id, receipt)),
        Recorded::Replayed(recorded) => replay(recorded),
    })
}

/// Stores again, as a new job, the documents of a job that failed, as they are stored.
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/retry",
    operation_id = "retry_job",
    tag = "jobs",
    params(
        ("id" = String, Path, description = "The job's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat", min_length = 1, max_length = 255),
        WriteParameters,
    ),
    responses(
        (status = 202, description = "Durable as a new job", body = JobAccepted),
        (status = "4XX", description = "The request is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn retry(
    State(app): State<App>,
    JobPath(id): JobPath,
    QueryParameters(WriteParameters { wait }): QueryParameters<WriteParameters>,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    let failed = app.engine().failed_of_job(id).await;
    if let Some(recorded) = mutation.recorded(&app).await? {
        // A job that is gone, with its collection, has nothing to wait for.
        if let Ok((collection, _)) = failed {
            wait.settle_recorded(&app, &collection, &recorded).await?;
        }
        return Ok(replay(recorded));
    }
    refuse_body(&mutation)?;
    let (collection, ids) = failed?;
    retry_ids(&app, (&collection, wait), Some(ids), mutation).await
}

/// Which page of dead letters.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct FailuresParameters {
    /// Where the page starts: `next_cursor` of the page before.
    cursor: Option<String>,
    /// Most documents on the page.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
}

/// The dead letters: documents whose newest version could not be indexed, oldest failure first. An
/// older version, if there is one, is still retrieved.
#[utoipa::path(
    get,
    path = "/v1/collections/{collection}/failures",
    operation_id = "list_failures",
    tag = "jobs",
    params(("collection" = String, Path, description = "The collection's name", pattern = "^[a-z0-9][a-z0-9_-]{0,63}$"), FailuresParameters),
    responses(
        (status = 200, description = "A page of documents", body = FailuresAnswer),
        (status = "4XX", description = "The request is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn failures(
    State(app): State<App>,
    CollectionPath(name): CollectionPath,
    QueryParameters(page): QueryParameters<FailuresParameters>,
) -> Result<Json<FailuresAnswer>, ApiError> {
    let limit = checked_limit(page.limit, DEFAULT_LIMIT, MAX_LIMIT)?;
    let cursor = page.cursor.as_deref();
    let failed = app.engine().failed_documents(&name, cursor, limit).await;
    let failed = failed.map_err(|error| about("/cursor", error))?;
    Ok(Json(failed.into()))
}

/// Stores dead letters again, as a new job, as they are stored. Those that have not failed, or were
/// put again since, are left alone and listed by the job as rejected.
#[utoipa::path(
    post,
    path = "/v1/collections/{collection}/failures/retry",
    operation_id = "retry_failures",
    tag = "jobs",
    params(
        ("collection" = String, Path, description = "The collection's name", pattern = "^[a-z0-9][a-z0-9_-]{0,63}$"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat", min_length = 1, max_length = 255),
        WriteParameters,
    ),
    request_body = RetryBody,
    responses(
        (status = 202, description = "Durable as a new job", body = JobAccepted),
        (status = "4XX", description = "The request is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn retry_failures(
    State(app): State<App>,
    CollectionPath(name): CollectionPath,
    QueryParameters(WriteParameters { wait }): QueryParameters<WriteParameters>,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    if let Some(recorded) = mutation.recorded(&app).await? {
        wait.settle_recorded(&app, &name, &recorded).await?;
        return Ok(replay(recorded));
    }
    let ids = match mutation.is_bodyless() {
        true => None,
        false => mutation.read(check_retried).await?,
    };
    retry_ids(&app, (&name, wait), ids, mutation).await
}

async fn retry_ids(
    app: &App,
    (collection, wait): (&CollectionName, Wait),
    ids: Option<Vec<DocumentId>>,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    // How many are tried again is known once they are; what was asked for and is not stands in
    // the job.
    let accepted = Accepted::of(ids.as_ref().map_or(0, Vec::len));
    let job = Some(accepted.job(Vec::new()));
    let guard = mutation.guard(move |receipt: &StageReceipt| accepted.answer(receipt));
    let engine = app.engine();
    let outcome = engine.retry_documents(collection, ids, job, guard).await?;
    answer(app, collection, wait, (outcome.staged, accepted)).await
}

fn check_retried(body: RetryBody) -> Result<Option<Vec<DocumentId>>> {
    let Some(ids) = body.ids else { return Ok(None) };
    check_ids(ids).map(Some)
}

fn cancelled(job: JobId, receipt: CancelReceipt) -> StoredResponse {
    let answer = JobCancelled {
        job_id: job.to_string(),
        cancelled: receipt.cancelled,
    };
    stored(StatusCode::OK, &answer)
}

fn refuse_body(mutation: &Mutation) -> Result<()> {
    if mutation.is_bodyless() {
        return Ok(());
    }
    Err(Error::invalid_field("", "this request takes no body"))
}
