//! Collections: list, make, look at, delete.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use braid_core::operation::CollectionStats;
use braid_core::ports::{Recorded, StoredResponse};
use braid_core::{
    Collection, CollectionId, CollectionName, CollectionSettings, Error, ErrorCode, Result,
};
use braid_engine::CollectionInfo;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::dto::collections::{CollectionAnswer, CollectionBody, CollectionsAnswer, DeletedAnswer};
use crate::dto::problem::Problem;
use crate::error::{ApiError, about};
use crate::extract::CollectionPath;
use crate::idempotency::{Mutation, first, replay, stored};
use crate::request_id;

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
        (status = "4XX", description = "The request is refused", body = Problem, content_type = "application/problem+json"),
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
    params(("collection" = String, Path, description = "The collection's name", pattern = "^[a-z0-9][a-z0-9_-]{0,63}$")),
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
        ("collection" = String, Path, description = "The collection's name", pattern = "^[a-z0-9][a-z0-9_-]{0,63}$"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat", min_length = 1, max_length = 255),
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
    let settings = settings(&app, &mutation).await?;
    let respond = respond_with(counters(&app, &name).await?);
    let guard = mutation.guard(respond.clone());
    let created = app.engine().create_collection(name, settings, guard).await;
    // The engine checks sizes against the embedder, and knows no request.
    match created.map_err(|error| about("/chunking", error))? {
        Recorded::Replayed(recorded) => Ok(replay(recorded)),
        Recorded::Done(collection) => Ok(first(respond(&collection))),
    }
}

async fn settings(app: &App, mutation: &Mutation) -> Result<CollectionSettings> {
    let defaults = app.engine().default_collection_settings();
    if mutation.is_bodyless() {
        return Ok(defaults);
    }
    mutation
        .read(move |body: CollectionBody| body.into_settings(defaults))
        .await
}

/// Counters of the collection of that name, if there is one.
async fn counters(
    app: &App,
    name: &CollectionName,
) -> Result<Option<(CollectionId, CollectionStats)>> {
    match app.engine().collection_info(name).await {
        Ok(info) => Ok(Some((info.collection.id, info.stats))),
        Err(error) if error.code() == ErrorCode::CollectionNotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Renders a collection with the counters it had before, zero if it is new.
fn respond_with(
    before: Option<(CollectionId, CollectionStats)>,
) -> impl Fn(&Collection) -> StoredResponse + Clone + Send + 'static {
    move |collection| {
        let known = before.as_ref().filter(|(id, _)| *id == collection.id);
        let info = CollectionInfo {
            collection: collection.clone(),
            stats: known.map_or_else(CollectionStats::default, |(_, stats)| stats.clone()),
        };
        stored(StatusCode::OK, &CollectionAnswer::from(info))
    }
}

/// Deletes a collection with everything in it.
#[utoipa::path(
    delete,
    path = "/v1/collections/{collection}",
    operation_id = "delete_collection",
    tag = "collections",
    params(
        ("collection" = String, Path, description = "The collection's name", pattern = "^[a-z0-9][a-z0-9_-]{0,63}$"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat", min_length = 1, max_length = 255),
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
    let request_id = request_id::current();
    let respond = {
        let name = name.clone();
        move |deleted: &bool| match *deleted {
            true => stored(StatusCode::OK, &DeletedAnswer { deleted: true }),
            false => no_collection(&name).stored(&request_id),
        }
    };
    let guard = mutation.guard(respond.clone());
    match app.engine().delete_collection(&name, guard).await? {
        Recorded::Replayed(recorded) => Ok(replay(recorded)),
        Recorded::Done(true) => Ok(first(respond(&true))),
        Recorded::Done(false) => Err(no_collection(&name)),
    }
}

fn no_collection(name: &CollectionName) -> ApiError {
    let message = format!("no collection named {:?}", name.as_str());
    ApiError(Error::new(ErrorCode::CollectionNotFound, message))
}
