//! Trying again what failed, and taking back what is pending.

use std::sync::Arc;

use async_trait::async_trait;
use braid_core::operation::ChangeOutcome;
use braid_core::ports::{JobItemStatus, Recorded};
use braid_core::{
    DocumentId, DocumentStatus, Embedder, Embedding, ErrorCode, Fingerprint, JobId, Ledger, Result,
    TokenCounter,
};
use braid_testkit::{Call, Fault, Faulty, Gate, HashEmbedder, RamVectorStore};
use uuid::Uuid;

use crate::world::{DIMENSION, Life, PoisonedEmbedder, World, receipt, settings, texts};

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

/// Lets the other tasks run before every answer, as a model that takes its time does.
#[derive(Debug)]
struct Unhurried(HashEmbedder);

#[async_trait]
impl Embedder for Unhurried {
    fn fingerprint(&self) -> &Fingerprint {
        self.0.fingerprint()
    }

    fn dimension(&self) -> usize {
        self.0.dimension()
    }

    fn reads(&self, script: braid_core::Script) -> bool {
        self.0.reads(script)
    }

    fn token_counter(&self) -> Arc<dyn TokenCounter> {
        self.0.token_counter()
    }

    async fn embed_passages(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        for _ in 0..32 {
            tokio::task::yield_now().await;
        }
        self.0.embed_passages(texts).await
    }

    async fn embed_verbatim(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        self.0.embed_verbatim(texts).await
    }

    async fn embed_query(&self, text: &str) -> Result<Embedding> {
        self.0.embed_query(text).await
    }
}

/// What was embedded and then cancelled waits for nothing: later loads are batched as ever.
#[tokio::test(start_paused = true)]
async fn a_load_after_a_cancelled_one_is_applied_in_large_batches() {
    let embedder = Unhurried(HashEmbedder::new(DIMENSION));
    let mut world = World::with_embedder(Arc::new(embedder));
    world.options.embed_batch_chunks = 16;
    world.options.apply_batch_chunks = 200;
    let (indexer, _) = world.indexer();
    let collection = world.create(&indexer, settings(4)).await;
    let gate = Gate::new();
    let vector = Faulty::new(RamVectorStore::new(DIMENSION));
    let vector = Arc::new(vector.on(Call::Apply, 1, Fault::HoldBefore(gate.clone())));
    let key = collection.index_key();
    world.indexes.put_vector(key, Arc::clone(&vector) as _);
    let life = world.open().await;
    life.ingest("first: text").await;
    gate.arrived().await;
    let lines = |name: &str, count: usize| {
        let lines = (0..count).map(|n| format!("{name}{n}: {name} word{n}"));
        lines.collect::<Vec<_>>().join("\n")
    };
    life.ingest_as(JOB, &lines("cancelled", 200)).await;
    let mut progress = life.indexer.progress(collection.id);
    let embedded = |now: &braid_indexing::Progress| now.chunks_embedded == 201;
    progress.wait_for(embedded).await.unwrap();
    let cancelled = life.indexer.cancel_job(&collection, JOB, None).await;
    cancelled.unwrap();
    gate.open();
    life.idle().await;
    let before = vector.count(Call::Apply);
    life.indexer.pause(collection.id).unwrap();
    life.ingest(&lines("d", 400)).await;
    life.indexer.resume(collection.id).unwrap();
    life.idle().await;
    let applies = vector.count(Call::Apply) - before;
    assert!(applies <= 4, "{applies} applies of 400 documents");
    assert_eq!(life.world.live().await.len(), 401);
    life.world.assert_sound().await;
}
