//! The network between Braid and a real node is cut.

use std::sync::Arc;

use braid_qdrant_double::{Link, QdrantNodes, Wire};
use braid_testkit::HashEmbedder;

use crate::nodes::patient;
use crate::stories::{Stories, Workers};
use crate::traffic::Traffic;
use crate::world::{DIMENSION, World, open};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_closes_connections_is_waited_out() {
    let Some(nodes) = QdrantNodes::start(1).await else {
        return;
    };
    let wire = Wire::to(vec![nodes.address(0)]);
    let settings = patient(&World::at(wire.url()));
    let engine = open(&settings, Arc::new(HashEmbedder::new(DIMENSION))).await;
    let workers = Workers::start(&settings, 2).await;
    let stories = Stories::begin(&engine).await;
    let mut traffic = Traffic::start(stories.clone());
    traffic.answers(20).await;
    for _ in 0..3 {
        wire.set(Link::Closed);
        stories.wait_refused().await;
        traffic.answers(20).await;
        assert!(engine.readiness().await.unwrap().unreachable.is_some());
        wire.set(Link::Whole);
        stories.wait_written(3).await;
        let seen = stories.seen().await;
        assert!(!seen.failed.is_empty() && seen.older == 0, "{seen:?}");
        stories.forget().await;
    }
    traffic.stop().await;
    stories.check_whole().await;
    workers.stop().await;
    engine.close().await;
}
