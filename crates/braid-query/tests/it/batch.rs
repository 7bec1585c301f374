//! A batch: many retrievals, one state.

use std::sync::Arc;
use std::time::Duration;

use braid_core::{ErrorCode, Ledger};
use braid_query::{CachingRetriever, IndexWrites, PageLimits, PagingRetriever};

use crate::setup::{Setup, documents};

fn paging(setup: &Setup) -> PagingRetriever {
    let ledger = Arc::new(setup.corpus.ledger.clone()) as Arc<dyn Ledger>;
    let writes = Arc::new(IndexWrites::default());
    let caching = CachingRetriever::new(setup.retriever(), ledger, writes, 1 << 20);
    let limits = PageLimits {
        bytes: 1 << 20,
        lifetime: Duration::from_secs(60),
    };
    PagingRetriever::new(caching, limits)
}

#[tokio::test]
async fn every_retrieval_of_a_batch_sees_the_same_state() {
    let setup = Setup::new("a: red fox\nb: blue fox\nc: grey fox").await;
    let retriever = paging(&setup);
    let names = [setup.corpus.name(), setup.corpus.name()];
    let before = setup.corpus.ledger.pins_taken();
    let batch = retriever.batch(names).await;
    let first = batch.retrieve(setup.request("fox")).await.unwrap();
    setup.corpus.delete(&["a"]).await;
    setup.corpus.stage("d: new fox").await;
    setup.corpus.apply().await;
    let second = batch.retrieve(setup.request("red fox")).await.unwrap();
    assert_eq!(setup.corpus.ledger.pins_taken(), before + 1);
    for answer in [&first, &second] {
        let mut found: Vec<_> = documents(answer).split(' ').map(str::to_owned).collect();
        found.sort();
        assert_eq!(found, ["a", "b", "c"]);
    }
    assert!(!setup.can_purge().await, "the batch still reads it");
    drop(batch);
    assert!(setup.can_purge().await);
    // What was answered of the old state is not the answer now.
    for query in ["fox", "red fox"] {
        let now = retriever.retrieve(setup.request(query)).await.unwrap();
        assert!(!now.cached && !documents(&now).contains('a'), "{query}");
    }
}

#[tokio::test]
async fn one_that_fails_fails_alone() {
    let setup = Setup::new("a: red fox").await;
    let retriever = paging(&setup);
    let nowhere: braid_core::CollectionName = "nowhere".parse().unwrap();
    let batch = retriever
        .batch([nowhere.clone(), setup.corpus.name()])
        .await;
    let mut lost = setup.request("fox");
    lost.collection = nowhere;
    let error = batch.retrieve(lost).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::CollectionNotFound);
    let answer = batch.retrieve(setup.request("fox")).await.unwrap();
    assert_eq!(documents(&answer), "a");
}

#[tokio::test]
async fn a_retrieval_pins_the_ledger_once() {
    let setup = Setup::new("a: red fox\nb: blue fox").await;
    let retriever = paging(&setup);
    for expected_cached in [false, true] {
        let before = setup.corpus.ledger.pins_taken();
        let answer = retriever.retrieve(setup.request("fox")).await.unwrap();
        assert_eq!(answer.cached, expected_cached);
        assert_eq!(setup.corpus.ledger.pins_taken(), before + 1);
    }
}
