//! One collection of a ledger under test, driven in few words.

use std::collections::BTreeMap;
use std::sync::Arc;

use braid_core::operation::{
    Change, ChangeOutcome, CollectionStats, OperationKind, PublishReceipt, StagedChunk,
    StagedDocument,
};
use braid_core::ports::{NewJob, Recorded, StageReceipt, StageRequest};
use braid_core::{
    Chunk, ChunkId, Collection, CollectionName, CollectionSettings, ContentHash, DocumentId,
    DuplicateAction, DuplicateSettings, Filter, Fingerprint, Format, JobId, Ledger, LedgerPin,
    Metadata, MetadataValue, NewCollection, NewDocument, PipelineFingerprint, Sequence, Slot,
    SlotSet, Span, WorkQueue,
};
use uuid::Uuid;

use super::{LedgerSubject, work};

/// A ledger with the collection `scene`.
pub struct Scene {
    /// The ledger under test.
    pub ledger: Arc<dyn Ledger>,
    /// The collection.
    pub collection: Collection,
    work: Option<Arc<dyn WorkQueue>>,
    subject: Option<LedgerSubject>,
}

impl std::fmt::Debug for Scene {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scene")
            .field("ledger", &self.ledger)
            .finish_non_exhaustive()
    }
}

/// Settings of a collection of that name.
pub fn new_collection(name: &str) -> NewCollection {
    NewCollection {
        name: CollectionName::new(name).unwrap(),
        settings: CollectionSettings {
            // Suites of likeness ask for it; not every ledger looks for it.
            duplicates: DuplicateSettings {
                action: DuplicateAction::Ignore,
                ..DuplicateSettings::default()
            },
            ..CollectionSettings::default()
        },
        fingerprint: PipelineFingerprint {
            embedder: Fingerprint::new("embedder"),
            chunker: Fingerprint::new("chunker"),
            analyzer: Fingerprint::new("analyzer"),
        },
        dimension: 2,
    }
}

/// Hash of some text.
pub fn hash(text: &str) -> ContentHash {
    ContentHash(*blake3::hash(text.as_bytes()).as_bytes())
}

/// A document with these chunks, no title and no metadata.
pub fn staged(id: &str, chunks: &[&str]) -> StagedDocument {
    let text = chunks.join(" ");
    StagedDocument {
        content_hash: hash(&text),
        pipeline: Fingerprint::new("pipeline"),
        chunks: staged_chunks(id, chunks),
        likeness: None,
        language: None,
        document: NewDocument {
            id: DocumentId::new(id).unwrap(),
            text,
            title: None,
            uri: Some(format!("file:///{id}")),
            format: Format::Text,
            metadata: Metadata::default(),
            origin: None,
        },
    }
}

/// Chunks of these texts, one after the other.
pub fn staged_chunks(id: &str, texts: &[&str]) -> Vec<StagedChunk> {
    let mut start = 0;
    let chunk = |(ordinal, text): (u32, &&str)| {
        let span = Span {
            start,
            end: start + u32::try_from(text.chars().count()).unwrap(),
        };
        start = span.end + 1;
        let name = format!("{id}/{ordinal}/{text}");
        StagedChunk {
            id: ChunkId(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes())),
            chunk: Chunk {
                ordinal,
                span,
                page: ordinal.checked_sub(1),
                heading_path: vec![format!("heading {ordinal}")],
                context_header: format!("header {ordinal}"),
                text: (*text).to_owned(),
                gap: String::new(),
            },
            embedding_key: hash(text),
        }
    };
    (0..).zip(texts).map(chunk).collect()
}

/// A put of a document.
pub fn put(staged: StagedDocument) -> Change {
    Change::Put(Box::new(staged))
}

/// Metadata out of pairs.
pub fn metadata(fields: &[(&str, MetadataValue)]) -> Metadata {
    let fields = fields.iter().cloned();
    let fields: BTreeMap<_, _> = fields.map(|(key, value)| (key.to_owned(), value)).collect();
    Metadata::new(fields).unwrap()
}

impl Scene {
    /// The scene in a fresh ledger.
    pub async fn new(subject: LedgerSubject) -> Self {
        let scene = Self::of(subject.ledger.clone()).await;
        Self {
            work: subject.work.clone(),
            subject: Some(subject),
            ..scene
        }
    }

