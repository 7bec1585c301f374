//! Ledger port: the durable truth.
//!
//! Invariants every ledger keeps:
//! - A call that returns `Ok` is durable; one that returns `Err` left no trace.
//! - Publishing is compare-and-set: a version becomes retrievable only while it is its document's
//!   newest, so a late publish never resurrects what was deleted or replaced.
//! - A pin sees one state: for every document the old version or the new one, never both.
//! - Slots retired by a publish or a delete stay in the indexes until every pin that could see them
//!   is gone ([`Ledger::stage_purge`]).

use std::sync::Arc;

use async_trait::async_trait;

use crate::chunk::{ChunkRecord, Passage};
use crate::collection::{Collection, CollectionSettings, Language, NewCollection};
use crate::document::{Document, DocumentSummary};
use crate::error::Result;
use crate::filter::Filter;
use crate::hash::{ContentHash, Fingerprint};
use crate::id::{
    ChunkId, CollectionId, CollectionName, DocumentId, Generation, JobId, Sequence, Slot, SlotSet,
};
use crate::lineage::{ChunkLineage, StorageUse};
use crate::operation::{
    Change, ChangeOutcome, CollectionStats, IndexableChunk, Operation, PublishReceipt, StagedChunk,
};
use crate::ports::{CancelReceipt, Embedding, FailedDocument, Job, JobSummary, NewJob};
use crate::ranking::Selection;
use crate::synonyms::Synonyms;

/// Identifies one idempotent request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The caller's key, scoped by the caller of this port (method and path are part of `request`).
    pub key: String,
    /// Hash of method, path and body: the same key with another hash is a conflict.
    pub request: ContentHash,
    /// Until when the answer is kept, Unix milliseconds.
    pub expires_at_ms: i64,
}

/// The answer to an idempotent request, as it was first given. Opaque to the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredResponse {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
}

/// Makes a mutation idempotent: the answer is written in the mutation's own transaction.
pub struct WriteGuard<R> {
    /// The request.
    pub key: IdempotencyKey,
    /// Renders the answer from what the mutation did.
    pub respond: Box<dyn FnOnce(&R) -> StoredResponse + Send>,
}

impl<R> std::fmt::Debug for WriteGuard<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteGuard")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// A mutation's result: done now, or the recorded answer of an earlier identical request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded<R> {
    /// The mutation was done by this call.
    Done(R),
    /// It was done before; nothing was written.
    Replayed(StoredResponse),
}

/// Changes to be staged together, in order, in one transaction.
#[derive(Debug)]
pub struct StageRequest {
    /// The changes. Two puts of one document: the later wins.
    pub changes: Vec<Change>,
    /// The job to record with them, if any.
    pub job: Option<NewJob>,
    /// Idempotency, if asked for.
    pub guard: Option<WriteGuard<StageReceipt>>,
}

/// What staging did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StageReceipt {
    /// One outcome per change, in order.
    pub outcomes: Vec<ChangeOutcome>,
    /// The collection's newest operation afterwards.
    pub newest: Sequence,
}

/// Result of [`Ledger::stage`].
pub type StageOutcome = Recorded<StageReceipt>;

/// One page of a listing.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page starts, if there is one.
    pub next: Option<String>,
}

/// A document chunked anew by a rebuild.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RechunkedDocument {
    /// Its title, given or found.
    pub title: Option<String>,
    /// The language detected in it, where one was.
    pub language: Option<Language>,
    /// Its chunks, in ordinal order.
    pub chunks: Vec<StagedChunk>,
}

/// The last step of a rebuild. All in one transaction.
#[derive(Clone, Debug)]
pub struct SwitchGeneration {
    /// The generation to serve from now on.
    pub generation: Generation,
    /// Its fingerprints and settings.
    pub fingerprint: crate::collection::PipelineFingerprint,
    /// Its settings.
    pub settings: CollectionSettings,
    /// Its dimension.
    pub dimension: usize,
    /// What [`StagedDocument::pipeline`](crate::operation::StagedDocument::pipeline) is under the
    /// new generation: recorded for every published version, so that putting an unchanged document
    /// again stays [`ChangeOutcome::Unchanged`].
    pub pipeline: Fingerprint,
    /// The newest operation. What is not published yet is published before anything else is done:
    /// the indexes of the new generation must hold it, those of the old one need not.
    pub publish_through: Sequence,
    /// Documents that were chunked anew: their published version now has these slots. Documents
    /// not listed keep their slots.
    pub rechunked: Vec<(DocumentId, Vec<Slot>)>,
}

