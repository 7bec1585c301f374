//! Writes at the same time: of several processes to one ledger, between a look-up and what is decided by
//! it, and of one process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use braid_core::operation::{Change, ChangeOutcome, StagedDocument};
use braid_core::ports::{Recorded, StageRequest};
use braid_core::{
    Collection, CollectionId, Condition, DocumentId, Embedder, ErrorCode, ExtractedText, Filter,
    Format, Ledger, Metadata, MetadataValue, Predicate, Reader, Result, Sequence,
};
use braid_indexing::{
    Breakpoint, Breakpoints, Indexer, IndexerParts, IndexingOptions, IngestOutcome, IngestRequest,
};
use braid_runtime::Shutdown;
use braid_testkit::ledger_suite::{hash, staged};
use braid_testkit::{HashEmbedder, RamLedger};
use futures::FutureExt;
use tokio::sync::mpsc;

use crate::world::{
    DIMENSION, Life, PlainReader, PoisonedEmbedder, World, document, documents, options, receipt,
    settings,
};

/// Another process stages this once, when this one is about to stage something.
fn meanwhile(
    ledger: &RamLedger,
    collection: CollectionId,
    document: StagedDocument,
) -> Breakpoints {
    let ledger = ledger.clone();
    let done = AtomicBool::new(false);
    Breakpoints::new(move |point| {
        if point != Breakpoint::BeforeStage || done.swap(true, Ordering::Relaxed) {
            return;
        }
        let request = StageRequest {
            changes: vec![Change::Put(Box::new(document.clone()))],
            job: None,
            guard: None,
        };
        let staged = ledger.stage(collection, request).now_or_never();
        let staged = receipt(staged.expect("memory answers at once").unwrap());
        assert!(matches!(staged.outcomes[0], ChangeOutcome::Staged { .. }));
    })
}

/// The same stores in a process that is interrupted by another one's write.
async fn interrupted(life: Life, document: StagedDocument) -> Life {
    life.shutdown.finish().await;
    let mut world = life.world;
    world.embedder = Arc::new(HashEmbedder::new(DIMENSION)) as Arc<dyn Embedder>;
    world.options.shared = true;
    world.options.breakpoints = meanwhile(&world.ledger, life.collection.id, document);
    world.open().await
}

