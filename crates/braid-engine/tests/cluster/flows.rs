//! Documents through several processes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use braid_core::{DocumentStatus, ErrorCode};
use braid_engine::Until;
use braid_engine::query::Mode;
use braid_qdrant_double::{Fault as ServerFault, Kind};
use braid_testkit::{Call, Fault, Faulty, Gate, HashEmbedder};

use crate::world::{DIMENSION, World, document, found, id, ingest, name, open};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_takes_documents_another_indexes_them_a_third_finds_them() {
    let world = World::new();
    let (taking, finding) = (world.open().await, world.open().await);
    taking.ensure_collection(&name()).await.unwrap();
    let through = ingest(&taking, (0..30).map(|it| document(it, 1)).collect()).await;
    assert!(found(&finding, "otter n3", Mode::Hybrid).await.is_empty());
    let waiting = taking.work_depth().await.unwrap().unwrap();
    assert_eq!((waiting.waiting, waiting.failed), (30, 0));
    let ready = finding.readiness().await.unwrap();
    assert!(ready.by_workers && ready.unreachable.is_none());
    assert_eq!(ready.lag, [(name(), 30)]);
    let shared = name();
    let wait = taking.wait_published(&shared, through);
    let (progress, waited) = tokio::join!(world.work(), wait);
    waited.unwrap();
    assert_eq!((progress.published, progress.failed), (30, 0));
    for mode in [Mode::Lexical, Mode::Dense, Mode::Hybrid] {
        let hits = found(&finding, "the heron called n7", mode).await;
        assert_eq!(hits[0].0, "doc/7", "{mode:?}: {hits:?}");
    }
    let summary = finding.document(&name(), &id(7)).await.unwrap().summary;
    assert_eq!(summary.status, DocumentStatus::Published);
    assert_eq!(finding.readiness().await.unwrap().lag, []);
    let info = finding.collection_info(&name()).await.unwrap();
    assert_eq!((info.stats.documents, info.stats.chunks), (30, 30));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_of_another_process_can_be_written() {
    let world = World::new();
    let (one, two) = (world.open().await, world.open().await);
    one.ensure_collection(&name()).await.unwrap();
    ingest(&two, vec![document(1, 1)]).await;
    ingest(&one, vec![document(2, 1)]).await;
    assert_eq!(world.work().await.published, 2);
    two.delete_collection(&name(), None).await.unwrap();
    // Which collections there are is asked now; one by its name may be as it was a second ago.
    assert!(one.collections().await.unwrap().is_empty());
    let error = one.collection(&name()).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::CollectionNotFound);
    two.ensure_collection(&name()).await.unwrap();
    ingest(&one, vec![document(3, 1)]).await;
    world.work().await;
    let hits = found(&two, "the story of the otter", Mode::Hybrid).await;
    assert_eq!(hits.len(), 1, "nothing of the first one: {hits:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_dies_in_the_middle_loses_nothing() {
    let world = World::new();
    let taking = world.open().await;
    taking.ensure_collection(&name()).await.unwrap();
    ingest(&taking, (0..10).map(|it| document(it, 1)).collect()).await;
    let gate = Gate::new();
    let held = Faulty::new(HashEmbedder::new(DIMENSION));
    let held = held.on(Call::EmbedPassages, 1, Fault::HoldBefore(gate.clone()));
    let mut settings = world.settings();
    settings.worker.lease_seconds = 1;
    let dying = open(&settings, Arc::new(held)).await;
    let worker = dying.worker().unwrap();
    tokio::select! {
        biased;
        _ = worker.run(Until::Stopped) => panic!("it waits at the gate"),
        () = gate.arrived() => {}
    }
    drop(worker);
    let depth = taking.work_depth().await.unwrap().unwrap();
    assert_eq!(depth.waiting, 10);
    // It waits until the lease ends by itself.
    let progress = world.work().await;
    assert_eq!((progress.published, progress.failed), (10, 0));
    let hits = found(&taking, "badger n8", Mode::Hybrid).await;
    assert_eq!(hits[0].0, "doc/8");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_is_replaced_under_queries_is_always_found_once() {
    let world = World::new();
    let (taking, finding) = (world.open().await, world.open().await);
    taking.ensure_collection(&name()).await.unwrap();
    ingest(&taking, (0..6).map(|it| document(it, 1)).collect()).await;
    world.work().await;
    let done = AtomicBool::new(false);
    let writing = async {
        for edition in 2..12 {
            ingest(&taking, (0..6).map(|it| document(it, edition)).collect()).await;
            assert_eq!(world.work().await.published, 6);
        }
        done.store(true, Ordering::SeqCst);
    };
    let asking = async {
        let mut queries = 0;
        while !done.load(Ordering::SeqCst) {
            for mode in [Mode::Lexical, Mode::Dense, Mode::Hybrid] {
                let hits = found(&finding, "the story of the otter called n3", mode).await;
                let documents: BTreeSet<_> = hits.iter().map(|(id, _)| id.clone()).collect();
                assert_eq!(documents.len(), hits.len(), "two versions: {hits:?}");
                assert!(documents.contains("doc/3"), "none: {hits:?}");
                queries += 1;
            }
        }
        queries
    };
    let ((), queries) = tokio::join!(writing, asking);
    assert!(queries > 3, "{queries} queries ran beside the writes");
    let hits = found(&finding, "otter n3", Mode::Lexical).await;
    assert!(hits[0].1.contains("e11"), "{hits:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_hides_at_once_in_every_process() {
    let world = World::new();
    let (taking, finding) = (world.open().await, world.open().await);
    taking.ensure_collection(&name()).await.unwrap();
    ingest(&taking, (0..6).map(|it| document(it, 1)).collect()).await;
    world.work().await;
    assert_eq!(
        found(&finding, "otter n3", Mode::Hybrid).await[0].0,
        "doc/3"
    );
    // A version that waits is not published any more either.
    ingest(&taking, vec![document(3, 2)]).await;
    let shared = name();
    let deleted = taking.delete_documents(&shared, vec![id(3)], None, None);
    deleted.await.unwrap();
    let hits = found(&finding, "otter n3", Mode::Hybrid).await;
    assert!(hits.iter().all(|(id, _)| id != "doc/3"), "{hits:?}");
    assert_eq!(world.work().await.published, 0);
    let error = finding.document(&name(), &id(3)).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::DocumentNotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_unchanged_is_neither_staged_nor_embedded_again() {
    let world = World::new();
    let (one, two) = (world.open().await, world.open().await);
    one.ensure_collection(&name()).await.unwrap();
    ingest(&one, (0..5).map(|it| document(it, 1)).collect()).await;
    world.work().await;
    ingest(&two, (0..5).map(|it| document(it, 1)).collect()).await;
    assert_eq!(two.work_depth().await.unwrap().unwrap().waiting, 0);
    let mut renamed = document(4, 1);
    renamed.id = id(40);
    ingest(&two, vec![renamed]).await;
    let progress = world.work().await;
    assert_eq!((progress.chunks_embedded, progress.chunks_reused), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_is_said_and_found_again() {
    let world = World::new();
    let Some(double) = &world.double else {
        return;
    };
    let engine = world.open().await;
    engine.ensure_collection(&name()).await.unwrap();
    double.stop();
    let ready = engine.readiness().await.unwrap();
    assert!(ready.by_workers && ready.unreachable.is_some());
    let server = engine.vector_server().await.unwrap();
    assert!(server.version.is_err());
    double.start_again();
    assert!(engine.readiness().await.unwrap().unreachable.is_none());
    // It still says its version, and goes away then.
    double.inject(Kind::Read, ServerFault::Unavailable, 100);
    let ready = engine.readiness().await.unwrap();
    assert!(ready.by_workers && ready.unreachable.is_some());
    double.heal();
    assert!(engine.readiness().await.unwrap().unreachable.is_none());
}
