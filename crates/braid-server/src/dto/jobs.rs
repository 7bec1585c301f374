//! Bulk jobs on the wire.

use braid_core::ports::{Job, JobChange, JobItemStatus};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A bulk job and what became of each document.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct JobAnswer {
    /// Its id.
    pub id: String,
    /// The collection it writes.
    pub collection: String,
    /// `running` while a document is pending, then `done` or, where some failed, `partly_done`.
    pub state: String,
    /// When it was acknowledged, Unix milliseconds.
    pub created_at_ms: i64,
    /// How many documents stand where.
    pub counts: JobCounts,
    /// One per document: those accepted in request order, then those refused.
    pub items: Vec<JobItemAnswer>,
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
}

/// One document of a job.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct JobItemAnswer {
    /// The id as handed in.
    pub id: String,
    /// `pending`, `indexed`, `skipped`, `rejected` or `failed`.
    pub status: String,
    /// What was asked of it: `created`, `replaced`, `deleted` or `unchanged`; `null` when it was
    /// refused.
    pub change: Option<String>,
    /// Why it was refused or failed.
    pub reason: Option<String>,
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

impl From<Job> for JobAnswer {
    fn from(job: Job) -> Self {
        let mut counts = JobCounts::default();
        let mut items = Vec::with_capacity(job.items.len());
        for item in job.items {
            let (count, status, reason) = match item.status {
                JobItemStatus::Pending => (&mut counts.pending, "pending", None),
                JobItemStatus::Indexed => (&mut counts.indexed, "indexed", None),
                JobItemStatus::Skipped => (&mut counts.skipped, "skipped", None),
                JobItemStatus::Rejected(reason) => (&mut counts.rejected, "rejected", Some(reason)),
                JobItemStatus::Failed(reason) => (&mut counts.failed, "failed", Some(reason)),
            };
            *count += 1;
            items.push(JobItemAnswer {
                id: item.document,
                status: status.to_owned(),
                change: item.change.map(|change| change_name(change).to_owned()),
                reason,
            });
        }
        let state = match counts {
            JobCounts { pending: 1.., .. } => "running",
            JobCounts {
                rejected: 0,
                failed: 0,
                ..
            } => "done",
            JobCounts { .. } => "partly_done",
        };
        Self {
            id: job.id.to_string(),
            collection: job.collection.as_str().to_owned(),
            state: state.to_owned(),
            created_at_ms: job.created_at_ms,
            counts,
            items,
        }
    }
}

fn change_name(change: JobChange) -> &'static str {
    match change {
        JobChange::Created => "created",
        JobChange::Replaced => "replaced",
        JobChange::Deleted => "deleted",
        JobChange::Unchanged => "unchanged",
    }
}
