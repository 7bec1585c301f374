//! The ledger kept in memory: the smallest implementation that passes
//! [`ledger_suite`](crate::ledger_suite), and the model the durable one is compared with.

mod create;
mod duplicates;
mod jobs;
mod lineage;
mod pin;
mod rebuild;
mod state;
mod work;
mod write;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use braid_core::operation::{CollectionStats, IndexableChunk, PublishReceipt};
use braid_core::ports::{
    CancelReceipt, FailedDocument, IdempotencyKey, Job, JobSummary, Page, RechunkedDocument,
    Recorded, StageOutcome, StageRequest, StoredResponse, SwitchGeneration, WriteGuard,
};
use braid_core::{
    ChunkId, ChunkLineage, Collection, CollectionId, CollectionName, ContentHash, Document,
    DocumentId, DocumentStatus, DocumentSummary, Embedding, Error, ErrorCode, Filter, Fingerprint,
    JobId, Ledger, LedgerPin, NewCollection, Operation, Result, Sequence, Slot, SlotSet,
    StorageUse, Synonyms,
};
use parking_lot::Mutex;

use pin::RamPin;
use state::{Data, State};

use crate::faulty::Gate;

/// How long a job is kept, as in the durable ledger: seven days, in milliseconds.
const JOB_RETENTION_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// A ledger in memory. Clones share it. Its clock stands still at 0 until it is
/// [advanced](RamLedger::advance_ms).
#[derive(Clone, Default)]
pub struct RamLedger {
    state: Arc<Mutex<State>>,
    pins_taken: Arc<AtomicUsize>,
}

impl std::fmt::Debug for RamLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RamLedger").finish_non_exhaustive()
    }
}

impl RamLedger {
    /// An empty ledger.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the clock.
    pub fn advance_ms(&self, ms: i64) {
        self.state.lock().now_ms += ms;
    }

    /// How often a state was pinned.
    pub fn pins_taken(&self) -> usize {
        self.pins_taken.load(Ordering::SeqCst)
    }

    /// Makes every write fail with `code` from now on, or succeed again.
    pub fn refuse_writes(&self, code: Option<ErrorCode>) {
        self.state.lock().refused = code;
    }

    /// Makes every sweep wait at `gate` from now on.
    pub fn hold_sweeps(&self, gate: Gate) {
        self.state.lock().sweep_gate = Some(gate);
    }

    /// The first slot of collections made from now on: near `u32::MAX` to test exhaustion.
    pub fn set_first_slot(&self, slot: u32) {
        self.state.lock().first_slot = slot;
    }

    fn read<R>(
        &self,
        collection: CollectionId,
        read: impl FnOnce(&Data) -> Result<R>,
    ) -> Result<R> {
        read(self.state.lock().data(collection)?)
    }
}

#[async_trait]
impl Ledger for RamLedger {
    async fn create_collection(
        &self,
        new: NewCollection,
        guard: Option<WriteGuard<Collection>>,
    ) -> Result<Recorded<Collection>> {
        let mut state = self.state.lock();
        state.guarded(guard, |state| state.create_collection(new))
    }

    async fn collection(&self, name: &CollectionName) -> Result<Option<Collection>> {
        let state = self.state.lock();
        Ok(state.named(name).map(|data| data.collection.clone()))
    }

    async fn collections(&self) -> Result<Vec<Collection>> {
        let state = self.state.lock();
        let named = state.names.values().filter_map(|id| state.data.get(id));
        Ok(named.map(|data| data.collection.clone()).collect())
    }

    async fn delete_collection(
        &self,
        name: &CollectionName,
        guard: Option<WriteGuard<bool>>,
    ) -> Result<Recorded<bool>> {
        let mut state = self.state.lock();
        state.guarded(guard, |state| {
            let Some(id) = state.names.remove(name) else {
                return Ok(false);
            };
            state.data.remove(&id);
            state.jobs.retain(|_, job| job.collection != id);
            Ok(true)
        })
    }

    async fn set_synonyms(
        &self,
        name: &CollectionName,
        synonyms: Arc<Synonyms>,
        guard: Option<WriteGuard<Collection>>,
    ) -> Result<Recorded<Collection>> {
        let mut state = self.state.lock();
        state.guarded(guard, |state| {
            let id = state.names.get(name).copied();
            let data = id.and_then(|id| state.data.get_mut(&id)).ok_or_else(|| {
                let message = format!("no collection named {:?}", name.as_str());
                Error::new(ErrorCode::CollectionNotFound, message)
            })?;
            Arc::make_mut(data).collection.synonyms = synonyms;
            Ok(data.collection.clone())
        })
    }

    async fn stats(&self, collection: CollectionId) -> Result<CollectionStats> {
        self.read(collection, |data| Ok(data.stats()))
    }

