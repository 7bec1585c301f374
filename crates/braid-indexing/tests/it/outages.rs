//! What is in the way of documents is not held against them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use braid_core::ports::{Asked, Claim, GiveBack, Settled, WorkDepth, WorkFailure, WorkItem};
use braid_core::{
    CollectionId, DocumentId, Embedder, Embedding, Error, ErrorCode, Fingerprint, Result, WorkQueue,
};
use braid_indexing::{Until, WorkerOptions};
use braid_testkit::{Call, Fault, Faulty, Gate, HashEmbedder, RamLedger};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::worker::{DIMENSION, Waiting, embedder, options};

type Refuse = Box<dyn FnMut(&[&str]) -> Option<ErrorCode> + Send>;

/// A queue whose store may refuse to publish documents, or take for ever to be tended.
pub(crate) struct Rough {
    inner: RamLedger,
    refuse: Mutex<Refuse>,
    /// How often it was begun to be tended, where that never ends.
    tended: Option<watch::Sender<usize>>,
}

impl Rough {
    pub(crate) fn new(
        inner: &RamLedger,
        refuse: impl FnMut(&[&str]) -> Option<ErrorCode> + Send + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            inner: inner.clone(),
            refuse: Mutex::new(Box::new(refuse)),
            tended: None,
        })
    }

    fn tended_for_ever(inner: &RamLedger, tended: watch::Sender<usize>) -> Arc<Self> {
        Arc::new(Self {
            inner: inner.clone(),
            refuse: Mutex::new(Box::new(|_| None)),
            tended: Some(tended),
        })
    }
}

impl std::fmt::Debug for Rough {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rough").finish_non_exhaustive()
    }
}

