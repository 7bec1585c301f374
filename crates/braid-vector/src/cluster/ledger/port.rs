//! The port.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use braid_core::operation::{CollectionStats, IndexableChunk, PublishReceipt};
use braid_core::ports::{
    CancelReceipt, FailedDocument, IdempotencyKey, Job, JobSummary, Page, RechunkedDocument,
    Recorded, StageOutcome, StageRequest, StoredResponse, SwitchGeneration, WriteGuard,
};
use braid_core::{
    ChunkId, ChunkLineage, Collection, CollectionId, CollectionName, ContentHash, Document,
    DocumentId, DocumentSummary, Embedding, Error, Filter, Fingerprint, JobId, Ledger, LedgerPin,
    NewCollection, Operation, Result, Sequence, Slot, SlotSet, StorageUse, Synonyms,
};

use super::{ClusterLedger, not_enabled};

const ANOTHER_COLLECTION: &str = "ingest into a new collection, and delete the old one";

fn no_log() -> Error {
    not_enabled("log of operations", "run a worker: `braid ingest --worker`")
}

fn no_slots() -> Error {
    not_enabled(
        "check of its indexes",
        "to write them anew, ingest into a new collection",
    )
}

#[async_trait]
impl Ledger for ClusterLedger {
    async fn create_collection(
        &self,
        new: NewCollection,
        guard: Option<WriteGuard<Collection>>,
    ) -> Result<Recorded<Collection>> {
        self.guarded(guard, self.create(new)).await
    }

    async fn collection(&self, name: &CollectionName) -> Result<Option<Collection>> {
        let found = self.registry.named(name).await?;
        Ok(found.map(|collection| Collection::clone(&collection)))
    }

    async fn collections(&self) -> Result<Vec<Collection>> {
        let all = self.registry.refresh().await?;
        Ok(all
            .values()
            .map(|collection| Collection::clone(collection))
            .collect())
    }

    async fn delete_collection(
        &self,
        name: &CollectionName,
        guard: Option<WriteGuard<bool>>,
    ) -> Result<Recorded<bool>> {
        self.guarded(guard, self.delete(name)).await
    }

    async fn set_synonyms(
        &self,
        name: &CollectionName,
        synonyms: Arc<Synonyms>,
        guard: Option<WriteGuard<Collection>>,
    ) -> Result<Recorded<Collection>> {
        self.guarded(guard, self.set_synonyms_of(name, &synonyms))
            .await
    }

    async fn stats(&self, collection: CollectionId) -> Result<CollectionStats> {
        self.counted(collection, Duration::ZERO).await
    }

    async fn stage(&self, collection: CollectionId, request: StageRequest) -> Result<StageOutcome> {
        let StageRequest {
            changes,
            job,
            guard,
        } = request;
        self.guarded(guard, self.stage_changes(collection, changes, job))
            .await
    }

    /// None: the queue is the heads.
    async fn operations(
        &self,
        collection: CollectionId,
        _: Sequence,
        _: usize,
    ) -> Result<Vec<Operation>> {
        self.registry.numbered(collection).await?;
        Ok(Vec::new())
    }

    async fn chunks(
        &self,
        collection: CollectionId,
        slots: &[Slot],
    ) -> Result<Vec<IndexableChunk>> {
        self.read_chunks(collection, slots).await
    }

    async fn fail_operation(&self, id: CollectionId, _: Sequence, _: &str) -> Result<()> {
        self.registry.numbered(id).await?;
        Err(no_log())
    }

    async fn publish(&self, id: CollectionId, _: Sequence) -> Result<PublishReceipt> {
        self.registry.numbered(id).await?;
        Err(no_log())
    }

    /// None: the sweep of a worker removes what nobody sees any more.
    async fn stage_purge(&self, collection: CollectionId) -> Result<Option<Operation>> {
        self.registry.numbered(collection).await?;
        Ok(None)
    }

    async fn embeddings(
        &self,
        embedder: &Fingerprint,
        keys: &[ContentHash],
    ) -> Result<Vec<Option<Embedding>>> {
        self.read_embeddings(embedder, keys).await
    }

