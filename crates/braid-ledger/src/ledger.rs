//! The port over the store: every call moves its LMDB work off the async threads.

use std::path::Path;
use std::sync::Arc;

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
use heed::RwTxn;

use crate::documents::Reading;
use crate::pin::LmdbPin;
use crate::store::{LedgerOptions, Store};
use crate::{
    cancel, check, collections, embeddings, jobs, publish, rebuild, stage, sweep, synonyms,
};

/// The ledger in an LMDB environment. Clones share it.
#[derive(Clone)]
pub struct LmdbLedger {
    store: Arc<Store>,
}

impl std::fmt::Debug for LmdbLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LmdbLedger")
            .field("path", &self.store.env.path())
            .finish_non_exhaustive()
    }
}

impl LmdbLedger {
    /// Opens the ledger in the directory `path`, making it where there is none. Blocks. The caller
    /// sees to it that no other process has it open.
    ///
    /// # Errors
    /// [`UnsupportedVersion`](braid_core::ErrorCode::UnsupportedVersion) for a format that this
    /// build does not read, [`Corrupt`](braid_core::ErrorCode::Corrupt) for a damaged file.
    pub fn open(path: impl AsRef<Path>, options: LedgerOptions) -> Result<Self> {
        let store = Arc::new(Store::open(path.as_ref(), options)?);
        tracing::debug!(path = %store.env.path().display(), "ledger opened");
        Ok(Self { store })
    }

    #[cfg(test)]
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    async fn blocking<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Store>) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let store = Arc::clone(&self.store);
        let blocking = store.blocking().clone();
        blocking.run(move || work(&store)).await
    }

    async fn write<R: Send + 'static>(
        &self,
        write: impl FnOnce(&Store, &mut RwTxn<'_>) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        self.blocking(|store| store.write(|txn| write(store, txn)))
            .await
    }

    async fn read<R: Send + 'static>(
        &self,
        id: CollectionId,
        read: impl FnOnce(&Reading<'_>) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        self.blocking(move |store| store.read(|txn| read(&Reading::open(&store.tables, txn, id)?)))
            .await
    }
}

#[async_trait]
impl Ledger for LmdbLedger {
    async fn create_collection(
        &self,
        new: NewCollection,
        guard: Option<WriteGuard<Collection>>,
    ) -> Result<Recorded<Collection>> {
        self.blocking(move |store| {
            jobs::guarded(store, guard, |txn| collections::create(store, txn, &new))
        })
        .await
    }

    async fn collection(&self, name: &CollectionName) -> Result<Option<Collection>> {
        let name = name.clone();
        self.blocking(move |store| store.read(|txn| collections::named(&store.tables, txn, &name)))
            .await
    }

    async fn collections(&self) -> Result<Vec<Collection>> {
        self.blocking(|store| store.read(|txn| collections::all(&store.tables, txn)))
            .await
    }

    async fn delete_collection(
        &self,
        name: &CollectionName,
        guard: Option<WriteGuard<bool>>,
    ) -> Result<Recorded<bool>> {
        let name = name.clone();
        self.blocking(move |store| {
            jobs::guarded(store, guard, |txn| collections::delete(store, txn, &name))
        })
        .await
    }

    async fn set_synonyms(
        &self,
        name: &CollectionName,
        synonyms: Arc<Synonyms>,
        guard: Option<WriteGuard<Collection>>,
    ) -> Result<Recorded<Collection>> {
        let name = name.clone();
        self.blocking(move |store| {
            jobs::guarded(store, guard, |txn| {
                synonyms::set(store, txn, &name, &synonyms)
            })
        })
        .await
    }

    async fn stats(&self, collection: CollectionId) -> Result<CollectionStats> {
        self.blocking(move |store| {
            let counters =
                store.read(|txn| collections::counters(&store.tables, txn, collection))?;
            Ok(counters.stats())
        })
        .await
    }