#[async_trait]
impl WorkQueue for Rough {
    async fn claim(
        &self,
        embedder: &Fingerprint,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<WorkItem>> {
        self.inner.claim(embedder, limit, lease).await
    }

    async fn claim_documents(
        &self,
        collection: CollectionId,
        documents: &[DocumentId],
        lease: Duration,
    ) -> Result<Vec<Asked>> {
        self.inner
            .claim_documents(collection, documents, lease)
            .await
    }

    async fn renew(&self, claims: &[Claim], lease: Duration) -> Result<Vec<bool>> {
        self.inner.renew(claims, lease).await
    }

    async fn publish(&self, work: Vec<(WorkItem, Vec<Embedding>)>) -> Result<Vec<Settled>> {
        let names: Vec<&str> = work
            .iter()
            .map(|(item, _)| item.claim.document.as_str())
            .collect();
        if let Some(code) = (self.refuse.lock())(&names) {
            return Err(Error::new(code, "refused"));
        }
        WorkQueue::publish(&self.inner, work).await
    }

    async fn give_back(&self, claims: &[Claim], why: GiveBack) -> Result<Vec<Settled>> {
        self.inner.give_back(claims, why).await
    }

    async fn fail(&self, claim: &Claim, failure: WorkFailure) -> Result<Settled> {
        self.inner.fail(claim, failure).await
    }

    async fn sweep(&self, grace: Duration) -> Result<u64> {
        WorkQueue::sweep(&self.inner, grace).await
    }

    async fn tend(&self) -> Result<bool> {
        if let Some(tended) = &self.tended {
            tended.send_modify(|times| *times += 1);
            std::future::pending::<()>().await;
        }
        self.inner.tend().await
    }

    async fn waiting(&self, embedder: &Fingerprint) -> Result<u64> {
        self.inner.waiting(embedder).await
    }

    async fn depth(&self) -> Result<WorkDepth> {
        self.inner.depth().await
    }
}

/// Longer than anything waits that was given back.
const LATER_MS: i64 = 31_000;

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_store_makes_no_dead_letter_however_long() {
    let waiting = Waiting::new(&[("a", &["one"]), ("b", &["two"])]).await;
    let away = Arc::new(Mutex::new(true));
    let is_away = Arc::clone(&away);
    let refuse = move |_: &[&str]| is_away.lock().then_some(ErrorCode::Unavailable);
    let queue = Rough::new(&waiting.ledger, refuse);
    let (worker, _) = waiting.worker_over(queue, embedder(), options());
    let mut progress = worker.progress();
    let rounds = u64::from(3 * options().attempts);
    let outage = async {
        for round in 1..=rounds {
            let given_back = progress.wait_for(|it| it.given_back >= 2 * round);
            given_back.await.unwrap();
            waiting.ledger.advance_ms(LATER_MS);
        }
        *away.lock() = false;
    };
    let (done, ()) = tokio::join!(worker.run(Until::Idle), outage);
    let done = done.unwrap();
    assert_eq!((done.published, done.failed), (2, 0));
    assert_eq!(waiting.visible().await, ["a: one", "b: two"]);
}

#[tokio::test(start_paused = true)]
async fn waits_grow_with_each_time_a_document_is_given_back() {
    let waiting = Waiting::new(&[("a", &["one"])]).await;
    let embedder = embedder();
    let lease = Duration::from_secs(60);
    let claim = async || {
        let claimed = waiting.ledger.claim(embedder.fingerprint(), 1, lease).await;
        claimed.unwrap().pop().map(|item| item.claim)
    };
    for wait_ms in [200, 400, 800, 1600] {
        let queue = Rough::new(&waiting.ledger, |_| Some(ErrorCode::Timeout));
        let (worker, shutdown) = waiting.worker_over(queue, embedder.clone(), options());
        let mut progress = worker.progress();
        let stop = async {
            progress.wait_for(|it| it.given_back == 1).await.unwrap();
            shutdown.request();
        };
        let (done, ()) = tokio::join!(worker.run(Until::Stopped), stop);
        done.unwrap();
        waiting.ledger.advance_ms(wait_ms - 1);
        assert_eq!(claim().await, None, "before {wait_ms} ms");
        waiting.ledger.advance_ms(1);
        let claimed = [claim().await.unwrap()];
        let given_back = waiting.ledger.give_back(&claimed, GiveBack::Untouched);
        given_back.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn stopping_workers_in_order_is_not_counted() {
    let waiting = Waiting::new(&[("a", &["one", "two"])]).await;
    for _ in 0..2 * options().attempts {
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
        done.unwrap();
    }
    assert_eq!(waiting.drain(embedder()).await.failed, 0);
}

#[tokio::test(start_paused = true)]
async fn what_waits_its_time_is_not_taken_for_another_embedders() {
    let waiting = Waiting::new(&[("a", &["one"])]).await;
    let embedder = embedder();
    let lease = Duration::from_secs(60);
    let claimed = waiting.ledger.claim(embedder.fingerprint(), 1, lease).await;
    let claims: Vec<Claim> = claimed.unwrap().into_iter().map(|it| it.claim).collect();
    let why = GiveBack::Hindered {
        reason: "the model is away".to_owned(),
        wait: Duration::from_secs(600),
    };
    waiting.ledger.give_back(&claims, why).await.unwrap();
    let (worker, _) = waiting.worker_over(
        Arc::new(waiting.ledger.clone()),
        embedder.clone(),
        options(),
    );
    let later = async {
        tokio::time::sleep(Duration::from_secs(599)).await;
        waiting.ledger.advance_ms(600_000);
    };
    let (done, ()) = tokio::join!(worker.run(Until::Idle), later);
    assert_eq!(done.unwrap().published, 1);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_tends_at_its_end_can_be_told_to_stop() {
    let waiting = Waiting::new(&[("a", &["one"])]).await;
    let (tended, mut times) = watch::channel(0);
    let queue = Rough::tended_for_ever(&waiting.ledger, tended);
    let (worker, shutdown) = waiting.worker_over(queue, embedder(), options());
    let mut progress = worker.progress();
    let stop = async {
        // Nothing waits any more: what is tended last is all that it is at.
        let published = progress.wait_for(|it| it.published == 1);
        drop(published.await.unwrap());
        tokio::time::sleep(Duration::from_secs(1)).await;
        times.wait_for(|times| *times > 0).await.unwrap();
        shutdown.request();
    };
    let both = async { tokio::join!(worker.run(Until::Idle), stop).0 };
    let done = tokio::time::timeout(Duration::from_secs(60), both).await;
    assert_eq!(done.expect("it ends").unwrap().published, 1);
}
