//! What is asked of Qdrant does not grow with the number of collections and of queries.

use std::sync::Arc;

use braid_core::{Ledger, Sequence};
use braid_qdrant_double::{Kind, QdrantDouble};
use braid_testkit::ledger_suite::{Scene, new_collection};
use futures::future::join_all;

use super::World;
use crate::cluster::ClusterLedger;
use crate::qdrant::options::QdrantOptions;

const CALLS: usize = 20;

async fn scene_of(ledger: &Arc<ClusterLedger>, name: &str) -> Scene {
    Scene::made(Arc::clone(ledger) as _, new_collection(name)).await
}

fn world(double: &QdrantDouble) -> World {
    World::new(&QdrantOptions {
        url: double.url(),
        ..QdrantOptions::default()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_is_known_is_not_looked_up() {
    let double = QdrantDouble::start();
    let ledger = world(&double).open().await;
    let scene = scene_of(&ledger, "scene").await;
    let before = double.calls(Kind::Read);
    for _ in 0..CALLS {
        let found = ledger
            .operations(scene.collection.id, Sequence::ZERO, 1)
            .await;
        assert!(found.unwrap().is_empty());
    }
    let read = double.calls(Kind::Read) - before;
    assert!(read < CALLS as u64, "{read} reads");
}

#[tokio::test]
async fn queries_at_the_same_time_count_once() {
    let double = QdrantDouble::start();
    let world = world(&double);
    let scene = scene_of(&world.open().await, "scene").await;
    let fresh = world.open().await;
    let before = double.calls(Kind::Read);
    let pins = (0..CALLS).map(|_| fresh.pin(&scene.collection.name));
    for pin in join_all(pins).await {
        assert_eq!(pin.unwrap().stats().documents, 0);
    }
    let read = double.calls(Kind::Read) - before;
    assert!(read < CALLS as u64, "{read} reads");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_deleted_is_forgotten() {
    let double = QdrantDouble::start();
    let world = world(&double);
    let (ledger, other) = (world.open().await, world.open().await);
    let scene = scene_of(&ledger, "scene").await;
    let shelf = Arc::downgrade(&ledger.shelf_of(&scene.collection));
    assert!(shelf.upgrade().is_some());
    let name = &scene.collection.name;
    other.delete_collection(name, None).await.unwrap();
    assert!(ledger.collections().await.unwrap().is_empty());
    scene_of(&ledger, "another").await;
    assert!(shelf.upgrade().is_none());
}
