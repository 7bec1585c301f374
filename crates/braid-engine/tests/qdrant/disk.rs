//! The disk of a real node is full.

use braid_qdrant_double::{NodeOptions, QdrantNodes};

use crate::traffic::Traffic;
use crate::world::{World, check_whole, idle, ingest, open};

const BEFORE: usize = 100;

/// Room of the node: its write-ahead log and its segments take some 100 MiB each before they hold much.
const ROOM_MIB: u32 = 768;

/// Less than the node wants to have free before it takes a write.
const LEFT_MIB: u32 = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_of_a_node_is_waited_out() {
    let options = NodeOptions {
        room_mib: Some(ROOM_MIB),
        ..NodeOptions::default()
    };
    let Some(nodes) = QdrantNodes::start_with(1, options).await else {
        return;
    };
    let world = World::with(nodes);
    let engine = open(&world.settings()).await;
    ingest(&engine, 0..BEFORE).await;
    idle(&engine).await;
    let nodes = world.server.nodes().await;
    nodes.fill(0, LEFT_MIB);
    let traffic = Traffic::of(&engine, BEFORE);
    let stalled = loop {
        let stalled = engine.readiness().await.unwrap().stalled;
        match stalled.first() {
            Some((_, reason)) => break reason.clone(),
            None => tokio::task::yield_now().await,
        }
    };
    assert!(stalled.contains("no room"), "{stalled}");
    let seen = traffic.end().await;
    assert_eq!(seen.lexical_only, 0, "it still answers: {seen:?}");
    nodes.free(0);
    drop(nodes);
    idle(&engine).await;
    check_whole(&engine, seen.documents).await;
    engine.close().await;
}
