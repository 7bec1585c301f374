//! Bulk jobs on the wire.

use braid_core::ports::{FailedDocument, Job, JobChange, JobItem, JobItemStatus, JobSummary, Page};
use braid_engine::Health;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::duplicates::DuplicateAnswer;

/// A bulk job and what became of each document.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct JobAnswer {
    /// Its id.
    pub id: String,
    /// The collection it writes.
    pub collection: String,
    /// `running` while a document is pending, then `done`; `partly_done` where documents were
    /// refused or failed, `cancelled` where some were taken back.
    pub state: String,
    /// When it was acknowledged, Unix milliseconds.
    pub created_at_ms: i64,
    /// How many documents stand where.
    pub counts: JobCounts,
    /// What indexing waits for while the job runs, if it waits: it is tried again, with growing
    /// waits, until it works.
    pub waiting: Option<JobWaiting>,
    /// One per document: those accepted in request order, then those refused. As asked for with
    /// `items`.
    pub items: Vec<JobItemAnswer>,
}

/// Why a job does not go on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct JobWaiting {
    /// What fails, as an error code; `null` where a person must act before it is tried again.
    pub error_code: Option<String>,
    /// What fails, in one line.
    pub reason: String,
    /// How often it failed in a row.
    pub failures: u32,
}

/// A bulk job without its documents.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct JobSummaryAnswer {
    /// Its id.
    pub id: String,
    /// The collection it writes.
    pub collection: String,
    /// As a job's.
    pub state: String,
    /// When it was acknowledged, Unix milliseconds.
    pub created_at_ms: i64,
    /// How many documents stand where.
    pub counts: JobCounts,
}

/// One page of jobs, newest first.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct JobsAnswer {
    /// The jobs.
    pub jobs: Vec<JobSummaryAnswer>,
    /// Where the next page starts; `null` on the last.
    pub next_cursor: Option<String>,
}

/// What cancelling a job did.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct JobCancelled {
    /// The job.
    pub job_id: String,
    /// Documents that were taken back: each is as it was before the job.
    pub cancelled: usize,
}

/// A document whose newest version could not be indexed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct FailedDocumentAnswer {
    /// Its id.
    pub id: String,
    /// Why.
    pub reason: String,
    /// The write that failed: its place in the collection's log.
    pub sequence: u64,
    /// When it failed, Unix milliseconds.
    pub failed_at_ms: i64,
}

/// One page of dead letters, oldest failure first.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct FailuresAnswer {
    /// The documents.
    pub failures: Vec<FailedDocumentAnswer>,
    /// Where the next page starts; `null` on the last.
    pub next_cursor: Option<String>,
}

/// Which dead letters are tried again.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryBody {
    /// Their documents; the oldest thousand where left out.
    #[schema(min_items = 1, max_items = 10_000)]
    pub ids: Option<Vec<String>>,
}

/// Which documents of a job are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobItems {
    /// Every one.
    #[default]
    All,
    /// Those that were refused, failed or were cancelled.
    Unsuccessful,
    /// None: the counts are enough.
    None,
}

impl JobItems {
    fn lists(self, status: &JobItemStatus) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Unsuccessful => matches!(
                status,
                JobItemStatus::Rejected(_) | JobItemStatus::Failed(_) | JobItemStatus::Cancelled
            ),
        }
    }
}

/// How many documents of a job stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct JobCounts {
    /// Acknowledged, not retrievable yet.
    pub pending: usize,
    /// Retrievable (or deleted, for a delete).
    pub indexed: usize,
    /// Nothing to do.
    pub skipped: usize,
    /// Refused before they were stored.
    pub rejected: usize,
    /// Stored, but could not be indexed.
    pub failed: usize,
    /// Stored, and taken back before they were indexed.
    pub cancelled: usize,
}

/// One document of a job.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct JobItemAnswer {
    /// The id as handed in.
    pub id: String,
    /// `pending`, `indexed`, `skipped`, `rejected`, `failed` or `cancelled`.
    pub status: String,
    /// What was done about it: `created`, `replaced`, `deleted`, `unchanged`, or `duplicate` where
    /// it was skipped because another document says the same; `null` when it was refused.
    pub change: Option<String>,
    /// Why it was refused or failed.
    pub reason: Option<String>,
    /// The document that it is a duplicate of, where one was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<DuplicateAnswer>,
}

