//! One document: put, get, delete; and the listing.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use axum::routing;
use braid_core::operation::ChangeOutcome;
use braid_core::ports::{Recorded, StageReceipt, StoredResponse};
use braid_core::{CollectionName, DocumentId, DocumentStatus, Error, ErrorCode, Result};
use braid_engine::IngestRequest;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::upload::{FileBody, PutParameters, Upload};
use super::{PageParameters, Wait, WriteParameters, describe, newest};
use crate::app::App;
use crate::dto::documents::{DocumentAnswer, DocumentsAnswer, PutDocumentBody, WriteAnswer};
use crate::dto::duplicates::DuplicateAnswer;
use crate::dto::problem::Problem;
use crate::error::{ApiError, about};
use crate::extract::{CollectionPath, DocumentPath, QueryParameters};
use crate::idempotency::{Mutation, first, replay, stored};
use crate::request_id;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(get, put, delete))
        .routes(routes!(list))
        // The route of bulk deletes hides the document whose id is `delete` from `{id}`.
        .route(
            "/v1/collections/{collection}/documents/delete",
            routing::get(get).put(put).delete(delete),
        )
}

/// Documents in id order, a page at a time.
#[utoipa::path(
    get,
    path = "/v1/collections/{collection}/documents",
    operation_id = "list_documents",
    tag = "documents",
    params(("collection" = String, Path, description = "The collection's name", pattern = "^[a-z0-9][a-z0-9_-]{0,63}$"), PageParameters),
    responses(
        (status = 200, description = "One page", body = DocumentsAnswer),
        (status = "4XX", description = "The request is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(
    State(app): State<App>,
    CollectionPath(name): CollectionPath,
    QueryParameters(page): QueryParameters<PageParameters>,
) -> Result<Json<DocumentsAnswer>, ApiError> {
    let limit = page.limit()?;
    let page = app
        .engine()
        .documents(&name, page.cursor.as_deref(), limit)
        .await
        .map_err(|error| about("/cursor", error))?;
    Ok(Json(DocumentsAnswer {
        documents: page.items.into_iter().map(Into::into).collect(),
        next_cursor: page.next,
    }))
}

/// A document with its text.
#[utoipa::path(
    get,
    path = "/v1/collections/{collection}/documents/{id}",
    operation_id = "get_document",
    tag = "documents",
    params(
        ("collection" = String, Path, description = "The collection's name", pattern = "^[a-z0-9][a-z0-9_-]{0,63}$"),
        ("id" = String, Path, description = "The document's id, percent-encoded (`%2F` for a slash)", min_length = 1, max_length = 480),
    ),
    responses(
        (status = 200, description = "The newest version", body = DocumentAnswer),
        (status = "4XX", description = "There is no such document", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn get(
    State(app): State<App>,
    DocumentPath(name, id): DocumentPath,
) -> Result<Json<DocumentAnswer>, ApiError> {
    Ok(Json(app.engine().document(&name, &id).await?.into()))
}

/// Adds or replaces a document. The old version stays retrievable until the new one is.
#[utoipa::path(
    put,
    path = "/v1/collections/{collection}/documents/{id}",
    operation_id = "put_document",
    tag = "documents",
    params(
        ("collection" = String, Path, description = "The collection's name", pattern = "^[a-z0-9][a-z0-9_-]{0,63}$"),
        ("id" = String, Path, description = "The document's id, percent-encoded (`%2F` for a slash)", min_length = 1, max_length = 480),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat", min_length = 1, max_length = 255),
        PutParameters,
    ),
    request_body(
        description = "The document as JSON, or a file or text of another media type as it is, with title, uri and metadata as query parameters",
        content(
            (PutDocumentBody = "application/json"),
            (FileBody = "application/pdf"),
            (FileBody = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
            (FileBody = "application/vnd.oasis.opendocument.text"),
            (FileBody = "application/epub+zip"),
            (String = "text/html"),
            (String = "text/markdown"),
            (String = "text/plain"),
        ),
    ),
    responses(
        (status = 200, description = "Retrievable (`wait=indexed`)", body = WriteAnswer),
        (status = 202, description = "Durable; retrievable soon", body = WriteAnswer),
        (status = "4XX", description = "The request is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn put(
    State(app): State<App>,
    DocumentPath(name, id): DocumentPath,
    QueryParameters(parameters): QueryParameters<PutParameters>,
    Upload { mutation, sent }: Upload,
) -> Result<Response, ApiError> {
    let wait = parameters.wait;
    if let Some(recorded) = mutation.recorded(&app).await? {
        return replay_put(&app, (&name, &id), wait, recorded).await;
    }
    let place = (&name, &id);
    let document = sent.read(&app, place, &mutation, parameters).await?;
    let respond = {
        let id = id.clone();
        move |receipt: &StageReceipt| stored(wait.status(), &written(&id, receipt))
    };
    let request = IngestRequest {
        documents: vec![document],
        job: None,
        guard: mutation.guard(respond.clone()),
    };
    let outcome = app.engine().ingest(&name, request).await?;
    if let Some((_, error)) = outcome.rejected.into_iter().next() {
        return Err(error.into());
    }
    match outcome.staged {
        Recorded::Replayed(recorded) => replay_put(&app, (&name, &id), wait, recorded).await,
        Recorded::Done(receipt) => {
            wait.settle(&app, &name, newest(&receipt)).await?;
            check_indexed(&app, (&name, &id), wait).await?;
            check_original(&app, &name, &written(&id, &receipt), wait).await?;
            Ok(first(respond(&receipt)))
        }
    }
}

/// Refuses to say that a document is a duplicate of what is retrievable when indexing that failed.
async fn check_original(
    app: &App,
    name: &CollectionName,
    answer: &WriteAnswer,
    wait: Wait,
) -> Result<()> {
    let skipped = answer
        .duplicate
        .as_ref()
        .filter(|_| answer.sequence.is_none());
    let Some(of) = skipped.and_then(|duplicate| DocumentId::new(&duplicate.of).ok()) else {
        return Ok(());
    };
    if wait == Wait::None {
        return Ok(());
    }
    let newest = app.engine().collection_info(name).await?.stats.newest;
    wait.settle(app, name, Some(newest.0)).await?;
    match app.engine().document(name, &of).await {
        Ok(document) => match document.summary.status {
            DocumentStatus::Failed(reason) => Err(Error::new(
                ErrorCode::UnreadableDocument,
                format!(
                    "the document says the same as {of:?}, which could not be indexed: {reason}",
                    of = of.as_str()
                ),
            )
            .with_help("nothing of it is stored: put it again, under another key if it had one")),
            DocumentStatus::Published | DocumentStatus::Pending => Ok(()),
        },
        // Deleted since: as if it had been deleted after the answer.
        Err(_) => Ok(()),
    }
}

/// The recorded answer, once what it promised holds.
async fn replay_put(
    app: &App,
    (name, id): (&CollectionName, &DocumentId),
    wait: Wait,
    recorded: StoredResponse,
) -> Result<Response, ApiError> {
    wait.settle_recorded(app, name, &recorded).await?;
    check_indexed(app, (name, id), wait).await?;
    if let Ok(answer) = serde_json::from_slice::<WriteAnswer>(&recorded.body)
        && app.engine().collection_info(name).await.is_ok()
    {
        check_original(app, name, &answer, wait).await?;
    }
    Ok(replay(recorded))
}

/// Refuses to say that a document is retrievable when indexing it failed.
async fn check_indexed(
    app: &App,
    (name, id): (&CollectionName, &DocumentId),
    wait: Wait,
) -> Result<()> {
    if wait == Wait::None {
        return Ok(());
    }
    match app.engine().document(name, id).await {
        Ok(document) => match document.summary.status {
            DocumentStatus::Failed(reason) => Err(Error::new(
                ErrorCode::UnreadableDocument,
                format!("the document is stored but could not be indexed: {reason}"),
            )),
            DocumentStatus::Published | DocumentStatus::Pending => Ok(()),
        },
        // Deleted since: there is nothing left to promise.
        Err(_) => Ok(()),
    }
}

/// Deletes a document: hidden from every request that starts after the answer.
#[utoipa::path(
    delete,
    path = "/v1/collections/{collection}/documents/{id}",
    operation_id = "delete_document",
    tag = "documents",
    params(
        ("collection" = String, Path, description = "The collection's name", pattern = "^[a-z0-9][a-z0-9_-]{0,63}$"),
        ("id" = String, Path, description = "The document's id, percent-encoded (`%2F` for a slash)", min_length = 1, max_length = 480),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat", min_length = 1, max_length = 255),
        WriteParameters,
    ),
    responses(
        (status = 200, description = "Deleted (`wait=indexed`)", body = WriteAnswer),
        (status = 202, description = "Deleted and hidden; its index entries go soon", body = WriteAnswer),
        (status = "4XX", description = "There is no such document", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn delete(
    State(app): State<App>,
    DocumentPath(name, id): DocumentPath,
    QueryParameters(WriteParameters { wait }): QueryParameters<WriteParameters>,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    if let Some(recorded) = mutation.recorded(&app).await? {
        wait.settle_recorded(&app, &name, &recorded).await?;
        return Ok(replay(recorded));
    }
    let request_id = request_id::current();
    let respond = {
        let (name, id) = (name.clone(), id.clone());
        move |receipt: &StageReceipt| match is_absent(receipt) {
            true => no_document(&name, &id).stored(&request_id),
            false => stored(wait.status(), &written(&id, receipt)),
        }
    };
    let guard = mutation.guard(respond.clone());
    match app
        .engine()
        .delete_documents(&name, vec![id.clone()], None, guard)
        .await?
    {
        Recorded::Replayed(recorded) => {
            wait.settle_recorded(&app, &name, &recorded).await?;
            Ok(replay(recorded))
        }
        Recorded::Done(receipt) if is_absent(&receipt) => Err(no_document(&name, &id)),
        Recorded::Done(receipt) => {
            wait.settle(&app, &name, newest(&receipt)).await?;
            Ok(first(respond(&receipt)))
        }
    }
}

fn is_absent(receipt: &StageReceipt) -> bool {
    receipt.outcomes == [ChangeOutcome::Absent]
}

fn no_document(name: &CollectionName, id: &DocumentId) -> ApiError {
    let message = format!("no document {:?} in collection {name}", id.as_str());
    ApiError(Error::new(ErrorCode::DocumentNotFound, message))
}

fn written(id: &DocumentId, receipt: &StageReceipt) -> WriteAnswer {
    write_answer(id, receipt.outcomes.first())
}

/// What a change of a document did.
pub(super) fn write_answer(id: &DocumentId, outcome: Option<&ChangeOutcome>) -> WriteAnswer {
    let (result, sequence) = outcome.map_or(("absent", None), describe);
    let duplicate = match outcome {
        Some(ChangeOutcome::Staged { duplicate, .. }) => duplicate.clone(),
        Some(ChangeOutcome::Duplicate(duplicate)) => Some(duplicate.clone()),
        Some(
            ChangeOutcome::Unchanged { .. }
            | ChangeOutcome::Deleted { .. }
            | ChangeOutcome::Absent
            | ChangeOutcome::Unmet,
        )
        | None => None,
    };
    WriteAnswer {
        id: id.as_str().to_owned(),
        result: result.to_owned(),
        sequence,
        duplicate: duplicate.map(DuplicateAnswer::from),
    }
}