async fn text_of(life: &Life, id: &str) -> Option<String> {
    let id = DocumentId::new(id).unwrap();
    let found = life.world.ledger.document(life.collection.id, &id).await;
    found.unwrap().map(|document| document.text)
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_not_put_over_a_newer_version() {
    let world = World::with_embedder(Arc::new(PoisonedEmbedder {
        inner: HashEmbedder::new(DIMENSION),
        code: ErrorCode::Internal,
    }));
    let life = world.open().await;
    life.ingest("d: poison").await;
    life.idle().await;
    let life = interrupted(life, staged("d", &["cure"])).await;
    let outcome = life.retry_failed().await;
    assert_eq!(receipt(outcome.staged).outcomes, [ChangeOutcome::Unmet]);
    assert_eq!(text_of(&life, "d").await.as_deref(), Some("cure"));
}

fn draft(is_draft: bool) -> Metadata {
    let value = MetadataValue::Bool(is_draft);
    Metadata::new([("draft".to_owned(), value)].into()).unwrap()
}

fn drafts() -> Filter {
    let predicate = Predicate::Match(MetadataValue::Bool(true));
    let key = "draft".to_owned();
    Filter {
        must: vec![Condition { key, predicate }],
        ..Filter::default()
    }
}

/// Two drafts, of which another process writes the first again while drafts are deleted.
async fn deleted_while(is_draft: bool) -> (Life, Vec<ChangeOutcome>) {
    let life = World::new().open().await;
    let with_draft = |id: &str| {
        let mut document = document(id, "old");
        document.metadata = draft(true);
        document
    };
    let request = IngestRequest {
        documents: vec![with_draft("a"), with_draft("b")],
        ..IngestRequest::default()
    };
    let ingested = life.indexer.ingest(&life.collection, request).await;
    assert_eq!(ingested.unwrap().accepted.len(), 2);
    let mut newer = staged("a", &["new"]);
    newer.content_hash = hash("new, other metadata");
    newer.document.metadata = draft(is_draft);
    let life = interrupted(life, newer).await;
    let deleted = life
        .indexer
        .delete_matching(&life.collection, drafts(), None, None);
    let Recorded::Done(receipt) = deleted.await.unwrap() else {
        panic!("deleted without an idempotency key");
    };
    (life, receipt.outcomes)
}

#[tokio::test(start_paused = true)]
async fn what_passes_no_more_outlives_a_delete_by_filter() {
    let (life, outcomes) = deleted_while(false).await;
    assert_eq!(outcomes[0], ChangeOutcome::Unmet);
    assert!(matches!(outcomes[1], ChangeOutcome::Deleted { .. }));
    assert_eq!(text_of(&life, "a").await.as_deref(), Some("new"));
    assert_eq!(text_of(&life, "b").await, None);
}

#[tokio::test(start_paused = true)]
async fn what_still_passes_is_deleted_whoever_wrote_it() {
    let (life, outcomes) = deleted_while(true).await;
    let is_deleted = |it: &ChangeOutcome| matches!(it, ChangeOutcome::Deleted { .. });
    assert!(outcomes.iter().all(is_deleted), "{outcomes:?}");
    assert_eq!(text_of(&life, "a").await, None);
    assert_eq!(text_of(&life, "b").await, None);
}

/// Lets the first document that is read wait until it is told to go on.
#[derive(Debug)]
struct HeldReader {
    came: mpsc::UnboundedSender<()>,
    go_on: parking_lot::Mutex<Option<std::sync::mpsc::Receiver<()>>>,
}

impl Reader for HeldReader {
    fn version(&self) -> u32 {
        PlainReader.version()
    }

    fn extract(&self, format: Format, raw: &str) -> Result<ExtractedText> {
        let held = self.go_on.lock().take();
        if let Some(go_on) = held {
            self.came.send(()).unwrap();
            go_on.recv().unwrap();
        }
        PlainReader.extract(format, raw)
    }
}

async fn ingest(indexer: &Indexer, collection: &Collection, lines: &str) -> IngestOutcome {
    let request = IngestRequest {
        documents: documents(lines),
        ..IngestRequest::default()
    };
    indexer.ingest(collection, request).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn writes_that_are_given_up_keep_their_place() {
    let world = World::new();
    let (came, mut arrivals) = mpsc::unbounded_channel();
    let (release, go_on) = std::sync::mpsc::channel();
    let indexer = Indexer::new(IndexerParts {
        ledger: Arc::new(world.ledger.clone()),
        indexes: Arc::clone(&world.provider),
        embedder: Arc::clone(&world.embedder),
        reader: Arc::new(HeldReader {
            came,
            go_on: parking_lot::Mutex::new(Some(go_on)),
        }),
        pool: Arc::clone(&world.pool),
        shutdown: Shutdown::new(),
        options: IndexingOptions {
            most_writes: 1,
            ..options()
        },
    });
    let collection = world.create(&indexer, settings(4)).await;
    indexer.start(&collection).await.unwrap();
    let first = {
        let (indexer, collection) = (indexer.clone(), collection.clone());
        tokio::spawn(async move { ingest(&indexer, &collection, "first: text").await })
    };
    arrivals.recv().await.unwrap();
    first.abort();
    let second = ingest(&indexer, &collection, "second: text");
    assert!(second.now_or_never().is_none(), "there is no room for it");
    release.send(()).unwrap();
    ingest(&indexer, &collection, "third: text").await;
    // It returns when every write has ended.
    indexer.stop(collection.id).await;
    let stored = world.ledger.documents(collection.id, None, 10).await;
    let stored: Vec<String> = stored
        .unwrap()
        .items
        .iter()
        .map(|it| it.id.to_string())
        .collect();
    assert_eq!(
        stored,
        ["first", "third"],
        "who gave up while waiting is gone"
    );
}

/// Runs another write of the same process while one is about to be staged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_to_a_shared_ledger_do_not_wait_for_each_other() {
    let mut world = World::new();
    world.options.shared = true;
    world.options.background = false;
    let (came, mut arrivals) = mpsc::unbounded_channel();
    let (release, go_on) = std::sync::mpsc::channel();
    let go_on = parking_lot::Mutex::new(Some(go_on));
    world.options.breakpoints = Breakpoints::new(move |point| {
        if point != Breakpoint::BeforeStage {
            return;
        }
        let held = go_on.lock().take();
        if let Some(go_on) = held {
            came.send(()).unwrap();
            tokio::task::block_in_place(|| go_on.recv()).unwrap();
        }
    });
    let life = world.open().await;
    let first = {
        let life = life.clone();
        tokio::spawn(async move { life.ingest("first: text").await })
    };
    arrivals.recv().await.unwrap();
    let second = tokio::time::timeout(Duration::from_secs(60), life.ingest("second: text"));
    let second = second.await.expect("it waits for nobody");
    release.send(()).unwrap();
    assert_eq!(receipt(second.staged).newest, Sequence(1));
    let first = first.await.unwrap();
    assert_eq!(receipt(first.staged).newest, Sequence(2));
}
