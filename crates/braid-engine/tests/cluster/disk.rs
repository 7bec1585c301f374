//! The disk of a real node is full.

use braid_qdrant_double::{NodeOptions, QdrantNodes};

use crate::nodes::patient;
use crate::stories::{KEPT, Process};
use crate::world::World;

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
    let (process, stories, mut traffic) = Process::start(&settings).await;
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
    process.end_whole(&stories).await;
}
