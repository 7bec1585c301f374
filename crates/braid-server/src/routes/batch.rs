//! `POST /v1/retrieve/batch`.

use axum::Json;
use axum::extract::State;
use braid_core::Result;
use braid_engine::query::{Batch, RetrieveRequest};
use futures::stream::{FuturesUnordered, StreamExt};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admission::Line;
use crate::app::App;
use crate::dto::problem::Problem;
use crate::dto::retrieve::{BatchAnswer, BatchBody, BatchResponse, RetrieveAnswer};
use crate::error::ApiError;
use crate::extract::JsonBody;
use crate::request_id;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(retrieve_batch))
}

/// Answer several retrievals, all of one state. One that is refused or fails does not fail the others.
#[utoipa::path(
    post,
    path = "/v1/retrieve/batch",
    operation_id = "retrieve_batch",
    tag = "retrieve",
    request_body = BatchBody,
    responses(
        (status = 200, description = "An answer or a problem for each request, in order", body = BatchAnswer),
        (status = "4XX", description = "The batch is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The batch failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn retrieve_batch(
    State(app): State<App>,
    JsonBody(body): JsonBody<BatchBody>,
) -> Result<Json<BatchAnswer>, ApiError> {
    let requests = body.into_requests(app.defaults(), app.options().max_batch_requests)?;
    let sound = requests.iter().flatten();
    let collections: Vec<_> = sound.map(|request| request.collection.clone()).collect();
    let batch = app.engine().batch(collections).await;
    let responses = answer_all(&app, &batch, requests).await;
    let is_problem = |response: &&BatchResponse| matches!(response, BatchResponse::Problem(_));
    Ok(Json(BatchAnswer {
        request_id: request_id::current(),
        failed: responses.iter().filter(is_problem).count(),
        responses,
    }))
}

/// Answers the requests, a few at once. One of them runs in the place of the batch itself. Each other
/// one takes a place among the reads, if there is one that nobody waits for, and gives it back when
/// it is done: a batch costs as many places as it uses, and keeps nobody waiting longer than one
/// retrieval takes.
async fn answer_all(
    app: &App,
    batch: &Batch<'_>,
    requests: Vec<Result<RetrieveRequest>>,
) -> Vec<BatchResponse> {
    let admission = app.admission(Line::Reads);
    let mut answers: Vec<Option<BatchResponse>> = requests.iter().map(|_| None).collect();
    let mut waiting = requests.into_iter().enumerate();
    let mut running = FuturesUnordered::new();
    let mut is_own_free = true;
    loop {
        while running.len() < app.options().batch_concurrency {
            let permit = match is_own_free {
                true => None,
                false => match admission.spare() {
                    Some(permit) => Some(permit),
                    None => break,
                },
            };
            let Some((place, request)) = waiting.next() else {
                break;
            };
            is_own_free = false;
            running.push(async move {
                let answer = answer(app, batch, request).await;
                (place, answer, permit.is_none())
            });
        }
        let Some((place, answer, was_own)) = running.next().await else {
            break;
        };
        answers[place] = Some(answer);
        is_own_free |= was_own;
    }
    answers.into_iter().flatten().collect()
}

async fn answer(app: &App, batch: &Batch<'_>, request: Result<RetrieveRequest>) -> BatchResponse {
    match retrieve(app, batch, request).await {
        Ok(answer) => BatchResponse::Answer(Box::new(answer)),
        Err(error) => BatchResponse::Problem(ApiError(error).told()),
    }
}

async fn retrieve(
    app: &App,
    batch: &Batch<'_>,
    request: Result<RetrieveRequest>,
) -> Result<RetrieveAnswer> {
    let request = request?;
    let explain = request.explain;
    let response = app.engine().retrieve_of(batch, request).await?;
    Ok(RetrieveAnswer::new(
        request_id::current(),
        response,
        explain,
    ))
}
