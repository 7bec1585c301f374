use std::time::Duration;

use braid_testkit::{
    Call, Fault, Faulty, HashEmbedder, OverlapReranker, embedder_suite, reranker_suite,
};

use super::*;
use crate::remote::breaker::tests::TestClock;

fn failing(code: ErrorCode) -> Fault {
    Fault::FailBefore(code)
}

fn named(models: Vec<Arc<dyn Embedder>>) -> Vec<(String, Arc<dyn Embedder>)> {
    let names = ["first", "second", "third"];
    names.map(str::to_owned).into_iter().zip(models).collect()
}

fn two(first: Faulty<HashEmbedder>, time: &TestClock) -> (FallbackEmbedder, Arc<HashEmbedder>) {
    let second = Arc::new(HashEmbedder::new(64));
    let places = named(vec![
        Arc::new(first),
        Arc::clone(&second) as Arc<dyn Embedder>,
    ]);
    let fallback = FallbackEmbedder::with_clock(places, &time.clock()).unwrap();
    (fallback, second)
}

#[tokio::test]
async fn both_pass_the_suites() {
    let time = TestClock::new();
    let (embedder, _) = two(Faulty::new(HashEmbedder::new(64)), &time);
    embedder_suite(&embedder, 1.0 - 1e-6).await;
    let model = || Arc::new(OverlapReranker::new()) as Arc<dyn Reranker>;
    let places = vec![("a".to_owned(), model()), ("b".to_owned(), model())];
    reranker_suite(&FallbackReranker::new(places).unwrap(), 0.0).await;
}

#[tokio::test]
async fn the_next_is_asked_where_one_fails_and_the_first_again_when_it_is_back() {
    let time = TestClock::new();
    let first = Faulty::new(HashEmbedder::new(64));
    let down = failing(ErrorCode::Unavailable);
    let first = first
        .on(Call::EmbedQuery, 1, down.clone())
        .on(Call::EmbedQuery, 2, down.clone())
        .on(Call::EmbedQuery, 3, down);
    let (fallback, second) = two(first, &time);
    for asked in 1..=5 {
        fallback.embed_query("fox").await.unwrap();
        assert_eq!(
            second.queries_embedded(),
            asked,
            "the first fails, then is left out"
        );
    }
    time.advance(Duration::from_secs(2));
    fallback.embed_query("fox").await.unwrap();
    assert_eq!(second.queries_embedded(), 5, "the first is back");
}

#[tokio::test]
async fn a_busy_place_is_passed_over_and_not_left_out() {
    let time = TestClock::new();
    let busy = failing(ErrorCode::Overloaded);
    let mut first = Faulty::new(HashEmbedder::new(64));
    for call in 1..=5 {
        first = first.on(Call::EmbedQuery, call, busy.clone());
    }
    let (fallback, second) = two(first, &time);
    for _ in 0..6 {
        fallback.embed_query("fox").await.unwrap();
    }
    assert_eq!(
        second.queries_embedded(),
        5,
        "the sixth call is the first's again"
    );
}

#[tokio::test]
async fn where_all_fail_each_is_named() {
    let time = TestClock::new();
    let faulty = |code| -> Arc<dyn Embedder> {
        let model = Faulty::new(HashEmbedder::new(64));
        Arc::new(model.on_from(Call::EmbedQuery, 1, failing(code)))
    };
    let places = named(vec![
        faulty(ErrorCode::Unavailable),
        faulty(ErrorCode::ModelUnavailable),
    ]);
    let fallback = FallbackEmbedder::with_clock(places, &time.clock()).unwrap();
    for _ in 0..3 {
        let error = fallback.embed_query("fox").await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::Unavailable, "it may pass");
    }
    let error = fallback.embed_query("fox").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    for name in ["first is left out", "second is left out"] {
        assert!(error.message().contains(name), "{error}");
    }
}

#[test]
fn places_of_different_models_are_refused() {
    let models: Vec<Arc<dyn Embedder>> = vec![
        Arc::new(HashEmbedder::new(64)),
        Arc::new(HashEmbedder::new(32)),
    ];
    let error = FallbackEmbedder::new(named(models)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::ModelUnavailable);
    assert!(error.message().contains("second has"), "{error}");
    assert!(FallbackEmbedder::new(Vec::new()).is_err());
}
