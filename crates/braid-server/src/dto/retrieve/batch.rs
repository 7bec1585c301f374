//! Several retrievals in one request, and their answers.

use braid_core::limits::MAX_BATCH_HITS;
use braid_core::{Error, Result};
use braid_engine::query::{RetrieveRequest, RetrieveResponse};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{RetrieveAnswer, RetrieveBody};
use crate::dto::documents::moved;
use crate::dto::problem::Problem;
use crate::error::status_of;
use crate::extract::parse;

/// Retrievals to be answered together, all of their collection as it is when the request begins.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchBody {
    /// Each as `/retrieve` takes it; the server's configuration says how many.
    // Read one by one, so that a bad one fails alone.
    #[schema(value_type = Vec<RetrieveBody>, min_items = 1)]
    pub requests: Vec<Box<RawValue>>,
}

/// The answers to a batch.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct BatchAnswer {
    /// Names this request in logs.
    pub request_id: String,
    /// How many of the retrievals were refused or failed.
    pub failed: usize,
    /// One for each request, in order.
    pub responses: Vec<BatchResponse>,
}

/// What became of one retrieval of a batch: its answer, or the problem it would have been answered
/// with alone, which has an `error_code`.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(untagged)]
pub enum BatchResponse {
    /// It was answered.
    Answer(Box<RetrieveAnswer>),
    /// It was refused, or failed.
    Problem(Problem),
}

impl BatchBody {
    /// Each request with what it leaves open taken from `defaults`, or why it is refused.
    ///
    /// # Errors
    /// `InvalidRequest` where there are none or more than `most`, or where they ask for more than
    /// [`MAX_BATCH_HITS`] together.
    pub fn into_requests(
        self,
        defaults: &RetrieveRequest,
        most: usize,
    ) -> Result<Vec<Result<RetrieveRequest>>> {
        let count = self.requests.len();
        if count == 0 || count > most {
            let detail = format!("must have 1 to {most} entries, not {count}");
            let help = "send several smaller batches, or raise server.max_batch_requests";
            return Err(Error::invalid_field("/requests", detail).with_help(help));
        }
        let requests = self.requests.iter().enumerate();
        let requests: Vec<Result<RetrieveRequest>> = requests
            .map(|(place, request)| read(place, request, defaults))
            .collect();
        let hits: usize = requests.iter().flatten().map(|one| one.top_k).sum();
        if hits > MAX_BATCH_HITS {
            let detail = format!("ask for {hits} hits together, the limit is {MAX_BATCH_HITS}");
            return Err(Error::invalid_field("/requests", detail)
                .with_help("send several smaller batches, or lower top_k"));
        }
        Ok(requests)
    }
}

fn read(place: usize, request: &RawValue, defaults: &RetrieveRequest) -> Result<RetrieveRequest> {
    let body = parse::<RetrieveBody>(request.get().as_bytes());
    let request = body.and_then(|body| body.into_request(defaults));
    request.map_err(|error| moved(error, &format!("/requests/{place}")))
}

impl BatchResponse {
    /// The wire form of what became of a retrieval that asked for `explain`.
    pub fn new(request_id: String, outcome: Result<RetrieveResponse>, explain: bool) -> Self {
        match outcome {
            Ok(response) => {
                let answer = RetrieveAnswer::new(request_id, response, explain);
                Self::Answer(Box::new(answer))
            }
            Err(error) => Self::refused(request_id, &error),
        }
    }

    /// A retrieval that was refused, or failed.
    pub fn refused(request_id: String, error: &Error) -> Self {
        Self::Problem(Problem::new(error, status_of(error.code()), request_id))
    }
}
