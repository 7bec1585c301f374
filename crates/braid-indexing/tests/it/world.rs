//! Doubles that outlive the pipeline, as stores outlive a process.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use braid_core::ports::{NewJob, Recorded, StageReceipt};
use braid_core::{
    ChunkingSettings, Collection, CollectionName, CollectionSettings, DocumentId, Embedder,
    Embedding, Error, ErrorCode, ExtractedText, Fingerprint, Format, IndexProvider, JobId, Ledger,
    LexicalIndex, Markup, Metadata, NewCollection, NewDocument, Reader, Result, Script, Selection,
    Slot, SlotSet, TokenCounter, VectorStore,
};
use braid_indexing::{Indexer, IndexerParts, IndexingOptions, IngestOutcome, IngestRequest};
use braid_runtime::{CpuPool, Shutdown};
use braid_testkit::{HashEmbedder, RamIndexProvider, RamLedger, RamVectorStore};

pub(crate) const DIMENSION: usize = 256;

/// Extracts text as it is, marked up as its format says; a text that says `unreadable` is, and one that says `explode` panics.
#[derive(Debug)]
pub(crate) struct PlainReader;

impl Reader for PlainReader {
    fn version(&self) -> u32 {
        1
    }

    fn extract(&self, format: Format, raw: &str) -> Result<ExtractedText> {
        assert!(!raw.contains("explode"), "a reader that panics");
        if raw.contains("unreadable") {
            return Err(Error::new(ErrorCode::UnreadableDocument, "cannot be read"));
        }
        Ok(ExtractedText {
            text: raw.to_owned(),
            markup: match format {
                Format::Text | Format::Html => Markup::Plain,
                Format::Markdown => Markup::Markdown,
                Format::Code(language) => Markup::Code(language),
            },
            title: None,
        })
    }
}

/// Fails with `code` on every call that has a text with `poison` in it.
#[derive(Debug)]
pub(crate) struct PoisonedEmbedder {
    pub(crate) inner: HashEmbedder,
    pub(crate) code: ErrorCode,
}

#[async_trait]
impl Embedder for PoisonedEmbedder {
    fn fingerprint(&self) -> &Fingerprint {
        self.inner.fingerprint()
    }

    fn dimension(&self) -> usize {
        self.inner.dimension()
    }

    fn token_counter(&self) -> Arc<dyn TokenCounter> {
        self.inner.token_counter()
    }

    fn reads(&self, script: Script) -> bool {
        self.inner.reads(script)
    }

    async fn embed_passages(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        if texts.iter().any(|text| text.contains("poison")) {
            return Err(Error::new(self.code, "a vector is not finite"));
        }
        self.inner.embed_passages(texts).await
    }

    async fn embed_verbatim(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        self.inner.embed_verbatim(texts).await
    }

    async fn embed_query(&self, text: &str) -> Result<Embedding> {
        self.inner.embed_query(text).await
    }
}

/// Everything that survives a crash, and the collection `main` in it.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) ledger: RamLedger,
    pub(crate) indexes: Arc<RamIndexProvider>,
    /// What the pipeline opens its indexes with: `indexes`, unless a test wraps it.
    pub(crate) provider: Arc<dyn IndexProvider>,
    pub(crate) embedder: Arc<dyn Embedder>,
    pub(crate) pool: Arc<CpuPool>,
    pub(crate) options: IndexingOptions,
}

/// One life of the pipeline over a [`World`].
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) world: World,
    pub(crate) indexer: Indexer,
    pub(crate) collection: Collection,
    pub(crate) shutdown: Shutdown,
}

pub(crate) fn settings(target_tokens: usize) -> CollectionSettings {
    CollectionSettings {
        chunking: ChunkingSettings {
            target_tokens,
            ..ChunkingSettings::default()
        },
        ..CollectionSettings::default()
    }
}

