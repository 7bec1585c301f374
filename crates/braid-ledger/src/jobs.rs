//! Bulk jobs and idempotency records, written with the change they are about.

use braid_core::operation::ChangeOutcome;
use braid_core::ports::{
    IdempotencyKey, Job, JobChange, JobItem, JobItemStatus, JobSummary, NewJob, Page, Recorded,
    StoredResponse, WriteGuard,
};
use braid_core::{
    CollectionId, CollectionName, Duplicate, Error, ErrorCode, JobId, Result, Sequence,
};
use heed::{RoTxn, RwTxn};

use crate::collections;
use crate::error::corrupt;
use crate::keys;
use crate::rows::{DuplicateRow, JobOutcomeRow, JobRow, ResponseRow, StagedChangeRow, document_id};
use crate::store::Store;
use crate::table::Tables;

/// How long jobs, and reasons of failures that nothing else refers to, are kept: seven days.
pub(crate) const RETENTION_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// Records a job: the staged documents in order, then the rejected ones.
pub(crate) fn record<'o>(
    store: &Store,
    txn: &mut RwTxn,
    collection: CollectionId,
    job: NewJob,
    staged: impl Iterator<Item = (String, &'o ChangeOutcome)>,
) -> Result<()> {
    let staged = staged.map(|(document, outcome)| (document, JobOutcomeRow::of(outcome)));
    let rejected = job.rejected.into_iter();
    let rejected = rejected.map(|(document, reason)| (document, JobOutcomeRow::Rejected(reason)));
    let row = JobRow {
        collection: collection.0,
        created_at_ms: store.now_ms(),
        items: staged.chain(rejected).collect(),
    };
    store.tables.jobs.put(txn, &keys::job(job.id), &row)
}

impl JobOutcomeRow {
    fn of(outcome: &ChangeOutcome) -> Self {
        match outcome {
            ChangeOutcome::Staged {
                sequence,
                replaced,
                duplicate,
            } => Self::Staged {
                sequence: sequence.0,
                change: if *replaced {
                    StagedChangeRow::Replace
                } else {
                    StagedChangeRow::Create
                },
                duplicate: duplicate.as_ref().map(DuplicateRow::new),
            },
            ChangeOutcome::Deleted { sequence } => Self::Staged {
                sequence: sequence.0,
                change: StagedChangeRow::Delete,
                duplicate: None,
            },
            ChangeOutcome::Duplicate(duplicate) => Self::Duplicate(DuplicateRow::new(duplicate)),
            ChangeOutcome::Unchanged { .. } | ChangeOutcome::Absent | ChangeOutcome::Unmet => {
                Self::Skipped
            }
        }
    }

    fn change(&self) -> Option<JobChange> {
        match self {
            Self::Staged { change, .. } => Some(match change {
                StagedChangeRow::Create => JobChange::Created,
                StagedChangeRow::Replace => JobChange::Replaced,
                StagedChangeRow::Delete => JobChange::Deleted,
            }),
            Self::Skipped => Some(JobChange::Unchanged),
            Self::Duplicate(_) => Some(JobChange::Duplicate),
            Self::Rejected(_) => None,
        }
    }

    fn duplicate(&self) -> Result<Option<Duplicate>> {
        let row = match self {
            Self::Staged { duplicate, .. } => duplicate.clone(),
            Self::Duplicate(duplicate) => Some(duplicate.clone()),
            Self::Skipped | Self::Rejected(_) => None,
        };
        row.map(DuplicateRow::into_duplicate).transpose()
    }
}

/// A job with each item's present status.
pub(crate) fn read(tables: &Tables, txn: &RoTxn, id: JobId) -> Result<Option<Job>> {
    let row = tables.jobs.get(txn, &keys::job(id))?;
    row.map(|row| follow(tables, txn, id, row)).transpose()
}

/// Jobs before `cursor`, newest first.
pub(crate) fn list(
    tables: &Tables,
    txn: &RoTxn,
    (collection, cursor): (Option<CollectionId>, Option<JobId>),
    limit: usize,
) -> Result<Page<JobSummary>> {
    let mut items: Vec<JobSummary> = Vec::new();
    let end = cursor.map(keys::job);
    for entry in tables
        .jobs
        .scan_back(txn, end.as_ref().map(|end| &end[..]))?
    {
        let (key, row) = entry?;
        if collection.is_some_and(|wanted| wanted.0 != row.collection) {
            continue;
        }
        if items.len() == limit {
            let next = items.last().map(|last| last.id.to_string());
            return Ok(Page { items, next });
        }
        let id = keys::read_job(key)?;
        items.push(JobSummary::from(&follow(tables, txn, id, row)?));
    }
    Ok(Page { items, next: None })
}

