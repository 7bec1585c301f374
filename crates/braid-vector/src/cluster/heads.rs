//! [`Head`]: the one point that says everything about where a document stands.
//!
//! | state | newest | in the queue | seen by queries |
//! |---|---|---|---|
//! | waiting | the version to be indexed | yes, from `due_ms` on | `published`, an older version, if any |
//! | idle | the published one | no | it |
//! | failed | the one that failed | no, a dead letter | `published`, an older version, if any |
//! | deleted | none | no | nothing |
//! | gone | none, and nothing is left to remove | no | nothing; the point may be removed |
//!
//! The steps from one to the next are here, without a server; who takes one swaps the head
//! ([`Table::swap`]). Versions that no longer count are in `retired` until the sweep has removed what is
//! left of them.

mod store;

use std::time::Duration;

use ::qdrant_client::qdrant::FieldType;
use braid_core::ports::{Claim, GiveBack, SUSPECT_AFTER, Settled, WorkFailure};
use braid_core::{
    ContentHash, DocumentId, DocumentStatus, Error, ErrorCode, Filter, Result, Sequence,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::rows::{
    BODY, Fields, MetadataRow, damaged, flag, integer, language, metadata, signed, text, write_json,
};
use crate::qdrant::payload::typed_fields;
pub(crate) use store::{Heads, ROUNDS, Read, contended};

/// Whether the document waits, is a dead letter, and so on.
pub(crate) const STATE: &str = "state";
/// From when on a waiting document may be claimed, Unix milliseconds.
pub(crate) const DUE: &str = "due_ms";
/// Until when a waiting document is claimed.
pub(crate) const LEASE: &str = "lease_ms";
/// The newest version of a waiting document.
pub(crate) const NEWEST: &str = "newest";
/// The version that queries see.
pub(crate) const PUBLISHED: &str = "published";
/// Whether there is one.
pub(crate) const IS_PUBLISHED: &str = "is_published";
/// Since when the longest retired version waits for the sweep.
pub(crate) const RETIRED: &str = "retired_ms";
/// The document.
const DOCUMENT: &str = "document";

/// The fields that are searched by.
pub(crate) const INDEXES: [(&str, FieldType); 6] = [
    (STATE, FieldType::Keyword),
    (DUE, FieldType::Integer),
    (LEASE, FieldType::Integer),
    (NEWEST, FieldType::Integer),
    (IS_PUBLISHED, FieldType::Bool),
    (RETIRED, FieldType::Integer),
];

/// Most versions of a document that wait for the sweep.
const MAX_RETIRED: usize = 4096;

/// Where a document stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Waiting,
    Idle,
    Failed,
    Deleted,
    Gone,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Idle => "idle",
            Self::Failed => "failed",
            Self::Deleted => "deleted",
            Self::Gone => "gone",
        }
    }
}

/// See the module documentation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) document: String,
    pub(crate) state: State,
    pub(crate) newest: Option<Newest>,
    pub(crate) published: Option<Published>,
    /// Not tried again before, Unix milliseconds; when the version was staged at first.
    pub(crate) not_before_ms: i64,
    /// How often the newest version was claimed and not given back.
    pub(crate) attempts: u32,
    /// How often it was given back for what was in the way.
    #[serde(default)]
    pub(crate) returned: u32,
    pub(crate) lease: Option<Lease>,
    pub(crate) failure: Option<Failure>,
    pub(crate) retired: Vec<Retired>,
}

/// What is known of the newest version without reading it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Newest {
    pub(crate) sequence: u64,
    pub(crate) content_hash: String,
    pub(crate) pipeline: String,
    pub(crate) metadata: MetadataRow,
    pub(crate) language: Option<String>,
    /// Bytes of its chunks, roughly.
    #[serde(default)]
    pub(crate) bytes: u64,
    /// The job that put it, while it can be taken back.
    pub(crate) job: Option<Uuid>,
}

/// The version that queries see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Published {
    pub(crate) sequence: u64,
    /// The claim under which it was published.
    pub(crate) claim: u128,
}

/// Who indexes the newest version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    pub(crate) token: u128,
    pub(crate) until_ms: i64,
}

/// Why the newest version was not indexed when it was last tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    pub(crate) at_ms: i64,
}

/// A version that no longer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retired {
    pub(crate) sequence: u64,
    pub(crate) at_ms: i64,
    /// Whether its job was cancelled.
    pub(crate) taken_back: bool,
}

impl Head {
    /// The head of a document that nobody knows.
    pub(crate) fn absent(document: &DocumentId) -> Self {
        Self {
            document: document.to_string(),
            state: State::Gone,
            newest: None,
            published: None,
            not_before_ms: 0,
            attempts: 0,
            returned: 0,
            lease: None,
            failure: None,
            retired: Vec::new(),
        }
    }

    pub(crate) fn document(&self) -> Result<DocumentId> {
        DocumentId::new(self.document.as_str())
            .map_err(|error| damaged("names no document").with_source(error))
    }