pub(crate) fn options() -> IndexingOptions {
    IndexingOptions {
        purge_interval: Duration::ZERO,
        generation_grace: Duration::from_millis(1),
        // Its timer would move the paused clock.
        sweep_interval: None,
        ..IndexingOptions::default()
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_embedder(Arc::new(HashEmbedder::new(DIMENSION)))
    }

    pub(crate) fn with_embedder(embedder: Arc<dyn Embedder>) -> Self {
        let indexes = Arc::new(RamIndexProvider::new());
        Self {
            ledger: RamLedger::new(),
            provider: Arc::clone(&indexes) as _,
            indexes,
            embedder,
            pool: CpuPool::new(1).unwrap(),
            options: options(),
        }
    }

    /// An indexer that has opened nothing yet.
    pub(crate) fn indexer(&self) -> (Indexer, Shutdown) {
        let shutdown = Shutdown::new();
        let indexer = Indexer::new(IndexerParts {
            ledger: Arc::new(self.ledger.clone()),
            indexes: Arc::clone(&self.provider),
            embedder: Arc::clone(&self.embedder),
            reader: Arc::new(PlainReader),
            pool: Arc::clone(&self.pool),
            shutdown: shutdown.clone(),
            options: self.options.clone(),
        });
        (indexer, shutdown)
    }

    /// Starts a life; the first one makes the collection, of four tokens a chunk.
    pub(crate) async fn open(&self) -> Life {
        let (indexer, shutdown) = self.indexer();
        let found = self.ledger.collection(&name()).await.unwrap();
        let collection = match found {
            Some(collection) => collection,
            None => self.create(&indexer, settings(4)).await,
        };
        indexer.recover().await.unwrap();
        Life {
            world: self.clone(),
            indexer,
            collection,
            shutdown,
        }
    }

    pub(crate) async fn create(
        &self,
        indexer: &Indexer,
        settings: CollectionSettings,
    ) -> Collection {
        let new = NewCollection {
            name: name(),
            settings,
            fingerprint: indexer.pipeline_fingerprint(&settings).unwrap(),
            dimension: DIMENSION,
        };
        match self.ledger.create_collection(new, None).await.unwrap() {
            Recorded::Done(collection) => collection,
            Recorded::Replayed(_) => panic!("created without an idempotency key"),
        }
    }

    pub(crate) async fn ledger_collection(&self) -> Collection {
        self.ledger.collection(&name()).await.unwrap().unwrap()
    }

    /// Empties the vector store, as if its directory had been removed.
    pub(crate) fn lose_vectors(&self, collection: &Collection) {
        let store = RamVectorStore::new(DIMENSION);
        self.indexes
            .put_vector(collection.index_key(), Arc::new(store));
    }

    /// The indexes of the served generation.
    pub(crate) async fn served(&self) -> (Arc<dyn LexicalIndex>, Arc<dyn VectorStore>) {
        let collection = self.ledger_collection().await;
        let key = collection.index_key();
        let lexical = self.indexes.lexical(&collection, key).await.unwrap();
        let vector = self.indexes.vector(&collection, key).await.unwrap();
        (lexical, vector)
    }

    /// What is retrievable: the chunk texts of every live document, in order.
    pub(crate) async fn live(&self) -> BTreeMap<String, Vec<String>> {
        let collection = self.ledger_collection().await;
        let slots = self.ledger.live_slots(collection.id).await.unwrap();
        let slots: Vec<_> = slots.iter().map(Slot).collect();
        let mut live: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for chunk in self.ledger.chunks(collection.id, &slots).await.unwrap() {
            let record = chunk.record;
            live.entry(record.document.to_string())
                .or_default()
                .push(record.chunk.text);
        }
        live
    }

    /// Asserts that ledger and indexes agree to the last slot, and that every entry is of the text
    /// that the ledger has under its slot.
    pub(crate) async fn assert_sound(&self) {
        let collection = self.ledger_collection().await;
        assert_eq!(
            self.ledger.check(collection.id).await.unwrap(),
            Vec::<String>::new()
        );
        let live = self.ledger.live_slots(collection.id).await.unwrap();
        let (lexical, vector) = self.served().await;
        assert_eq!(lexical.slots().await.unwrap(), live, "lexical");
        assert_eq!(vector.slots().await.unwrap(), live, "vector");
        let slots: Vec<_> = live.iter().map(Slot).collect();
        for chunk in self.ledger.chunks(collection.id, &slots).await.unwrap() {
            let only = Selection {
                filter: None,
                slots: Some(Arc::new(SlotSet::from_iter([chunk.record.slot.0]))),
                ..Selection::default()
            };
            let view = lexical.pin().await.unwrap();
            let text = &chunk.record.chunk.text;
            let found = view.search(text, &only, 1).await.unwrap();
            assert_eq!(found.candidates.len(), 1, "{text} is in the lexical index");
            let query = self
                .embedder
                .embed_query(&chunk.record.embedded_text())
                .await
                .unwrap();
            let near = vector
                .pin()
                .await
                .unwrap()
                .search(&query, &only, 1)
                .await
                .unwrap();
            assert!(near[0].score > 0.999, "{text} has its own vector");
        }
    }
}

