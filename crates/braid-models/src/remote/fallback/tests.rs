use std::time::Duration;

use braid_testkit::{
    Call, Fault, Faulty, Gate, HashEmbedder, OverlapReranker, embedder_suite, reranker_suite,
};
use futures::FutureExt;
use metrics_exporter_prometheus::PrometheusBuilder;

use super::*;

fn failing(code: ErrorCode) -> Fault {
    Fault::FailBefore(code)
}

fn named(models: Vec<Arc<dyn Embedder>>) -> Vec<(String, Arc<dyn Embedder>)> {
    let names = ["first", "second", "third"];
    names.map(str::to_owned).into_iter().zip(models).collect()
}

fn two(first: Faulty<HashEmbedder>) -> (FallbackEmbedder, Arc<HashEmbedder>) {
    let second = Arc::new(HashEmbedder::new(64));
    let places = named(vec![
        Arc::new(first),
        Arc::clone(&second) as Arc<dyn Embedder>,
    ]);
    let fallback = FallbackEmbedder::new(places).unwrap();
    (fallback, second)
}

#[tokio::test]
async fn both_pass_the_suites() {
    let (embedder, _) = two(Faulty::new(HashEmbedder::new(64)));
    embedder_suite(&embedder, 1.0 - 1e-6).await;
    let model = || Arc::new(OverlapReranker::new()) as Arc<dyn Reranker>;
    let places = vec![("a".to_owned(), model()), ("b".to_owned(), model())];
    reranker_suite(&FallbackReranker::new(places).unwrap(), 0.0).await;
}

#[tokio::test(start_paused = true)]
async fn the_next_is_asked_where_one_fails_and_the_first_again_when_it_is_back() {
    let first = Faulty::new(HashEmbedder::new(64));
    let down = failing(ErrorCode::Unavailable);
    let first = first
        .on(Call::EmbedQuery, 1, down.clone())
        .on(Call::EmbedQuery, 2, down.clone())
        .on(Call::EmbedQuery, 3, down);
    let (fallback, second) = two(first);
    for asked in 1..=5 {
        fallback.embed_query("fox").await.unwrap();
        assert_eq!(
            second.queries_embedded(),
            asked,
            "the first fails, then is left out"
        );
    }
    tokio::time::advance(Duration::from_secs(2)).await;
    fallback.embed_query("fox").await.unwrap();
    assert_eq!(second.queries_embedded(), 5, "the first is back");
}

#[tokio::test(start_paused = true)]
async fn a_busy_place_is_passed_over_and_not_left_out() {
    let busy = failing(ErrorCode::Overloaded);
    let mut first = Faulty::new(HashEmbedder::new(64));
    for call in 1..=5 {
        first = first.on(Call::EmbedQuery, call, busy.clone());
    }
    let (fallback, second) = two(first);
    for _ in 0..6 {
        fallback.embed_query("fox").await.unwrap();
    }
    assert_eq!(
        second.queries_embedded(),
        5,
        "the sixth call is the first's again"
    );
}

#[tokio::test(start_paused = true)]
async fn where_all_fail_each_is_named() {
    let faulty = |code| -> Arc<dyn Embedder> {
        let model = Faulty::new(HashEmbedder::new(64));
        Arc::new(model.on_from(Call::EmbedQuery, 1, failing(code)))
    };
    let places = named(vec![
        faulty(ErrorCode::Unavailable),
        faulty(ErrorCode::ModelUnavailable),
    ]);
    let fallback = FallbackEmbedder::new(places).unwrap();
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

/// A place that never answers, as its callers with a deadline see it.
async fn give_up(embedder: &FallbackEmbedder, times: usize) {
    for _ in 0..times {
        let patience = Duration::from_millis(60);
        let answer = tokio::time::timeout(patience, embedder.embed_query("fox")).await;
        assert!(answer.is_err(), "it is held");
    }
}

fn held() -> Faulty<HashEmbedder> {
    let hold = Fault::HoldBefore(Gate::new());
    Faulty::new(HashEmbedder::new(64)).on_from(Call::EmbedQuery, 1, hold)
}

#[tokio::test(start_paused = true)]
async fn a_place_left_out_since_callers_gave_up_is_said_to_be() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let (fallback, second) = two(held());
    give_up(&fallback, 12).await;
    fallback.embed_query("fox").await.unwrap();
    assert_eq!(second.queries_embedded(), 1);
    let rendered = recorder.handle().render();
    let open = "braid_model_endpoint_open{endpoint=\"first\"} 1";
    assert!(rendered.contains(open), "{rendered}");
}

/// The check is what they wait for, and it goes on.
#[tokio::test(start_paused = true)]
async fn who_gives_up_while_a_place_is_checked_does_not_leave_it_out() {
    let recognition = Arc::new(Recognition::default());
    let (end, ended) = tokio::sync::oneshot::channel();
    let check = || async { ended.await.unwrap() };
    assert!(recognition.ensure(check).now_or_never().is_none());
    let first = Arc::new(held()) as Arc<dyn Embedder>;
    let second = Arc::new(HashEmbedder::new(64));
    let fallback = FallbackEmbedder::of(vec![
        Named::new("first", first).checked_by(Arc::clone(&recognition)),
        Named::new("second", Arc::clone(&second) as Arc<dyn Embedder>),
    ]);
    let fallback = fallback.unwrap();
    give_up(&fallback, 30).await;
    end.send(Ok(())).unwrap();
    recognition
        .ensure(|| async { panic!("it is checked") })
        .await
        .unwrap();
    give_up(&fallback, 12).await;
    fallback.embed_query("fox").await.unwrap();
    assert_eq!(second.queries_embedded(), 1, "the first is left out now");
}
