//! How much is claimed, and what becomes of claims that fail half way.

use std::time::Duration;

use braid_core::WorkQueue;
use braid_core::ports::{GiveBack, WorkItem};
use braid_qdrant_double::{Fault, Kind, QdrantDouble};
use braid_testkit::ledger_suite::Scene;

use super::{World, everywhere};
use crate::cluster::ClusterLedger;
use crate::qdrant::options::QdrantOptions;

const LEASE: Duration = Duration::from_secs(10);

everywhere!(large_documents_are_claimed_few_at_a_time);

async fn claim(ledger: &ClusterLedger, scene: &Scene) -> braid_core::Result<Vec<WorkItem>> {
    let embedder = &scene.collection.fingerprint.embedder;
    ledger.claim(embedder, 64, LEASE).await
}

async fn large_documents_are_claimed_few_at_a_time(world: World) {
    let ledger = world.open().await;
    let scene = Scene::of(ledger.clone()).await;
    let text = "x".repeat(12 << 20);
    for id in ["a", "b", "c"] {
        scene.put(id, &[&text]).await;
    }
    let first = claim(&ledger, &scene).await.unwrap();
    assert_eq!(first.len(), 2, "two have room, three have not");
    let second = claim(&ledger, &scene).await.unwrap();
    assert_eq!(second.len(), 1);
    let larger = "y".repeat(40 << 20);
    scene.put("d", &[&larger]).await;
    let third = claim(&ledger, &scene).await.unwrap();
    assert_eq!(third.len(), 1, "one alone may be larger");
    for item in first.iter().chain(&second).chain(&third) {
        let chunk = &item.chunks[0].record.chunk;
        assert!(chunk.text == text || chunk.text == larger, "it is whole");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_fails_keeps_nothing_and_counts_nothing() {
    let double = QdrantDouble::start();
    let world = World::new(&QdrantOptions {
        url: double.url(),
        ..QdrantOptions::default()
    });
    let ledger = world.open().await;
    let scene = Scene::of(ledger.clone()).await;
    for id in ["a", "b", "c"] {
        scene.put(id, &[id]).await;
    }
    let mut failed = 0;
    let faults = [
        (Kind::Read, Fault::Unavailable),
        (Kind::Write, Fault::Unavailable),
        (Kind::Write, Fault::LostAnswer),
    ];
    for (kind, fault) in faults {
        // Each call of a claim once.
        for calls_before in 0..6 {
            double.inject(kind, Fault::Nothing, calls_before);
            // The client asks once more by itself.
            double.inject(kind, fault, 2);
            let claimed = claim(&ledger, &scene).await;
            double.heal();
            match claimed {
                Ok(items) => give_back(&ledger, items).await,
                Err(_) => failed += 1,
            }
            let items = claim(&ledger, &scene).await.unwrap();
            assert_eq!(items.len(), 3, "after {fault:?} of {kind:?} {calls_before}");
            for item in &items {
                assert_eq!((item.claim.attempt, item.claim.returned), (1, 0));
            }
            give_back(&ledger, items).await;
        }
    }
    assert!(failed >= 5, "{failed} claims failed");
}

async fn give_back(ledger: &ClusterLedger, items: Vec<WorkItem>) {
    let claims: Vec<_> = items.into_iter().map(|item| item.claim).collect();
    ledger
        .give_back(&claims, GiveBack::Untouched)
        .await
        .unwrap();
}
