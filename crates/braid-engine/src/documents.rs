//! Documents: writing, waiting, reading; idempotency; retrieval.

use braid_core::ports::{
    IdempotencyKey, NewJob, Page, StageOutcome, StageReceipt, StoredResponse, WriteGuard,
};
use braid_core::{
    Collection, CollectionName, Document, DocumentId, DocumentSummary, Error, ErrorCode, Filter,
    Result, Sequence,
};
use braid_indexing::{IngestOutcome, IngestRequest, Progress};
use braid_query::{
    Batch, ExplainRequest, Explanation, RankRequest, Recording, RetrieveRequest, RetrieveResponse,
    StageRankings,
};
use tokio::sync::watch;

use crate::collections::not_found;
use crate::engine::Engine;
use crate::lineage::no_document;

impl Engine {
    /// Adds or replaces documents: acknowledged (durable) when this returns. Documents that cannot
    /// be read are refused one by one in the outcome.
    ///
    /// # Errors
    /// [`CollectionNotFound`](ErrorCode::CollectionNotFound), [`FingerprintMismatch`](ErrorCode::FingerprintMismatch),
    /// [`IdempotencyConflict`](ErrorCode::IdempotencyConflict), [`StorageFull`](ErrorCode::StorageFull).
    pub async fn ingest(
        &self,
        collection: &CollectionName,
        request: IngestRequest,
    ) -> Result<IngestOutcome> {
        let collection = self.writable(collection).await?;
        self.inner.indexer.ingest(&collection, request).await
    }

    /// Deletes documents: hidden and durable when this returns.
    ///
    /// # Errors
    /// As [`Engine::ingest`].
    pub async fn delete_documents(
        &self,
        collection: &CollectionName,
        ids: Vec<DocumentId>,
        job: Option<NewJob>,
        guard: Option<WriteGuard<StageReceipt>>,
    ) -> Result<StageOutcome> {
        let collection = self.writable(collection).await?;
        self.inner
            .indexer
            .delete(&collection, ids, job, guard)
            .await
    }

    /// Deletes the documents whose newest version passes `filter`: one that is replaced between being
    /// found and being deleted, by another process, is deleted if it still passes. One outcome per
    /// document found.
    ///
    /// # Errors
    /// As [`Engine::ingest`]; [`InvalidRequest`](ErrorCode::InvalidRequest) for a bad filter.
    pub async fn delete_matching(
        &self,
        collection: &CollectionName,
        filter: Filter,
        job: Option<NewJob>,
        guard: Option<WriteGuard<StageReceipt>>,
    ) -> Result<StageOutcome> {
        let collection = self.writable(collection).await?;
        self.inner
            .indexer
            .delete_matching(&collection, filter, job, guard)
            .await
    }

    /// The collection of that name, open for writing: another process may have made it.
    pub(crate) async fn writable(&self, name: &CollectionName) -> Result<Collection> {
        let collection = self.collection(name).await?;
        if self.has_workers() && !self.inner.indexer.is_open(collection.id) {
            self.inner.indexer.start(&collection).await?;
        }
        Ok(collection)
    }

    /// Resolves when every operation up to `through` is retrievable (or recorded as failed).
    ///
    /// # Errors
    /// [`CollectionNotFound`](ErrorCode::CollectionNotFound), also when the collection was deleted and made again since;
    /// [`ShuttingDown`](ErrorCode::ShuttingDown); what keeps indexing from going on, once that failed several times.
    /// Where workers index, this waits as long as they take: bound it.
    pub async fn wait_published(
        &self,
        collection: &CollectionName,
        through: Sequence,
    ) -> Result<()> {
        let collection = self.collection(collection).await?;
        if let Some(cluster) = self.inner.place.cluster() {
            return cluster.wait_published(collection.id, through).await;
        }
        let newest = self.inner.ledger.stats(collection.id).await?.newest;
        if newest < through {
            // Never acknowledged here: another collection of that name did.
            return Err(not_found(&collection.name));
        }
        self.inner
            .indexer
            .wait_published(collection.id, through)
            .await
    }

    /// Follows a collection's applier.
    ///
    /// # Errors
    /// [`CollectionNotFound`](ErrorCode::CollectionNotFound).
    pub async fn progress(&self, collection: &CollectionName) -> Result<watch::Receiver<Progress>> {
        let collection = self.collection(collection).await?;
        Ok(self.inner.indexer.progress(collection.id))
    }

