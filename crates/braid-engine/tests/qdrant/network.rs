//! The network between Braid and a real node is cut.

use std::time::{Duration, Instant};

use braid_qdrant_double::{Link, NodeOptions, QdrantNodes, Wire};

use crate::traffic::Traffic;
use crate::world::{World, check_whole, idle, ingest, is_dense, open, retrieve};

const BEFORE: usize = 100;

/// How soon both legs are back when the network is: far less than the minutes after which a connection
/// that is silent is given up by the system.
const SOON: Duration = Duration::from_secs(15);

async fn cut_and_mended(link: Link) {
    let Some(nodes) = QdrantNodes::start(1).await else {
        return;
    };
    let wire = Wire::to(vec![nodes.address(0)]);
    let world = World::with(nodes);
    let mut settings = world.settings();
    settings.qdrant.url = wire.url();
    settings.qdrant.timeout_ms = 1000;
    settings.qdrant.connect_timeout_ms = 500;
    settings.qdrant.breaker_open_ms = 100;
    settings.retrieve.leg_timeout_ms = 500;
    let engine = open(&settings).await;
    ingest(&engine, 0..BEFORE).await;
    idle(&engine).await;
    // A write that is tried again would find a new connection for the searches.
    let mut traffic = match link {
        Link::Silent => Traffic::queries(&engine, BEFORE),
        Link::Whole | Link::Closed => Traffic::of(&engine, BEFORE),
    };
    traffic.answers(20).await;
    wire.set(link);
    while engine.readiness().await.unwrap().unreachable.is_none() {
        tokio::task::yield_now().await;
    }
    traffic.answers(20).await;
    let seen = traffic.end().await;
    assert!(seen.lexical_only > 0, "{seen:?}");
    wire.set(Link::Whole);
    let mended = Instant::now();
    let found = loop {
        let found = retrieve(&engine, "the one called n7").await;
        if found.degraded.is_empty() || mended.elapsed() > SOON {
            break found;
        }
    };
    assert!(is_dense(&found), "{link:?}: {:?}", found.degraded);
    idle(&engine).await;
    check_whole(&engine, seen.documents).await;
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_closes_connections_is_waited_out() {
    cut_and_mended(Link::Closed).await;
}

/// What was open before is dead and says nothing: new connections have to be made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_drops_everything_is_waited_out() {
    cut_and_mended(Link::Silent).await;
}

/// What the process for [`a_certificate_is_checked`] is told.
const TLS_URL: &str = "BRAID_TEST_TLS_URL";

/// The authority of a node's certificate is the one that `SSL_CERT_FILE` names, which takes a process of
/// its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_an_own_authority_is_taken_where_it_is_named() {
    let options = NodeOptions {
        tls: true,
        ..NodeOptions::default()
    };
    let Some(nodes) = QdrantNodes::start_with(1, options).await else {
        return;
    };
    let url = nodes.url(0).replace("http://", "https://");
    let run = |authority: Option<std::path::PathBuf>| {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command
            .args([
                "network::a_certificate_is_checked",
                "--exact",
                "--nocapture",
            ])
            .env(TLS_URL, &url)
            .env_remove("SSL_CERT_FILE");
        if let Some(authority) = authority {
            command.env("SSL_CERT_FILE", authority);
        }
        let done = command.output().unwrap();
        let said = [done.stdout, done.stderr].concat();
        (done.status.success(), String::from_utf8(said).unwrap())
    };
    let (is_done, said) = run(Some(nodes.certificate()));
    assert!(is_done, "{said}");
    let (is_done, said) = run(None);
    assert!(!is_done && said.contains("SSL_CERT_FILE"), "{said}");
}

/// In a process that [`a_certificate_of_an_own_authority_is_taken_where_it_is_named`] starts.
#[tokio::test]
async fn a_certificate_is_checked() {
    let Ok(url) = std::env::var(TLS_URL) else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let mut settings = crate::world::embedded(directory.path());
    settings.storage.profile = braid_config::StorageProfile::Qdrant;
    settings.qdrant.url = url;
    settings.qdrant.breaker_open_ms = 1;
    let engine = open(&settings).await;
    let start = Instant::now();
    loop {
        match engine.vector_server().await.unwrap().version {
            Ok(_) => break,
            // It may not listen yet.
            Err(error) => {
                let is_starting = !error.to_string().contains("SSL_CERT_FILE");
                assert!(is_starting && start.elapsed() < SOON, "{error:?} {error}");
            }
        }
    }
    ingest(&engine, 0..5).await;
    idle(&engine).await;
    check_whole(&engine, 5).await;
    engine.close().await;
}