    /// The scene in `ledger`, found there or made.
    pub async fn of(ledger: Arc<dyn Ledger>) -> Self {
        Self::made(ledger, new_collection("scene")).await
    }

    /// As [`Scene::of`], with a collection like this.
    pub async fn made(ledger: Arc<dyn Ledger>, new: NewCollection) -> Self {
        let created = ledger.create_collection(new, None);
        let Recorded::Done(collection) = created.await.unwrap() else {
            panic!("created without an idempotency key");
        };
        Self {
            ledger,
            collection,
            work: None,
            subject: None,
        }
    }

    /// The same ledger, whose documents wait for `work`.
    pub fn indexed_by(self, work: Arc<dyn WorkQueue>) -> Self {
        Self {
            work: Some(work),
            ..self
        }
    }

    /// The same ledger, driven in another collection.
    pub fn within(self, collection: Collection) -> Self {
        Self { collection, ..self }
    }

    /// Moves the clock.
    pub fn advance_ms(&self, ms: i64) {
        let subject = self.subject.as_ref().expect("a scene with a clock");
        (subject.advance_ms)(ms);
    }

    /// Stages changes.
    pub async fn stage(&self, changes: Vec<Change>) -> StageReceipt {
        self.stage_request(changes, None).await
    }

    /// Stages changes as a job.
    pub async fn stage_as(&self, job: JobId, changes: Vec<Change>) -> StageReceipt {
        let rejected = Vec::new();
        self.stage_request(changes, Some(NewJob { id: job, rejected }))
            .await
    }

    async fn stage_request(&self, changes: Vec<Change>, job: Option<NewJob>) -> StageReceipt {
        let request = StageRequest {
            changes,
            job,
            guard: None,
        };
        let staged = self.ledger.stage(self.collection.id, request);
        match staged.await.unwrap() {
            Recorded::Done(receipt) => receipt,
            Recorded::Replayed(_) => panic!("staged without an idempotency key"),
        }
    }

    /// Stages one change.
    pub async fn stage_one(&self, change: Change) -> ChangeOutcome {
        self.stage(vec![change]).await.outcomes.remove(0)
    }

    /// Stages a document with these chunks, which must be new content.
    pub async fn put(&self, id: &str, chunks: &[&str]) -> Sequence {
        match self.stage_one(put(staged(id, chunks))).await {
            ChangeOutcome::Staged { sequence, .. } => sequence,
            other @ (ChangeOutcome::Unchanged { .. }
            | ChangeOutcome::Deleted { .. }
            | ChangeOutcome::Duplicate(_)
            | ChangeOutcome::Absent
            | ChangeOutcome::Unmet) => panic!("{other:?}"),
        }
    }

    /// Stages a deletion.
    pub async fn delete(&self, id: &str) -> ChangeOutcome {
        let id = DocumentId::new(id).unwrap();
        self.stage_one(Change::Delete(id)).await
    }

    /// Publishes everything.
    pub async fn publish(&self) -> PublishReceipt {
        if let Some(work) = &self.work {
            return work::publish(&**work, &self.collection, Sequence(u64::MAX)).await;
        }
        self.publish_through(self.stats().await.newest).await
    }

    /// Publishes up to an operation.
    pub async fn publish_through(&self, through: Sequence) -> PublishReceipt {
        if let Some(work) = &self.work {
            return work::publish(&**work, &self.collection, through).await;
        }
        let published = self.ledger.publish(self.collection.id, through);
        published.await.unwrap()
    }

    /// Records an operation as failed.
    pub async fn fail(&self, sequence: Sequence, reason: &str) {
        if let Some(work) = &self.work {
            return work::fail(&**work, &self.collection, sequence, reason).await;
        }
        let failed = self
            .ledger
            .fail_operation(self.collection.id, sequence, reason);
        failed.await.unwrap();
    }

    /// Logs a purge and gives its slots, if there are any.
    pub async fn purge(&self) -> Option<Vec<Slot>> {
        let purge = self.ledger.stage_purge(self.collection.id).await.unwrap();
        match purge?.kind {
            OperationKind::Purge { slots } => Some(slots),
            other @ (OperationKind::Put { .. }
            | OperationKind::Delete { .. }
            | OperationKind::Failed { .. }) => panic!("{other:?}"),
        }
    }

