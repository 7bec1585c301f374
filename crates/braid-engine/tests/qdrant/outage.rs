//! The server goes away and comes back.

use braid_core::ErrorCode;
use braid_qdrant_double::{Fault, Kind, QdrantDouble};

use crate::world::{
    World, check_whole, collection, delete, documents, idle, ingest, is_dense, name, request,
    retrieve,
};

#[tokio::test]
async fn an_outage_leaves_the_lexical_leg_and_keeps_every_write() {
    let world = World::new().await;
    let engine = world.open().await;
    ingest(&engine, 0..30).await;
    idle(&engine).await;
    let before = retrieve(&engine, "the otter n3").await;
    assert!(is_dense(&before) && before.degraded.is_empty());
    assert_eq!(engine.readiness().await.unwrap().unreachable, None);

    world.server.stop().await;
    ingest(&engine, 30..40).await;
    delete(&engine, 3).await;
    let during = retrieve(&engine, "the otter n3").await;
    assert!(!is_dense(&during) && !during.hits.is_empty());
    assert!(!documents(&during).contains(&"doc/3".to_owned()), "deleted");
    let [degradation] = during.degraded.as_slice() else {
        panic!("{:?}", during.degraded);
    };
    assert_eq!(degradation.stage, "dense");
    assert!(
        degradation.reason.contains("Qdrant cannot be reached"),
        "{degradation:?}"
    );
    assert!(during.lag > 0, "what is not retrievable yet is stated");
    let readiness = engine.readiness().await.unwrap();
    assert!(readiness.unreachable.is_some() && !readiness.lag.is_empty());
    let server = engine.vector_server().await.unwrap();
    assert_eq!(server.version.unwrap_err().code(), ErrorCode::Unavailable);
    let mut dense = request("otter");
    dense.mode = braid_engine::query::Mode::Dense;
    let error = engine.retrieve(dense).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable, "one leg alone fails");

    world.server.start_again().await;
    idle(&engine).await;
    check_whole(&engine, 39).await;
    let after = retrieve(&engine, "the otter n39").await;
    assert!(is_dense(&after) && after.degraded.is_empty());
    assert_eq!(documents(&after)[0], "doc/39");
    assert_eq!(engine.readiness().await.unwrap().unreachable, None);
    engine.close().await;
}

#[tokio::test]
async fn an_engine_starts_and_serves_while_the_server_is_away() {
    let world = World::new().await;
    let engine = world.open().await;
    ingest(&engine, 0..9).await;
    idle(&engine).await;
    engine.close().await;
    drop(engine);

    world.server.stop().await;
    let engine = world.open().await;
    let found = retrieve(&engine, "heron n4").await;
    assert_eq!(documents(&found)[0], "doc/4");
    assert_eq!(found.degraded[0].stage, "dense");
    ingest(&engine, 9..12).await;

    world.server.start_again().await;
    idle(&engine).await;
    check_whole(&engine, 12).await;
    engine.close().await;
}

#[tokio::test]
async fn a_full_disk_of_the_server_is_waited_out() {
    let world = World::with(QdrantDouble::start());
    let engine = world.open().await;
    ingest(&engine, 0..5).await;
    idle(&engine).await;
    world
        .server
        .double()
        .inject(Kind::Write, Fault::DiskFull, 2);
    ingest(&engine, 5..10).await;
    delete(&engine, 0).await;
    idle(&engine).await;
    check_whole(&engine, 9).await;
    engine.close().await;
}

#[tokio::test]
async fn writes_whose_answers_are_lost_are_there_once() {
    let world = World::with(QdrantDouble::start());
    let engine = world.open().await;
    world
        .server
        .double()
        .inject(Kind::Write, Fault::LostAnswer, 3);
    ingest(&engine, 0..20).await;
    idle(&engine).await;
    check_whole(&engine, 20).await;
    assert_eq!(
        world.server.points(&world.remote().await).await,
        21,
        "and the watermark"
    );
    engine.close().await;
}

#[tokio::test]
async fn a_slow_server_costs_a_leg_and_not_the_answer() {
    let world = World::with(QdrantDouble::start());
    let mut settings = world.settings();
    settings.retrieve.leg_timeout_ms = 50;
    let engine = crate::world::open(&settings).await;
    ingest(&engine, 0..5).await;
    idle(&engine).await;
    // The first search is given up within the time of the leg, and tried again.
    world.server.double().inject(Kind::Query, Fault::Held, 9);
    let found = retrieve(&engine, "badger n2").await;
    assert_eq!(documents(&found)[0], "doc/2");
    assert!(found.degraded[0].reason.contains("leg_timeout_ms"));
    world.server.double().heal();
    assert!(is_dense(&retrieve(&engine, "badger n2").await));
    engine.close().await;
}

#[tokio::test]
async fn a_collection_that_is_deleted_during_an_outage_leaves_nothing() {
    let world = World::new().await;
    let engine = world.open().await;
    ingest(&engine, 0..5).await;
    idle(&engine).await;
    let old = world.remote().await;
    let id = collection(&engine).await.id;
    world.server.stop().await;
    engine.delete_collection(&name(), None).await.unwrap();
    world.server.start_again().await;
    assert_eq!(world.server.collections().await, [old]);
    engine.close().await;
    drop(engine);

    let engine = world.open().await;
    assert_ne!(collection(&engine).await.id, id, "another of the same name");
    ingest(&engine, 0..3).await;
    idle(&engine).await;
    check_whole(&engine, 3).await;
    assert_eq!(world.server.points(&world.remote().await).await, 4);
    engine.close().await;
}
