//! Requests that are done once. A key is taken before anything is done, so that the same key with
//! another request is refused in time; the answer is added to it afterwards. A process that died in
//! between leaves a key without an answer: repeating the request finishes it.

use braid_core::ports::{IdempotencyKey, StoredResponse};
use braid_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ClusterLedger;
use crate::cluster::cas::{Stamp, Swap, all, has_id, is_flag};
use crate::cluster::heads::ROUNDS;
use crate::cluster::registry::{ANSWERED, EXPIRES, KIND};
use crate::cluster::rows::{BODY, Fields, flag, integer, point_id, read_json, text, write_json};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct ResponseRow {
    request: String,
    expires_ms: i64,
    answer: Option<AnswerRow>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct AnswerRow {
    status: u16,
    body: BodyRow,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BodyRow {
    Text(String),
    Bytes(Vec<u8>),
}

impl ResponseRow {
    fn new(key: &IdempotencyKey, response: Option<StoredResponse>) -> Self {
        let answer = response.map(|response| AnswerRow {
            status: response.status,
            body: match String::from_utf8(response.body) {
                Ok(text) => BodyRow::Text(text),
                Err(error) => BodyRow::Bytes(error.into_bytes()),
            },
        });
        Self {
            request: key.request.to_string(),
            expires_ms: key.expires_at_ms,
            answer,
        }
    }

    fn response(self) -> Option<StoredResponse> {
        let answer = self.answer?;
        let body = match answer.body {
            BodyRow::Text(text) => text.into_bytes(),
            BodyRow::Bytes(bytes) => bytes,
        };
        Some(StoredResponse {
            status: answer.status,
            body,
        })
    }

    fn fields(&self) -> Result<Fields> {
        Ok(Fields::from([
            (KIND.to_owned(), text("response")),
            (EXPIRES.to_owned(), integer(self.expires_ms)),
            (ANSWERED.to_owned(), flag(self.answer.is_some())),
            (BODY.to_owned(), write_json(self)?),
        ]))
    }
}

fn id_of(key: &IdempotencyKey) -> Uuid {
    point_id(&format!("response/{}", key.key))
}

/// What is recorded under a key.
struct Found {
    row: Option<ResponseRow>,
    stamp: Option<Stamp>,
}

impl ClusterLedger {
    /// What is recorded under `key` and has not expired.
    ///
    /// # Errors
    /// [`IdempotencyConflict`](ErrorCode::IdempotencyConflict) for another request.
    async fn recorded(&self, key: &IdempotencyKey) -> Result<Found> {
        let found = self.registry.table.get(&[id_of(key)], &[]).await?.remove(0);
        let Some(fields) = found else {
            return Ok(Found {
                row: None,
                stamp: None,
            });
        };
        let row: ResponseRow = read_json(&fields, BODY)?;
        let stamp = Some(Stamp::read(&fields)?);
        if row.expires_ms <= self.now_ms() {
            return Ok(Found { row: None, stamp });
        }
        if row.request != key.request.to_string() {
            return Err(Error::new(
                ErrorCode::IdempotencyConflict,
                "the idempotency key was used for another request",
            )
            .with_help("use a new key for each request"));
        }
        Ok(Found {
            row: Some(row),
            stamp,
        })
    }

    /// The answer under `key`, if there is one.
    pub(super) async fn response(&self, key: &IdempotencyKey) -> Result<Option<StoredResponse>> {
        let found = self.recorded(key).await?;
        Ok(found.row.and_then(ResponseRow::response))
    }

    /// Takes the key; the answer where there is one already.
    pub(super) async fn begin(&self, key: &IdempotencyKey) -> Result<Option<StoredResponse>> {
        for _ in 0..ROUNDS {
            let found = self.recorded(key).await?;
            if let Some(row) = found.row {
                return Ok(row.response());
            }
            if self.write(key, found.stamp, None).await? {
                return Ok(None);
            }
        }
        Err(contended())
    }

    /// Adds the answer; the one that is kept where another request was faster.
    pub(super) async fn finish(
        &self,
        key: &IdempotencyKey,
        response: StoredResponse,
    ) -> Result<Option<StoredResponse>> {
        for _ in 0..ROUNDS {
            let found = self.recorded(key).await?;
            if let Some(first) = found.row.and_then(ResponseRow::response) {
                return Ok(Some(first));
            }
            if self.write(key, found.stamp, Some(response.clone())).await? {
                return Ok(None);
            }
        }
        Err(contended())
    }

    async fn write(
        &self,
        key: &IdempotencyKey,
        expected: Option<Stamp>,
        response: Option<StoredResponse>,
    ) -> Result<bool> {
        let swap = Swap {
            id: id_of(key),
            expected,
            fields: ResponseRow::new(key, response).fields()?,
        };
        Ok(self.registry.table.swap(vec![swap]).await? == [true])
    }

    /// Gives a key back whose request was refused. One that stays is of no harm: the same request may
    /// be repeated.
    pub(super) async fn abandon(&self, key: &IdempotencyKey) {
        let unanswered = all(vec![has_id(&[id_of(key)]), is_flag(ANSWERED, false)]);
        if let Err(error) = self.registry.table.delete_where(unanswered).await {
            tracing::warn!(error = %error.chain(), "a refused request keeps its idempotency key");
        }
    }
}

fn contended() -> Error {
    Error::new(
        ErrorCode::Unavailable,
        "too many requests use the same idempotency key",
    )
    .with_help("try again")
}
