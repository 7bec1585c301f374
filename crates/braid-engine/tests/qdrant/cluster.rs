//! Real nodes are killed, restarted, paused, slowed down and cut off while queries and writes go on.

use braid_config::Settings;
use braid_engine::Engine;
use braid_qdrant_double::{NodeOptions, QdrantNodes, Wire, in_own_network};

use crate::flow::Seen;
use crate::traffic::Traffic;
use crate::world::{World, check_whole, idle, ingest, is_dense, open, retrieve};

/// Documents from before what happens.
const BEFORE: usize = 200;

/// Two copies of three shards, so that any one node can be missing.
fn replicated(world: &World) -> Settings {
    let mut settings = patient(world);
    settings.qdrant.shards = 3;
    settings.qdrant.replication = 2;
    settings
}

/// Times that are short, and waits as a user has them.
fn patient(world: &World) -> Settings {
    let mut settings = world.settings();
    let defaults = Settings::default().qdrant;
    settings.qdrant.retry_first_ms = defaults.retry_first_ms;
    settings.qdrant.retry_longest_ms = defaults.retry_longest_ms;
    settings.qdrant.breaker_open_ms = 200;
    settings.qdrant.timeout_ms = 3000;
    settings.retrieve.leg_timeout_ms = 1000;
    settings
}

/// An engine with documents in the vector store.
async fn filled(settings: &Settings) -> Engine {
    let engine = open(settings).await;
    ingest(&engine, 0..BEFORE).await;
    idle(&engine).await;
    engine
}

/// Nothing acknowledged is lost, and queries have both legs again.
async fn check_after(engine: &Engine, seen: &Seen) {
    assert!(seen.answers > 0 && seen.documents > BEFORE, "{seen:?}");
    idle(engine).await;
    check_whole(engine, seen.documents).await;
    let found = retrieve(engine, "the one called n7").await;
    assert!(
        is_dense(&found) && found.degraded.is_empty(),
        "{:?}",
        found.degraded
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_in_the_middle_of_an_ingest_loses_nothing() {
    const ROUND: usize = 1500;
    let Some(nodes) = QdrantNodes::start(1).await else {
        return;
    };
    let world = World::with(nodes);
    let mut settings = patient(&world);
    settings.qdrant.upload_points = 16;
    let engine = filled(&settings).await;
    let remote = world.remote().await;
    let mut written = BEFORE;
    for _ in 0..3 {
        let before = world.server.points(&remote).await;
        let ingesting = tokio::spawn({
            let engine = engine.clone();
            async move { ingest(&engine, written..written + ROUND).await }
        });
        let mut nodes = world.server.nodes().await;
        nodes.wait_for_points(&remote, before + 50).await;
        nodes.kill(0);
        drop(nodes);
        ingesting.await.unwrap();
        written += ROUND;
        let readiness = engine.readiness().await.unwrap();
        assert!(!readiness.lag.is_empty(), "it was killed in the middle");
        world.server.start_again().await;
        idle(&engine).await;
        check_whole(&engine, written).await;
        assert_eq!(world.server.points(&remote).await, written + 1);
    }
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_nodes_is_killed_and_nothing_is_missed() {
    let Some(nodes) = QdrantNodes::start(3).await else {
        return;
    };
    let world = World::with(nodes);
    let engine = filled(&replicated(&world)).await;
    let mut traffic = Traffic::of(&engine, BEFORE);
    traffic.answers(20).await;
    world.server.nodes().await.kill(2);
    traffic.answers(100).await;
    let seen = traffic.end().await;
    check_after(&engine, &seen).await;
    let mut again = Traffic::of(&engine, seen.documents);
    let mut nodes = world.server.nodes().await;
    nodes.start_again(2).await;
    nodes.wait_until_whole().await;
    drop(nodes);
    again.answers(20).await;
    let seen = again.end().await;
    check_after(&engine, &seen).await;
    // What the node missed was brought to it: another is killed now.
    world.server.nodes().await.kill(1);
    check_after(&engine, &seen).await;
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_are_restarted_in_turn_under_queries_and_writes() {
    let Some(nodes) = QdrantNodes::start(3).await else {
        return;
    };
    let balancer = Wire::to((0..3).map(|index| nodes.address(index)).collect());
    let world = World::with(nodes);
    let mut settings = replicated(&world);
    settings.qdrant.url = balancer.url();
    let engine = filled(&settings).await;
    let mut traffic = Traffic::of(&engine, BEFORE);
    for index in 0..3 {
        traffic.answers(20).await;
        let mut nodes = world.server.nodes().await;
        nodes.terminate(index).await;
        nodes.start_again(index).await;
        nodes.wait_until_whole().await;
    }
    let seen = traffic.end().await;
    check_after(&engine, &seen).await;
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_node_costs_the_dense_leg_until_it_goes_on() {
    let Some(nodes) = QdrantNodes::start(1).await else {
        return;
    };
    let world = World::with(nodes);
    let mut settings = patient(&world);
    settings.qdrant.timeout_ms = 500;
    settings.retrieve.leg_timeout_ms = 250;
    let engine = filled(&settings).await;
    let mut traffic = Traffic::of(&engine, BEFORE);
    traffic.answers(20).await;
    let nodes = world.server.nodes().await;
    nodes.pause(0);
    // Longer than every timeout: the breaker has opened.
    while engine.readiness().await.unwrap().unreachable.is_none() {
        tokio::task::yield_now().await;
    }
    let lagging = retrieve(&engine, "the one called n3").await;
    assert_eq!(lagging.degraded[0].stage, "dense");
    traffic.answers(20).await;
    nodes.resume(0);
    drop(nodes);
    let seen = traffic.end().await;
    assert!(seen.lexical_only > 0, "{seen:?}");
    check_after(&engine, &seen).await;
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_node_costs_the_dense_leg_at_most() {
    let Some(nodes) = QdrantNodes::start(1).await else {
        return;
    };
    let world = World::with(nodes);
    let engine = filled(&patient(&world)).await;
    let mut traffic = Traffic::of(&engine, BEFORE);
    traffic.answers(20).await;
    let slowed = world.server.nodes().await.slow_down(0);
    traffic.answers(100).await;
    drop(slowed);
    let seen = traffic.end().await;
    check_after(&engine, &seen).await;
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_node_of_three_is_waited_out() {
    let Some(nodes) = QdrantNodes::start(3).await else {
        return;
    };
    let world = World::with(nodes);
    let engine = filled(&replicated(&world)).await;
    let mut traffic = Traffic::of(&engine, BEFORE);
    traffic.answers(20).await;
    let nodes = world.server.nodes().await;
    nodes.pause(1);
    traffic.answers(60).await;
    nodes.resume(1);
    nodes.wait_until_whole().await;
    drop(nodes);
    let seen = traffic.end().await;
    check_after(&engine, &seen).await;
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_others_cannot_reach_is_waited_out() {
    if !in_own_network("cluster::a_node_that_others_cannot_reach_is_waited_out") {
        return;
    }
    let options = NodeOptions {
        apart: true,
        ..NodeOptions::default()
    };
    let nodes = QdrantNodes::start_with(3, options).await.unwrap();
    let world = World::with(nodes);
    let engine = filled(&replicated(&world)).await;
    let mut traffic = Traffic::of(&engine, BEFORE);
    traffic.answers(20).await;
    let nodes = world.server.nodes().await;
    nodes.cut(1);
    traffic.answers(60).await;
    nodes.join(1);
    nodes.wait_until_whole().await;
    drop(nodes);
    let seen = traffic.end().await;
    check_after(&engine, &seen).await;
    engine.close().await;
}
