//! Collections: list, make, look at, delete.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use braid_core::operation::CollectionStats;
use braid_core::ports::Recorded;
use braid_core::{Collection, Error, ErrorCode};
use braid_engine::CollectionInfo;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::dto::collections::{CollectionAnswer, CollectionBody, CollectionsAnswer, DeletedAnswer};
use crate::dto::problem::Problem;
use crate::error::ApiError;
use crate::extract::CollectionPath;
use crate::idempotency::{Mutation, replay, stored};

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get, put, delete))
}

/// Every collection, by name.
#[utoipa::path(
    get,
    path = "/v1/collections",
    operation_id = "list_collections",
    tag = "collections",
    responses(
        (status = 200, description = "Every collection", body = CollectionsAnswer),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(State(app): State<App>) -> Result<Json<CollectionsAnswer>, ApiError> {
    let collections = app.engine().collections().await?;
    let collections = collections
        .into_iter()
        .map(CollectionAnswer::from)
        .collect();
    Ok(Json(CollectionsAnswer { collections }))
}

/// A collection with its counters.
#[utoipa::path(
    get,
    path = "/v1/collections/{collection}",
    operation_id = "get_collection",
    tag = "collections",
    params(("collection" = String, Path, description = "The collection's name")),
    responses(
        (status = 200, description = "The collection", body = CollectionAnswer),
        (status = "4XX", description = "There is no such collection", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn get(
    State(app): State<App>,
    CollectionPath(name): CollectionPath,
) -> Result<Json<CollectionAnswer>, ApiError> {
    Ok(Json(app.engine().collection_info(&name).await?.into()))
}

/// Makes a collection. One that exists with the same settings is left as it is.
#[utoipa::path(
    put,
    path = "/v1/collections/{collection}",
    operation_id = "put_collection",
    tag = "collections",
    params(
        ("collection" = String, Path, description = "The collection's name: 1 to 64 of a-z, 0-9, '_' and '-'"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat"),
    ),
    request_body(content = Option<CollectionBody>, description = "Settings; the server's defaults where left out"),
    responses(
        (status = 200, description = "The collection", body = CollectionAnswer),
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
    let body: CollectionBody = mutation.json_or_default()?;
    let settings = body.into_settings(app.engine().default_collection_settings())?;
    let guard = mutation.guard(|collection: &Collection| {
        let info = CollectionInfo {
            collection: collection.clone(),
            stats: CollectionStats::default(),
        };
        stored(StatusCode::OK, &CollectionAnswer::from(info))
    });
    match app
        .engine()
        .create_collection(name.clone(), settings, guard)
        .await?
    {
        Recorded::Replayed(recorded) => Ok(replay(recorded)),
        Recorded::Done(_) => {
            let info = app.engine().collection_info(&name).await?;
            Ok(Json(CollectionAnswer::from(info)).into_response())
        }
    }
}

/// Deletes a collection with everything in it.
#[utoipa::path(
    delete,
    path = "/v1/collections/{collection}",
    operation_id = "delete_collection",
    tag = "collections",
    params(
        ("collection" = String, Path, description = "The collection's name"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat"),
    ),
    responses(
        (status = 200, description = "It is gone", body = DeletedAnswer),
        (status = "4XX", description = "There is no such collection", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn delete(
    State(app): State<App>,
    CollectionPath(name): CollectionPath,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    if let Some(recorded) = mutation.recorded(&app).await? {
        return Ok(replay(recorded));
    }
    let guard = mutation
        .guard(|deleted: &bool| stored(StatusCode::OK, &DeletedAnswer { deleted: *deleted }));
    match app.engine().delete_collection(&name, guard).await? {
        Recorded::Replayed(recorded) => Ok(replay(recorded)),
        Recorded::Done(true) => Ok(Json(DeletedAnswer { deleted: true }).into_response()),
        Recorded::Done(false) => {
            let message = format!("no collection named {:?}", name.as_str());
            Err(Error::new(ErrorCode::CollectionNotFound, message).into())
        }
    }
}
