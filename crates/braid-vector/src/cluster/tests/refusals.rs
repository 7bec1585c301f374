//! What the profile does not offer is refused, with what to do instead.

use braid_core::ports::RechunkedDocument;
use braid_core::{DocumentId, DuplicateAction, Error, ErrorCode, Ledger, Sequence};
use braid_qdrant_double::{Fault, Kind, QdrantDouble};
use braid_testkit::ledger_suite::{Scene, new_collection};

use super::{World, everywhere};
use crate::qdrant::options::QdrantOptions;

everywhere!(what_is_not_offered_says_what_to_do);

/// As where a node is lost on whose copy writes depend.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_no_writes_is_opened_and_read() {
    let double = QdrantDouble::start();
    let world = World::new(&QdrantOptions {
        url: double.url(),
        ..QdrantOptions::default()
    });
    let scene = Scene::of(world.open().await).await;
    double.inject(Kind::Write, Fault::Unavailable, 1000);
    let ledger = world.open().await;
    let found = ledger.collection(&scene.collection.name).await.unwrap();
    let found = found.unwrap();
    assert_eq!(found.id, scene.collection.id);
    let pin = ledger.pin(&found.name).await.unwrap();
    assert_eq!(pin.stats().documents, 0);
    let new = new_collection("another");
    ledger.create_collection(new, None).await.unwrap_err();
}

#[track_caller]
fn refused(error: &Error) {
    assert_eq!(error.code(), ErrorCode::NotEnabled, "{error}");
    assert!(error.help().is_some(), "{error}");
}

async fn what_is_not_offered_says_what_to_do(world: World) {
    let ledger = world.open().await;
    let scene = Scene::of(ledger.clone()).await;
    let id = scene.collection.id;
    for action in [
        DuplicateAction::Report,
        DuplicateAction::Skip,
        DuplicateAction::Link,
    ] {
        let mut new = new_collection("other");
        new.settings.duplicates.action = action;
        refused(&ledger.create_collection(new, None).await.unwrap_err());
    }
    let document = DocumentId::new("d").unwrap();
    let rechunked = RechunkedDocument::default();
    refused(
        &ledger
            .stage_rechunked(id, &document, rechunked)
            .await
            .unwrap_err(),
    );
    refused(&ledger.publish(id, Sequence(1)).await.unwrap_err());
    refused(
        &ledger
            .fail_operation(id, Sequence(1), "")
            .await
            .unwrap_err(),
    );
    refused(&ledger.live_slots(id).await.unwrap_err());
    refused(&ledger.expected_slots(id).await.unwrap_err());
    assert_eq!(ledger.stage_purge(id).await.unwrap(), None);
}