    /// Whether the document is there for callers.
    pub(crate) fn exists(&self) -> bool {
        self.newest.is_some()
    }

    /// Whether its newest version has this content.
    pub(crate) fn has(&self, content: &ContentHash, pipeline: &str) -> bool {
        let newest = self.newest.as_ref().filter(|_| self.state != State::Failed);
        newest.is_some_and(|it| it.content_hash == content.to_string() && it.pipeline == pipeline)
    }

    /// Whether its newest version passes.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorCode::Corrupt) for a language that does not exist.
    pub(crate) fn passes(&self, filter: &Filter) -> Result<bool> {
        let Some(newest) = &self.newest else {
            return Ok(false);
        };
        let language = language(newest.language.as_deref())?;
        Ok(filter.matches(&metadata(&newest.metadata), language))
    }

    pub(crate) fn newest_sequence(&self) -> Option<Sequence> {
        self.newest.as_ref().map(|newest| Sequence(newest.sequence))
    }

    pub(crate) fn published_sequence(&self) -> Option<Sequence> {
        self.published.map(|published| Sequence(published.sequence))
    }

    /// Where its newest version stands.
    pub(crate) fn status(&self) -> DocumentStatus {
        match self.state {
            State::Waiting | State::Deleted | State::Gone => DocumentStatus::Pending,
            State::Idle => DocumentStatus::Published,
            State::Failed => DocumentStatus::Failed(self.reason()),
        }
    }

    pub(crate) fn reason(&self) -> String {
        let failure = self.failure.as_ref();
        failure.map_or_else(String::new, |failure| failure.reason.clone())
    }

    /// A newer version waits.
    ///
    /// # Errors
    /// [`Overloaded`](ErrorCode::Overloaded) where nothing sweeps.
    pub(crate) fn put(mut self, newest: Newest, now_ms: i64) -> Result<Self> {
        self.retire_newest(now_ms);
        if self.retired.len() > MAX_RETIRED {
            return Err(Error::new(
                ErrorCode::Overloaded,
                format!(
                    "{} versions of {:?} wait to be removed",
                    self.retired.len(),
                    self.document
                ),
            )
            .with_help("run a worker, `braid ingest --worker`: workers remove them"));
        }
        self.newest = Some(newest);
        self.wait(now_ms);
        Ok(self)
    }

    fn wait(&mut self, now_ms: i64) {
        self.state = State::Waiting;
        self.not_before_ms = now_ms;
        self.attempts = 0;
        self.returned = 0;
        self.lease = None;
        self.failure = None;
    }

    /// The newest version does not count any more, unless it is the published one.
    fn retire_newest(&mut self, now_ms: i64) {
        let newest = self.newest.take().map(|newest| newest.sequence);
        let published = self.published.map(|published| published.sequence);
        if let Some(sequence) = newest.filter(|newest| Some(*newest) != published) {
            self.retire(sequence, now_ms);
        }
    }

    fn retire(&mut self, sequence: u64, at_ms: i64) {
        let taken_back = false;
        self.retired.push(Retired {
            sequence,
            at_ms,
            taken_back,
        });
    }

    fn retire_published(&mut self, now_ms: i64) {
        if let Some(Published { sequence, .. }) = self.published.take() {
            self.retire(sequence, now_ms);
        }
    }

    /// The document is hidden at once.
    pub(crate) fn delete(mut self, now_ms: i64) -> Self {
        self.retire_newest(now_ms);
        self.retire_published(now_ms);
        self.state = State::Deleted;
        self.lease = None;
        self.failure = None;
        self
    }

    /// Whether it may be claimed.
    pub(crate) fn is_due(&self, now_ms: i64) -> bool {
        self.state == State::Waiting && self.due_ms() <= now_ms
    }

    /// Whether it may be what ended those who had it.
    pub(crate) fn is_suspect(&self) -> bool {
        self.attempts >= SUSPECT_AFTER
    }

    fn due_ms(&self) -> i64 {
        let lease = self.lease.map_or(i64::MIN, |lease| lease.until_ms);
        self.not_before_ms.max(lease)
    }

    /// Whether it waits and may not be claimed before `ms`.
    pub(crate) fn is_held_until(&self, ms: i64) -> bool {
        self.state == State::Waiting && self.due_ms() > ms
    }

    /// It may be claimed now, whoever has it.
    pub(crate) fn release(mut self, now_ms: i64) -> Self {
        self.lease = None;
        self.not_before_ms = now_ms;
        self
    }

    /// The newest version is claimed.
    pub(crate) fn claim(mut self, lease: Lease) -> Self {
        self.lease = Some(lease);
        self.attempts = self.attempts.saturating_add(1);
        self
    }

    /// What has become of a claim; `None` while it is good.
    pub(crate) fn settled(&self, claim: &Claim) -> Option<Settled> {
        let is_newest = self.newest_sequence() == Some(claim.sequence);
        let held = self.lease.is_some_and(|lease| lease.token == claim.token);
        let published = self.published.filter(|it| it.sequence == claim.sequence.0);
        match (self.state, published) {
            (_, Some(published)) if published.claim == claim.token => Some(Settled::Done),
            (_, Some(_)) => Some(Settled::Lost),
            (State::Waiting, None) if is_newest && held => None,
            (State::Waiting | State::Failed, None) if is_newest => Some(Settled::Lost),
            _ => Some(Settled::Superseded),
        }
    }