    /// Slots of an operation in the log.
    pub async fn slots_of(&self, sequence: Sequence) -> Vec<Slot> {
        let before = Sequence(sequence.0 - 1);
        let mut log = self.log(before, 1).await;
        match log.remove(0) {
            OperationKind::Put { slots, .. } | OperationKind::Purge { slots } => slots,
            other @ (OperationKind::Delete { .. } | OperationKind::Failed { .. }) => {
                panic!("{other:?}")
            }
        }
    }

    /// Kinds of the operations after `after`; their sequences must be without a gap.
    pub async fn log(&self, after: Sequence, limit: usize) -> Vec<OperationKind> {
        let operations = self.ledger.operations(self.collection.id, after, limit);
        let operations = operations.await.unwrap();
        let sequences = operations.iter().map(|operation| operation.sequence.0);
        assert!(sequences.is_sorted_by(|a, b| a + 1 == *b), "{operations:?}");
        operations
            .into_iter()
            .map(|operation| operation.kind)
            .collect()
    }

    /// The counters.
    pub async fn stats(&self) -> CollectionStats {
        self.ledger.stats(self.collection.id).await.unwrap()
    }

    /// Slots the indexes may hold.
    pub async fn expected(&self) -> SlotSet {
        let expected = self.ledger.expected_slots(self.collection.id);
        expected.await.unwrap()
    }

    /// A pin of the present state.
    pub async fn pin(&self) -> Arc<dyn LedgerPin> {
        self.ledger.pin(&self.collection.name).await.unwrap()
    }

    /// What a query may return now: `id: chunk | chunk` by document.
    pub async fn visible(&self) -> Vec<String> {
        let pin = self.pin().await;
        match &self.work {
            Some(_) => work::visible(&*self.ledger, &*pin).await,
            None => visible(&*pin, None).await,
        }
    }

    /// What a query with this filter may return now.
    pub async fn visible_with(&self, filter: Filter) -> Vec<String> {
        visible(&*self.pin().await, Some(Arc::new(filter))).await
    }

    /// Checks that the ledger finds itself sound.
    #[track_caller]
    pub fn check_sound(&self) -> impl Future<Output = ()> + '_ {
        let caller = std::panic::Location::caller();
        async move {
            let found = self.ledger.check(self.collection.id).await.unwrap();
            let of_embeddings = |finding: &String| finding.contains("no embedding");
            let found: Vec<_> = found.into_iter().filter(|it| !of_embeddings(it)).collect();
            assert!(found.is_empty(), "at {caller}: {found:#?}");
        }
    }
}

/// What a pin lets a query return. Checks on the way that the pin is of one mind: every selected
/// slot has a chunk id and a passage, and a document's passages are one whole version of it.
pub(super) async fn visible(pin: &dyn LedgerPin, filter: Option<Arc<Filter>>) -> Vec<String> {
    let selected = pin.select(filter).await.unwrap().slots.unwrap();
    let slots: Vec<Slot> = selected.iter().map(Slot).collect();
    let ids = pin.chunk_ids(&slots).await.unwrap();
    let passages = pin.hydrate(&slots).await.unwrap();
    let mut documents: BTreeMap<DocumentId, Vec<_>> = BTreeMap::new();
    for ((slot, id), passage) in slots.iter().zip(ids).zip(&passages) {
        assert_eq!(passage.record.slot, *slot);
        assert_eq!(Some(passage.record.id), id);
        let id = passage.record.document.clone();
        documents.entry(id).or_default().push(passage);
    }
    assert_eq!(passages.len(), slots.len());
    let mut shown = Vec::new();
    for (id, passages) in documents {
        let whole = pin.document_chunks(&id, 0..=u32::MAX).await.unwrap();
        let records: Vec<_> = passages
            .iter()
            .map(|passage| passage.record.clone())
            .collect();
        assert_eq!(records, whole, "document {id} is shown in part or twice");
        let texts: Vec<_> = whole
            .iter()
            .map(|record| record.chunk.text.as_str())
            .collect();
        shown.push(format!("{id}: {}", texts.join(" | ")));
    }
    shown
}
