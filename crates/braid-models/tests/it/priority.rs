//! Queries go ahead of bulk work, and abandoned work is not done.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use braid_core::ErrorCode;
use futures::future::join_all;

use braid_models::{
    DEFAULT_EMBEDDER, DEFAULT_RERANKER, EmbedderOptions, ModelStore, RerankerOptions, StoreOptions,
};

use crate::{EMBEDDER, STORE};

fn passages(count: usize) -> Vec<String> {
    (0..count)
        .map(|n| format!("{n} {}", "a passage of some length ".repeat(20)))
        .collect()
}

/// Far more passages than could be embedded while a query waits: the query must be answered first.
#[tokio::test]
async fn a_query_does_not_wait_for_passages() {
    let done = Arc::new(AtomicUsize::new(0));
    let bulk = tokio::spawn({
        let done = Arc::clone(&done);
        async move {
            let vectors = EMBEDDER.embed_passages(passages(120)).await.unwrap();
            done.store(vectors.len(), Ordering::SeqCst);
        }
    });
    tokio::task::yield_now().await;
    for _ in 0..3 {
        EMBEDDER.embed_query("a query").await.unwrap();
    }
    assert_eq!(
        done.load(Ordering::SeqCst),
        0,
        "the queries were answered first"
    );
    bulk.await.unwrap();
    assert_eq!(done.load(Ordering::SeqCst), 120);
}

#[tokio::test]
async fn more_queries_than_the_queue_holds_are_refused_and_the_rest_answered() {
    let store = ModelStore::new(StoreOptions::default());
    let options = EmbedderOptions {
        threads: 1,
        query_queue: 2,
        ..EmbedderOptions::default()
    };
    let embedder = store.load_embedder(DEFAULT_EMBEDDER, &options).unwrap();
    let text = "a query of some length ".repeat(30);
    let calls = (0..40).map(|_| embedder.embed_query(&text));
    let outcomes = join_all(calls).await;
    let refused = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    assert!(
        refused
            .clone()
            .all(|error| error.code() == ErrorCode::Overloaded)
    );
    let refused = refused.count();
    assert!((1..=38).contains(&refused), "{refused} of 40 refused");
}

#[tokio::test]
async fn re_ranking_is_refused_when_its_queue_is_full() {
    let options = RerankerOptions {
        threads: 1,
        queue: 1,
        ..RerankerOptions::default()
    };
    let reranker = STORE.load_reranker(DEFAULT_RERANKER, &options).unwrap();
    let passages = passages(8);
    let calls = (0..10).map(|_| reranker.score("a query", &passages));
    let outcomes = join_all(calls).await;
    let codes: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| Some(outcome.as_ref().err()?.code()))
        .collect();
    assert!(!codes.is_empty());
    assert!(
        codes.iter().all(|code| *code == ErrorCode::Overloaded),
        "{codes:?}"
    );
}

/// Abandoning a call of a thousand passages leaves the lane free for the next one.
#[tokio::test]
async fn abandoned_bulk_work_is_not_done() {
    let options = EmbedderOptions {
        threads: 1,
        ..EmbedderOptions::default()
    };
    let embedder = STORE.load_embedder(DEFAULT_EMBEDDER, &options).unwrap();
    let before = std::time::Instant::now();
    embedder.embed_passages(passages(16)).await.unwrap();
    let sixteen = before.elapsed();
    let call = embedder.embed_passages(passages(4_000));
    let _ = tokio::time::timeout(std::time::Duration::from_millis(1), call).await;
    let before = std::time::Instant::now();
    embedder.embed_passages(passages(1)).await.unwrap();
    assert!(
        before.elapsed() < sixteen * 20,
        "4,000 passages take 250 times as long as 16"
    );
}
