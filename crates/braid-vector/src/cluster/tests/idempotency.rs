//! One idempotency key, and requests that have it at the same time.

use std::sync::Arc;

use braid_core::operation::{Change, ChangeOutcome};
use braid_core::ports::{
    IdempotencyKey, Recorded, StageOutcome, StageReceipt, StageRequest, StoredResponse, WriteGuard,
};
use braid_core::{CollectionId, DocumentId, ErrorCode, Ledger, Result};
use braid_qdrant_double::{Fault, Kind, QdrantDouble};
use braid_testkit::ledger_suite::{Scene, hash, put, staged};
use tokio::task::JoinHandle;

use super::World;
use crate::cluster::ClusterLedger;
use crate::cluster::ledger::{Begun, HOLD};
use crate::qdrant::options::QdrantOptions;

const HOLD_MS: i64 = HOLD.as_millis() as i64;

/// Two processes, and a collection with the document `d`.
struct Pair {
    double: QdrantDouble,
    world: World,
    first: Arc<ClusterLedger>,
    second: Arc<ClusterLedger>,
    scene: Scene,
}

impl Pair {
    async fn new() -> Self {
        let double = QdrantDouble::start();
        let world = World::new(&QdrantOptions {
            url: double.url(),
            ..QdrantOptions::default()
        });
        let (first, second) = (world.open().await, world.open().await);
        let scene = Scene::of(second.clone()).await;
        scene.put("d", &["old"]).await;
        Self {
            double,
            world,
            first,
            second,
            scene,
        }
    }

    /// The first process begins to delete the document, and waits for Qdrant once it has the key.
    async fn begin(&self) -> JoinHandle<Result<StageOutcome>> {
        self.double.inject(Kind::Write, Fault::Nothing, 1);
        self.double.inject(Kind::Write, Fault::Held, 1);
        let (ledger, id) = (Arc::clone(&self.first), self.scene.collection.id);
        let begun = tokio::spawn(async move { delete(&ledger, id).await });
        self.double.holds_a_call().await;
        begun
    }

    async fn repeat(&self) -> Result<StageOutcome> {
        delete(&self.second, self.scene.collection.id).await
    }

    async fn is_refused(&self) {
        let refused = self.repeat().await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::Unavailable, "{refused}");
        let asked = self.second.recorded_response(&key()).await;
        assert_eq!(asked.unwrap_err().code(), ErrorCode::Unavailable);
    }

    async fn is_there(&self) -> bool {
        let id = DocumentId::new("d").unwrap();
        let found = self.second.document(self.scene.collection.id, &id).await;
        found.unwrap().is_some()
    }
}

fn key() -> IdempotencyKey {
    IdempotencyKey {
        key: "k".to_owned(),
        request: hash("DELETE d"),
        expires_at_ms: 24 * 60 * 60 * 1000,
    }
}

async fn delete(ledger: &ClusterLedger, id: CollectionId) -> Result<StageOutcome> {
    let request = StageRequest {
        changes: vec![Change::Delete(DocumentId::new("d").unwrap())],
        job: None,
        guard: Some(WriteGuard {
            key: key(),
            respond: Box::new(|receipt: &StageReceipt| StoredResponse {
                status: 200,
                body: format!("{:?}", receipt.outcomes).into_bytes(),
            }),
        }),
    };
    ledger.stage(id, request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_undoes_nothing_that_came_after_it() {
    let pair = Pair::new().await;
    let first = pair.begin().await;
    pair.is_refused().await;
    assert!(pair.is_there().await, "the repetition did nothing");
    pair.double.release();
    let done = first.await.unwrap().unwrap();
    let Recorded::Done(receipt) = done else {
        panic!("the first is no repetition: {done:?}");
    };
    assert!(matches!(receipt.outcomes[0], ChangeOutcome::Deleted { .. }));
    pair.scene.stage_one(put(staged("d", &["new"]))).await;
    let repeated = pair.repeat().await.unwrap();
    assert!(matches!(repeated, Recorded::Replayed(_)), "{repeated:?}");
    assert!(pair.is_there().await, "it was deleted once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_a_process_that_died_is_free_in_time() {
    let pair = Pair::new().await;
    let first = pair.begin().await;
    first.abort();
    pair.world.advance_ms(HOLD_MS - 1);
    pair.is_refused().await;
    pair.world.advance_ms(1);
    let done = pair.repeat().await.unwrap();
    assert!(matches!(done, Recorded::Done(_)), "{done:?}");
    assert!(!pair.is_there().await);
    pair.double.release();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_holds_a_key_too_long_gives_the_answer_of_another() {
    let pair = Pair::new().await;
    let first = pair.begin().await;
    pair.world.advance_ms(HOLD_MS);
    assert!(matches!(pair.repeat().await.unwrap(), Recorded::Done(_)));
    let recorded = pair.second.recorded_response(&key()).await.unwrap();
    pair.double.release();
    let late = first.await.unwrap().unwrap();
    assert_eq!(late, Recorded::Replayed(recorded.unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_held_as_long_as_that_is_renewed() {
    let pair = Pair::new().await;
    let begun = pair.first.begin(&key()).await.unwrap();
    let Begun::Held(token) = begun else {
        panic!("nobody had the key: {begun:?}");
    };
    for _ in 0..3 {
        pair.world.advance_ms(HOLD_MS - 1);
        assert!(pair.first.hold(&key(), token).await.unwrap());
        pair.is_refused().await;
    }
    pair.world.advance_ms(HOLD_MS);
    assert!(matches!(pair.repeat().await.unwrap(), Recorded::Done(_)));
    assert!(!pair.first.hold(&key(), token).await.unwrap(), "it is lost");
}
