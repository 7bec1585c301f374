//! Trying again what failed, and taking back what is pending.

use std::sync::Arc;

use braid_core::operation::ChangeOutcome;
use braid_core::ports::{JobItemStatus, Recorded};
use braid_core::{DocumentId, DocumentStatus, Embedder, ErrorCode, JobId, Ledger};
use braid_testkit::HashEmbedder;
use uuid::Uuid;

use crate::world::{DIMENSION, Life, PoisonedEmbedder, World, receipt, texts};

const JOB: JobId = JobId(Uuid::from_u128(1));

fn poisoned() -> World {
    World::with_embedder(Arc::new(PoisonedEmbedder {
        inner: HashEmbedder::new(DIMENSION),
        code: ErrorCode::Internal,
    }))
}

/// The same stores in a process whose model takes every text.
async fn healed(life: Life) -> Life {
    life.shutdown.finish().await;
    let embedder: Arc<dyn Embedder> = Arc::new(HashEmbedder::new(DIMENSION));
    let world = World {
        embedder,
        ..life.world
    };
    world.open().await
}

async fn dead_letters(life: &Life) -> Vec<String> {
    let failed = life
        .world
        .ledger
        .failed_documents(life.collection.id, None, 10);
    let failed = failed.await.unwrap().items.into_iter();
    failed.map(|failed| failed.id.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_tried_again_as_it_was_handed_in() {
    let life = poisoned().open().await;
    life.ingest("a: fine\nb: poison\nc: poison too").await;
    life.idle().await;
    assert_eq!(dead_letters(&life).await, ["b", "c"]);
    life.retry_failed().await;
    life.idle().await;
    assert_eq!(dead_letters(&life).await, ["b", "c"], "the model is as bad");

    let life = healed(life).await;
    let outcome = life.retry_failed().await;
    assert_eq!(outcome.accepted.len(), 2);
    life.idle().await;
    assert_eq!(dead_letters(&life).await, [""; 0]);
    let expected = texts(&[("a", &["fine"]), ("b", &["poison"]), ("c", &["poison too"])]);
    assert_eq!(life.world.live().await, expected);
    let again = life.ingest("b: poison").await;
    let outcome = receipt(again.staged).outcomes.remove(0);
    assert!(
        matches!(outcome, ChangeOutcome::Unchanged { .. }),
        "{outcome:?}"
    );
    life.world.assert_sound().await;
}

#[tokio::test(start_paused = true)]
async fn what_has_not_failed_is_not_tried_again() {
    let life = poisoned().open().await;
    life.ingest("fine: text\nbad: poison\nmended: poison").await;
    life.idle().await;
    life.ingest("mended: antidote").await;
    let id = |id: &str| DocumentId::new(id).unwrap();
    let ids = ["fine", "bad", "mended", "absent", "bad"].map(id).to_vec();
    let outcome = life.indexer.retry(&life.collection, ids, None, None).await;
    let outcome = outcome.unwrap();
    assert_eq!(outcome.accepted, [id("bad")]);
    let rejected: Vec<_> = outcome.rejected.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(rejected, ["fine", "mended", "absent"]);
    life.idle().await;
    assert_eq!(life.world.live().await["mended"], ["antidote"]);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_job_is_not_embedded() {
    let life = poisoned().open().await;
    life.ingest("old: first").await;
    life.idle().await;
    life.indexer.pause(life.collection.id).unwrap();
    life.ingest_as(JOB, "old: second\nnew: text").await;
    let cancelled = life.indexer.cancel_job(&life.collection, JOB, None).await;
    let Recorded::Done(cancelled) = cancelled.unwrap() else {
        panic!("cancelled without an idempotency key");
    };
    assert_eq!(cancelled.cancelled, 2);
    let before = life.indexer.progress(life.collection.id).borrow().clone();
    life.indexer.resume(life.collection.id).unwrap();
    life.idle().await;
    let after = life.indexer.progress(life.collection.id).borrow().clone();
    assert_eq!(after.chunks_embedded, before.chunks_embedded);
    assert_eq!(life.world.live().await, texts(&[("old", &["first"])]));
    let job = life.world.ledger.job(JOB).await.unwrap().unwrap();
    let cancelled = |item: &braid_core::ports::JobItem| item.status == JobItemStatus::Cancelled;
    assert!(job.items.iter().all(cancelled));
    let old = DocumentId::new("old").unwrap();
    let document = life.world.ledger.document(life.collection.id, &old).await;
    let status = document.unwrap().unwrap().summary.status;
    assert_eq!(status, DocumentStatus::Published);
    life.world.assert_sound().await;
}
