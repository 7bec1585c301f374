//! The network between Braid and a real node is cut, and that between nodes.

use braid_qdrant_double::{Link, NodeOptions, QdrantNodes, Wire, in_own_network};

use crate::nodes::{Three, patient};
use crate::stories::{KEPT, Process};
use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_closes_connections_is_waited_out() {
    let Some(nodes) = QdrantNodes::start(1).await else {
        return;
    };
    let wire = Wire::to(vec![nodes.address(0)]);
    let settings = patient(&World::at(wire.url()));
    let (process, stories, mut traffic) = Process::start(&settings).await;
    traffic.answers(20).await;
    for _ in 0..3 {
        wire.set(Link::Closed);
        stories.wait_refused().await;
        traffic.answers(20).await;
        assert!(process.misses_its_nodes().await);
        wire.set(Link::Whole);
        stories.wait_written(3).await;
        let seen = stories.seen().await;
        assert!(!seen.failed.is_empty() && seen.older == 0, "{seen:?}");
        stories.forget().await;
    }
    traffic.stop().await;
    process.end_whole(&stories).await;
}

/// Three nodes, each with a cable of its own.
async fn three_apart(last: impl AsyncFnOnce(&QdrantNodes) -> usize) -> Three {
    let options = NodeOptions {
        apart: true,
        ..NodeOptions::default()
    };
    let three = Three::start_with(options, last).await;
    three.expect("whoever is in a network of its own was given a binary")
}

/// Braid is connected to another, so that only the nodes miss it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_others_cannot_reach_is_done_without() {
    if !in_own_network("network::a_node_that_others_cannot_reach_is_done_without") {
        return;
    }
    let last = async |nodes: &QdrantNodes| (nodes.ordering().await + 1) % 3;
    let three = three_apart(last).await;
    let victim = last(&three.nodes).await;
    let (process, stories, mut traffic) = Process::start(&three.settings).await;
    traffic.answers(20).await;
    three.nodes.cut(victim);
    traffic.answers(2 * KEPT).await;
    stories.wait_written(5).await;
    three.nodes.join(victim);
    three.nodes.wait_until_whole().await;
    stories.wait_written(3).await;
    traffic.stop().await;
    let seen = stories.seen().await;
    assert!(seen.failed.is_empty() && seen.older == 0, "{seen:?}");
    process.end_whole(&stories).await;
}

/// What was open is silent, and the load balancer finds another node for what is opened then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_node_that_it_is_connected_to_it_goes_on_with_another() {
    if !in_own_network("network::without_the_node_that_it_is_connected_to_it_goes_on_with_another")
    {
        return;
    }
    let first = async |nodes: &QdrantNodes| (nodes.ordering().await + 1) % 3;
    let three = three_apart(async |nodes| (first(nodes).await + 2) % 3).await;
    let victim = first(&three.nodes).await;
    let (process, stories, mut traffic) = Process::start(&three.settings).await;
    traffic.answers(20).await;
    three.nodes.cut(victim);
    // Until connections are found to be silent, answers and writes may fail.
    traffic.answers(KEPT).await;
    stories.wait_written(3).await;
    stories.forget().await;
    traffic.answers(2 * KEPT).await;
    let seen = stories.seen().await;
    assert!(seen.failed.is_empty() && seen.older == 0, "{seen:?}");
    three.nodes.join(victim);
    three.nodes.wait_until_whole().await;
    stories.wait_written(3).await;
    traffic.stop().await;
    let seen = stories.seen().await;
    assert!(seen.failed.is_empty() && seen.older == 0, "{seen:?}");
    process.end_whole(&stories).await;
}
