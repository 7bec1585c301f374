//! Documents of a stream, a few at a time: each with its own answer. A step of the gRPC interface, not
//! a route that is served.

use std::collections::HashMap;

use axum::extract::State;
use axum::{Json, routing};
use braid_core::ports::Recorded;
use braid_core::{DocumentId, Error, ErrorCode, NewDocument, Result};
use braid_engine::IngestRequest;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa_axum::router::OpenApiRouter;

use super::single::write_answer;
use crate::app::App;
use crate::dto::documents::{DocumentBody, WriteAnswer};
use crate::dto::problem::Problem;
use crate::error::ApiError;
use crate::extract::{CollectionPath, JsonBody, off_thread, parse};

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().route(
        "/grpc/collections/{collection}/each",
        routing::post(put_each),
    )
}

/// Documents of different ids.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EachBody {
    // Read one by one, so that a bad one fails alone.
    documents: Vec<Box<RawValue>>,
}

/// One answer for each document, in order.
#[derive(Debug, Serialize)]
struct EachAnswer {
    answers: Vec<OneAnswer>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum OneAnswer {
    Written(WriteAnswer),
    Problem(Problem),
}

/// Stores what can be stored in one transaction. It takes no `Idempotency-Key`: a document that has
/// one is put alone.
async fn put_each(
    State(app): State<App>,
    CollectionPath(name): CollectionPath,
    JsonBody(body): JsonBody<EachBody>,
) -> Result<Json<EachAnswer>, ApiError> {
    let size = body.documents.iter().map(|one| one.get().len()).sum();
    let read = move || Ok(body.documents.iter().map(|one| read(one)).collect());
    let read: Vec<Result<NewDocument>> = off_thread(size, read).await?;
    let mut answers: Vec<Option<OneAnswer>> = read.iter().map(|_| None).collect();
    let mut places = HashMap::new();
    let mut documents = Vec::new();
    for (place, read) in read.into_iter().enumerate() {
        match read {
            Ok(document) => {
                places.insert(document.id.clone(), place);
                documents.push(document);
            }
            Err(error) => answers[place] = Some(refused(error)),
        }
    }
    let mut answer = |id: &DocumentId, answer: OneAnswer| {
        if let Some(place) = places.get(id) {
            answers[*place] = Some(answer);
        }
    };
    let request = IngestRequest {
        documents,
        job: None,
        guard: None,
    };
    let outcome = app.engine().ingest(&name, request).await?;
    if let Recorded::Done(receipt) = outcome.staged {
        for (id, done) in outcome.accepted.iter().zip(&receipt.outcomes) {
            answer(id, OneAnswer::Written(write_answer(id, Some(done))));
        }
    }
    for (id, error) in outcome.rejected {
        answer(&id, refused(error));
    }
    let lost = || refused(Error::new(ErrorCode::Internal, "a document has no outcome"));
    let answers = answers.into_iter().map(|one| one.unwrap_or_else(lost));
    Ok(Json(EachAnswer {
        answers: answers.collect(),
    }))
}

fn read(document: &RawValue) -> Result<NewDocument> {
    parse::<DocumentBody>(document.get().as_bytes())?.into_document("")
}

fn refused(error: Error) -> OneAnswer {
    OneAnswer::Problem(ApiError(error).told())
}
