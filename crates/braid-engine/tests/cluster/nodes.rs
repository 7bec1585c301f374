//! Real nodes are killed, restarted and paused while documents are written, indexed and asked for.

use std::sync::Arc;

use braid_config::Settings;
use braid_qdrant_double::{NodeOptions, QdrantNodes, Wire};
use braid_testkit::HashEmbedder;

use crate::stories::{KEPT, Process, Workers, check_documents, wait_drained};
use crate::world::{DIMENSION, World, document, ingest, name, open};

/// Times that are short, and waits as a user has them.
pub(crate) fn patient(world: &World) -> Settings {
    let mut settings = world.settings();
    let defaults = Settings::default();
    settings.qdrant.retry_first_ms = defaults.qdrant.retry_first_ms;
    settings.qdrant.retry_longest_ms = defaults.qdrant.retry_longest_ms;
    settings.qdrant.breaker_open_ms = 200;
    settings.qdrant.timeout_ms = 5000;
    settings.worker.lease_seconds = 10;
    settings
}

/// Three nodes with a copy of everything on each, behind one address.
pub(crate) struct Three {
    pub(crate) nodes: QdrantNodes,
    _wire: Wire,
    pub(crate) settings: Settings,
}

impl Three {
    /// New connections go to the first node that takes one; `last` names the node that is tried last.
    async fn start(last: impl AsyncFnOnce(&QdrantNodes) -> usize) -> Option<Self> {
        Self::start_with(NodeOptions::default(), last).await
    }

