//! Synonyms of a collection: look at, replace.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use braid_core::Collection;
use braid_core::ports::Recorded;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::dto::problem::Problem;
use crate::dto::synonyms::{SynonymsAnswer, SynonymsBody};
use crate::error::ApiError;
use crate::extract::CollectionPath;
use crate::idempotency::{Mutation, first, replay, stored};

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get, put))
}

/// The synonyms of a collection.
#[utoipa::path(
    get,
    path = "/v1/collections/{collection}/synonyms",
    operation_id = "get_synonyms",
    tag = "collections",
    params(("collection" = String, Path, description = "The collection's name", pattern = "^[a-z0-9][a-z0-9_-]{0,63}$")),
    responses(
        (status = 200, description = "The synonyms", body = SynonymsAnswer),
        (status = "4XX", description = "There is no such collection", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn get(
    State(app): State<App>,
    CollectionPath(name): CollectionPath,
) -> Result<Json<SynonymsAnswer>, ApiError> {
    let collection = app.engine().collection(&name).await?;
    Ok(Json(SynonymsAnswer::from(&*collection.synonyms)))
}

/// Replaces the synonyms of a collection. Queries that start afterwards use the new ones; nothing is
/// indexed anew.
#[utoipa::path(
    put,
    path = "/v1/collections/{collection}/synonyms",
    operation_id = "put_synonyms",
    tag = "collections",
    params(
        ("collection" = String, Path, description = "The collection's name", pattern = "^[a-z0-9][a-z0-9_-]{0,63}$"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat", min_length = 1, max_length = 255),
    ),
    request_body(content = SynonymsBody, description = "All rules; those there were are dropped"),
    responses(
        (status = 200, description = "The synonyms", body = SynonymsAnswer),
        (status = "4XX", description = "The request is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn put(
    State(app): State<App>,
    CollectionPath(name): CollectionPath,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    if let Some(recorded) = mutation.recorded(&app).await? {
        return Ok(replay(recorded));
    }
    let synonyms = mutation
        .read(|body: SynonymsBody| body.into_synonyms())
        .await?;
    let respond = |collection: &Collection| {
        stored(StatusCode::OK, &SynonymsAnswer::from(&*collection.synonyms))
    };
    let guard = mutation.guard(respond);
    let set = app.engine().set_synonyms(&name, Arc::new(synonyms), guard);
    match set.await? {
        Recorded::Replayed(recorded) => Ok(replay(recorded)),
        Recorded::Done(collection) => Ok(first(respond(&collection))),
    }
}