/// The durable truth. See the module documentation for the invariants.
#[async_trait]
pub trait Ledger: Send + Sync + std::fmt::Debug {
    // --- collections ---

    /// Makes a collection. An existing one with the same settings and fingerprint is returned as it is.
    ///
    /// # Errors
    /// [`CollectionExists`](crate::ErrorCode::CollectionExists) when settings differ.
    async fn create_collection(
        &self,
        new: NewCollection,
        guard: Option<WriteGuard<Collection>>,
    ) -> Result<Recorded<Collection>>;
    /// The collection of that name.
    async fn collection(&self, name: &CollectionName) -> Result<Option<Collection>>;
    /// Every collection, by name.
    async fn collections(&self) -> Result<Vec<Collection>>;
    /// Deletes a collection and everything in it; `Done(false)` when there was none. The caller
    /// removes its indexes afterwards; its id is never reused.
    async fn delete_collection(
        &self,
        name: &CollectionName,
        guard: Option<WriteGuard<bool>>,
    ) -> Result<Recorded<bool>>;
    /// Replaces the synonyms of a collection, and gives it as it is then. Pins that were taken before
    /// keep the old ones.
    ///
    /// # Errors
    /// [`CollectionNotFound`](crate::ErrorCode::CollectionNotFound).
    async fn set_synonyms(
        &self,
        name: &CollectionName,
        synonyms: Arc<Synonyms>,
        guard: Option<WriteGuard<Collection>>,
    ) -> Result<Recorded<Collection>>;
    /// Counters and watermarks.
    async fn stats(&self, collection: CollectionId) -> Result<CollectionStats>;

    // --- writes ---

