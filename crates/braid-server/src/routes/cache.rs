//! Stored answers: look up, store, delete.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use braid_core::CollectionName;
use braid_core::ports::Recorded;
use braid_engine::query::cache::semantic::StoredAnswer;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::dto::cache::{AnswersDeleted, LookupAnswer, LookupBody, StoreAnswer, StoreBody};
use crate::dto::problem::Problem;
use crate::error::{ApiError, about};
use crate::extract::{JsonBody, QueryParameters};
use crate::idempotency::{Mutation, first, replay, stored};
use crate::request_id;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(lookup))
        .routes(routes!(store))
        .routes(routes!(delete))
}

/// Look for the answer to a question that asks the same. `hit` is `null` where there is none.
#[utoipa::path(
    post,
    path = "/v1/cache/lookup",
    operation_id = "lookup_answer",
    tag = "cache",
    request_body = LookupBody,
    responses(
        (status = 200, description = "The answer, or why there is none", body = LookupAnswer),
        (status = "4XX", description = "The request is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn lookup(
    State(app): State<App>,
    JsonBody(body): JsonBody<LookupBody>,
) -> Result<Json<LookupAnswer>, ApiError> {
    let request = body.into_request(&app.defaults().collection)?;
    let found = app.engine().lookup_answer(request).await?;
    Ok(Json(LookupAnswer::new(request_id::current(), found)))
}

/// Keep an answer for questions that ask the same. One to the same question is replaced.
#[utoipa::path(
    post,
    path = "/v1/cache/store",
    operation_id = "store_answer",
    tag = "cache",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat", min_length = 1, max_length = 255),
    ),
    request_body = StoreBody,
    responses(
        (status = 200, description = "Stored, unless the collection changed meanwhile", body = StoreAnswer),
        (status = "4XX", description = "The request is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn store(State(app): State<App>, mutation: Mutation) -> Result<Response, ApiError> {
    if let Some(recorded) = mutation.recorded(&app).await? {
        return Ok(replay(recorded));
    }
    let default = app.defaults().collection.clone();
    let new = mutation
        .read(move |body: StoreBody| body.into_request(&default))
        .await?;
    let respond = |done: &StoredAnswer| stored(StatusCode::OK, &StoreAnswer::from(done));
    let guard = mutation.guard(respond);
    match app.engine().store_answer(new, guard).await? {
        Recorded::Replayed(recorded) => Ok(replay(recorded)),
        Recorded::Done(done) => Ok(first(respond(&done))),
    }
}

/// Which answers.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DeleteParameters {
    /// Those of this collection; of every one when absent.
    #[param(pattern = "^[a-z0-9][a-z0-9_-]{0,63}$")]
    collection: Option<String>,
    /// Those of this scope; of every one, and those without one, when absent.
    #[param(min_length = 1, max_length = 256)]
    scope: Option<String>,
}

/// Delete stored answers: of a collection, of a scope, or all.
#[utoipa::path(
    delete,
    path = "/v1/cache",
    operation_id = "delete_answers",
    tag = "cache",
    params(
        DeleteParameters,
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat", min_length = 1, max_length = 255),
    ),
    responses(
        (status = 200, description = "They are gone", body = AnswersDeleted),
        (status = "4XX", description = "The request is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn delete(
    State(app): State<App>,
    QueryParameters(which): QueryParameters<DeleteParameters>,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    if let Some(recorded) = mutation.recorded(&app).await? {
        return Ok(replay(recorded));
    }
    let name = which.collection.map(CollectionName::new).transpose();
    let name = name.map_err(|error| about("/collection", error))?;
    let respond = |deleted: &usize| stored(StatusCode::OK, &AnswersDeleted { deleted: *deleted });
    let guard = mutation.guard(respond);
    let scope = which.scope.as_deref();
    let deleted = app.engine().delete_answers(name.as_ref(), scope, guard);
    match deleted.await? {
        Recorded::Replayed(recorded) => Ok(replay(recorded)),
        Recorded::Done(deleted) => Ok(first(respond(&deleted))),
    }
}
