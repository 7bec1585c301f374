//! Bulk writes: acknowledged as a durable job.

use std::collections::HashSet;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use braid_core::limits::MAX_BULK_DOCUMENTS;
use braid_core::ports::{NewJob, Recorded, StageReceipt, StoredResponse};
use braid_core::{CollectionName, DocumentId, Error, Filter, JobId, NewDocument, Result};
use braid_engine::IngestRequest;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{Wait, WriteParameters, newest};
use crate::app::App;
use crate::dto::documents::{BulkBody, DeleteDocumentsBody, moved};
use crate::dto::jobs::JobAccepted;
use crate::dto::problem::Problem;
use crate::error::ApiError;
use crate::extract::{CollectionPath, QueryParameters};
use crate::idempotency::{Mutation, first, replay, stored};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(put))
        .routes(routes!(delete))
}

/// Adds or replaces several documents. All that are accepted are durable when this answers; a
/// document that is refused does not stop the others.
#[utoipa::path(
    post,
    path = "/v1/collections/{collection}/documents",
    operation_id = "put_documents",
    tag = "documents",
    params(
        ("collection" = String, Path, description = "The collection's name", pattern = "^[a-z0-9][a-z0-9_-]{0,63}$"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat", min_length = 1, max_length = 255),
        WriteParameters,
    ),
    request_body = BulkBody,
    responses(
        (status = 202, description = "Durable as a job", body = JobAccepted),
        (status = "4XX", description = "The request is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn put(
    State(app): State<App>,
    CollectionPath(name): CollectionPath,
    QueryParameters(WriteParameters { wait }): QueryParameters<WriteParameters>,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    if let Some(recorded) = mutation.recorded(&app).await? {
        wait.settle_recorded(&app, &name, &recorded).await?;
        return Ok(replay(recorded));
    }
    let (documents, rejected) = mutation.read(check_documents).await?;
    let accepted = Accepted::of(documents.len() + rejected.len());
    let request = IngestRequest {
        documents,
        job: Some(accepted.job(rejected)),
        guard: mutation.guard(move |receipt: &StageReceipt| accepted.answer(receipt)),
    };
    let outcome = app.engine().ingest(&name, request).await?;
    answer(&app, &name, wait, (outcome.staged, accepted)).await
}

/// Deletes several documents, by id or by filter.
#[utoipa::path(
    post,
    path = "/v1/collections/{collection}/documents/delete",
    operation_id = "delete_documents",
    tag = "documents",
    params(
        ("collection" = String, Path, description = "The collection's name", pattern = "^[a-z0-9][a-z0-9_-]{0,63}$"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat", min_length = 1, max_length = 255),
        WriteParameters,
    ),
    request_body = DeleteDocumentsBody,
    responses(
        (status = 202, description = "Deleted and hidden; the job says when their index entries are gone", body = JobAccepted),
        (status = "4XX", description = "The request is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn delete(
    State(app): State<App>,
    CollectionPath(name): CollectionPath,
    QueryParameters(WriteParameters { wait }): QueryParameters<WriteParameters>,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    if let Some(recorded) = mutation.recorded(&app).await? {
        wait.settle_recorded(&app, &name, &recorded).await?;
        return Ok(replay(recorded));
    }
    let targets = mutation.read(check_targets).await?;
    // Every document that is found is accepted, so nothing is refused where the filter decides.
    let accepted = Accepted::of(match &targets {
        Targets::Ids(ids) => ids.len(),
        Targets::Filter(_) => 0,
    });
    let job = Some(accepted.job(Vec::new()));
    let guard = mutation.guard(move |receipt: &StageReceipt| accepted.answer(receipt));
    let engine = app.engine();
    let staged = match targets {
        Targets::Ids(ids) => engine.delete_documents(&name, ids, job, guard).await?,
        Targets::Filter(filter) => engine.delete_matching(&name, filter, job, guard).await?,
    };
    answer(&app, &name, wait, (staged, accepted)).await
}

/// Answers a bulk write, after waiting where that was asked for.
pub(crate) async fn answer(
    app: &App,
    collection: &CollectionName,
    wait: Wait,
    (staged, accepted): (Recorded<StageReceipt>, Accepted),
) -> Result<Response, ApiError> {
    match staged {
        Recorded::Replayed(recorded) => {
            wait.settle_recorded(app, collection, &recorded).await?;
            Ok(replay(recorded))
        }
        Recorded::Done(receipt) => {
            wait.settle(app, collection, newest(&receipt)).await?;
            Ok(first(accepted.answer(&receipt)))
        }
    }
}

/// A document's id as handed in, and why it was refused.
type Refused = (String, String);

/// Splits a bulk body into documents to store and refusals. The body as a whole is refused when it
/// is empty or too long.
fn check_documents(body: BulkBody) -> Result<(Vec<NewDocument>, Vec<Refused>)> {
    check_count("/documents", body.documents.len())?;
    let mut seen = HashSet::new();
    let (mut documents, mut rejected) = (Vec::new(), Vec::new());
    for (index, document) in body.documents.into_iter().enumerate() {
        let id = document.id.clone();
        let checked = document.into_document(&format!("/documents/{index}"));
        match checked {
            Ok(_) if !seen.insert(id.clone()) => {
                rejected.push((id, "the id occurs earlier in this request".to_owned()));
            }
            Ok(document) => documents.push(document),
            Err(error) => rejected.push((id, error.message().to_owned())),
        }
    }
    Ok((documents, rejected))
}

/// What a bulk delete names.
enum Targets {
    Ids(Vec<DocumentId>),
    Filter(Filter),
}

fn check_targets(body: DeleteDocumentsBody) -> Result<Targets> {
    match (body.ids, body.filter) {
        (Some(ids), None) => check_ids(ids).map(Targets::Ids),
        (None, Some(filter)) => {
            let filter = Filter::from(filter);
            if filter.is_empty() {
                let detail = "an empty filter would delete every document; delete the collection";
                return Err(Error::invalid_field("/filter", detail));
            }
            filter.check().map_err(|error| moved(error, "/filter"))?;
            Ok(Targets::Filter(filter))
        }
        (Some(_), Some(_)) | (None, None) => Err(Error::invalid_field(
            "",
            "give exactly one of ids and filter",
        )),
    }
}

/// Documents named one by one in `ids`.
pub(crate) fn check_ids(ids: Vec<String>) -> Result<Vec<DocumentId>> {
    check_count("/ids", ids.len())?;
    let parse = |(index, id): (usize, String)| {
        DocumentId::new(id)
            .map_err(|error| Error::invalid_field(format!("/ids/{index}"), error.message()))
    };
    ids.into_iter().enumerate().map(parse).collect()
}

fn check_count(pointer: &str, count: usize) -> Result<()> {
    if count == 0 || count > MAX_BULK_DOCUMENTS {
        let detail = format!("must have 1 to {MAX_BULK_DOCUMENTS} entries, not {count}");
        return Err(Error::invalid_field(pointer, detail));
    }
    Ok(())
}

/// What a bulk write's answer is made of, besides the receipt.
#[derive(Clone, Copy)]
pub(crate) struct Accepted {
    job: JobId,
    handed_in: usize,
}

impl Accepted {
    /// A new job for so many documents.
    pub(crate) fn of(handed_in: usize) -> Self {
        Self {
            job: JobId(Uuid::now_v7()),
            handed_in,
        }
    }

    /// The job to be recorded.
    pub(crate) fn job(self, rejected: Vec<Refused>) -> NewJob {
        let id = self.job;
        NewJob { id, rejected }
    }

    /// The acknowledgement.
    pub(crate) fn answer(self, receipt: &StageReceipt) -> StoredResponse {
        let accepted = receipt.outcomes.len();
        let answer = JobAccepted {
            job_id: self.job.to_string(),
            accepted,
            rejected: self.handed_in.saturating_sub(accepted),
            sequence: newest(receipt),
        };
        stored(StatusCode::ACCEPTED, &answer)
    }
}