    async fn stage(&self, collection: CollectionId, request: StageRequest) -> Result<StageOutcome> {
        let mut state = self.state.lock();
        let StageRequest {
            changes,
            job,
            guard,
        } = request;
        state.guarded(guard, |state| state.stage(collection, changes, job))
    }

    async fn operations(
        &self,
        collection: CollectionId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Operation>> {
        self.read(collection, |data| {
            let following = data.operations.range(after.next()..).take(limit);
            Ok(following
                .map(|(sequence, kind)| Operation {
                    sequence: *sequence,
                    kind: kind.clone(),
                })
                .collect())
        })
    }

    async fn chunks(
        &self,
        collection: CollectionId,
        slots: &[Slot],
    ) -> Result<Vec<IndexableChunk>> {
        self.read(collection, |data| {
            let indexable = slots.iter().filter_map(|slot| {
                let record = data.chunks.get(slot)?.clone();
                let metadata = data.versions.get(&record.sequence)?.metadata.clone();
                Some(IndexableChunk { record, metadata })
            });
            Ok(indexable.collect())
        })
    }

    async fn fail_operation(
        &self,
        collection: CollectionId,
        sequence: Sequence,
        reason: &str,
    ) -> Result<()> {
        let mut state = self.state.lock();
        let now_ms = state.now_ms;
        state.change(collection, |data, epoch| {
            data.fail_operation((epoch, now_ms), sequence, reason);
            Ok(())
        })
    }

    async fn publish(&self, collection: CollectionId, through: Sequence) -> Result<PublishReceipt> {
        let mut state = self.state.lock();
        state.change(collection, |data, epoch| Ok(data.publish(epoch, through)))
    }

    async fn stage_purge(&self, collection: CollectionId) -> Result<Option<Operation>> {
        let mut state = self.state.lock();
        let oldest_pin = state.pins.lock().keys().next().copied();
        state.change(collection, |data, _| Ok(data.stage_purge(oldest_pin)))
    }

    async fn embeddings(
        &self,
        embedder: &Fingerprint,
        keys: &[ContentHash],
    ) -> Result<Vec<Option<Embedding>>> {
        let state = self.state.lock();
        let stored = state.embeddings.get(embedder);
        Ok(keys
            .iter()
            .map(|key| stored.and_then(|stored| stored.get(key)).cloned())
            .collect())
    }

    async fn put_embeddings(
        &self,
        embedder: &Fingerprint,
        embeddings: Vec<(ContentHash, Embedding)>,
    ) -> Result<()> {
        let mut state = self.state.lock();
        state.check_writable()?;
        let stored: &mut HashMap<_, _> = state.embeddings.entry(embedder.clone()).or_default();
        for (key, embedding) in embeddings {
            stored.entry(key).or_insert(embedding);
        }
        Ok(())
    }

    async fn pin(&self, collection: &CollectionName) -> Result<Arc<dyn LedgerPin>> {
        self.pins_taken.fetch_add(1, Ordering::SeqCst);
        let state = self.state.lock();
        let id = state
            .names
            .get(collection)
            .and_then(|id| state.data.get(id));
        let data = id.cloned().ok_or_else(|| {
            Error::new(
                ErrorCode::CollectionNotFound,
                format!("no collection {collection}"),
            )
        })?;
        Ok(Arc::new(RamPin::new(data, state.epoch, state.pins.clone())))
    }

    async fn document(
        &self,
        collection: CollectionId,
        id: &DocumentId,
    ) -> Result<Option<Document>> {
        self.read(collection, |data| Ok(data.document(id)))
    }

    async fn content_hashes(
        &self,
        collection: CollectionId,
        ids: &[DocumentId],
    ) -> Result<Vec<Option<ContentHash>>> {
        self.read(collection, |data| {
            let summaries = ids.iter().map(|id| data.summary(id));
            let has_failed =
                |summary: &DocumentSummary| matches!(summary.status, DocumentStatus::Failed(_));
            let hash = |summary: Option<DocumentSummary>| {
                let sound = summary.filter(|summary| !has_failed(summary));
                sound.map(|summary| summary.content_hash)
            };
            Ok(summaries.map(hash).collect())
        })
    }

    async fn documents(
        &self,
        collection: CollectionId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<DocumentSummary>> {
        let cursor = cursor.map(DocumentId::new).transpose()?;
        self.read(collection, |data| {
            let after = |id: &DocumentId| cursor.as_ref().is_none_or(|cursor| id > cursor);
            let mut ids = data.documents.keys().filter(|id| after(id));
            let items: Vec<_> = ids
                .by_ref()
                .take(limit)
                .filter_map(|id| data.summary(id))
                .collect();
            let more = ids.next().is_some();
            let last = items.last().map(|item| item.id.to_string());
            let next = last.filter(|_| more);
            Ok(Page { items, next })
        })
    }

    async fn find_documents(
        &self,
        collection: CollectionId,
        filter: &Filter,
    ) -> Result<Vec<DocumentId>> {
        filter.check()?;
        self.read(collection, |data| {
            let documents = data.documents.iter();
            let found = documents.filter(|(_, row)| data.passes(row, filter));
            Ok(found.map(|(id, _)| id.clone()).collect())
        })
    }

    async fn find_chunk(&self, collection: CollectionId, id: ChunkId) -> Result<Vec<ChunkLineage>> {
        self.read(collection, |data| Ok(data.find_chunk(id)))
    }

    async fn document_chunks(
        &self,
        collection: CollectionId,
        id: &DocumentId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Option<Page<ChunkLineage>>> {
        self.read(collection, |data| {
            data.lineage_of_document(id, cursor, limit)
        })
    }

    async fn document_versions(
        &self,
        collection: CollectionId,
        id: &DocumentId,
    ) -> Result<Vec<DocumentSummary>> {
        self.read(collection, |data| Ok(data.document_versions(id)))
    }

    async fn storage_use(&self) -> Result<StorageUse> {
        let state = self.state.lock();
        let chunks = state.data.values().flat_map(|data| data.chunks.values());
        Ok(StorageUse {
            used_bytes: chunks.map(|record| record.chunk.text.len() as u64).sum(),
            limit_bytes: u64::MAX,
        })
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>> {
        let state = self.state.lock();
        let Some(row) = state.jobs.get(&id) else {
            return Ok(None);
        };
        let data = state.data(row.collection)?;
        Ok(Some(row.read(id, data)))
    }

    async fn jobs(
        &self,
        collection: Option<CollectionId>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<JobSummary>> {
        self.state.lock().jobs(collection, cursor, limit)
    }

    async fn cancel_job(
        &self,
        id: JobId,
        guard: Option<WriteGuard<CancelReceipt>>,
    ) -> Result<Recorded<CancelReceipt>> {
        let mut state = self.state.lock();
        state.guarded(guard, |state| state.cancel_job(id))
    }

    async fn failed_documents(
        &self,
        collection: CollectionId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<FailedDocument>> {
        self.read(collection, |data| data.failed_documents(cursor, limit))
    }

    async fn recorded_response(&self, key: &IdempotencyKey) -> Result<Option<StoredResponse>> {
        self.state.lock().recorded(key)
    }

    async fn record_response(
        &self,
        key: IdempotencyKey,
        response: StoredResponse,
    ) -> Result<Option<StoredResponse>> {
        let guard = WriteGuard {
            key,
            respond: Box::new(move |_: &()| response),
        };
        let mut state = self.state.lock();
        Ok(match state.guarded(Some(guard), |_| Ok(()))? {
            Recorded::Done(()) => None,
            Recorded::Replayed(earlier) => Some(earlier),
        })
    }

    async fn expected_slots(&self, collection: CollectionId) -> Result<SlotSet> {
        self.read(collection, |data| Ok(data.expected_slots()))
    }

    async fn live_slots(&self, collection: CollectionId) -> Result<SlotSet> {
        self.read(collection, |data| Ok(data.live.clone()))
    }

    async fn check(&self, collection: CollectionId) -> Result<Vec<String>> {
        let state = self.state.lock();
        let data = state.data(collection)?;
        Ok(state.check(data))
    }

    async fn stage_rechunked(
        &self,
        collection: CollectionId,
        document: &DocumentId,
        rechunked: RechunkedDocument,
    ) -> Result<Vec<Slot>> {
        let mut state = self.state.lock();
        state.change(collection, |data, _| {
            data.stage_rechunked(document, rechunked)
        })
    }

    async fn switch_generation(
        &self,
        collection: CollectionId,
        switch: SwitchGeneration,
    ) -> Result<Collection> {
        let mut state = self.state.lock();
        state.change(collection, |data, epoch| {
            data.switch_generation(epoch, switch)
        })
    }

    async fn sweep(&self) -> Result<u64> {
        let gate = self.state.lock().sweep_gate.clone();
        if let Some(gate) = gate {
            gate.pass().await;
        }
        let mut state = self.state.lock();
        state.check_writable()?;
        Ok(state.sweep())
    }
}

/// Epochs of the pins that are held, with how many hold each.
type Pins = Arc<Mutex<BTreeMap<u64, usize>>>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger_suite::{LedgerSubject, ledger_durability_suite, ledger_suite};

    #[tokio::test]
    async fn passes_the_suite() {
        let fresh = || {
            let ledger = RamLedger::new();
            let clock = ledger.clone();
            LedgerSubject {
                work: None,
                ledger: Arc::new(ledger),
                advance_ms: Box::new(move |ms| clock.advance_ms(ms)),
                keep: Box::new(()),
            }
        };
        ledger_suite(&fresh).await;
    }

    #[tokio::test]
    async fn clones_share_everything() {
        let ledger = RamLedger::new();
        ledger_durability_suite(&|| Arc::new(ledger.clone())).await;
    }
}
