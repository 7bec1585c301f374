//! The server's copy is not what it was.

use crate::world::{World, check_whole, delete, idle, ingest, is_dense, name, retrieve};

#[tokio::test]
async fn planted_drift_is_found_and_mended() {
    let world = World::new().await;
    let engine = world.open().await;
    ingest(&engine, 0..30).await;
    idle(&engine).await;
    let remote = world.remote().await;
    let collection = crate::world::collection(&engine).await;
    let live = engine.ledger().live_slots(collection.id).await.unwrap();
    let lost: Vec<i64> = live.iter().step_by(7).map(i64::from).collect();
    let gone = world.server.lose_points(&remote, "slot", &lost).await;
    assert_eq!(gone, lost.len());

    let found = engine.verify(&name(), false).await.unwrap();
    let missing: Vec<i64> = found.vector.missing.iter().map(i64::from).collect();
    assert_eq!(missing, lost);
    assert!(found.lexical.is_sound() && !found.repaired);
    let mended = engine.verify(&name(), true).await.unwrap();
    assert!(mended.repaired, "{:?}", mended.left);
    check_whole(&engine, 30).await;
    engine.close().await;
}

/// Somebody deletes the collection in Qdrant: the next write brings everything back.
#[tokio::test]
async fn a_lost_collection_is_filled_again() {
    let world = World::new().await;
    let engine = world.open().await;
    ingest(&engine, 0..20).await;
    idle(&engine).await;
    world.server.drop_collection(&world.remote().await).await;
    let found = retrieve(&engine, "heron n7").await;
    assert_eq!(found.degraded[0].stage, "dense");
    assert!(!is_dense(&found) && !found.hits.is_empty());

    ingest(&engine, 20..25).await;
    delete(&engine, 1).await;
    idle(&engine).await;
    check_whole(&engine, 24).await;
    assert!(retrieve(&engine, "heron n7").await.degraded.is_empty());
    engine.close().await;
}

/// ... or while nobody writes: the next start does.
#[tokio::test]
async fn what_was_lost_before_a_start_is_brought_back() {
    let world = World::new().await;
    let engine = world.open().await;
    ingest(&engine, 0..20).await;
    idle(&engine).await;
    engine.close().await;
    drop(engine);
    world.server.drop_collection(&world.remote().await).await;
    let engine = world.open().await;
    // Its publication is after everything else was brought back.
    ingest(&engine, 20..21).await;
    idle(&engine).await;
    check_whole(&engine, 21).await;
    engine.close().await;
}
