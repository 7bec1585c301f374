//! Documents that end their workers, or that the store cannot take, and those beside them.

use std::sync::Arc;

use async_trait::async_trait;
use braid_core::{Embedder, Embedding, ErrorCode, Fingerprint, Result, Script, TokenCounter};
use braid_indexing::{Until, WorkerOptions, WorkerProgress};
use braid_testkit::HashEmbedder;
use tokio::sync::Notify;

use crate::outages::Rough;
use crate::worker::{DIMENSION, Waiting, embedder, options};

/// Ends its process, so to say, with a text that has `poison` in it.
#[derive(Debug)]
struct Deadly {
    inner: HashEmbedder,
    died: Arc<Notify>,
}

#[async_trait]
impl Embedder for Deadly {
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
            self.died.notify_one();
            return std::future::pending().await;
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

/// One worker after the other until nothing waits: the last one's progress, and how many died.
async fn work_and_die(waiting: &Waiting, options: &WorkerOptions) -> (WorkerProgress, u32) {
    let mut deaths = 0;
    loop {
        let died = Arc::new(Notify::new());
        let embedder = Deadly {
            inner: HashEmbedder::new(DIMENSION),
            died: died.clone(),
        };
        let queue = Arc::new(waiting.ledger.clone());
        let (worker, _) = waiting.worker_over(queue, Arc::new(embedder), options.clone());
        tokio::select! {
            biased;
            () = died.notified() => deaths += 1,
            done = worker.run(Until::Idle) => return (done.unwrap(), deaths),
        }
        assert!(deaths < 100, "it goes on for ever");
        waiting.ledger.advance_ms(121_000);
    }
}

async fn dead_letters(waiting: &Waiting) -> Vec<String> {
    let id = waiting.scene.collection.id;
    let letters = braid_core::Ledger::failed_documents(&waiting.ledger, id, None, 99);
    let letters = letters.await.unwrap().items;
    letters.into_iter().map(|it| it.id.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_ends_workers_takes_no_other_document_along() {
    let waiting = Waiting::new(&[("first-poison", &["poison"])]).await;
    for number in 0..20 {
        let name = format!("d{number}");
        waiting.scene.put(&name, &[&name]).await;
    }
    waiting.scene.put("second-poison", &["more poison"]).await;
    let (_, deaths) = work_and_die(&waiting, &WorkerOptions::default()).await;
    assert_eq!(
        dead_letters(&waiting).await,
        ["first-poison", "second-poison"]
    );
    assert_eq!(waiting.visible().await.len(), 20);
    assert!(deaths <= 2 * options().attempts, "{deaths} workers died");
}

#[tokio::test(start_paused = true)]
async fn what_is_given_up_was_tried_alone_however_few_attempts_there_are() {
    let waiting = Waiting::new(&[("a", &["one"]), ("b", &["poison"]), ("c", &["two"])]).await;
    let options = WorkerOptions {
        attempts: 1,
        ..WorkerOptions::default()
    };
    let (_, deaths) = work_and_die(&waiting, &options).await;
    assert_eq!(dead_letters(&waiting).await, ["b"]);
    assert_eq!((waiting.visible().await.len(), deaths), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn what_the_store_never_takes_holds_up_no_other_document() {
    let documents: [(&str, &[&str]); 3] = [("a", &["one"]), ("b", &["two"]), ("c", &["three"])];
    let waiting = Waiting::new(&documents).await;
    let queue = Rough::new(&waiting.ledger, |names| {
        names.contains(&"b").then_some(ErrorCode::Timeout)
    });
    let (worker, shutdown) = waiting.worker_over(queue, embedder(), options());
    let mut progress = worker.progress();
    let others = async {
        for given_back in [3, 6] {
            progress
                .wait_for(|it| it.given_back >= given_back)
                .await
                .unwrap();
            waiting.ledger.advance_ms(31_000);
        }
        progress.wait_for(|it| it.published == 2).await.unwrap();
        shutdown.request();
    };
    let (done, ()) = tokio::join!(worker.run(Until::Stopped), others);
    assert_eq!(done.unwrap().failed, 0);
    assert_eq!(waiting.visible().await, ["a: one", "c: three"]);
    assert_eq!(waiting.depth().await.waiting, 1, "it is not given up");
}

#[tokio::test(start_paused = true)]
async fn a_defect_counts_and_ends_with_the_document_that_meets_with_it() {
    let documents: [(&str, &[&str]); 3] = [("a", &["one"]), ("b", &["two"]), ("c", &["three"])];
    let waiting = Waiting::new(&documents).await;
    for _ in 0..50 {
        waiting.ledger.advance_ms(31_000);
        let queue = Rough::new(&waiting.ledger, |names| {
            names.contains(&"b").then_some(ErrorCode::Internal)
        });
        let (worker, _) = waiting.worker_over(queue, embedder(), options());
        let ledger = waiting.ledger.clone();
        let mut progress = worker.progress();
        let clock = async move {
            let mut seen = 0;
            loop {
                let given_back = progress.wait_for(|it| it.given_back > seen).await;
                seen = given_back.unwrap().given_back;
                ledger.advance_ms(31_000);
            }
        };
        tokio::select! {
            biased;
            done = worker.run(Until::Idle) => if done.is_ok() { break },
            _ = clock => {}
        }
    }
    assert_eq!(dead_letters(&waiting).await, ["b"]);
    assert_eq!(waiting.visible().await, ["a: one", "c: three"]);
}