    /// A document's newest version, with its text.
    ///
    /// # Errors
    /// [`CollectionNotFound`](ErrorCode::CollectionNotFound), [`DocumentNotFound`](ErrorCode::DocumentNotFound).
    pub async fn document(&self, collection: &CollectionName, id: &DocumentId) -> Result<Document> {
        let collection = self.collection(collection).await?;
        self.inner
            .ledger
            .document(collection.id, id)
            .await?
            .ok_or_else(|| no_document(&collection.name, id))
    }

    /// Documents in id order.
    ///
    /// # Errors
    /// [`CollectionNotFound`](ErrorCode::CollectionNotFound), [`InvalidRequest`](ErrorCode::InvalidRequest) for a bad cursor.
    pub async fn documents(
        &self,
        collection: &CollectionName,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<DocumentSummary>> {
        let collection = self.collection(collection).await?;
        self.inner
            .ledger
            .documents(collection.id, cursor, limit)
            .await
    }

    /// Ids of the documents that pass `filter`.
    ///
    /// # Errors
    /// [`CollectionNotFound`](ErrorCode::CollectionNotFound), [`InvalidRequest`](ErrorCode::InvalidRequest) for a bad filter.
    pub async fn find_documents(
        &self,
        collection: &CollectionName,
        filter: &Filter,
    ) -> Result<Vec<DocumentId>> {
        filter.check()?;
        let collection = self.collection(collection).await?;
        self.inner
            .ledger
            .find_documents(collection.id, filter)
            .await
    }

    /// The recorded answer to an earlier request under this key.
    ///
    /// # Errors
    /// [`IdempotencyConflict`](ErrorCode::IdempotencyConflict) when that request was another one.
    pub async fn recorded_response(&self, key: &IdempotencyKey) -> Result<Option<StoredResponse>> {
        self.inner.ledger.recorded_response(key).await
    }

    /// Answers one retrieval.
    ///
    /// # Errors
    /// [`InvalidRequest`](ErrorCode::InvalidRequest), [`CollectionNotFound`](ErrorCode::CollectionNotFound), or the error of
    /// the legs when none could answer.
    pub async fn retrieve(&self, request: RetrieveRequest) -> Result<RetrieveResponse> {
        let collection = request.collection.clone();
        let answered = self.inner.retriever.retrieve(request).await;
        answered.map_err(|error| naming(&collection, error))
    }

    /// Begins a batch of retrievals that all see these collections as they are now.
    pub async fn batch(&self, collections: impl IntoIterator<Item = CollectionName>) -> Batch<'_> {
        self.inner.retriever.batch(collections).await
    }

    /// Answers one retrieval of a batch.
    ///
    /// # Errors
    /// As [`Engine::retrieve`].
    pub async fn retrieve_of(
        &self,
        batch: &Batch<'_>,
        request: RetrieveRequest,
    ) -> Result<RetrieveResponse> {
        let collection = request.collection.clone();
        let answered = batch.retrieve(request).await;
        answered.map_err(|error| naming(&collection, error))
    }

    /// Says where a document was lost for a request, and what would return it.
    ///
    /// # Errors
    /// As [`Engine::retrieve`].
    pub async fn explain(&self, request: ExplainRequest) -> Result<Explanation> {
        let collection = request.retrieve.collection.clone();
        let explained = self.inner.retriever.retriever().explain(request).await;
        explained.map_err(|error| naming(&collection, error))
    }

    /// Ranks documents per stage for evaluation, through the same pipeline.
    ///
    /// # Errors
    /// As [`Engine::retrieve`].
    pub async fn rank(&self, request: RankRequest) -> Result<StageRankings> {
        self.inner.retriever.retriever().rank(request).await
    }

    /// Searches both legs and keeps what they found, so that settings can be compared without another
    /// search.
    ///
    /// # Errors
    /// As [`Engine::retrieve`].
    pub async fn record(&self, request: &RetrieveRequest) -> Result<Recording> {
        self.inner.retriever.retriever().record(request).await
    }
}

/// The error of a query; where there is no such collection, with what to do.
pub(crate) fn naming(collection: &CollectionName, error: Error) -> Error {
    match error.code() == ErrorCode::CollectionNotFound {
        true => not_found(collection),
        false => error,
    }
}
