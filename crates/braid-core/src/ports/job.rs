//! Bulk jobs: what became of each document of one request.

use crate::duplicate::Duplicate;
use crate::id::{CollectionName, DocumentId, JobId, Sequence};
use crate::operation::ChangeOutcome;

/// A durable bulk job to be recorded with the changes it stages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// Documents refused before staging, with the reason.
    pub rejected: Vec<(String, String)>,
}

/// A bulk job: one item per document, in request order (rejected ones last).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The collection it writes.
    pub collection: CollectionName,
    /// When it was acknowledged, Unix milliseconds.
    pub created_at_ms: i64,
    /// What became of each document.
    pub items: Vec<JobItem>,
}

/// One document of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobItem {
    /// The id as handed in (it may not be a valid [`DocumentId`] when rejected).
    pub document: String,
    /// What was asked of it, as staging saw it; `None` when it was refused before.
    pub change: Option<JobChange>,
    /// Where it stands now.
    pub status: JobItemStatus,
    /// The document that it was found to be a duplicate of.
    pub duplicate: Option<Duplicate>,
}

/// What staging made of one change of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobChange {
    /// The document was not there before.
    Created,
    /// It was, with another content.
    Replaced,
    /// It was, and is hidden from now on.
    Deleted,
    /// Nothing was written: the same content was there under this id, nothing was there to delete, or
    /// the document had changed since it was looked up.
    Unchanged,
    /// Nothing was written: another document says the same, and duplicates are skipped.
    Duplicate,
}

impl From<&ChangeOutcome> for JobChange {
    fn from(outcome: &ChangeOutcome) -> Self {
        match outcome {
            ChangeOutcome::Staged {
                replaced: false, ..
            } => Self::Created,
            ChangeOutcome::Staged { replaced: true, .. } => Self::Replaced,
            ChangeOutcome::Deleted { .. } => Self::Deleted,
            ChangeOutcome::Duplicate(_) => Self::Duplicate,
            ChangeOutcome::Unchanged { .. } | ChangeOutcome::Absent | ChangeOutcome::Unmet => {
                Self::Unchanged
            }
        }
    }
}

/// Where one document of a job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobItemStatus {
    /// Staged, not yet indexed; or skipped as a duplicate of a document of which that is true.
    Pending,
    /// Indexed (or replaced since by a newer write).
    Indexed,
    /// Nothing to do: unchanged, changed meanwhile, a duplicate of what is indexed, or deleting what was
    /// not there.
    Skipped,
    /// Refused before staging.
    Rejected(String),
    /// Staged, but could not be indexed; or skipped as a duplicate of a document that could not be.
    Failed(String),
    /// Staged, and taken back before it was indexed.
    Cancelled,
}

impl JobItemStatus {
    /// Of a document that was skipped as a duplicate of `original`, which then failed for `reason`.
    pub fn failed_with(original: &DocumentId, reason: &str) -> Self {
        Self::Failed(format!(
            "it says the same as {:?}, which could not be indexed: {reason}; nothing of it is stored: hand it in again",
            original.as_str()
        ))
    }
}

/// How many documents of a job stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// [`JobItemStatus::Pending`].
    pub pending: usize,
    /// [`JobItemStatus::Indexed`].
    pub indexed: usize,
    /// [`JobItemStatus::Skipped`].
    pub skipped: usize,
    /// [`JobItemStatus::Rejected`].
    pub rejected: usize,
    /// [`JobItemStatus::Failed`].
    pub failed: usize,
    /// [`JobItemStatus::Cancelled`].
    pub cancelled: usize,
}

impl JobCounts {
    /// Counts one more document.
    pub fn add(&mut self, status: &JobItemStatus) {
        *match status {
            JobItemStatus::Pending => &mut self.pending,
            JobItemStatus::Indexed => &mut self.indexed,
            JobItemStatus::Skipped => &mut self.skipped,
            JobItemStatus::Rejected(_) => &mut self.rejected,
            JobItemStatus::Failed(_) => &mut self.failed,
            JobItemStatus::Cancelled => &mut self.cancelled,
        } += 1;
    }
}

/// A job without its documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSummary {
    /// Its id.
    pub id: JobId,
    /// The collection it writes.
    pub collection: CollectionName,
    /// When it was acknowledged, Unix milliseconds.
    pub created_at_ms: i64,
    /// How many documents stand where.
    pub counts: JobCounts,
}

impl From<&Job> for JobSummary {
    fn from(job: &Job) -> Self {
        let mut counts = JobCounts::default();
        for item in &job.items {
            counts.add(&item.status);
        }
        Self {
            id: job.id,
            collection: job.collection.clone(),
            created_at_ms: job.created_at_ms,
            counts,
        }
    }
}

/// What cancelling a job did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CancelReceipt {
    /// Documents taken back: each is as it was before the job.
    pub cancelled: usize,
}

/// A document whose newest version could not be indexed: one of the dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedDocument {
    /// The document.
    pub id: DocumentId,
    /// The operation that failed.
    pub sequence: Sequence,
    /// Why.
    pub reason: String,
    /// When, Unix milliseconds.
    pub failed_at_ms: i64,
}
