//! The same answers as the embedded profile, and the way from one to the other.

use std::sync::Arc;

use braid_core::{Condition, Filter, MetadataValue, Predicate, Range};
use braid_engine::Engine;
use braid_engine::query::RetrieveRequest;

use crate::world::{World, check_whole, delete, embedded, idle, ingest, open, request};

/// The names and scores of an answer.
async fn answer(engine: &Engine, request: RetrieveRequest) -> Vec<(String, f64)> {
    let response = engine.retrieve(request).await.unwrap();
    assert!(response.degraded.is_empty(), "{:?}", response.degraded);
    let hits = response.hits.iter();
    hits.map(|hit| (hit.passage.record.document.to_string(), hit.score))
        .collect()
}

/// The same scores by rank, and every document of `a` in `b`, but for those that share the last score
/// with others: two sums of the same numbers may differ in their last digits.
fn check_same(a: &[(String, f64)], b: &[(String, f64)]) {
    const CLOSE: f64 = 1e-4;
    assert_eq!(a.len(), b.len());
    let last = a.last().map_or(0.0, |(_, score)| *score);
    for ((name, score), (_, other)) in a.iter().zip(b) {
        assert!((score - other).abs() < CLOSE, "{a:?} {b:?}");
        let there = b.iter().find(|(there, _)| there == name);
        let same = there.map_or(score - last, |(_, other)| (score - other).abs());
        assert!(same < CLOSE, "{name} of {a:?} in {b:?}");
    }
}

fn requests() -> Vec<RetrieveRequest> {
    let condition = |key: &str, predicate| Condition {
        key: key.to_owned(),
        predicate,
    };
    let kind = |kind: &str| MetadataValue::String(kind.to_owned());
    let filters = [
        None,
        Some(Filter {
            must: vec![condition("kind", Predicate::Match(kind("otter")))],
            ..Filter::default()
        }),
        Some(Filter {
            should: vec![
                condition("even", Predicate::Match(MetadataValue::Bool(true))),
                condition("kind", Predicate::Any(vec![kind("heron")])),
            ],
            must_not: vec![condition(
                "number",
                Predicate::Range(Range {
                    lt: Some(50.0),
                    ..Range::default()
                }),
            )],
            ..Filter::default()
        }),
    ];
    let mut requests = Vec::new();
    for query in ["the otter n12", "heron by the river", "6 others", "nobody"] {
        for filter in &filters {
            requests.push(RetrieveRequest {
                filter: filter.clone().map(Arc::new),
                top_k: 20,
                ..request(query)
            });
        }
    }
    requests
}

#[tokio::test]
async fn answers_are_those_of_the_embedded_profile() {
    let world = World::new().await;
    let other = tempfile::tempdir().unwrap();
    let (remote, local) = (world.open().await, open(&embedded(other.path())).await);
    for engine in [&remote, &local] {
        ingest(engine, 0..150).await;
        delete(engine, 12).await;
        ingest(engine, 40..60).await;
        idle(engine).await;
    }
    for request in requests() {
        let (a, b) = (
            answer(&remote, request.clone()).await,
            answer(&local, request.clone()).await,
        );
        check_same(&a, &b);
        check_same(&b, &a);
    }
    remote.close().await;
    local.close().await;
}

#[tokio::test]
async fn vectors_follow_a_change_of_profile_both_ways() {
    let world = World::new().await;
    let local = embedded(world.directory.path());
    let engine = open(&local).await;
    ingest(&engine, 0..30).await;
    idle(&engine).await;
    engine.close().await;
    drop(engine);
    for (settings, documents) in [(world.settings(), 31), (local, 32)] {
        let engine = open(&settings).await;
        ingest(&engine, documents - 1..documents).await;
        idle(&engine).await;
        check_whole(&engine, documents).await;
        engine.close().await;
    }
}

#[tokio::test]
async fn a_rebuild_is_a_collection_of_its_own() {
    let world = World::new().await;
    let engine = world.open().await;
    ingest(&engine, 0..30).await;
    idle(&engine).await;
    let old = world.remote().await;
    engine
        .rebuild(&crate::world::name(), None, |_| {})
        .await
        .unwrap();
    idle(&engine).await;
    check_whole(&engine, 30).await;
    let names = world.server.collections().await;
    assert_eq!(
        names.len(),
        2,
        "the old one stays for queries that began under it"
    );
    engine.close().await;
    drop(engine);
    let engine = world.open().await;
    assert_ne!(world.remote().await, old, "only the new one is left");
    check_whole(&engine, 30).await;
    engine.close().await;
}
