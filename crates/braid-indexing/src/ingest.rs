//! The acknowledging half: from a request to what the ledger made of it.

use std::sync::Arc;

use braid_core::operation::{Change, Expected};
use braid_core::ports::{
    CancelReceipt, IdempotencyKey, NewJob, Recorded, StageOutcome, StageReceipt, StageRequest,
    WriteGuard,
};
use braid_core::{CollectionId, DocumentId, Filter, JobId, NewDocument, Result};
use tokio::sync::MutexGuard;

use crate::breakpoints::Breakpoint;
use crate::indexer::IndexerParts;
use crate::plan::{self, Planned, Rejected};
use crate::state::CollectionState;
use crate::steps::Step;

/// Documents to be stored together.
#[derive(Debug, Default)]
pub struct IngestRequest {
    /// The documents. Of several with one id the first is taken, the others are rejected.
    pub documents: Vec<NewDocument>,
    /// The job to record with them; rejected documents are added to it.
    pub job: Option<NewJob>,
    /// Idempotency, if asked for.
    pub guard: Option<WriteGuard<StageReceipt>>,
}

/// What became of an [`IngestRequest`].
#[derive(Debug)]
pub struct IngestOutcome {
    /// The acknowledgement. Its receipt has one outcome per document of `accepted`, in order.
    pub staged: StageOutcome,
    /// The documents that were staged or found unchanged, in request order.
    pub accepted: Vec<DocumentId>,
    /// The documents that were refused, and why. Nothing of them is stored.
    pub rejected: Vec<Rejected>,
}

/// One collection's writes.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    pub(crate) parts: Arc<IndexerParts>,
    pub(crate) state: Arc<CollectionState>,
}

impl Writer {
    pub(crate) async fn ingest(&self, mut request: IngestRequest) -> Result<IngestOutcome> {
        let _writing = self.state.writers.read().await;
        self.state.check_open()?;
        let served = self.state.served();
        served.pipeline.check_writes(&served.collection)?;
        let key = request.guard.as_ref().map(|guard| guard.key.clone());
        if let Some(replayed) = self.replay(key).await? {
            return Ok(replayed);
        }
        let (mut planned, mut rejected) =
            plan::hash_documents(&self.parts, std::mem::take(&mut request.documents)).await?;
        loop {
            let staging = self.turn().await;
            let stale = self.stale(served.collection.id, &planned).await?;
            if !stale.contains(&true) {
                // Invariant: nothing that is staged without chunks can have changed since the
                // look-up, as whatever could change it needs this lock. Where it is not taken,
                // nothing is staged without chunks.
                let staged = self.stage(planned, rejected, request).await;
                drop(staging);
                return staged;
            }
            drop(staging);
            let (kept, refused) =
                plan::extract_stale(&self.parts, Arc::clone(&served), (planned, stale)).await?;
            planned = kept;
            rejected.extend(refused);
        }
    }

    pub(crate) async fn delete(
        &self,
        ids: Vec<DocumentId>,
        job: Option<NewJob>,
        guard: Option<WriteGuard<StageReceipt>>,
    ) -> Result<StageOutcome> {
        let _writing = self.state.writers.read().await;
        self.state.check_open()?;
        let _staging = self.turn().await;
        let changes = ids.into_iter().map(Change::Delete).collect();
        self.delete_locked(changes, job, guard).await
    }

    /// Another process may write between the look-up and the deletion: what does not pass any more is
    /// left alone.
    pub(crate) async fn delete_matching(
        &self,
        filter: Filter,
        job: Option<NewJob>,
        guard: Option<WriteGuard<StageReceipt>>,
    ) -> Result<StageOutcome> {
        let _writing = self.state.writers.read().await;
        self.state.check_open()?;
        let _staging = self.turn().await;
        let collection = self.state.served().collection.id;
        let filter = Arc::new(filter);
        let ids = self.parts.ledger.find_documents(collection, &filter);
        let delete = |id| Change::DeleteIf(Expected::Passing(Arc::clone(&filter)), id);
        let changes = ids.await?.into_iter().map(delete).collect();
        self.delete_locked(changes, job, guard).await
    }

