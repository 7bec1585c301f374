//! What the profile does not have is said in one line.

use std::sync::Arc;

use braid_config::Settings;
use braid_core::{Error, ErrorCode};
use braid_engine::Engine;
use braid_testkit::HashEmbedder;

use crate::world::{DIMENSION, World, name, open};

#[track_caller]
fn check(error: &Error, says: &str) {
    assert_eq!(error.code(), ErrorCode::NotEnabled, "{error}");
    let text = format!("{} {}", error.message(), error.help().unwrap_or_default());
    assert!(text.contains(says) && !text.contains('\n'), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_files_is_refused() {
    let world = World::new();
    let engine = world.open().await;
    let collection = engine.ensure_collection(&name()).await.unwrap();
    let error = engine.rebuild(&name(), None, |_| {}).await.unwrap_err();
    check(&error, "new collection");
    let error = engine.index_states(&collection).await.unwrap_err();
    check(&error, "index files");
    let error = engine.indexed_slots(&collection).await.unwrap_err();
    check(&error, "slots");
    let error = engine.boilerplate(&name(), 1).await.unwrap_err();
    check(&error, "boilerplate");
}

#[tokio::test]
async fn other_profiles_have_no_workers() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = Settings::default();
    settings.storage.data_dir = directory.path().to_owned();
    settings.storage.map_size_gib = 0.0625;
    let engine: Engine = open(&settings, Arc::new(HashEmbedder::new(DIMENSION))).await;
    check(&engine.worker().unwrap_err(), "cluster only");
    assert_eq!(engine.work_depth().await.unwrap(), None);
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_named() {
    let mut settings = Settings::default();
    settings.storage.profile = braid_config::StorageProfile::Cluster;
    settings.qdrant.url = "http://127.0.0.1:1".to_owned();
    let options = braid_engine::OpenOptions {
        instead_of_models: Some(Arc::new(HashEmbedder::new(DIMENSION))),
        ..braid_engine::OpenOptions::default()
    };
    let error = Engine::open(&settings, options).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    assert!(error.message().contains("http://127.0.0.1:1"), "{error}");
}