impl Life {
    pub(crate) async fn ingest(&self, lines: &str) -> IngestOutcome {
        let request = IngestRequest {
            documents: documents(lines),
            job: None,
            guard: None,
        };
        self.indexer
            .ingest(&self.collection, request)
            .await
            .unwrap()
    }

    /// As [`Life::ingest`], as a job.
    pub(crate) async fn ingest_as(&self, job: JobId, lines: &str) -> IngestOutcome {
        let rejected = Vec::new();
        let request = IngestRequest {
            documents: documents(lines),
            job: Some(NewJob { id: job, rejected }),
            guard: None,
        };
        self.indexer
            .ingest(&self.collection, request)
            .await
            .unwrap()
    }

    /// Stages every dead letter again.
    pub(crate) async fn retry_failed(&self) -> IngestOutcome {
        let failed = self
            .world
            .ledger
            .failed_documents(self.collection.id, None, 100);
        let ids = failed.await.unwrap().items.into_iter().map(|it| it.id);
        let retried = self
            .indexer
            .retry(&self.collection, ids.collect(), None, None);
        retried.await.unwrap()
    }

    pub(crate) async fn delete(&self, ids: &[&str]) -> StageReceipt {
        let ids = ids.iter().map(|id| DocumentId::new(*id).unwrap()).collect();
        let staged = self.indexer.delete(&self.collection, ids, None, None).await;
        receipt(staged.unwrap())
    }

    pub(crate) async fn idle(&self) {
        self.indexer.wait_idle(self.collection.id).await.unwrap();
    }

    /// Everything that matters, as text.
    pub(crate) async fn snapshot(&self) -> String {
        let ledger = &self.world.ledger;
        let id = self.collection.id;
        let mut text = String::new();
        let page = ledger.documents(id, None, 100).await.unwrap();
        for document in page.items {
            text += &show_document(document);
        }
        let braid_core::operation::CollectionStats {
            documents,
            chunks,
            newest,
            published,
            failed,
            retired,
        } = ledger.stats(id).await.unwrap();
        let counts = format!("{chunks} chunks live, {failed} failed, {retired} retired");
        writeln!(text, "{documents} documents, {counts}").unwrap();
        writeln!(text, "published {published} of {newest}").unwrap();
        let (lexical, vector) = self.world.served().await;
        let live = ledger.live_slots(id).await.unwrap();
        writeln!(text, "live    {}", show(&live)).unwrap();
        let slots = show(&lexical.slots().await.unwrap());
        writeln!(
            text,
            "lexical {slots} at {}",
            lexical.watermark().await.unwrap()
        )
        .unwrap();
        let slots = show(&vector.slots().await.unwrap());
        writeln!(
            text,
            "vector  {slots} at {}",
            vector.watermark().await.unwrap()
        )
        .unwrap();
        text
    }
}

fn show_document(document: braid_core::DocumentSummary) -> String {
    let braid_core::DocumentSummary {
        id,
        title: _,
        uri: _,
        format: _,
        metadata: _,
        origin: _,
        content_hash: _,
        chunks,
        sequence,
        status,
        updated_at_ms: _,
        duplicate: _,
        language: _,
    } = document;
    format!("{id}: {status:?} at {sequence}, {chunks} chunks\n")
}

fn show(slots: &SlotSet) -> String {
    format!("{:?}", slots.iter().collect::<Vec<_>>())
}

pub(crate) fn name() -> CollectionName {
    CollectionName::new("main").unwrap()
}

/// Documents out of lines `id: text`.
pub(crate) fn documents(lines: &str) -> Vec<NewDocument> {
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (id, text) = line.split_once(':').expect("a line is `id: text`");
            document(id, text.trim())
        })
        .collect()
}

pub(crate) fn document(id: &str, text: &str) -> NewDocument {
    NewDocument {
        id: DocumentId::new(id).unwrap(),
        text: text.to_owned(),
        title: None,
        uri: None,
        format: Format::Text,
        metadata: Metadata::default(),
        origin: None,
    }
}

pub(crate) fn receipt(staged: Recorded<StageReceipt>) -> StageReceipt {
    match staged {
        Recorded::Done(receipt) => receipt,
        Recorded::Replayed(_) => panic!("staged without an idempotency key"),
    }
}

/// The expected form of [`World::live`].
pub(crate) fn texts(lines: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    lines
        .iter()
        .map(|(id, chunks)| ((*id).to_owned(), owned(chunks)))
        .collect()
}
