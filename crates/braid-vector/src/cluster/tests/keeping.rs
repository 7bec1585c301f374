//! What is stored is kept, whatever becomes of the registry, until somebody deletes it.

use std::sync::Arc;
use std::time::Duration;

use braid_core::{Error, ErrorCode, Ledger};
use braid_qdrant_double::{Fault, Kind, QdrantDouble};
use braid_testkit::ledger_suite::{Scene, new_collection};
use uuid::Uuid;

use super::{World, everywhere};
use crate::cluster::ClusterLedger;
use crate::cluster::cas::Table;
use crate::cluster::registry::INDEXES;
use crate::cluster::rows::Fields;
use crate::qdrant::options::QdrantOptions;

const GRACE: Duration = Duration::from_secs(60);

everywhere!(
    a_lost_registry_is_not_made_anew,
    an_older_registry_takes_nothing_with_it,
    what_is_unknown_is_not_swept,
);

/// The registry as a snapshot has it.
struct Snapshot {
    table: Table,
    points: Vec<(Uuid, Fields)>,
}

impl Snapshot {
    async fn take(world: &World) -> Self {
        let table = Table::new(world.site(), world.site().registry_name());
        let points = table.list_all(None).await.unwrap();
        Self { table, points }
    }

    async fn restore(&self) {
        self.table.remove().await.unwrap();
        self.table.ensure(&INDEXES).await.unwrap();
        self.table.put(self.points.clone()).await.unwrap();
    }
}

/// The collections of Qdrant that are of this world, but for the registry.
async fn stored(world: &World) -> Vec<String> {
    let site = world.site();
    let mut names = site.collections().await.unwrap();
    names.retain(|name| site.owner_of(name).is_some());
    names.sort_unstable();
    names
}

async fn refused(world: &World) -> Error {
    let opened = ClusterLedger::open_at(world.site(), Arc::new(|| 0)).await;
    opened.expect_err("opened")
}

async fn scene_of(ledger: &Arc<ClusterLedger>) -> Scene {
    let scene = Scene::of(Arc::clone(ledger) as Arc<dyn Ledger>).await;
    scene.indexed_by(Arc::clone(ledger) as _)
}

async fn a_lost_registry_is_not_made_anew(world: World) {
    let running = world.open().await;
    let scene = scene_of(&running).await;
    scene.put("d", &["text"]).await;
    scene.publish().await;
    let (snapshot, before) = (Snapshot::take(&world).await, stored(&world).await);
    assert_eq!(before.len(), 3, "{before:?}");

    snapshot.table.remove().await.unwrap();
    let error = refused(&world).await;
    assert_eq!(error.code(), ErrorCode::Corrupt, "{error}");
    let help = error.help().unwrap();
    assert!(help.contains("restore"), "{error}");
    // One that runs waits for it.
    let error = running.sweep_all(GRACE).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable, "{error}");
    let created = running.create_collection(new_collection("other"), None);
    let error = created.await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable, "{error}");
    // As something else may make it.
    snapshot.table.ensure(&[]).await.unwrap();
    assert_eq!(refused(&world).await.code(), ErrorCode::Corrupt);
    assert_eq!(stored(&world).await, before);

    snapshot.restore().await;
    world.open().await.sweep_all(GRACE).await.unwrap();
    assert_eq!(stored(&world).await, before);
    assert_eq!(scene.visible().await, ["d: text"]);
}

async fn an_older_registry_takes_nothing_with_it(world: World) {
    world.open().await;
    let old = Snapshot::take(&world).await;
    let scene = scene_of(&world.open().await).await;
    scene.put("d", &["text"]).await;
    scene.publish().await;
    let (new, before) = (Snapshot::take(&world).await, stored(&world).await);

    old.restore().await;
    let ledger = world.open().await;
    ledger.sweep_all(GRACE).await.unwrap();
    assert_eq!(stored(&world).await, before, "nobody deleted it");
    let again = scene_of(&ledger).await;
    assert_ne!(again.collection.id, scene.collection.id);
    assert!(
        again.visible().await.is_empty(),
        "it has nothing of another"
    );
    again.put("d", &["other"]).await;
    again.publish().await;

    new.restore().await;
    let ledger = world.open().await;
    ledger.sweep_all(GRACE).await.unwrap();
    assert_eq!(scene_of(&ledger).await.visible().await, ["d: text"]);
}

/// As a reader of one copy sees it that lacks the last writes.
async fn what_is_unknown_is_not_swept(world: World) {
    let ledger = world.open().await;
    let name = world.site().heads_name(braid_core::CollectionId(99));
    let table = Table::new(world.site(), name.clone());
    table.ensure(&[]).await.unwrap();
    ledger.sweep_all(GRACE).await.unwrap();
    assert_eq!(stored(&world).await, [name]);
    let made = scene_of(&ledger).await.collection;
    assert_eq!(made.id.0, 100, "its number is taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_broken_delete_left_is_swept() {
    for broken in 0.. {
        let double = QdrantDouble::start();
        let world = World::new(&QdrantOptions {
            url: double.url(),
            ..QdrantOptions::default()
        });
        let ledger = world.open().await;
        let scene = scene_of(&ledger).await;
        scene.put("d", &["text"]).await;
        let name = &scene.collection.name;
        double.inject(Kind::Write, Fault::Nothing, broken);
        double.inject(Kind::Write, Fault::Unavailable, 1);
        let deleted = ledger.delete_collection(name, None).await;
        double.heal();
        let other = world.open().await;
        other.sweep_all(GRACE).await.unwrap();
        // Done, or as if it had not begun.
        match other.collection(name).await.unwrap() {
            None => assert!(
                stored(&world).await.is_empty(),
                "{:?}",
                stored(&world).await
            ),
            Some(found) => {
                assert_eq!(found.id, scene.collection.id);
                scene.publish().await;
                assert_eq!(scene.visible().await, ["d: text"], "broken at {broken}");
                other.delete_collection(name, None).await.unwrap();
                assert!(stored(&world).await.is_empty());
            }
        }
        if deleted.is_ok() {
            return;
        }
    }
}
