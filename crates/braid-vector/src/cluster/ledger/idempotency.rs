//! Requests that are done once. A key is taken before anything is done, so that the same key with
//! another request is refused in time; the answer is added to it afterwards.
//!
//! Whoever takes a key holds it for [`HOLD`], and renews that while it works. Meanwhile the same request
//! is refused: it would be done twice, the second time perhaps after another request that was answered in
//! between. A process that died leaves a key whose time ends: repeating the request then finishes it.

use std::time::Duration;

use braid_core::ports::{IdempotencyKey, Recorded, StoredResponse, WriteGuard};
use braid_core::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ClusterLedger;
use crate::cluster::cas::{Stamp, Swap};
use crate::cluster::heads::ROUNDS;
use crate::cluster::registry::{ANSWERED, EXPIRES, KIND};
use crate::cluster::rows::{BODY, Fields, flag, integer, point_id, read_json, text, write_json};

/// How long a key is held since its holder last said that it goes on. Far longer than clocks differ.
pub(crate) const HOLD: Duration = Duration::from_secs(30);

/// How often it says so.
const RENEWED: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct ResponseRow {
    request: String,
    expires_ms: i64,
    /// Who does the request, while there is no answer.
    #[serde(default)]
    holder: Option<HolderRow>,
    answer: Option<AnswerRow>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct HolderRow {
    token: Uuid,
    until_ms: i64,
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
    /// A key that is held.
    fn held(key: &IdempotencyKey, holder: HolderRow) -> Self {
        Self {
            request: key.request.to_string(),
            expires_ms: key.expires_at_ms,
            holder: Some(holder),
            answer: None,
        }
    }

    fn answered(key: &IdempotencyKey, response: StoredResponse) -> Self {
        let body = match String::from_utf8(response.body) {
            Ok(text) => BodyRow::Text(text),
            Err(error) => BodyRow::Bytes(error.into_bytes()),
        };
        Self {
            request: key.request.to_string(),
            expires_ms: key.expires_at_ms,
            holder: None,
            answer: Some(AnswerRow {
                status: response.status,
                body,
            }),
        }
    }

    /// A key that may be taken for any request, until it is swept.
    fn free(self) -> Self {
        Self {
            expires_ms: 0,
            holder: None,
            ..self
        }
    }

    fn is_held_by(&self, token: Uuid) -> bool {
        self.holder.is_some_and(|holder| holder.token == token)
    }

    /// # Errors
    /// [`Unavailable`](ErrorCode::Unavailable) while another request has the key.
    fn check_free(&self, now_ms: i64) -> Result<()> {
        match self.holder.filter(|holder| holder.until_ms > now_ms) {
            Some(_) if self.answer.is_none() => Err(in_progress()),
            _ => Ok(()),
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
    ///
    /// # Errors
    /// [`Unavailable`](ErrorCode::Unavailable) while a request under this key is being done.
    pub(super) async fn response(&self, key: &IdempotencyKey) -> Result<Option<StoredResponse>> {
        let Some(row) = self.recorded(key).await?.row else {
            return Ok(None);
        };
        row.check_free(self.now_ms())?;
        Ok(row.response())
    }

    /// Does `work` once for a key.
    ///
    /// # Errors
    /// Those of `work`; [`Unavailable`](ErrorCode::Unavailable) while another request has the key.
    pub(super) async fn guarded<R>(
        &self,
        guard: Option<WriteGuard<R>>,
        work: impl Future<Output = Result<R>> + Send,
    ) -> Result<Recorded<R>> {
        let Some(WriteGuard { key, respond }) = guard else {
            return work.await.map(Recorded::Done);
        };
        let token = match self.begin(&key).await? {
            Begun::Answered(answer) => return Ok(Recorded::Replayed(answer)),
            Begun::Held(token) => token,
        };
        let done = tokio::select! {
            biased;
            done = work => done,
            lost = self.keep_held(&key, token) => Err(lost),
        };
        let done = match done {
            Ok(done) => done,
            Err(error) => {
                self.abandon(&key, token).await;
                return Err(error);
            }
        };
        match self.finish(&key, Some(token), respond(&done)).await? {
            None => Ok(Recorded::Done(done)),
            Some(first) => Ok(Recorded::Replayed(first)),
        }
    }

    /// Takes the key; the answer where there is one already.
    pub(in crate::cluster) async fn begin(&self, key: &IdempotencyKey) -> Result<Begun> {
        for _ in 0..ROUNDS {
            let found = self.recorded(key).await?;
            if let Some(row) = found.row {
                row.check_free(self.now_ms())?;
                if let Some(answer) = row.response() {
                    return Ok(Begun::Answered(answer));
                }
            }
            let token = Uuid::new_v4();
            let row = ResponseRow::held(key, self.holder(token));
            if self.write(key, found.stamp, &row).await? {
                return Ok(Begun::Held(token));
            }
        }
        Err(contended())
    }

    fn holder(&self, token: Uuid) -> HolderRow {
        HolderRow {
            token,
            until_ms: self.until_ms(HOLD),
        }
    }

    /// Holds the key until another request has it, and says that.
    async fn keep_held(&self, key: &IdempotencyKey, token: Uuid) -> Error {
        loop {
            tokio::time::sleep(RENEWED).await;
            match self.hold(key, token).await {
                Ok(true) => {}
                Ok(false) => return in_progress(),
                Err(error) => {
                    tracing::warn!(error = %error.chain(), "an idempotency key is not renewed");
                }
            }
        }
    }

    /// Holds the key for longer, if it is held still.
    pub(in crate::cluster) async fn hold(&self, key: &IdempotencyKey, token: Uuid) -> Result<bool> {
        for _ in 0..ROUNDS {
            let found = self.recorded(key).await?;
            if !found.row.is_some_and(|row| row.is_held_by(token)) {
                return Ok(false);
            }
            let row = ResponseRow::held(key, self.holder(token));
            if self.write(key, found.stamp, &row).await? {
                return Ok(true);
            }
        }
        Err(contended())
    }

    /// Adds the answer; the one that is kept where another request was faster.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorCode::Unavailable) where another request has the key: its answer is the one
    /// to be given.
    pub(super) async fn finish(
        &self,
        key: &IdempotencyKey,
        token: Option<Uuid>,
        response: StoredResponse,
    ) -> Result<Option<StoredResponse>> {
        let row = ResponseRow::answered(key, response);
        for _ in 0..ROUNDS {
            let found = self.recorded(key).await?;
            if let Some(found) = found.row {
                if !token.is_some_and(|token| found.is_held_by(token)) {
                    found.check_free(self.now_ms())?;
                }
                if let Some(first) = found.response() {
                    return Ok(Some(first));
                }
            }
            if self.write(key, found.stamp, &row).await? {
                return Ok(None);
            }
        }
        Err(contended())
    }

    async fn write(
        &self,
        key: &IdempotencyKey,
        expected: Option<Stamp>,
        row: &ResponseRow,
    ) -> Result<bool> {
        let swap = Swap {
            id: id_of(key),
            expected,
            fields: row.fields()?,
        };
        Ok(self.registry.table.swap(vec![swap]).await? == [true])
    }

    /// Gives a key back whose request was refused. One that stays is free when its time ends.
    async fn abandon(&self, key: &IdempotencyKey, token: Uuid) {
        let free = async {
            let found = self.recorded(key).await?;
            match found.row.filter(|row| row.is_held_by(token)) {
                Some(row) => self.write(key, found.stamp, &row.free()).await,
                None => Ok(false),
            }
        };
        if let Err(error) = free.await {
            tracing::warn!(error = %error.chain(), "a refused request keeps its idempotency key");
        }
    }
}

/// What became of taking a key.
#[derive(Debug)]
pub(in crate::cluster) enum Begun {
    /// The request was done before.
    Answered(StoredResponse),
    /// It is to be done under this token.
    Held(Uuid),
}

fn in_progress() -> Error {
    Error::new(
        ErrorCode::Unavailable,
        "a request with the same idempotency key is being done",
    )
    .with_help("repeat the request in a moment: it is answered as that one was")
}

fn contended() -> Error {
    Error::new(
        ErrorCode::Unavailable,
        "too many requests use the same idempotency key",
    )
    .with_help("try again")
}
