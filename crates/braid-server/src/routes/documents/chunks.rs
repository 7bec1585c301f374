//! Chunks, by document and by id: what is stored, and where it came from.

use axum::Json;
use axum::extract::State;
use axum::routing;
use braid_core::{ChunkStatus, Error, ErrorCode};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::PageParameters;
use crate::app::App;
use crate::dto::chunks::{ChunkAnswer, ChunksAnswer};
use crate::dto::problem::Problem;
use crate::error::{ApiError, about};
use crate::extract::{ChunkPath, DocumentPath, QueryParameters};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        // As for the document itself, the route of bulk deletes hides the id `delete`.
        .route(
            "/v1/collections/{collection}/documents/delete/chunks",
            routing::get(list),
        )
}

/// The chunks of a document's retrievable version in ordinal order, a page at a time.
#[utoipa::path(
    get,
    path = "/v1/collections/{collection}/documents/{id}/chunks",
    operation_id = "list_chunks",
    tag = "documents",
    params(
        ("collection" = String, Path, description = "The collection's name", pattern = "^[a-z0-9][a-z0-9_-]{0,63}$"),
        ("id" = String, Path, description = "The document's id, percent-encoded (`%2F` for a slash)", min_length = 1, max_length = 480),
        PageParameters,
    ),
    responses(
        (status = 200, description = "One page; no chunks while no version is retrievable", body = ChunksAnswer),
        (status = "4XX", description = "The request is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(
    State(app): State<App>,
    DocumentPath(name, id): DocumentPath,
    QueryParameters(page): QueryParameters<PageParameters>,
) -> Result<Json<ChunksAnswer>, ApiError> {
    let limit = page.limit()?;
    let chunks = app
        .engine()
        .document_chunks(&name, &id, page.cursor.as_deref(), limit);
    let (collection, page) = chunks.await.map_err(|error| about("/cursor", error))?;
    Ok(Json(ChunksAnswer::new(&collection, page)))
}

/// Where a chunk came from. Looks through every chunk of the collection: for people, not for every
/// hit of every query.
#[utoipa::path(
    get,
    path = "/v1/collections/{collection}/chunks/{chunk_id}",
    operation_id = "get_chunk",
    tag = "documents",
    params(
        ("collection" = String, Path, description = "The collection's name", pattern = "^[a-z0-9][a-z0-9_-]{0,63}$"),
        ("chunk_id" = String, Path, description = "The chunk's id, as hits have it"),
    ),
    responses(
        (status = 200, description = "The retrievable chunk of that id, else the newest stored one", body = ChunkAnswer),
        (status = "4XX", description = "There is no such chunk", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn get(
    State(app): State<App>,
    ChunkPath(name, id): ChunkPath,
) -> Result<Json<ChunkAnswer>, ApiError> {
    let (collection, found) = app.engine().chunk(&name, id).await?;
    let live = found.iter().position(|it| it.status == ChunkStatus::Live);
    let chosen = found.into_iter().nth(live.unwrap_or(0));
    let missing = || Error::new(ErrorCode::ChunkNotFound, format!("no chunk {id}"));
    Ok(Json(ChunkAnswer::new(
        &collection,
        chosen.ok_or_else(missing)?,
    )))
}