    /// The claim lasts longer.
    pub(crate) fn renew(mut self, until_ms: i64) -> Self {
        if let Some(lease) = &mut self.lease {
            lease.until_ms = until_ms;
        }
        self
    }

    /// The newest version is what queries see from now on.
    pub(crate) fn publish(mut self, claim: &Claim, now_ms: i64) -> Self {
        self.retire_published(now_ms);
        self.published = Some(Published {
            sequence: claim.sequence.0,
            claim: claim.token,
        });
        self.state = State::Idle;
        self.lease = None;
        self.failure = None;
        if let Some(newest) = &mut self.newest {
            newest.job = None;
        }
        self
    }

    /// The claim is given back, and is not counted.
    pub(crate) fn give_back(mut self, why: GiveBack, now_ms: i64) -> Self {
        self.lease = None;
        self.attempts = self.attempts.saturating_sub(1);
        if let GiveBack::Hindered { reason, wait } = why {
            self.returned = self.returned.saturating_add(1);
            self.not_before_ms = after(now_ms, wait);
            let at_ms = now_ms;
            self.failure = Some(Failure { reason, at_ms });
        }
        self
    }

    /// The newest version could not be indexed.
    pub(crate) fn fail(mut self, failure: WorkFailure, now_ms: i64) -> Self {
        self.lease = None;
        self.failure = Some(Failure {
            reason: failure.reason,
            at_ms: now_ms,
        });
        match failure.retry_after {
            Some(wait) => self.not_before_ms = after(now_ms, wait),
            None => self.state = State::Failed,
        }
        self
    }

    /// Whether `job` put the newest version, and it can still be taken back.
    pub(crate) fn can_take_back(&self, job: Uuid) -> bool {
        let newest = self.newest.as_ref();
        self.state == State::Waiting && newest.is_some_and(|newest| newest.job == Some(job))
    }

    /// The newest version is taken back; `before` is the published one, if there is one.
    pub(crate) fn take_back(mut self, before: Option<Newest>, now_ms: i64) -> Self {
        self.retire_newest(now_ms);
        if let Some(last) = self.retired.last_mut() {
            last.taken_back = true;
        }
        self.state = if before.is_some() {
            State::Idle
        } else {
            State::Deleted
        };
        self.newest = before;
        self.lease = None;
        self.failure = None;
        self
    }

    /// Whether the version was taken back with its job.
    pub(crate) fn was_taken_back(&self, sequence: u64) -> bool {
        let mut retired = self.retired.iter();
        retired.any(|it| it.sequence == sequence && it.taken_back)
    }

    /// What is left of these versions was removed.
    pub(crate) fn swept(mut self, versions: &[u64]) -> Self {
        self.retired.retain(|it| !versions.contains(&it.sequence));
        if self.state == State::Deleted && self.retired.is_empty() {
            self.state = State::Gone;
        }
        self
    }

    /// Versions that were retired at or before that time.
    pub(crate) fn retired_by(&self, at_ms: i64) -> Vec<u64> {
        let retired = self.retired.iter().filter(|it| it.at_ms <= at_ms);
        retired.map(|it| it.sequence).collect()
    }

    /// Whether it names the version.
    pub(crate) fn names(&self, sequence: Sequence) -> bool {
        self.newest_sequence() == Some(sequence)
            || self.published_sequence() == Some(sequence)
            || self.retired.iter().any(|it| it.sequence == sequence.0)
    }

    /// Its payload.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorCode::Corrupt) for a language that does not exist.
    pub(crate) fn fields(&self) -> Result<Fields> {
        let mut fields = match &self.newest {
            Some(newest) => {
                let language = language(newest.language.as_deref())?;
                typed_fields(&metadata(&newest.metadata), language)
            }
            None => Fields::new(),
        };
        let mut set = |name: &str, value| fields.insert(name.to_owned(), value);
        set(DOCUMENT, text(&self.document));
        set(STATE, text(self.state.as_str()));
        set(IS_PUBLISHED, flag(self.published.is_some()));
        if self.state == State::Waiting {
            set(DUE, integer(self.due_ms()));
            if let Some(newest) = &self.newest {
                set(NEWEST, integer(signed(newest.sequence)));
            }
        }
        if let Some(lease) = self.lease {
            set(LEASE, integer(lease.until_ms));
        }
        if let Some(published) = self.published {
            set(PUBLISHED, integer(signed(published.sequence)));
        }
        if let Some(longest) = self.retired.iter().map(|it| it.at_ms).min() {
            set(RETIRED, integer(longest));
        }
        set(BODY, write_json(self)?);
        Ok(fields)
    }
}

fn after(now_ms: i64, wait: Duration) -> i64 {
    let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    now_ms.saturating_add(wait)
}