    /// Nothing: embeddings are kept with the chunks.
    async fn put_embeddings(
        &self,
        _: &Fingerprint,
        _: Vec<(ContentHash, Embedding)>,
    ) -> Result<()> {
        Ok(())
    }

    async fn pin(&self, collection: &CollectionName) -> Result<Arc<dyn LedgerPin>> {
        Ok(Arc::new(self.pin_of(collection).await?))
    }

    async fn document(
        &self,
        collection: CollectionId,
        id: &DocumentId,
    ) -> Result<Option<Document>> {
        self.read_document(collection, id).await
    }

    async fn content_hashes(
        &self,
        collection: CollectionId,
        ids: &[DocumentId],
    ) -> Result<Vec<Option<ContentHash>>> {
        self.read_hashes(collection, ids).await
    }

    async fn documents(
        &self,
        collection: CollectionId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<DocumentSummary>> {
        self.list_documents(collection, cursor, limit).await
    }

    async fn find_documents(
        &self,
        collection: CollectionId,
        filter: &Filter,
    ) -> Result<Vec<DocumentId>> {
        self.matching_documents(collection, filter).await
    }

    /// Of chunks that were indexed.
    async fn find_chunk(&self, collection: CollectionId, id: ChunkId) -> Result<Vec<ChunkLineage>> {
        self.chunks_named(collection, id).await
    }

    async fn document_chunks(
        &self,
        collection: CollectionId,
        id: &DocumentId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Option<Page<ChunkLineage>>> {
        self.read_document_chunks(collection, id, cursor, limit)
            .await
    }

    async fn document_versions(
        &self,
        collection: CollectionId,
        id: &DocumentId,
    ) -> Result<Vec<DocumentSummary>> {
        self.read_versions(collection, id).await
    }

    /// Never full: Qdrant says so itself when it is.
    async fn storage_use(&self) -> Result<StorageUse> {
        Ok(StorageUse {
            used_bytes: 0,
            limit_bytes: u64::MAX,
        })
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>> {
        self.read_job(id).await
    }

    async fn jobs(
        &self,
        collection: Option<CollectionId>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<JobSummary>> {
        self.list_jobs(collection, cursor, limit).await
    }

    async fn cancel_job(
        &self,
        id: JobId,
        guard: Option<WriteGuard<CancelReceipt>>,
    ) -> Result<Recorded<CancelReceipt>> {
        self.guarded(guard, self.cancel(id)).await
    }

    async fn failed_documents(
        &self,
        collection: CollectionId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<FailedDocument>> {
        self.list_failed(collection, cursor, limit).await
    }

    async fn recorded_response(&self, key: &IdempotencyKey) -> Result<Option<StoredResponse>> {
        self.response(key).await
    }

    async fn record_response(
        &self,
        key: IdempotencyKey,
        response: StoredResponse,
    ) -> Result<Option<StoredResponse>> {
        self.finish(&key, None, response).await
    }

    async fn expected_slots(&self, id: CollectionId) -> Result<SlotSet> {
        self.registry.numbered(id).await?;
        Err(no_slots())
    }

    async fn live_slots(&self, id: CollectionId) -> Result<SlotSet> {
        self.registry.numbered(id).await?;
        Err(no_slots())
    }

    async fn check(&self, collection: CollectionId) -> Result<Vec<String>> {
        self.inconsistencies(collection).await
    }

    async fn stage_rechunked(
        &self,
        _: CollectionId,
        _: &DocumentId,
        _: RechunkedDocument,
    ) -> Result<Vec<Slot>> {
        Err(not_enabled("rebuild", ANOTHER_COLLECTION))
    }

    async fn switch_generation(&self, _: CollectionId, _: SwitchGeneration) -> Result<Collection> {
        Err(not_enabled("rebuild", ANOTHER_COLLECTION))
    }

    async fn sweep(&self) -> Result<u64> {
        self.forget_expired().await
    }
}
