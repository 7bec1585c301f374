//! Workers over a queue in memory, whose clock only the tests move.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use braid_core::ports::WorkDepth;
use braid_core::{
    DocumentId, Embedder, Embedding, Error, ErrorCode, Fingerprint, Ledger, Result, WorkQueue,
};
use braid_indexing::{Until, Worker, WorkerOptions, WorkerParts, WorkerProgress};
use braid_runtime::Shutdown;
use braid_testkit::ledger_suite::{Scene, hash, new_collection};
use braid_testkit::{Call, Fault, Faulty, Gate, HashEmbedder, RamLedger};

use crate::outages::Rough;
use crate::world::PoisonedEmbedder;

pub(crate) const DIMENSION: usize = 64;

/// Documents that wait.
pub(crate) struct Waiting {
    pub(crate) ledger: RamLedger,
    pub(crate) scene: Scene,
}

impl Waiting {
    pub(crate) async fn new(documents: &[(&str, &[&str])]) -> Self {
        let ledger = RamLedger::new();
        let mut new = new_collection("scene");
        new.dimension = DIMENSION;
        new.fingerprint.embedder = HashEmbedder::new(DIMENSION).fingerprint().clone();
        let scene = Scene::made(Arc::new(ledger.clone()), new).await;
        for (id, chunks) in documents {
            scene.put(id, chunks).await;
        }
        Self { ledger, scene }
    }

    fn worker(&self, embedder: Arc<dyn Embedder>) -> (Worker, Shutdown) {
        self.worker_over(Arc::new(self.ledger.clone()), embedder, options())
    }

    pub(crate) fn worker_over(
        &self,
        queue: Arc<dyn WorkQueue>,
        embedder: Arc<dyn Embedder>,
        options: WorkerOptions,
    ) -> (Worker, Shutdown) {
        let shutdown = Shutdown::new();
        let worker = Worker::new(WorkerParts {
            queue,
            ledger: Arc::new(self.ledger.clone()),
            embedder,
            shutdown: shutdown.clone(),
            options,
        });
        (worker, shutdown)
    }

    /// Works until nothing waits.
    pub(crate) async fn drain(&self, embedder: Arc<dyn Embedder>) -> WorkerProgress {
        let (worker, _) = self.worker(embedder);
        worker.run(Until::Idle).await.unwrap()
    }

    pub(crate) async fn depth(&self) -> WorkDepth {
        self.ledger.depth().await.unwrap()
    }

    pub(crate) async fn visible(&self) -> Vec<String> {
        self.scene.visible().await
    }
}

pub(crate) fn options() -> WorkerOptions {
    WorkerOptions {
        concurrency: 1,
        ..WorkerOptions::default()
    }
}

