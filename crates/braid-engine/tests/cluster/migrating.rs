//! Copying from a data directory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use braid_config::{Settings, StorageProfile};
use braid_core::{CollectionName, ErrorCode, Synonyms};
use braid_engine::query::Mode;
use braid_engine::{Migrated, MigrationProgress, migrate};
use braid_runtime::Shutdown;
use braid_testkit::HashEmbedder;
use tempfile::TempDir;

use crate::world::{DIMENSION, World, document, found, id, ingest, name, open};

const RULES: [&str; 1] = ["zephyr, n7"];

/// A data directory with rules and so many documents, of which one was deleted and one replaced.
async fn directory(world: &World, documents: usize) -> (TempDir, Settings) {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = world.settings();
    settings.storage.data_dir = directory.path().to_owned();
    settings.storage.map_size_gib = 0.0625;
    settings.lexical.writer_memory_mib = 16;
    settings.ingest.apply_interval_ms = 1;
    let mut embedded = settings.clone();
    embedded.storage.profile = StorageProfile::Embedded;
    let engine = open(&embedded, Arc::new(HashEmbedder::new(DIMENSION))).await;
    engine.ensure_collection(&name()).await.unwrap();
    let rules = Arc::new(Synonyms::parse(&RULES).unwrap());
    engine.set_synonyms(&name(), rules, None).await.unwrap();
    ingest(&engine, (0..documents).map(|it| document(it, 1)).collect()).await;
    let through = ingest(&engine, vec![document(2, 2)]).await;
    engine.wait_published(&name(), through).await.unwrap();
    let shared = name();
    let deleted = engine.delete_documents(&shared, vec![id(1)], None, None);
    deleted.await.unwrap();
    let collection = engine.collection(&name()).await.unwrap();
    engine.indexer().wait_idle(collection.id).await.unwrap();
    engine.close().await;
    (directory, settings)
}

async fn run(settings: &Settings) -> Migrated {
    let seen = AtomicU64::new(0);
    let tell = |_: &CollectionName, progress: MigrationProgress| {
        seen.store(progress.seen, Ordering::SeqCst);
    };
    let mut migrated = migrate(settings, None, &Shutdown::new(), &tell)
        .await
        .unwrap();
    let migrated = migrated.remove(&name()).unwrap();
    assert_eq!(seen.into_inner(), migrated.documents.source);
    migrated
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_directory_is_copied_without_embedding_and_found_the_same() {
    let world = World::new();
    let (_directory, settings) = directory(&world, 150).await;
    let migrated = run(&settings).await;
    assert_eq!((migrated.copied, migrated.unchanged), (149, 0));
    assert_eq!(
        (migrated.documents.target, migrated.chunks.target),
        (149, 149)
    );
    assert_eq!(migrated.sampled.queries, 50);
    assert!(migrated.agrees(), "{migrated:?}");
    let embedder = Arc::new(HashEmbedder::new(DIMENSION));
    let engine = world.open_with(embedder.clone()).await;
    assert_eq!(
        found(&engine, "the badger n2", Mode::Hybrid).await[0].0,
        "doc/2"
    );
    let text = engine.document(&name(), &id(2)).await.unwrap().text;
    assert!(text.contains("e2"), "{text}");
    // The same documents again are the same.
    ingest(&engine, vec![document(0, 1), document(2, 2)]).await;
    assert_eq!(engine.work_depth().await.unwrap().unwrap().waiting, 0);
    assert_eq!(embedder.passages_embedded(), 0);
    let again = run(&settings).await;
    assert_eq!((again.copied, again.unchanged), (0, 149));
    assert!(again.agrees(), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_deleted_in_the_cluster_stays_so_and_differences_are_said() {
    let world = World::new();
    let (_directory, settings) = directory(&world, 20).await;
    run(&settings).await;
    let engine = world.open().await;
    let shared = name();
    let gone = engine.delete_documents(&shared, vec![id(5), id(6)], None, None);
    gone.await.unwrap();
    let again = run(&settings).await;
    assert_eq!((again.copied, again.unchanged), (0, 17));
    let left_out: Vec<&str> = again.left_out.iter().map(|(it, _)| it.as_str()).collect();
    assert_eq!(left_out, ["doc/5", "doc/6"]);
    assert!(!again.agrees());
    // A document of the cluster alone is a difference.
    ingest(&engine, vec![document(77, 1)]).await;
    world.work().await;
    let other = run(&settings).await;
    assert_eq!((other.documents.source, other.documents.target), (19, 18));
    assert!(!other.agrees());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn synonyms_are_copied_once_and_used() {
    let world = World::new();
    let (_directory, settings) = directory(&world, 20).await;
    run(&settings).await;
    let engine = world.open().await;
    let rules = async || {
        let collection = world.open().await.collection(&name()).await.unwrap();
        collection.synonyms.lines().to_vec()
    };
    assert_eq!(rules().await, RULES);
    let hits = found(&engine, "zephyr", Mode::Lexical).await;
    assert_eq!((hits.len(), &*hits[0].0), (1, "doc/7"));
    // What the cluster was told since stays.
    for since in [&["zephyr, n8"][..], &[]] {
        let synonyms = Arc::new(Synonyms::parse(since).unwrap());
        engine.set_synonyms(&name(), synonyms, None).await.unwrap();
        assert!(run(&settings).await.agrees());
        assert_eq!(rules().await, since);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn synonyms_that_the_cluster_has_already_stay() {
    let world = World::new();
    let (_directory, settings) = directory(&world, 20).await;
    let engine = world.open().await;
    engine.ensure_collection(&name()).await.unwrap();
    let own = Arc::new(Synonyms::parse(&["zephyr, n8"]).unwrap());
    let shared = name();
    let set = engine.set_synonyms(&shared, Arc::clone(&own), None);
    set.await.unwrap();
    assert!(run(&settings).await.agrees());
    let there = world.open().await.collection(&name()).await.unwrap();
    assert_eq!(there.synonyms, own);
}

#[tokio::test]
async fn what_cannot_be_copied_is_refused_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = Settings::default();
    settings.storage.data_dir = directory.path().to_owned();
    let error = migrate(&settings, None, &Shutdown::new(), &|_, _| {})
        .await
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidRequest);
    settings.storage.profile = StorageProfile::Cluster;
    let error = migrate(&settings, None, &Shutdown::new(), &|_, _| {})
        .await
        .unwrap_err();
    assert!(error.message().contains("no data in"), "{error}");
}
