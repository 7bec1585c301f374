//! Bulk jobs: following, listing, cancelling, and trying again what failed.

use braid_core::ports::{
    CancelReceipt, FailedDocument, Job, JobItemStatus, JobSummary, NewJob, Page, Recorded,
    StageReceipt, WriteGuard,
};
use braid_core::{CollectionName, DocumentId, Error, ErrorCode, JobId, Result};
use braid_indexing::{Health, IngestOutcome};

use crate::engine::Engine;

/// Most dead letters that are tried again where none are named.
const RETRIED_AT_ONCE: usize = 1000;

impl Engine {
    /// A bulk job, with each document's present status.
    ///
    /// # Errors
    /// [`JobNotFound`](ErrorCode::JobNotFound).
    pub async fn job(&self, id: JobId) -> Result<Job> {
        let job = self.inner.ledger.job(id).await?;
        job.ok_or_else(|| Error::new(ErrorCode::JobNotFound, format!("no job {id}")))
    }

    /// Jobs, newest first; those of one collection where one is named.
    ///
    /// # Errors
    /// [`CollectionNotFound`](ErrorCode::CollectionNotFound), [`InvalidRequest`](ErrorCode::InvalidRequest) for a bad cursor.
    pub async fn jobs(
        &self,
        collection: Option<&CollectionName>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<JobSummary>> {
        let collection = match collection {
            Some(name) => Some(self.collection(name).await?.id),
            None => None,
        };
        self.inner.ledger.jobs(collection, cursor, limit).await
    }

    /// How the background tasks that work on a collection's jobs are doing. Workers are taken to work.
    ///
    /// # Errors
    /// [`CollectionNotFound`](ErrorCode::CollectionNotFound).
    pub async fn indexing_health(&self, collection: &CollectionName) -> Result<Health> {
        let collection = self.collection(collection).await?;
        if self.has_workers() {
            return Ok(Health::Working);
        }
        Ok(self.inner.indexer.health(collection.id))
    }

    /// Takes back what a job put and is not retrievable yet. What is, stays; so do deletes.
    ///
    /// # Errors
    /// [`JobNotFound`](ErrorCode::JobNotFound), [`IdempotencyConflict`](ErrorCode::IdempotencyConflict).
    pub async fn cancel_job(
        &self,
        id: JobId,
        guard: Option<WriteGuard<CancelReceipt>>,
    ) -> Result<Recorded<CancelReceipt>> {
        let job = self.job(id).await?;
        let collection = self.writable(&job.collection).await?;
        self.inner.indexer.cancel_job(&collection, id, guard).await
    }

    /// Documents whose newest version could not be indexed, oldest failure first.
    ///
    /// # Errors
    /// [`CollectionNotFound`](ErrorCode::CollectionNotFound), [`InvalidRequest`](ErrorCode::InvalidRequest) for a bad cursor.
    pub async fn failed_documents(
        &self,
        collection: &CollectionName,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<FailedDocument>> {
        let collection = self.collection(collection).await?;
        let ledger = &self.inner.ledger;
        ledger.failed_documents(collection.id, cursor, limit).await
    }

    /// Stages these documents again as they are stored, where their newest version failed; the
    /// others are rejected. Without ids, the oldest thousand dead letters.
    ///
    /// # Errors
    /// As [`Engine::ingest`].
    pub async fn retry_documents(
        &self,
        collection: &CollectionName,
        ids: Option<Vec<DocumentId>>,
        job: Option<NewJob>,
        guard: Option<WriteGuard<StageReceipt>>,
    ) -> Result<IngestOutcome> {
        let ids = match ids {
            Some(ids) => ids,
            None => {
                let page = self.failed_documents(collection, None, RETRIED_AT_ONCE);
                page.await?.items.into_iter().map(|it| it.id).collect()
            }
        };
        let collection = self.writable(collection).await?;
        self.inner.indexer.retry(&collection, ids, job, guard).await
    }

    /// The documents of a job that failed, with the collection they are in.
    ///
    /// # Errors
    /// As [`Engine::job`].
    pub async fn failed_of_job(&self, id: JobId) -> Result<(CollectionName, Vec<DocumentId>)> {
        let job = self.job(id).await?;
        let failed = job.items.into_iter().filter_map(|item| match item.status {
            JobItemStatus::Failed(_) => Some(DocumentId::new(item.document)),
            JobItemStatus::Pending
            | JobItemStatus::Indexed
            | JobItemStatus::Skipped
            | JobItemStatus::Rejected(_)
            | JobItemStatus::Cancelled => None,
        });
        Ok((job.collection, failed.collect::<Result<_>>()?))
    }
}
