//! What is half made or damaged is in nobody's way.

use std::sync::Arc;
use std::time::Duration;

use braid_core::ports::Recorded;
use braid_core::{
    Collection, CollectionName, DocumentId, ErrorCode, Fingerprint, Ledger, WorkQueue,
};
use braid_qdrant_double::{Fault, Kind, QdrantDouble};
use braid_testkit::ledger_suite::{Scene, hash, new_collection};

use super::{World, everywhere};
use crate::cluster::ClusterLedger;
use crate::cluster::cas::Table;
use crate::cluster::registry::{KIND, NUMBER};
use crate::cluster::rows::{BODY, Fields, integer, point_id, text};
use crate::cluster::versions::version_id;
use crate::qdrant::options::QdrantOptions;

const LEASE: Duration = Duration::from_secs(10);
const GRACE: Duration = Duration::from_secs(60);

everywhere!(
    damaged_collections_are_left_out,
    damaged_documents_are_left_out
);

fn embedder() -> Fingerprint {
    new_collection("any").fingerprint.embedder
}

async fn scene_of(ledger: &Arc<ClusterLedger>, name: &str) -> Scene {
    let scene = Scene::made(Arc::clone(ledger) as _, new_collection(name)).await;
    scene.indexed_by(Arc::clone(ledger) as _)
}

async fn claimed(ledger: &ClusterLedger) -> Vec<String> {
    let items = ledger.claim(&embedder(), 9, LEASE).await.unwrap();
    let mut names: Vec<String> = items
        .iter()
        .map(|item| item.claim.document.to_string())
        .collect();
    names.sort_unstable();
    names
}

async fn made(ledger: &ClusterLedger, name: &str) -> braid_core::Result<Collection> {
    match ledger.create_collection(new_collection(name), None).await? {
        Recorded::Done(collection) => Ok(collection),
        Recorded::Replayed(_) => panic!("made without a key"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_is_half_made_is_in_nobodys_way() {
    for broken in 0.. {
        let double = QdrantDouble::start();
        let world = World::new(&QdrantOptions {
            url: double.url(),
            ..QdrantOptions::default()
        });
        let scene = scene_of(&world.open().await, "whole").await;
        scene.put("d", &["text"]).await;
        let dying = world.open().await;
        double.inject(Kind::Write, Fault::Nothing, broken);
        double.inject(Kind::Write, Fault::Unavailable, 1);
        let died = made(&dying, "half").await.is_err();
        double.heal();

        let ledger = world.open().await;
        let listed = ledger.collections().await.unwrap();
        assert_eq!(listed.len(), if died { 1 } else { 2 }, "broken at {broken}");
        let found = ledger.embeddings(&embedder(), &[hash("text")]).await;
        assert_eq!(found.unwrap(), [None], "broken at {broken}");
        ledger.sweep_all(GRACE).await.unwrap();
        assert_eq!(ledger.depth().await.unwrap().waiting, 1);
        assert_eq!(claimed(&ledger).await, ["d"], "broken at {broken}");

        let mut other = new_collection("half");
        other.dimension = 3;
        if broken % 2 == 0 {
            // Who asks again makes the rest.
            let half = scene_of(&ledger, "half").await;
            half.put("e", &["other"]).await;
            half.publish().await;
            assert_eq!(half.visible().await, ["e: other"]);
            let refused = ledger.create_collection(other, None).await.unwrap_err();
            assert_eq!(refused.code(), ErrorCode::CollectionExists);
        } else {
            let name = CollectionName::new("half").unwrap();
            ledger.delete_collection(&name, None).await.unwrap();
            ledger.create_collection(other, None).await.unwrap();
        }
        if !died {
            return;
        }
    }
}

async fn damaged_collections_are_left_out(world: World) {
    let ledger = world.open().await;
    let (good, bad) = (
        scene_of(&ledger, "good").await,
        scene_of(&ledger, "bad").await,
    );
    let put = async |text: &str| {
        good.put("d", &[text]).await;
        bad.put("d", &[text]).await;
    };
    put("text").await;
    // What waits in any collection.
    good.publish().await;
    put("newer").await;
    // Heads without indexes, and no chunks.
    let site = world.site();
    let break_it = async |scene: &Scene| {
        let heads = Table::new(Arc::clone(&site), site.heads_name(scene.collection.id));
        heads.remove().await.unwrap();
        heads.ensure(&[]).await.unwrap();
        ledger.shelf_of(&scene.collection).chunks.remove().await
    };
    break_it(&bad).await.unwrap();
    let found = ledger.embeddings(&embedder(), &[hash("text")]).await;
    assert!(found.unwrap()[0].is_some());
    ledger.sweep_all(GRACE).await.unwrap();
    assert_eq!(claimed(&ledger).await, ["d"]);
    break_it(&good).await.unwrap();
    let error = ledger.claim(&embedder(), 9, LEASE).await.unwrap_err();
    assert!(error.code().is_retryable(), "{error}");
    ledger.sweep_all(GRACE).await.unwrap_err();
}

async fn damaged_documents_are_left_out(world: World) {
    let ledger = world.open().await;
    let scene = scene_of(&ledger, "scene").await;
    for id in ["good", "head", "version"] {
        scene.put(id, &["text"]).await;
    }
    let shelf = ledger.shelf_of(&scene.collection);
    let overwrite = async |table: &Table, id, field: &str| {
        let mut fields = table.get(&[id], &[]).await.unwrap().remove(0).unwrap();
        fields.insert(field.to_owned(), text("{"));
        table.put(vec![(id, fields)]).await.unwrap();
    };
    overwrite(&shelf.heads.table, point_id("head"), BODY).await;
    let document = DocumentId::new("version").unwrap();
    let head = shelf.heads.read_one(&document).await.unwrap();
    let version = version_id("version", head.newest_sequence().unwrap().0);
    overwrite(&shelf.versions.table, version, "chunks").await;
    let odd = Fields::from([
        (KIND.to_owned(), text("collection")),
        (NUMBER.to_owned(), integer(77)),
        (BODY.to_owned(), text("{")),
    ]);
    let row = (point_id("collection/odd"), odd);
    ledger.registry.table.put(vec![row]).await.unwrap();

    let ledger = world.open().await;
    assert_eq!(ledger.collections().await.unwrap().len(), 1);
    assert_eq!(claimed(&ledger).await, ["good"]);
    let failed = ledger.failed_documents(scene.collection.id, None, 9).await;
    let failed = failed.unwrap().items;
    assert_eq!((failed.len(), failed[0].id.as_str()), (1, "version"));
    assert!(failed[0].reason.contains("chunks"), "{}", failed[0].reason);
    ledger.sweep_all(GRACE).await.unwrap();
}
