//! Documents: one at a time and in bulk.

pub(crate) mod bulk;
mod chunks;
pub(crate) mod each;
mod single;
mod upload;

use axum::http::StatusCode;
use braid_core::operation::ChangeOutcome;
use braid_core::ports::{StageReceipt, StoredResponse};
use braid_core::{CollectionName, Error, ErrorCode, Result, Sequence};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

pub(crate) fn router() -> OpenApiRouter<App> {
    single::router()
        .merge(bulk::router())
        .merge(chunks::router())
}

/// Items on a page when the request does not say.
const DEFAULT_LIMIT: usize = 100;
/// Most items on a page.
const MAX_LIMIT: usize = 1000;

/// Which page of a listing.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PageParameters {
    /// Where the page starts: `next_cursor` of the page before.
    cursor: Option<String>,
    /// Most items on the page.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

impl PageParameters {
    /// # Errors
    /// `InvalidRequest` for a limit out of bounds.
    fn limit(&self) -> Result<usize> {
        checked_limit(self.limit, DEFAULT_LIMIT, MAX_LIMIT)
    }
}

/// The size of a page.
///
/// # Errors
/// `InvalidRequest` for one out of bounds.
pub(crate) fn checked_limit(limit: Option<usize>, default: usize, most: usize) -> Result<usize> {
    let limit = limit.unwrap_or(default);
    if limit == 0 || limit > most {
        let detail = format!("must be from 1 to {most}, not {limit}");
        return Err(Error::invalid_field("/limit", detail));
    }
    Ok(limit)
}

/// When a write is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Wait {
    /// When it is durable.
    #[default]
    None,
    /// When it is retrievable.
    Indexed,
}

/// Parameters of a write.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct WriteParameters {
    /// `none` answers when the write is durable, `indexed` when it is retrievable.
    #[serde(default)]
    #[param(inline)]
    pub(crate) wait: Wait,
}

impl Wait {
    /// The status of a write's answer: 202 says that it is durable and will be retrievable.
    fn status(self) -> StatusCode {
        match self {
            Self::None => StatusCode::ACCEPTED,
            Self::Indexed => StatusCode::OK,
        }
    }

    /// Waits until `sequence` is applied, where that was asked for.
    async fn settle(
        self,
        app: &App,
        collection: &CollectionName,
        sequence: Option<u64>,
    ) -> Result<()> {
        match (self, sequence) {
            (Self::Indexed, Some(sequence)) => {
                app.engine()
                    .wait_published(collection, Sequence(sequence))
                    .await
            }
            (Self::Indexed | Self::None, _) => Ok(()),
        }
    }
}

/// The part of a write's answer that says what to wait for.
#[derive(Deserialize)]
struct Sequenced {
    sequence: Option<u64>,
}

impl Wait {
    /// As [`Wait::settle`] for an answer that was recorded. A collection that is gone, or was made
    /// again since, has nothing to wait for.
    pub(crate) async fn settle_recorded(
        self,
        app: &App,
        collection: &CollectionName,
        recorded: &StoredResponse,
    ) -> Result<()> {
        let Ok(Sequenced { sequence }) = serde_json::from_slice(&recorded.body) else {
            return Ok(());
        };
        match app.engine().collection_info(collection).await {
            Ok(info) if sequence.is_some_and(|sequence| sequence <= info.stats.newest.0) => {
                self.settle(app, collection, sequence).await
            }
            Ok(_) => Ok(()),
            Err(error) if error.code() == ErrorCode::CollectionNotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// What a change did, in words, and its place in the log.
fn describe(outcome: &ChangeOutcome) -> (&'static str, Option<u64>) {
    match outcome {
        ChangeOutcome::Staged {
            sequence,
            replaced: false,
            ..
        } => ("created", Some(sequence.0)),
        ChangeOutcome::Staged {
            sequence,
            replaced: true,
            ..
        } => ("replaced", Some(sequence.0)),
        ChangeOutcome::Unchanged { sequence } => ("unchanged", Some(sequence.0)),
        ChangeOutcome::Deleted { sequence } => ("deleted", Some(sequence.0)),
        ChangeOutcome::Duplicate(_) => ("duplicate", None),
        ChangeOutcome::Absent => ("absent", None),
        ChangeOutcome::Unmet => ("unchanged", None),
    }
}

/// The newest operation among a request's changes.
fn newest(receipt: &StageReceipt) -> Option<u64> {
    receipt
        .outcomes
        .iter()
        .filter_map(|outcome| describe(outcome).1)
        .max()
}