/// A job that was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct JobAccepted {
    /// Its id: `GET /v1/jobs/{id}` says how it goes.
    pub job_id: String,
    /// Documents acknowledged.
    pub accepted: usize,
    /// Documents refused; the job has the reasons.
    pub rejected: usize,
    /// The newest write's place in the collection's log; `null` when nothing was written.
    pub sequence: Option<u64>,
}

impl JobAnswer {
    /// A job with those of its documents that are wanted, and what its indexing waits for.
    pub fn new(job: Job, items: JobItems, health: &Health) -> Self {
        let JobSummaryAnswer {
            id,
            collection,
            state,
            created_at_ms,
            counts,
        } = JobSummary::from(&job).into();
        let listed = job.items.into_iter();
        let listed = listed.filter(|item| items.lists(&item.status));
        Self {
            waiting: waiting(health).filter(|_| counts.pending > 0),
            id,
            collection,
            state,
            created_at_ms,
            counts,
            items: listed.map(JobItemAnswer::from).collect(),
        }
    }
}

fn waiting(health: &Health) -> Option<JobWaiting> {
    match health {
        Health::Retrying {
            code,
            error,
            failures,
            ..
        } => Some(JobWaiting {
            error_code: Some(code.to_string()),
            reason: error.clone(),
            failures: *failures,
        }),
        Health::Stalled { reason } => Some(JobWaiting {
            error_code: None,
            reason: reason.clone(),
            failures: 1,
        }),
        Health::Working | Health::Reconciling | Health::Stopped => None,
    }
}

impl From<JobItem> for JobItemAnswer {
    fn from(item: JobItem) -> Self {
        let (status, reason) = match item.status {
            JobItemStatus::Pending => ("pending", None),
            JobItemStatus::Indexed => ("indexed", None),
            JobItemStatus::Skipped => ("skipped", None),
            JobItemStatus::Rejected(reason) => ("rejected", Some(reason)),
            JobItemStatus::Failed(reason) => ("failed", Some(reason)),
            JobItemStatus::Cancelled => ("cancelled", None),
        };
        Self {
            id: item.document,
            status: status.to_owned(),
            change: item.change.map(|change| change_name(change).to_owned()),
            reason,
            duplicate: item.duplicate.map(DuplicateAnswer::from),
        }
    }
}

impl From<JobSummary> for JobSummaryAnswer {
    fn from(job: JobSummary) -> Self {
        let counts = JobCounts {
            pending: job.counts.pending,
            indexed: job.counts.indexed,
            skipped: job.counts.skipped,
            rejected: job.counts.rejected,
            failed: job.counts.failed,
            cancelled: job.counts.cancelled,
        };
        Self {
            id: job.id.to_string(),
            collection: job.collection.as_str().to_owned(),
            state: state(counts).to_owned(),
            created_at_ms: job.created_at_ms,
            counts,
        }
    }
}

fn state(counts: JobCounts) -> &'static str {
    match counts {
        JobCounts { pending: 1.., .. } => "running",
        JobCounts { cancelled: 1.., .. } => "cancelled",
        JobCounts {
            rejected: 0,
            failed: 0,
            ..
        } => "done",
        JobCounts { .. } => "partly_done",
    }
}

impl From<Page<JobSummary>> for JobsAnswer {
    fn from(page: Page<JobSummary>) -> Self {
        Self {
            jobs: page.items.into_iter().map(JobSummaryAnswer::from).collect(),
            next_cursor: page.next,
        }
    }
}

impl From<Page<FailedDocument>> for FailuresAnswer {
    fn from(page: Page<FailedDocument>) -> Self {
        let answer = |failed: FailedDocument| FailedDocumentAnswer {
            id: failed.id.to_string(),
            reason: failed.reason,
            sequence: failed.sequence.0,
            failed_at_ms: failed.failed_at_ms,
        };
        Self {
            failures: page.items.into_iter().map(answer).collect(),
            next_cursor: page.next,
        }
    }
}

fn change_name(change: JobChange) -> &'static str {
    match change {
        JobChange::Created => "created",
        JobChange::Replaced => "replaced",
        JobChange::Deleted => "deleted",
        JobChange::Unchanged => "unchanged",
        JobChange::Duplicate => "duplicate",
    }
}