    /// Stages changes: durable when this returns. A put whose content hash and pipeline equal the
    /// document's newest, not failed version is `Unchanged` and writes nothing. A delete hides the
    /// document in this transaction and retires its slots. What a change
    /// [expects](crate::operation::Expected) is checked in this transaction, after the changes before it.
    ///
    /// # Errors
    /// [`IdempotencyConflict`](crate::ErrorCode::IdempotencyConflict), [`StorageFull`](crate::ErrorCode::StorageFull).
    async fn stage(&self, collection: CollectionId, request: StageRequest) -> Result<StageOutcome>;
    /// Up to `limit` operations after `after`, in order.
    async fn operations(
        &self,
        collection: CollectionId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Operation>>;
    /// The stored chunks of these slots, with their documents' metadata, in order. Slots whose
    /// chunk is gone are left out.
    async fn chunks(&self, collection: CollectionId, slots: &[Slot])
    -> Result<Vec<IndexableChunk>>;
    /// Records an operation as failed: it becomes a no-op, its slots are discarded, and the
    /// document's older version, if any, stays retrievable. A no-op if it is already published.
    async fn fail_operation(
        &self,
        collection: CollectionId,
        sequence: Sequence,
        reason: &str,
    ) -> Result<()>;
    /// Publishes every operation up to `through`, in order, each by compare-and-set; both indexes
    /// must hold them. Replaced and discarded versions' slots are retired; purged slots' chunks are
    /// dropped. Publishing what is published is a no-op.
    async fn publish(&self, collection: CollectionId, through: Sequence) -> Result<PublishReceipt>;
    /// Logs a purge of the retired slots that no pin can see any more; `None` when there are none.
    async fn stage_purge(&self, collection: CollectionId) -> Result<Option<Operation>>;

    // --- embeddings ---

    /// The stored embeddings under these keys, in order.
    async fn embeddings(
        &self,
        embedder: &Fingerprint,
        keys: &[ContentHash],
    ) -> Result<Vec<Option<Embedding>>>;
    /// Stores embeddings; ones that are there are kept.
    async fn put_embeddings(
        &self,
        embedder: &Fingerprint,
        embeddings: Vec<(ContentHash, Embedding)>,
    ) -> Result<()>;

    // --- reading ---

    /// Pins one consistent state for a query.
    async fn pin(&self, collection: &CollectionName) -> Result<Arc<dyn LedgerPin>>;
    /// A document's newest version, with its text. Deleted documents are `None`.
    async fn document(&self, collection: CollectionId, id: &DocumentId)
    -> Result<Option<Document>>;
    /// The content hash of each document's newest version, in order; `None` where there is none, or
    /// where it failed. Reads no text: what a run over unchanged documents costs.
    async fn content_hashes(
        &self,
        collection: CollectionId,
        ids: &[DocumentId],
    ) -> Result<Vec<Option<ContentHash>>>;
    /// Documents in id order, from `cursor` (as a page gave it).
    async fn documents(
        &self,
        collection: CollectionId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<DocumentSummary>>;
    /// Ids of the documents whose newest version passes `filter`, in id order.
    async fn find_documents(
        &self,
        collection: CollectionId,
        filter: &Filter,
    ) -> Result<Vec<DocumentId>>;

    // --- lineage ---

    /// Every stored chunk named `id` with where it came from, newest first. There are several while
    /// a version that repeats a chunk of the version before waits to be published or the older one
    /// to be purged; at most one is [live](crate::ChunkStatus::Live). Looks through every chunk of the
    /// collection: for people, not for the path of a query.
    async fn find_chunk(&self, collection: CollectionId, id: ChunkId) -> Result<Vec<ChunkLineage>>;
    /// Chunks of a document's retrievable version with where they came from, in ordinal order, from
    /// `cursor` (as a page gave it); no chunks while no version is retrievable. `None` when there is
    /// no such document.
    ///
    /// # Errors
    /// [`InvalidRequest`](crate::ErrorCode::InvalidRequest) for a bad cursor.
    async fn document_chunks(
        &self,
        collection: CollectionId,
        id: &DocumentId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Option<Page<ChunkLineage>>>;
    /// The versions of a document that are stored, newest first; empty when there is no such
    /// document. Each is what [`Ledger::document`] says of a newest one.
    async fn document_versions(
        &self,
        collection: CollectionId,
        id: &DocumentId,
    ) -> Result<Vec<DocumentSummary>>;
    /// How full the ledger is, over all collections.
    async fn storage_use(&self) -> Result<StorageUse>;

    // --- jobs and idempotency ---

    /// A job with each item's present status. What was skipped as a duplicate of a pending document
    /// is pending, and failed, with it.
    async fn job(&self, id: JobId) -> Result<Option<Job>>;
    /// Jobs, newest first, from `cursor` (as a page gave it); those of one collection where one is
    /// given.
    ///
    /// # Errors
    /// [`InvalidRequest`](crate::ErrorCode::InvalidRequest) for a bad cursor.
    async fn jobs(
        &self,
        collection: Option<CollectionId>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<JobSummary>>;
    /// Takes back what a job put and is not published yet: those documents are as if the job had
    /// not named them, and their slots are retired. Deletes, which hide at once, stand. Cancelling
    /// again finds nothing left to take back.
    ///
    /// # Errors
    /// [`JobNotFound`](crate::ErrorCode::JobNotFound), [`IdempotencyConflict`](crate::ErrorCode::IdempotencyConflict).
    async fn cancel_job(
        &self,
        id: JobId,
        guard: Option<WriteGuard<CancelReceipt>>,
    ) -> Result<Recorded<CancelReceipt>>;
    /// Documents whose newest version failed, in the order of their operations, from `cursor` (as a
    /// page gave it).
    ///
    /// # Errors
    /// [`InvalidRequest`](crate::ErrorCode::InvalidRequest) for a bad cursor.
    async fn failed_documents(
        &self,
        collection: CollectionId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<FailedDocument>>;
    /// The recorded answer under this key, if it has not expired.
    ///
    /// # Errors
    /// [`IdempotencyConflict`](crate::ErrorCode::IdempotencyConflict) when the recorded request differs.
    async fn recorded_response(&self, key: &IdempotencyKey) -> Result<Option<StoredResponse>>;
    /// Records the answer to a mutation of what the ledger does not hold. Where an answer was
    /// recorded before, it is returned and kept.
    ///
    /// # Errors
    /// [`IdempotencyConflict`](crate::ErrorCode::IdempotencyConflict), [`StorageFull`](crate::ErrorCode::StorageFull).
    async fn record_response(
        &self,
        key: IdempotencyKey,
        response: StoredResponse,
    ) -> Result<Option<StoredResponse>>;

    // --- verify and rebuild ---

    /// Slots the indexes may hold once every operation is applied: live ones and retired ones not
    /// yet purged. Slots of superseded or failed operations are among the retired, applied or not,
    /// so an index entry outside this set is wrong, and so is a [live](Ledger::live_slots) slot
    /// without one.
    async fn expected_slots(&self, collection: CollectionId) -> Result<SlotSet>;
    /// Live slots alone.
    async fn live_slots(&self, collection: CollectionId) -> Result<SlotSet>;
    /// Describes every inconsistency within the ledger itself (a live slot without a chunk, a
    /// document whose slots are not live, an embedding that is missing, ...); empty when sound.
    async fn check(&self, collection: CollectionId) -> Result<Vec<String>>;
    /// Allocates slots and stores chunks of a document's newest version for a rebuild with another
    /// chunker; they are not live until [`Ledger::switch_generation`] names them, and the document's
    /// `language` is then theirs. That version must not have failed.
    ///
    /// # Errors
    /// [`InvalidRequest`](crate::ErrorCode::InvalidRequest) where there is none that has not failed.
    async fn stage_rechunked(
        &self,
        collection: CollectionId,
        document: &DocumentId,
        rechunked: RechunkedDocument,
    ) -> Result<Vec<Slot>>;
    /// Publishes what is pending and serves another generation from now on, in one transaction: a
    /// crash leaves the old generation with the versions that its indexes hold. No operation may be
    /// newer than [`publish_through`](SwitchGeneration::publish_through), and no document that was
    /// chunked anew may have changed since.
    ///
    /// # Errors
    /// [`InvalidRequest`](crate::ErrorCode::InvalidRequest) where that does not hold.
    async fn switch_generation(
        &self,
        collection: CollectionId,
        switch: SwitchGeneration,
    ) -> Result<Collection>;
    /// Drops what nothing refers to any more: embeddings, chunks left by an interrupted rebuild,
    /// expired idempotency records and jobs. Returns how many rows went.
    async fn sweep(&self) -> Result<u64>;
    /// As [`Ledger::sweep`], from time to time while writes go on: holds them up only briefly, and
    /// leaves alone the embeddings by embedders that no collection uses, for a rebuild that was
    /// interrupted may go on with them.
    async fn tidy(&self) -> Result<u64> {
        self.sweep().await
    }
}

/// One consistent state of a collection's published data. Dropping it lets purges proceed.
#[async_trait]
pub trait LedgerPin: Send + Sync {
    /// The collection, with the generation that is served in this state.
    fn collection(&self) -> &Collection;
    /// Counters of this state.
    fn stats(&self) -> &CollectionStats;
    /// What the legs may return: live slots, and those matching `filter` if there is one.
    async fn select(&self, filter: Option<Arc<Filter>>) -> Result<Selection>;
    /// Chunk ids of live slots, in order; `None` for a slot that is not live in this state.
    async fn chunk_ids(&self, slots: &[Slot]) -> Result<Vec<Option<ChunkId>>>;
    /// Passages of live slots, in order; slots that are not live in this state are left out.
    async fn hydrate(&self, slots: &[Slot]) -> Result<Vec<Passage>>;
    /// Live chunks of one document whose ordinal is within `ordinals`, in ordinal order.
    async fn document_chunks(
        &self,
        document: &DocumentId,
        ordinals: std::ops::RangeInclusive<u32>,
    ) -> Result<Vec<ChunkRecord>>;
}
