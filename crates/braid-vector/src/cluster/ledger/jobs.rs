//! Jobs: what became of each document of one request. A job is recorded when all of its documents are
//! staged; where each stands is read from its head.

use std::collections::{BTreeMap, BTreeSet};

use ::qdrant_client::qdrant::Direction;
use braid_core::operation::{Change, ChangeOutcome};
use braid_core::ports::{
    CancelReceipt, Job, JobChange, JobItem, JobItemStatus, JobSummary, NewJob, Page,
};
use braid_core::{
    CollectionId, CollectionName, DocumentId, Error, ErrorCode, JobId, Result, Sequence,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ClusterLedger;
use crate::cluster::cas::{Listing, Order, Stamp, Swap, all, is_integer, is_text};
use crate::cluster::heads::{Head, ROUNDS, State};
use crate::cluster::registry::{CREATED, EXPIRES, KIND, NUMBER};
use crate::cluster::rows::{BODY, Fields, integer, point_id, read_json, text, write_json};
use crate::cluster::shelf::Shelf;

/// How long a job is kept: 7 days.
const KEPT_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// More jobs than these of one millisecond may be left out of a page's end.
const SAME_TIME: usize = 64;
/// Most jobs in one page.
const MOST: usize = 1000;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct JobRow {
    id: Uuid,
    collection: u32,
    name: String,
    created_ms: i64,
    items: Vec<ItemRow>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct ItemRow {
    document: String,
    outcome: OutcomeRow,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OutcomeRow {
    Created(u64),
    Replaced(u64),
    Deleted,
    Skipped,
    Rejected(String),
    /// A put that was taken back.
    Cancelled {
        replaced: bool,
    },
}

impl OutcomeRow {
    fn new(outcome: &ChangeOutcome) -> Self {
        match outcome {
            ChangeOutcome::Staged {
                sequence,
                replaced: false,
                ..
            } => Self::Created(sequence.0),
            ChangeOutcome::Staged { sequence, .. } => Self::Replaced(sequence.0),
            ChangeOutcome::Deleted { .. } => Self::Deleted,
            ChangeOutcome::Unchanged { .. }
            | ChangeOutcome::Absent
            | ChangeOutcome::Unmet
            | ChangeOutcome::Duplicate(_) => Self::Skipped,
        }
    }

    fn change(&self) -> Option<JobChange> {
        match self {
            Self::Created(_) | Self::Cancelled { replaced: false } => Some(JobChange::Created),
            Self::Replaced(_) | Self::Cancelled { replaced: true } => Some(JobChange::Replaced),
            Self::Deleted => Some(JobChange::Deleted),
            Self::Skipped => Some(JobChange::Unchanged),
            Self::Rejected(_) => None,
        }
    }

    /// The put that it is, if it is one.
    fn sequence(&self) -> Option<u64> {
        match self {
            Self::Created(sequence) | Self::Replaced(sequence) => Some(*sequence),
            Self::Deleted | Self::Skipped | Self::Rejected(_) | Self::Cancelled { .. } => None,
        }
    }

    /// Where it stands, by the head of its document.
    fn status(&self, head: Option<&Head>) -> JobItemStatus {
        match self {
            Self::Created(sequence) | Self::Replaced(sequence) => {
                let is_newest = |head: &&Head| head.newest_sequence() == Some(Sequence(*sequence));
                match head.filter(is_newest) {
                    Some(head) if head.state == State::Waiting => JobItemStatus::Pending,
                    Some(head) if head.state == State::Failed => {
                        JobItemStatus::Failed(head.reason())
                    }
                    _ => JobItemStatus::Indexed,
                }
            }
            Self::Deleted => JobItemStatus::Indexed,
            Self::Skipped => JobItemStatus::Skipped,
            Self::Rejected(reason) => JobItemStatus::Rejected(reason.clone()),
            Self::Cancelled { .. } => JobItemStatus::Cancelled,
        }
    }
}

impl JobRow {
    fn fields(&self) -> Result<Fields> {
        Ok(Fields::from([
            (KIND.to_owned(), text("job")),
            (NUMBER.to_owned(), integer(self.collection.into())),
            (CREATED.to_owned(), integer(self.created_ms)),
            (
                EXPIRES.to_owned(),
                integer(self.created_ms.saturating_add(KEPT_MS)),
            ),
            (BODY.to_owned(), write_json(self)?),
        ]))
    }

    /// The documents that it put, in order, without what was refused.
    fn put_documents(&self) -> Result<Vec<DocumentId>> {
        let puts = self
            .items
            .iter()
            .filter(|item| item.outcome.sequence().is_some());
        let documents: BTreeSet<&str> = puts.map(|item| item.document.as_str()).collect();
        documents.into_iter().map(DocumentId::new).collect()
    }
}

fn id_of(job: JobId) -> Uuid {
    point_id(&format!("job/{job}"))
}

impl ClusterLedger {
    pub(super) async fn record_job(
        &self,
        collection: CollectionId,
        job: NewJob,
        changes: &[Change],
        outcomes: &[ChangeOutcome],
    ) -> Result<()> {
        let name = self.registry.numbered(collection).await?.name.to_string();
        let staged = changes
            .iter()
            .zip(outcomes)
            .map(|(change, outcome)| ItemRow {
                document: change.document().to_string(),
                outcome: OutcomeRow::new(outcome),
            });
        let rejected = job.rejected.into_iter().map(|(document, reason)| ItemRow {
            document,
            outcome: OutcomeRow::Rejected(reason),
        });
        let row = JobRow {
            id: job.id.0,
            collection: collection.0,
            name,
            created_ms: self.now_ms(),
            items: staged.chain(rejected).collect(),
        };
        let id = id_of(job.id);
        for _ in 0..ROUNDS {
            let found = self.registry.table.get(&[id], &[]).await?.remove(0);
            let expected = found.as_ref().map(Stamp::read).transpose()?;
            let swap = Swap {
                id,
                expected,
                fields: row.fields()?,
            };
            if self.registry.table.swap(vec![swap]).await? == [true] {
                return Ok(());
            }
        }
        Err(contended(job.id))
    }

    pub(super) async fn read_job(&self, id: JobId) -> Result<Option<Job>> {
        let found = self
            .registry
            .table
            .get(&[id_of(id)], &[BODY])
            .await?
            .remove(0);
        match found {
            Some(fields) => self.follow(read_json(&fields, BODY)?).await,
            None => Ok(None),
        }
    }

    /// The job with where each document stands; `None` where its collection is gone.
    async fn follow(&self, row: JobRow) -> Result<Option<Job>> {
        let heads = match self.open_shelf(CollectionId(row.collection)).await {
            Ok((_, shelf)) => heads_of(&shelf, &row).await?,
            Err(error) if error.code() == ErrorCode::CollectionNotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let items = row.items.iter().map(|item| JobItem {
            document: item.document.clone(),
            change: item.outcome.change(),
            status: item.outcome.status(heads.get(&item.document)),
            duplicate: None,
        });
        Ok(Some(Job {
            id: JobId(row.id),
            collection: CollectionName::new(row.name.as_str())?,
            created_at_ms: row.created_ms,
            items: items.collect(),
        }))
    }

    /// Jobs, newest first. A cursor names the last job of the page before.
    pub(super) async fn list_jobs(
        &self,
        collection: Option<CollectionId>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<JobSummary>> {
        let after = cursor.map(read_cursor).transpose()?;
        let limit = limit.clamp(1, MOST);
        let mut must = vec![is_text(KIND, "job")];
        must.extend(collection.map(|id| is_integer(NUMBER, id.0.into())));
        let listing = Listing {
            filter: Some(all(must)),
            limit: u32::try_from(limit + 1 + SAME_TIME).ok(),
            order: Some(Order {
                field: CREATED,
                direction: Direction::Desc,
                from: after.map(|(created_ms, _)| created_ms),
            }),
            ..Listing::default()
        };
        let (found, _) = self.registry.table.list(listing).await?;
        let rows: Result<Vec<JobRow>> = found.iter().map(|(_, it)| read_json(it, BODY)).collect();
        let mut rows = rows?;
        rows.retain(|row| after.is_none_or(|after| (row.created_ms, row.id) < after));
        rows.sort_by_key(|row| std::cmp::Reverse((row.created_ms, row.id)));
        let is_last = rows.len() <= limit;
        rows.truncate(limit);
        let next = rows
            .last()
            .map(|row| format!("{}-{}", row.created_ms, row.id));
        let mut items = Vec::with_capacity(rows.len());
        for row in rows {
            items.extend(self.follow(row).await?.as_ref().map(JobSummary::from));
        }
        Ok(Page {
            items,
            next: next.filter(|_| !is_last),
        })
    }

    /// Takes back what a job put, where nothing else would be lost with it: puts that wait, that
    /// replaced nothing that waited or had failed, and that no other request was told of.
    pub(super) async fn cancel(&self, id: JobId) -> Result<CancelReceipt> {
        for _ in 0..ROUNDS {
            let found = self.registry.table.get(&[id_of(id)], &[]).await?.remove(0);
            let fields = found.ok_or_else(|| not_found(id))?;
            let mut row: JobRow = read_json(&fields, BODY)?;
            let (_, shelf) = self.open_shelf(CollectionId(row.collection)).await?;
            self.take_back(&shelf, &row).await?;
            // Also what was taken back by a call that died before it said so.
            let heads = heads_of(&shelf, &row).await?;
            let cancelled = note_cancelled(&mut row, &heads);
            let swap = Swap {
                id: id_of(id),
                expected: Some(Stamp::read(&fields)?),
                fields: row.fields()?,
            };
            if cancelled == 0 || self.registry.table.swap(vec![swap]).await? == [true] {
                return Ok(CancelReceipt { cancelled });
            }
        }
        Err(contended(id))
    }

    async fn take_back(&self, shelf: &Shelf, row: &JobRow) -> Result<()> {
        let documents = row.put_documents()?;
        let reads = shelf.heads.read(&documents).await?;
        let mut wanted = Vec::new();
        let mut published = Vec::new();
        for (document, read) in documents.into_iter().zip(&reads) {
            if read.head.can_take_back(row.id) {
                let before = read.head.published.map(|it| it.sequence);
                published.push((document.to_string(), before));
                wanted.push(document);
            }
        }
        let of = published
            .iter()
            .filter_map(|(document, it)| Some((document.as_str(), (*it)?)));
        let of: Vec<(&str, u64)> = of.collect();
        let found = shelf.versions.summaries(&of).await?;
        let before: BTreeMap<(&str, u64), _> = of.into_iter().zip(found).collect();
        let now_ms = self.now_ms();
        let step = |at: usize, head: Head| {
            if !head.can_take_back(row.id) {
                return Ok(Err(()));
            }
            let (document, was) = &published[at];
            if head.published.map(|it| it.sequence) != *was {
                return Ok(Err(()));
            }
            let newest = match was {
                None => None,
                Some(sequence) => {
                    let row = before
                        .get(&(document.as_str(), *sequence))
                        .and_then(Option::as_ref);
                    // Without the version before nothing can be brought back.
                    let Some(row) = row else { return Ok(Err(())) };
                    Some(row.newest(None))
                }
            };
            Ok(Ok(head.take_back(newest, now_ms)))
        };
        shelf.heads.step(&wanted, (), step).await.map(drop)
    }
}

/// Notes which puts of a job were taken back, and gives how many.
fn note_cancelled(row: &mut JobRow, heads: &BTreeMap<String, Head>) -> usize {
    let mut cancelled = 0;
    for item in &mut row.items {
        let (Some(sequence), Some(head)) = (item.outcome.sequence(), heads.get(&item.document))
        else {
            continue;
        };
        if head.was_taken_back(sequence) {
            item.outcome = OutcomeRow::Cancelled {
                replaced: matches!(item.outcome, OutcomeRow::Replaced(_)),
            };
            cancelled += 1;
        }
    }
    cancelled
}

/// The heads of what a job put.
async fn heads_of(shelf: &Shelf, row: &JobRow) -> Result<BTreeMap<String, Head>> {
    let documents = row.put_documents()?;
    let reads = shelf.heads.read(&documents).await?;
    let heads = documents.iter().zip(reads);
    Ok(heads
        .map(|(document, read)| (document.to_string(), read.head))
        .collect())
}

fn read_cursor(cursor: &str) -> Result<(i64, Uuid)> {
    let parts = cursor.split_once('-');
    let read = parts.and_then(|(at, id)| Some((at.parse().ok()?, Uuid::parse_str(id).ok()?)));
    read.ok_or_else(|| Error::invalid("the cursor is none that a page gave"))
}

fn not_found(id: JobId) -> Error {
    Error::new(ErrorCode::JobNotFound, format!("there is no job {id}"))
}

fn contended(id: JobId) -> Error {
    Error::new(
        ErrorCode::Unavailable,
        format!("too many others change job {id}"),
    )
    .with_help("try again")
}
