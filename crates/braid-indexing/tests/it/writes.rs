//! Writes of several processes to one ledger, between a look-up and what is decided by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use braid_core::operation::{Change, ChangeOutcome, StagedDocument};
use braid_core::ports::{Recorded, StageRequest};
use braid_core::{
    CollectionId, Condition, DocumentId, Embedder, ErrorCode, Filter, Ledger, Metadata,
    MetadataValue, Predicate,
};
use braid_indexing::{Breakpoint, Breakpoints, IngestRequest};
use braid_testkit::ledger_suite::{hash, staged};
use braid_testkit::{HashEmbedder, RamLedger};
use futures::FutureExt;

use crate::world::{DIMENSION, Life, PoisonedEmbedder, World, document, receipt};

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
