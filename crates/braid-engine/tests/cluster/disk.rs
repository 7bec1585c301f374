//! The disk of a real node is full.

use std::sync::Arc;

use braid_qdrant_double::{NodeOptions, QdrantNodes};
use braid_testkit::HashEmbedder;

use crate::nodes::patient;
use crate::stories::{KEPT, Stories, Workers};
use crate::traffic::Traffic;
use crate::world::{DIMENSION, World, open};

/// Room of the node: its collections take some 100 MiB each before they hold much.
const ROOM_MIB: u32 = 1536;

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
    let settings = patient(&World::at(nodes.url(0)));
    let engine = open(&settings, Arc::new(HashEmbedder::new(DIMENSION))).await;
    let workers = Workers::start(&settings, 2).await;
    let stories = Stories::begin(&engine).await;
    let mut traffic = Traffic::start(stories.clone());
    traffic.answers(20).await;
    nodes.fill(0, LEFT_MIB);
    stories.wait_refused().await;
    traffic.answers(2 * KEPT).await;
    let seen = stories.seen().await;
    assert!(seen.failed.is_empty(), "it still answers: {seen:?}");
    nodes.free(0);
    stories.wait_written(3).await;
    traffic.stop().await;
    assert_eq!(stories.seen().await.older, 0);
    stories.check_whole().await;
    workers.stop().await;
    engine.close().await;
}
