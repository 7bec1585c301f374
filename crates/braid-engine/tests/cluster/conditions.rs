//! Phrases, excluded words and words in a field, in queries.

use std::sync::Arc;

use braid_config::StorageProfile;
use braid_engine::Engine;
use braid_engine::query::Mode;
use braid_testkit::HashEmbedder;

use crate::world::{DIMENSION, World, document, found, ingest, name, open, request};

/// Documents 0 to 23 of edition 1, then some of edition 2.
async fn fill(engine: &Engine) -> braid_core::Sequence {
    engine.ensure_collection(&name()).await.unwrap();
    ingest(engine, (0..24).map(|it| document(it, 1)).collect()).await;
    ingest(engine, (0..6).map(|it| document(it, 2)).collect()).await
}

async fn documents(engine: &Engine, query: &str, mode: Mode) -> Vec<String> {
    let mut request = request(query, mode);
    request.top_k = 30;
    let response = engine.retrieve(request).await.unwrap();
    assert!(response.degraded.is_empty(), "{:?}", response.degraded);
    let hits = response.hits.into_iter();
    let mut found: Vec<String> = hits
        .map(|hit| hit.passage.record.document.to_string())
        .collect();
    found.sort_unstable();
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_means_the_same_as_in_a_data_directory() {
    let world = World::new();
    let cluster = world.open().await;
    fill(&cluster).await;
    world.work().await;
    let directory = tempfile::tempdir().unwrap();
    let mut settings = world.settings();
    settings.storage.profile = StorageProfile::Embedded;
    settings.storage.data_dir = directory.path().to_owned();
    settings.storage.map_size_gib = 0.0625;
    settings.lexical.writer_memory_mib = 16;
    let embedded = open(&settings, Arc::new(HashEmbedder::new(DIMENSION))).await;
    let through = fill(&embedded).await;
    embedded.wait_published(&name(), through).await.unwrap();
    for (query, wanted) in [
        ("\"the otter called\" river", 8),
        ("\"otter lives\"", 0),
        ("story -otter", 16),
        ("story -\"called n7\" -heron", 16),
        ("title:\"story 12\"", 1),
        ("story -title:\"story 12\"", 23),
        ("\"edition e2\"", 6),
        ("\"edition e1\" story -badger", 12),
        ("body:n3 river", 1),
        ("heading:story", 0),
    ] {
        for mode in [Mode::Lexical, Mode::Dense, Mode::Hybrid] {
            let one = documents(&embedded, query, mode).await;
            let other = documents(&cluster, query, mode).await;
            assert_eq!(one, other, "{query} {mode:?}");
            assert_eq!(other.len(), wanted, "{query} {mode:?}");
        }
        let [one, other] = [&embedded, &cluster].map(|engine| async {
            let response = engine.retrieve(request(query, Mode::Hybrid)).await.unwrap();
            (response.conditions, response.reason)
        });
        assert_eq!(one.await, other.await, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replaced_version_meets_no_condition() {
    let world = World::new();
    let engine = world.open().await;
    engine.ensure_collection(&name()).await.unwrap();
    ingest(&engine, (0..3).map(|it| document(it, 1)).collect()).await;
    world.work().await;
    // Nothing sweeps: the chunks of edition 1 stay.
    ingest(&engine, vec![document(1, 2)]).await;
    world.work().await;
    let query = "story \"edition e1\"";
    for mode in [Mode::Lexical, Mode::Dense, Mode::Hybrid] {
        let hits = found(&engine, query, mode).await;
        assert_eq!(hits.len(), 2, "{mode:?}: {hits:?}");
    }
    let response = engine.retrieve(request(query, Mode::Hybrid)).await.unwrap();
    assert_eq!(response.conditions[0].saying, 2);
}