    pub(crate) async fn start_with(
        options: NodeOptions,
        last: impl AsyncFnOnce(&QdrantNodes) -> usize,
    ) -> Option<Self> {
        let nodes = QdrantNodes::start_with(3, options).await?;
        let last = last(&nodes).await;
        let wire = Wire::to((1..=3).map(|it| nodes.address((last + it) % 3)).collect());
        let mut settings = patient(&World::at(wire.url()));
        settings.qdrant.shards = 2;
        settings.qdrant.replication = 3;
        settings.qdrant.write_consistency = 2;
        Some(Self {
            nodes,
            _wire: wire,
            settings,
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_in_the_middle_of_the_work_loses_nothing() {
    const ROUND: usize = 300;
    let Some(mut nodes) = QdrantNodes::start(1).await else {
        return;
    };
    let world = World::at(nodes.url(0));
    let mut settings = patient(&world);
    settings.worker.documents = 16;
    let engine = open(&settings, Arc::new(HashEmbedder::new(DIMENSION))).await;
    engine.ensure_collection(&name()).await.unwrap();
    let workers = Workers::start(&settings, 2).await;
    ingest(&engine, vec![document(0, 1)]).await;
    wait_drained(&engine).await;
    let collections = nodes.collections().await;
    let chunks = collections.iter().find(|it| it.ends_with("-chunks"));
    let chunks = chunks.unwrap();
    for round in 0..3 {
        let written = 1 + round * ROUND;
        ingest(
            &engine,
            (written..written + ROUND)
                .map(|it| document(it, 1))
                .collect(),
        )
        .await;
        nodes.wait_for_points(chunks, written + 50).await;
        nodes.kill(0);
        let unreachable = engine.readiness().await.unwrap().unreachable;
        assert!(unreachable.is_some());
        nodes.start_again(0).await;
        let waiting = engine.work_depth().await.unwrap().unwrap().waiting;
        assert!(waiting > 0, "it was killed in the middle");
        wait_drained(&engine).await;
        let expected = (0..written + ROUND).map(|it| (it, 1)).collect();
        check_documents(&engine, expected).await;
        assert_eq!(nodes.points(chunks).await, written + ROUND);
    }
    assert_eq!(workers.stop().await, 1 + 3 * ROUND as u64);
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_nodes_is_killed_and_queries_and_writes_go_on() {
    // Any node but the one that orders the writes.
    let last = async |nodes: &QdrantNodes| (nodes.ordering().await + 1) % 3;
    let Some(mut three) = Three::start(last).await else {
        return;
    };
    let victim = last(&three.nodes).await;
    let (process, stories, mut traffic) = Process::start(&three.settings).await;
    traffic.answers(20).await;
    three.nodes.kill(victim);
    // Until Qdrant has found out, writes may be refused; queries are answered.
    stories.wait_written(2).await;
    stories.wait_drained().await;
    assert!(stories.seen().await.failed.is_empty());
    stories.forget().await;
    stories.wait_written(10).await;
    let seen = stories.seen().await;
    assert!(seen.failed.is_empty(), "{seen:?}");
    assert!(seen.refused.is_empty(), "{seen:?}");
    three.nodes.start_again(victim).await;
    three.nodes.wait_until_whole().await;
    traffic.answers(20).await;
    traffic.stop().await;
    let seen = stories.seen().await;
    assert!(seen.failed.is_empty(), "{seen:?}");
    assert_eq!(seen.older, 0);
    process.end_whole(&stories).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_node_that_orders_writes_queries_go_on_and_writes_wait() {
    let Some(mut three) = Three::start(QdrantNodes::ordering).await else {
        return;
    };
    let victim = three.nodes.ordering().await;
    let (process, stories, mut traffic) = Process::start(&three.settings).await;
    traffic.answers(20).await;
    three.nodes.kill(victim);
    stories.wait_refused().await;
    traffic.answers(100).await;
    let seen = stories.seen().await;
    assert!(seen.failed.is_empty(), "{seen:?}");
    three.nodes.start_again(victim).await;
    three.nodes.wait_until_whole().await;
    stories.forget().await;
    stories.wait_written(3).await;
    traffic.stop().await;
    let seen = stories.seen().await;
    assert!(seen.failed.is_empty(), "{seen:?}");
    assert_eq!(seen.older, 0);
    stories.check_whole().await;
    // What the node missed was brought to it: another is gone now.
    three.nodes.kill((victim + 1) % 3);
    process.end_whole(&stories).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_are_restarted_in_turn_under_queries_and_writes() {
    let Some(mut three) = Three::start(async |_: &QdrantNodes| 2).await else {
        return;
    };
    let (process, stories, mut traffic) = Process::start(&three.settings).await;
    for index in 0..3 {
        traffic.answers(20).await;
        three.nodes.terminate(index).await;
        three.nodes.start_again(index).await;
        // What the node missed is known to all once writes go on: ending the next one before that would
        // leave copies that differ and are taken for equal.
        stories.wait_written(2 * KEPT / 5).await;
        stories.wait_drained().await;
        three.nodes.wait_until_whole().await;
    }
    traffic.stop().await;
    stories.seen().await;
    process.end_whole(&stories).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_node_is_waited_out() {
    let Some(nodes) = QdrantNodes::start(1).await else {
        return;
    };
    let mut settings = patient(&World::at(nodes.url(0)));
    settings.qdrant.timeout_ms = 1000;
    let (process, stories, mut traffic) = Process::start(&settings).await;
    traffic.answers(20).await;
    nodes.pause(0);
    stories.wait_refused().await;
    traffic.answers(5).await;
    assert!(process.misses_its_nodes().await);
    nodes.resume(0);
    stories.wait_written(3).await;
    traffic.stop().await;
    let seen = stories.seen().await;
    assert!(!seen.failed.is_empty() && seen.older == 0, "{seen:?}");
    process.end_whole(&stories).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_node_of_three_is_waited_out() {
    let last = async |nodes: &QdrantNodes| (nodes.ordering().await + 1) % 3;
    let Some(three) = Three::start(last).await else {
        return;
    };
    let victim = last(&three.nodes).await;
    let (process, stories, mut traffic) = Process::start(&three.settings).await;
    traffic.answers(20).await;
    three.nodes.pause(victim);
    traffic.answers(2 * KEPT).await;
    three.nodes.resume(victim);
    three.nodes.wait_until_whole().await;
    stories.wait_written(3).await;
    traffic.stop().await;
    let seen = stories.seen().await;
    assert!(seen.failed.is_empty(), "{seen:?}");
    assert_eq!(seen.older, 0);
    process.end_whole(&stories).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_node_of_three_costs_time_and_no_answer() {
    let last = async |nodes: &QdrantNodes| (nodes.ordering().await + 1) % 3;
    let Some(three) = Three::start(last).await else {
        return;
    };
    let victim = last(&three.nodes).await;
    let (process, stories, mut traffic) = Process::start(&three.settings).await;
    traffic.answers(20).await;
    let slowed = three.nodes.slow_down(victim);
    traffic.answers(2 * KEPT).await;
    stories.wait_written(5).await;
    let seen = stories.seen().await;
    drop(slowed);
    traffic.stop().await;
    assert!(seen.failed.is_empty() && seen.older == 0, "{seen:?}");
    assert!(seen.refused.is_empty(), "{seen:?}");
    three.nodes.wait_until_whole().await;
    process.end_whole(&stories).await;
}