pub(crate) fn embedder() -> Arc<HashEmbedder> {
    Arc::new(HashEmbedder::new(DIMENSION))
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_indexed_and_nothing_is_embedded_twice() {
    let documents: [(&str, &[&str]); 3] = [
        ("a", &["one", "two"]),
        ("b", &["two", "three"]),
        ("empty", &[]),
    ];
    let waiting = Waiting::new(&documents).await;
    let embedder = embedder();
    let progress = waiting.drain(embedder.clone()).await;
    assert_eq!(waiting.visible().await, ["a: one | two", "b: two | three"]);
    assert_eq!((progress.claimed, progress.published), (3, 3));
    assert_eq!(
        embedder.passages_embedded(),
        3,
        "a text that comes twice, once"
    );
    assert_eq!(progress.chunks_embedded, 3);
    assert_eq!(progress.depth, WorkDepth::default());
    waiting.scene.put("renamed", &["one", "two"]).await;
    let progress = waiting.drain(embedder.clone()).await;
    assert_eq!(
        embedder.passages_embedded(),
        3,
        "stored embeddings are reused"
    );
    assert_eq!((progress.chunks_embedded, progress.chunks_reused), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn workers_share_what_waits() {
    let names: Vec<String> = (0..40).map(|number| format!("d{number}")).collect();
    let waiting = Waiting::new(&[]).await;
    for name in &names {
        waiting.scene.put(name, &[&format!("text of {name}")]).await;
    }
    let embedder = embedder();
    let options = WorkerOptions {
        documents: 3,
        concurrency: 3,
        ..options()
    };
    let queue = || Arc::new(waiting.ledger.clone());
    let (one, _) = waiting.worker_over(queue(), embedder.clone(), options.clone());
    let (two, _) = waiting.worker_over(queue(), embedder.clone(), options);
    let (one, two) = tokio::join!(one.run(Until::Idle), two.run(Until::Idle));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.published + two.published, 40);
    assert_eq!(embedder.passages_embedded(), 40);
    assert_eq!(waiting.visible().await.len(), 40);
}

#[tokio::test(start_paused = true)]
async fn a_document_that_cannot_be_embedded_is_a_dead_letter_and_the_others_are_not() {
    let documents: [(&str, &[&str]); 4] = [
        ("a", &["one"]),
        ("b", &["poison"]),
        ("c", &["two"]),
        ("d", &["three", "more poison"]),
    ];
    let waiting = Waiting::new(&documents).await;
    let embedder = PoisonedEmbedder {
        inner: HashEmbedder::new(DIMENSION),
        code: ErrorCode::Internal,
    };
    let progress = waiting.drain(Arc::new(embedder)).await;
    assert_eq!((progress.published, progress.failed), (2, 2));
    assert_eq!(waiting.visible().await, ["a: one", "c: two"]);
    let letters = waiting
        .ledger
        .failed_documents(waiting.scene.collection.id, None, 10);
    let letters = letters.await.unwrap().items;
    assert_eq!(letters.len(), 2);
    assert!(letters[0].reason.contains("not finite"), "{letters:?}");
    assert_eq!(waiting.depth().await.failed, 2);
}

/// Fails every call while it is away.
#[derive(Debug)]
struct Away {
    inner: HashEmbedder,
    away: AtomicBool,
}

#[async_trait]
impl Embedder for Away {
    fn fingerprint(&self) -> &Fingerprint {
        self.inner.fingerprint()
    }

    fn dimension(&self) -> usize {
        DIMENSION
    }

    fn token_counter(&self) -> Arc<dyn braid_core::TokenCounter> {
        self.inner.token_counter()
    }

    fn reads(&self, script: braid_core::Script) -> bool {
        self.inner.reads(script)
    }

    async fn embed_passages(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        if self.away.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorCode::ModelUnavailable, "away"));
        }
        self.inner.embed_passages(texts).await
    }

    async fn embed_verbatim(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        self.embed_passages(texts).await
    }

    async fn embed_query(&self, text: &str) -> Result<Embedding> {
        self.inner.embed_query(text).await
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_model_costs_no_document() {
    let waiting = Waiting::new(&[("a", &["one"]), ("b", &["two"])]).await;
    let embedder = Arc::new(Away {
        inner: HashEmbedder::new(DIMENSION),
        away: AtomicBool::new(true),
    });
    let (worker, _) = waiting.worker(embedder.clone());
    let mut progress = worker.progress();
    let mended = async {
        progress.wait_for(|it| it.given_back == 2).await.unwrap();
        // It goes on failing for long: nothing is claimed meanwhile.
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(progress.borrow().claimed, 2);
        embedder.away.store(false, Ordering::SeqCst);
        waiting.ledger.advance_ms(60_000);
    };
    let (done, ()) = tokio::join!(worker.run(Until::Idle), mended);
    let done = done.unwrap();
    assert_eq!((done.claimed, done.published, done.failed), (4, 2, 0));
    assert_eq!(waiting.visible().await, ["a: one", "b: two"]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_dies_loses_nothing() {
    let waiting = Waiting::new(&[("a", &["one"]), ("b", &["two"])]).await;
    let gate = Gate::new();
    let held = Faulty::new(HashEmbedder::new(DIMENSION));
    let held = held.on(Call::EmbedPassages, 1, Fault::HoldBefore(gate.clone()));
    let (dying, _) = waiting.worker(Arc::new(held));
    tokio::select! {
        biased;
        _ = dying.run(Until::Stopped) => panic!("it waits at the gate"),
        () = gate.arrived() => {}
    }
    drop(dying);
    assert_eq!(waiting.depth().await.claimed, 2);
    waiting.ledger.advance_ms(121_000);
    let progress = waiting.drain(embedder()).await;
    assert_eq!(progress.published, 2);
    assert_eq!(waiting.visible().await, ["a: one", "b: two"]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_told_to_stop_gives_its_claims_back() {
    let waiting = Waiting::new(&[("a", &["one"]), ("b", &["two"])]).await;
    let gate = Gate::new();
    let held = Faulty::new(HashEmbedder::new(DIMENSION));
    let held = held.on(Call::EmbedPassages, 1, Fault::HoldBefore(gate.clone()));
    let options = WorkerOptions {
        embed_batch_chunks: 1,
        ..options()
    };
    let queue = Arc::new(waiting.ledger.clone());
    let (worker, shutdown) = waiting.worker_over(queue, Arc::new(held), options);
    let stopping = async {
        gate.arrived().await;
        shutdown.request();
        gate.open();
    };
    let (done, ()) = tokio::join!(worker.run(Until::Stopped), stopping);
    let done = done.unwrap();
    assert_eq!((done.given_back, done.published), (2, 0));
    assert_eq!(
        waiting.depth().await,
        WorkDepth {
            waiting: 2,
            claimed: 0,
            failed: 0
        }
    );
    assert_eq!(waiting.drain(embedder()).await.published, 2, "at once");
}

#[tokio::test(start_paused = true)]
async fn leases_are_renewed_while_the_model_works() {
    let waiting = Waiting::new(&[("a", &["one"])]).await;
    let gate = Gate::new();
    let held = Faulty::new(HashEmbedder::new(DIMENSION));
    let held = held.on(Call::EmbedPassages, 1, Fault::HoldBefore(gate.clone()));
    let (worker, _) = waiting.worker(Arc::new(held));
    let lease = options().lease;
    let others = async {
        gate.arrived().await;
        for _ in 0..5 {
            waiting
                .ledger
                .advance_ms(i64::try_from(lease.as_millis()).unwrap() / 2);
            tokio::time::sleep(lease / 2).await;
            let fingerprint = HashEmbedder::new(DIMENSION).fingerprint().clone();
            let claimed = waiting.ledger.claim(&fingerprint, 1, lease).await;
            assert!(claimed.unwrap().is_empty());
        }
        gate.open();
    };
    let (done, ()) = tokio::join!(worker.run(Until::Idle), others);
    assert_eq!(done.unwrap().published, 1);
}

#[tokio::test(start_paused = true)]
async fn what_ends_its_workers_again_and_again_is_a_dead_letter() {
    let waiting = Waiting::new(&[("a", &["one"])]).await;
    let fingerprint = HashEmbedder::new(DIMENSION).fingerprint().clone();
    for _ in 0..options().attempts {
        let claimed = waiting
            .ledger
            .claim(&fingerprint, 1, Duration::from_secs(1));
        assert_eq!(claimed.await.unwrap().len(), 1);
        waiting.ledger.advance_ms(1_001);
    }
    let embedder = embedder();
    let progress = waiting.drain(embedder.clone()).await;
    assert_eq!((progress.published, progress.failed), (0, 1));
    assert_eq!(embedder.calls(), 0);
    let letters = waiting
        .ledger
        .failed_documents(waiting.scene.collection.id, None, 10);
    let reason = letters.await.unwrap().items.remove(0).reason;
    assert!(reason.contains("tried 10 times"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn what_the_store_refuses_is_found_and_its_outages_are_waited_out() {
    let waiting = Waiting::new(&[("a", &["one"]), ("bad", &["two"]), ("c", &["three"])]).await;
    let mut was_away = false;
    let queue = Rough::new(&waiting.ledger, move |names| {
        if !std::mem::replace(&mut was_away, true) {
            return Some(ErrorCode::Unavailable);
        }
        names.contains(&"bad").then_some(ErrorCode::TooLarge)
    });
    let (worker, _) = waiting.worker_over(queue, embedder(), options());
    let progress = worker.run(Until::Idle).await.unwrap();
    assert_eq!((progress.published, progress.failed), (2, 1));
    assert_eq!(waiting.visible().await, ["a: one", "c: three"]);
}

#[tokio::test(start_paused = true)]
async fn documents_of_another_embedder_are_said_instead_of_waited_for() {
    let waiting = Waiting::new(&[("a", &["one"])]).await;
    let other = HashEmbedder::named("another", DIMENSION);
    let (worker, _) = waiting.worker(Arc::new(other));
    let error = worker.run(Until::Idle).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::FingerprintMismatch);
    assert!(error.to_string().contains("1 documents wait"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn replaced_versions_are_removed_after_the_grace() {
    let waiting = Waiting::new(&[("a", &["old"])]).await;
    waiting.drain(embedder()).await;
    waiting.scene.put("a", &["new"]).await;
    waiting.drain(embedder()).await;
    let is_stored = async || {
        let id = braid_testkit::ledger_suite::staged_chunks("a", &["old"])[0].id;
        let found = waiting
            .ledger
            .find_chunk(waiting.scene.collection.id, id)
            .await;
        !found.unwrap().is_empty()
    };
    assert!(is_stored().await);
    waiting.ledger.advance_ms(301_000);
    let (worker, shutdown) = waiting.worker(embedder());
    let mut progress = worker.progress();
    let swept = async {
        progress.wait_for(|it| it.swept > 0).await.unwrap();
        shutdown.request();
    };
    let (done, ()) = tokio::join!(worker.run(Until::Stopped), swept);
    assert_eq!(done.unwrap().swept, 1);
    assert!(!is_stored().await);
    let id = DocumentId::new("a").unwrap();
    let hashes = waiting
        .ledger
        .content_hashes(waiting.scene.collection.id, &[id])
        .await;
    assert_eq!(hashes.unwrap(), [Some(hash("new"))]);
}