    async fn stage(&self, collection: CollectionId, request: StageRequest) -> Result<StageOutcome> {
        let StageRequest {
            changes,
            job,
            guard,
        } = request;
        self.blocking(move |store| {
            jobs::guarded(store, guard, |txn| {
                stage::stage(store, txn, collection, changes, job)
            })
        })
        .await
    }

    async fn operations(
        &self,
        collection: CollectionId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Operation>> {
        self.read(collection, move |reading| reading.operations(after, limit))
            .await
    }

    async fn chunks(
        &self,
        collection: CollectionId,
        slots: &[Slot],
    ) -> Result<Vec<IndexableChunk>> {
        let slots = slots.to_vec();
        self.read(collection, move |reading| reading.chunks(&slots))
            .await
    }

    async fn fail_operation(
        &self,
        collection: CollectionId,
        sequence: Sequence,
        reason: &str,
    ) -> Result<()> {
        let reason = reason.to_owned();
        self.write(move |store, txn| {
            publish::fail_operation(store, txn, collection, (sequence, &reason))
        })
        .await
    }

    async fn publish(&self, collection: CollectionId, through: Sequence) -> Result<PublishReceipt> {
        self.write(move |store, txn| publish::publish(store, txn, collection, through))
            .await
    }

    async fn stage_purge(&self, collection: CollectionId) -> Result<Option<Operation>> {
        self.write(move |store, txn| publish::stage_purge(store, txn, collection))
            .await
    }

    async fn embeddings(
        &self,
        embedder: &Fingerprint,
        keys: &[ContentHash],
    ) -> Result<Vec<Option<Embedding>>> {
        let (embedder, keys) = (embedder.clone(), keys.to_vec());
        self.blocking(move |store| {
            store.read(|txn| embeddings::read(&store.tables, txn, &embedder, &keys))
        })
        .await
    }

    async fn put_embeddings(
        &self,
        embedder: &Fingerprint,
        embeddings: Vec<(ContentHash, Embedding)>,
    ) -> Result<()> {
        if embeddings.is_empty() {
            return Ok(());
        }
        let embedder = embedder.clone();
        self.write(move |store, txn| embeddings::put(store, txn, &embedder, embeddings))
            .await
    }

    async fn pin(&self, collection: &CollectionName) -> Result<Arc<dyn LedgerPin>> {
        let name = collection.clone();
        let pin = self
            .blocking(move |store| LmdbPin::open(Arc::clone(store), &name))
            .await?;
        Ok(Arc::new(pin))
    }

    async fn document(
        &self,
        collection: CollectionId,
        id: &DocumentId,
    ) -> Result<Option<Document>> {
        let id = id.clone();
        self.read(collection, move |reading| reading.document(&id))
            .await
    }

    async fn content_hashes(
        &self,
        collection: CollectionId,
        ids: &[DocumentId],
    ) -> Result<Vec<Option<ContentHash>>> {
        let ids = ids.to_vec();
        self.read(collection, move |reading| {
            ids.iter().map(|id| reading.content_hash(id)).collect()
        })
        .await
    }

    async fn documents(
        &self,
        collection: CollectionId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<DocumentSummary>> {
        let cursor = cursor.map(DocumentId::new).transpose()?;
        self.read(collection, move |reading| {
            reading.documents(cursor.as_ref(), limit)
        })
        .await
    }

    async fn find_documents(
        &self,
        collection: CollectionId,
        filter: &Filter,
    ) -> Result<Vec<DocumentId>> {
        filter.check()?;
        let filter = filter.clone();
        self.read(collection, move |reading| reading.find_documents(&filter))
            .await
    }

    async fn find_chunk(&self, collection: CollectionId, id: ChunkId) -> Result<Vec<ChunkLineage>> {
        self.read(collection, move |reading| reading.find_chunk(id))
            .await
    }

    async fn document_chunks(
        &self,
        collection: CollectionId,
        id: &DocumentId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Option<Page<ChunkLineage>>> {
        let (id, cursor) = (id.clone(), cursor.map(str::to_owned));
        self.read(collection, move |reading| {
            reading.lineage_of_document(&id, cursor.as_deref(), limit)
        })
        .await
    }

    async fn document_versions(
        &self,
        collection: CollectionId,
        id: &DocumentId,
    ) -> Result<Vec<DocumentSummary>> {
        let id = id.clone();
        self.read(collection, move |reading| reading.document_versions(&id))
            .await
    }

    async fn storage_use(&self) -> Result<StorageUse> {
        self.blocking(|store| store.read(|txn| stage::storage_use(store, txn)))
            .await
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>> {
        self.blocking(move |store| store.read(|txn| jobs::read(&store.tables, txn, id)))
            .await
    }

    async fn jobs(
        &self,
        collection: Option<CollectionId>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<JobSummary>> {
        let cursor = cursor.map(job_cursor).transpose()?;
        let of = (collection, cursor);
        self.blocking(move |store| store.read(|txn| jobs::list(&store.tables, txn, of, limit)))
            .await
    }

    async fn cancel_job(
        &self,
        id: JobId,
        guard: Option<WriteGuard<CancelReceipt>>,
    ) -> Result<Recorded<CancelReceipt>> {
        self.blocking(move |store| {
            jobs::guarded(store, guard, |txn| cancel::cancel_job(store, txn, id))
        })
        .await
    }

    async fn failed_documents(
        &self,
        collection: CollectionId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<FailedDocument>> {
        let after = cursor.map_or(Ok(Sequence::ZERO), sequence_cursor)?;
        self.read(collection, move |reading| {
            reading.failed_documents(after, limit)
        })
        .await
    }

    async fn recorded_response(&self, key: &IdempotencyKey) -> Result<Option<StoredResponse>> {
        let key = key.clone();
        self.blocking(move |store| store.read(|txn| jobs::recorded(store, txn, &key)))
            .await
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
        let recorded = self
            .blocking(move |store| jobs::guarded(store, Some(guard), |_| Ok(())))
            .await?;
        Ok(match recorded {
            Recorded::Done(()) => None,
            Recorded::Replayed(earlier) => Some(earlier),
        })
    }

    async fn expected_slots(&self, collection: CollectionId) -> Result<SlotSet> {
        self.read(collection, |reading| reading.expected()).await
    }

    async fn live_slots(&self, collection: CollectionId) -> Result<SlotSet> {
        self.read(collection, |reading| reading.live()).await
    }

    async fn check(&self, collection: CollectionId) -> Result<Vec<String>> {
        self.read(collection, check::check).await
    }

    async fn stage_rechunked(
        &self,
        collection: CollectionId,
        document: &DocumentId,
        rechunked: RechunkedDocument,
    ) -> Result<Vec<Slot>> {
        let document = document.clone();
        self.write(move |store, txn| {
            rebuild::stage_rechunked(store, txn, collection, (&document, rechunked))
        })
        .await
    }

    async fn switch_generation(
        &self,
        collection: CollectionId,
        switch: SwitchGeneration,
    ) -> Result<Collection> {
        self.write(move |store, txn| rebuild::switch_generation(store, txn, collection, &switch))
            .await
    }

    async fn sweep(&self) -> Result<u64> {
        self.blocking(|store| sweep::sweep(store)).await
    }

    async fn tidy(&self) -> Result<u64> {
        self.blocking(|store| sweep::tidy(store)).await
    }
}

fn job_cursor(cursor: &str) -> Result<JobId> {
    cursor.parse().map(JobId).map_err(|_| bad_cursor())
}

fn sequence_cursor(cursor: &str) -> Result<Sequence> {
    cursor.parse().map(Sequence).map_err(|_| bad_cursor())
}

fn bad_cursor() -> Error {
    Error::invalid("the cursor is not one that a page gave")
}
