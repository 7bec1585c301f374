//! Closing collections, deleting by filter, and dropping what nothing refers to.

use std::time::Duration;

use braid_core::{ContentHash, ErrorCode, Fingerprint, Ledger, Sequence};
use braid_indexing::{Health, IngestRequest};
use braid_testkit::Gate;

use crate::world::{World, documents, receipt, texts};

const KEYS: [ContentHash; 1] = [ContentHash([7; 32])];

fn embedder() -> Fingerprint {
    Fingerprint::new("any")
}

/// Stores an embedding of a text that nothing has.
async fn put_orphan(world: &World) {
    let orphan = vec![(KEYS[0], vec![1.0].into())];
    let embedder = embedder();
    let put = world.ledger.put_embeddings(&embedder, orphan);
    put.await.unwrap();
}

async fn has_orphan(world: &World) -> bool {
    let embedder = embedder();
    let found = world.ledger.embeddings(&embedder, &KEYS).await;
    found.unwrap()[0].is_some()
}

/// Opens the world for a second.
async fn open_for_a_while(world: &World) {
    let life = world.open().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    life.shutdown.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_sweeps_unless_the_process_does_not_index_or_does_not_stay() {
    let mut world = World::new();
    put_orphan(&world).await;
    open_for_a_while(&world).await;
    assert!(has_orphan(&world).await, "nobody asked for it");
    world.options.sweep_interval = Some(Duration::from_secs(3600));
    world.options.background = false;
    open_for_a_while(&world).await;
    assert!(has_orphan(&world).await);
    world.options.background = true;
    open_for_a_while(&world).await;
    assert!(!has_orphan(&world).await);
}

/// However long the first sweep takes, collections open and are written meanwhile.
#[tokio::test(start_paused = true)]
async fn a_start_does_not_wait_for_its_sweep() {
    let mut world = World::new();
    world.options.sweep_interval = Some(Duration::from_secs(3600));
    let gate = Gate::new();
    world.ledger.hold_sweeps(gate.clone());
    put_orphan(&world).await;
    // The clock is moved on only if the start waits.
    let start = tokio::time::timeout(Duration::from_secs(1), world.open());
    let life = start.await.expect("the start waits for nothing");
    gate.arrived().await;
    life.ingest("a: one").await;
    life.idle().await;
    assert!(has_orphan(&world).await);
    gate.open();
    life.shutdown.finish().await;
    assert!(!has_orphan(&world).await, "a sweep that has begun is ended");
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_does_not_keep_a_start_from_serving() {
    let world = World::new();
    world.open().await.shutdown.finish().await;
    world.ledger.refuse_writes(Some(ErrorCode::StorageFull));
    let life = world.open().await;
    life.idle().await;
    assert_eq!(life.indexer.stalled(life.collection.id), None);
}

#[tokio::test(start_paused = true)]
async fn sweeping_goes_on_while_serving() {
    let mut world = World::new();
    world.options.sweep_interval = Some(Duration::from_secs(3600));
    let _life = world.open().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..2 {
        put_orphan(&world).await;
        tokio::time::sleep(Duration::from_secs(3500)).await;
        assert!(has_orphan(&world).await);
        tokio::time::sleep(Duration::from_secs(200)).await;
        assert!(!has_orphan(&world).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_lack_of_room_sweeps_at_once() {
    let world = World::new();
    let life = world.open().await;
    put_orphan(&world).await;
    world.ledger.refuse_writes(Some(ErrorCode::StorageFull));
    let request = IngestRequest {
        documents: documents("a: one"),
        ..IngestRequest::default()
    };
    let refused = life.indexer.ingest(&life.collection, request).await;
    assert_eq!(refused.unwrap_err().code(), ErrorCode::StorageFull);
    world.ledger.refuse_writes(None);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!has_orphan(&world).await);
}

/// A write that found the collection open before it was closed stores nothing unseen.
#[tokio::test(start_paused = true)]
async fn a_closed_collection_takes_no_write() {
    let life = World::new().open().await;
    let staged = {
        let life = life.clone();
        tokio::spawn(async move {
            let request = IngestRequest {
                documents: documents("a: one"),
                ..IngestRequest::default()
            };
            life.indexer.ingest(&life.collection, request).await
        })
    };
    life.indexer.stop(life.collection.id).await;
    let newest = life
        .world
        .ledger
        .stats(life.collection.id)
        .await
        .unwrap()
        .newest;
    match staged.await.unwrap() {
        Ok(_) => assert_eq!(
            newest,
            Sequence(1),
            "it was there before the collection closed"
        ),
        Err(error) => {
            assert_eq!(error.code(), ErrorCode::CollectionNotFound);
            assert_eq!(newest, Sequence::ZERO);
        }
    }
    assert_eq!(life.indexer.health(life.collection.id), Health::Stopped);
}

#[tokio::test(start_paused = true)]
async fn deleting_by_filter_deletes_what_matches() {
    let life = World::new().open().await;
    let mut documents = documents("a: one\nb: two");
    let draft = ("draft".to_owned(), braid_core::MetadataValue::Bool(true));
    documents[0].metadata = braid_core::Metadata::new([draft].into()).unwrap();
    let request = IngestRequest {
        documents,
        ..IngestRequest::default()
    };
    life.indexer
        .ingest(&life.collection, request)
        .await
        .unwrap();
    let filter = braid_core::Filter {
        must: vec![braid_core::Condition {
            key: "draft".to_owned(),
            predicate: braid_core::Predicate::Exists(true),
        }],
        ..braid_core::Filter::default()
    };
    let delete = |filter: &braid_core::Filter| {
        life.indexer
            .delete_matching(&life.collection, filter.clone(), None, None)
    };
    assert_eq!(receipt(delete(&filter).await.unwrap()).outcomes.len(), 1);
    life.idle().await;
    assert_eq!(life.world.live().await, texts(&[("b", &["two"])]));
    // Replaced by a version that does not match, a document is left alone.
    assert_eq!(receipt(delete(&filter).await.unwrap()).outcomes.len(), 0);
    life.world.assert_sound().await;
}