    /// The staging lock, where it says anything: other processes do not take it, so that nothing is
    /// decided by it where they write too, and writes need not wait for each other.
    pub(crate) async fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        match self.parts.options.shared {
            true => None,
            false => Some(self.state.staging.lock().await),
        }
    }

    /// The caller holds the writers' lock, and has its turn.
    async fn delete_locked(
        &self,
        changes: Vec<Change>,
        job: Option<NewJob>,
        guard: Option<WriteGuard<StageReceipt>>,
    ) -> Result<StageOutcome> {
        let staged = self
            .stage_changes(StageRequest {
                changes,
                job,
                guard,
            })
            .await?;
        self.note_retired();
        Ok(staged)
    }

    /// A delete, and a cancellation, retire slots at once, before anything is published.
    fn note_retired(&self) {
        self.state
            .progress
            .send_modify(|progress| progress.purgeable = true);
    }

    /// Takes back what a job put and is not published yet.
    pub(crate) async fn cancel_job(
        &self,
        job: JobId,
        guard: Option<WriteGuard<CancelReceipt>>,
    ) -> Result<Recorded<CancelReceipt>> {
        let _writing = self.state.writers.read().await;
        self.state.check_open()?;
        let _staging = self.turn().await;
        let breakpoints = &self.parts.options.breakpoints;
        breakpoints.reach(Breakpoint::BeforeCancel);
        let cancelled = self.parts.ledger.cancel_job(job, guard).await?;
        breakpoints.reach(Breakpoint::AfterCancel);
        self.note_retired();
        Ok(cancelled)
    }

    /// The recorded answer of an identical earlier request, before any work is done again.
    pub(crate) async fn replay(
        &self,
        key: Option<IdempotencyKey>,
    ) -> Result<Option<IngestOutcome>> {
        let Some(key) = key else { return Ok(None) };
        let recorded = self.parts.ledger.recorded_response(&key).await?;
        Ok(recorded.map(|response| IngestOutcome {
            staged: Recorded::Replayed(response),
            accepted: Vec::new(),
            rejected: Vec::new(),
        }))
    }

    /// Which documents have no chunks yet and differ from what is stored.
    async fn stale(&self, collection: CollectionId, planned: &[Planned]) -> Result<Vec<bool>> {
        if self.parts.options.shared {
            // A document may change between the look-up and the staging: each is staged whole.
            return Ok(planned.iter().map(|it| it.extracted.is_none()).collect());
        }
        let unknown = planned.iter().filter(|planned| planned.extracted.is_none());
        let ids: Vec<_> = unknown.map(|planned| planned.document.id.clone()).collect();
        if ids.is_empty() {
            return Ok(vec![false; planned.len()]);
        }
        let look_up = self.parts.ledger.content_hashes(collection, &ids);
        let stored = Step::LookUp.timed(look_up).await?;
        let mut stored = stored.into_iter();
        let mut differs = |planned: &Planned| {
            let mut hash = || stored.next().flatten();
            planned.extracted.is_none() && hash() != Some(planned.content_hash)
        };
        Ok(planned.iter().map(&mut differs).collect())
    }

    pub(crate) async fn stage(
        &self,
        planned: Vec<Planned>,
        rejected: Vec<Rejected>,
        request: IngestRequest,
    ) -> Result<IngestOutcome> {
        let accepted = planned
            .iter()
            .map(|planned| planned.document.id.clone())
            .collect();
        let served = self.state.served();
        if planned.is_empty() && request.job.is_none() {
            return Ok(IngestOutcome {
                staged: Recorded::Done(self.empty_receipt(served.collection.id).await?),
                accepted,
                rejected,
            });
        }
        let put = |mut planned: Planned| {
            let expected = planned.expected.take();
            let staged = Box::new(planned.into_staged(&served.pipeline.stamp));
            match expected {
                Some(expected) => Change::PutIf(expected, staged),
                None => Change::Put(staged),
            }
        };
        let staged = self
            .stage_changes(StageRequest {
                changes: planned.into_iter().map(put).collect(),
                job: request.job.map(|job| with_rejected(job, &rejected)),
                guard: request.guard,
            })
            .await?;
        Ok(IngestOutcome {
            staged,
            accepted,
            rejected,
        })
    }

    async fn empty_receipt(&self, collection: CollectionId) -> Result<StageReceipt> {
        let stats = self.parts.ledger.stats(collection).await?;
        Ok(StageReceipt {
            outcomes: Vec::new(),
            newest: stats.newest,
        })
    }

    async fn stage_changes(&self, request: StageRequest) -> Result<StageOutcome> {
        let breakpoints = &self.parts.options.breakpoints;
        let collection = self.state.served().collection.id;
        breakpoints.reach(Breakpoint::BeforeStage);
        let staged = self.parts.ledger.stage(collection, request);
        let staged = Step::Stage.timed(staged).await?;
        breakpoints.reach(Breakpoint::AfterStage);
        if let Recorded::Done(receipt) = &staged {
            self.state.note_staged(receipt.newest);
        }
        Ok(staged)
    }
}

fn with_rejected(mut job: NewJob, rejected: &[Rejected]) -> NewJob {
    let reasons = rejected
        .iter()
        .map(|(id, error)| (id.to_string(), error.to_string()));
    job.rejected.extend(reasons);
    job
}