/// A stored job with each item's present status.
fn follow(tables: &Tables, txn: &RoTxn, id: JobId, row: JobRow) -> Result<Job> {
    let collection = CollectionId(row.collection);
    let name = collections::row(tables, txn, collection)?.name;
    let published = collections::counters(tables, txn, collection)?.published;
    let item = |(document, outcome): (String, JobOutcomeRow)| {
        let change = outcome.change();
        let duplicate = outcome.duplicate()?;
        let times = (published, row.created_at_ms);
        let status = status(tables, txn, (collection, times), outcome)?;
        Ok(JobItem {
            document,
            change,
            status,
            duplicate,
        })
    };
    Ok(Job {
        id,
        collection: CollectionName::new(name)
            .map_err(|error| corrupt("a stored row is damaged").with_source(error))?,
        created_at_ms: row.created_at_ms,
        items: row.items.into_iter().map(item).collect::<Result<_>>()?,
    })
}

fn status(
    tables: &Tables,
    txn: &RoTxn,
    (collection, (published, created_at_ms)): (CollectionId, (u64, i64)),
    outcome: JobOutcomeRow,
) -> Result<JobItemStatus> {
    let sequence = match outcome {
        JobOutcomeRow::Skipped => return Ok(JobItemStatus::Skipped),
        JobOutcomeRow::Duplicate(duplicate) => {
            return skipped(tables, txn, (collection, created_at_ms), duplicate);
        }
        JobOutcomeRow::Rejected(reason) => return Ok(JobItemStatus::Rejected(reason)),
        JobOutcomeRow::Staged { sequence, .. } => sequence,
    };
    let key = keys::sequence(collection, Sequence(sequence));
    Ok(match tables.failures.get(txn, &key)? {
        Some(failure) if failure.cancelled => JobItemStatus::Cancelled,
        Some(failure) => JobItemStatus::Failed(failure.reason),
        None if sequence <= published => JobItemStatus::Indexed,
        None => JobItemStatus::Pending,
    })
}

/// The status of a document that a job of `created_at_ms` skipped. It is that of the original until
/// that is retrievable: nothing else of what the document says is stored.
fn skipped(
    tables: &Tables,
    txn: &RoTxn,
    (collection, created_at_ms): (CollectionId, i64),
    duplicate: DuplicateRow,
) -> Result<JobItemStatus> {
    let original = document_id(duplicate.of)?;
    let key = keys::document(collection, &original);
    let row = tables.documents.get(txn, &key)?;
    let Some(row) = row.filter(|row| row.live != Some(row.newest)) else {
        return Ok(JobItemStatus::Skipped);
    };
    let key = keys::sequence(collection, Sequence(row.newest));
    let version = tables.versions.get(txn, &key)?;
    let is_later = version.is_none_or(|version| version.updated_at_ms > created_at_ms);
    if row.live.is_some() && is_later {
        return Ok(JobItemStatus::Skipped);
    }
    if !row.has_failed() {
        return Ok(JobItemStatus::Pending);
    }
    let failure = tables.failures.get(txn, &key)?;
    Ok(match failure.filter(|failure| !failure.cancelled) {
        Some(failure) => JobItemStatus::failed_with(&original, &failure.reason),
        None => JobItemStatus::Skipped,
    })
}

/// Deletes the jobs of a collection.
pub(crate) fn delete_of_collection(
    tables: &Tables,
    txn: &mut RwTxn,
    id: CollectionId,
) -> Result<()> {
    let mut of_collection = Vec::new();
    for entry in tables.jobs.scan(txn, &[])? {
        let (key, job) = entry?;
        if job.collection == id.0 {
            of_collection.push(key.to_vec());
        }
    }
    for key in of_collection {
        tables.jobs.delete(txn, &key)?;
    }
    Ok(())
}

/// The recorded answer to an idempotent request.
///
/// # Errors
/// [`ErrorCode::IdempotencyConflict`] when another request was recorded under the key.
pub(crate) fn recorded(
    store: &Store,
    txn: &RoTxn,
    key: &IdempotencyKey,
) -> Result<Option<StoredResponse>> {
    let row = store.tables.responses.get(txn, &keys::response(&key.key))?;
    match row.filter(|row| row.expires_at_ms > store.now_ms()) {
        Some(row) if row.request != key.request.0 => Err(Error::new(
            ErrorCode::IdempotencyConflict,
            "the idempotency key was used with a different request",
        )
        .with_help("use a new key for a new request")),
        row => Ok(row.map(ResponseRow::into_response)),
    }
}

/// Runs a mutation and records its answer in the same transaction, or replays the recorded one.
pub(crate) fn guarded<R>(
    store: &Store,
    guard: Option<WriteGuard<R>>,
    mutate: impl FnOnce(&mut RwTxn<'_>) -> Result<R>,
) -> Result<Recorded<R>> {
    store.write(|txn| {
        if let Some(guard) = &guard
            && let Some(response) = recorded(store, txn, &guard.key)?
        {
            return Ok(Recorded::Replayed(response));
        }
        let done = mutate(txn)?;
        if let Some(WriteGuard { key, respond }) = guard {
            let StoredResponse { status, body } = respond(&done);
            let row = ResponseRow {
                request: key.request.0,
                expires_at_ms: key.expires_at_ms,
                status,
                body,
            };
            let responses = &store.tables.responses;
            responses.put(txn, &keys::response(&key.key), &row)?;
        }
        Ok(Recorded::Done(done))
    })
}
