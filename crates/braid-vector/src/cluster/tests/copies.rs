//! One copy that lags behind the others, and what is decided by what it has.

use std::sync::Arc;
use std::time::Duration;

use braid_core::operation::{Change, ChangeOutcome};
use braid_core::ports::{Recorded, Settled, StageRequest, WorkItem};
use braid_core::{DocumentId, Embedding, ErrorCode, Fingerprint, Ledger, Result, WorkQueue};
use braid_qdrant_double::QdrantDouble;
use braid_testkit::ledger_suite::{Scene, put, staged};

use super::World;
use crate::cluster::ClusterLedger;
use crate::cluster::sweep::LEFT_OVER;
use crate::qdrant::options::{CollectionOptions, QdrantOptions};

const LEASE: Duration = Duration::from_secs(10);

/// A process over three copies, which reads of one.
struct Copies {
    double: QdrantDouble,
    world: World,
    ledger: Arc<ClusterLedger>,
    scene: Scene,
}

impl Copies {
    async fn new() -> Self {
        let double = QdrantDouble::start();
        let world = World::new(&QdrantOptions {
            url: double.url(),
            collection: CollectionOptions {
                replication: 3,
                ..CollectionOptions::default()
            },
            ..QdrantOptions::default()
        });
        let ledger = world.open().await;
        let scene = Scene::of(ledger.clone()).await.indexed_by(ledger.clone());
        Self {
            double,
            world,
            ledger,
            scene,
        }
    }

    async fn stage(&self, change: Change) -> Result<ChangeOutcome> {
        let request = StageRequest {
            changes: vec![change],
            job: None,
            guard: None,
        };
        match self.ledger.stage(self.scene.collection.id, request).await? {
            Recorded::Done(mut receipt) => Ok(receipt.outcomes.remove(0)),
            Recorded::Replayed(_) => panic!("staged without an idempotency key"),
        }
    }

    async fn is_refused(&self, change: Change) {
        let refused = self.stage(change).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::Unavailable, "{refused}");
    }

    async fn claim(&self) -> WorkItem {
        let embedder: &Fingerprint = &self.scene.collection.fingerprint.embedder;
        let mut claimed = self.ledger.claim(embedder, 9, LEASE).await.unwrap();
        assert_eq!(claimed.len(), 1, "{claimed:?}");
        claimed.remove(0)
    }

    /// No claim has anything to work on now; the next one may.
    async fn finds_nothing(&self) {
        let embedder: &Fingerprint = &self.scene.collection.fingerprint.embedder;
        let claimed = self.ledger.claim(embedder, 9, LEASE).await.unwrap();
        assert!(claimed.is_empty(), "{claimed:?}");
        self.world.advance_ms(5_001);
    }

    async fn publish(&self, item: &WorkItem) -> Settled {
        let embeddings = item.chunks.iter();
        let embeddings: Vec<Embedding> = embeddings.map(|_| vec![1.0, 0.0].into()).collect();
        let work = vec![(item.clone(), embeddings)];
        WorkQueue::publish(&*self.ledger, work).await.unwrap()[0]
    }
}

fn delete(id: &str) -> Change {
    Change::Delete(DocumentId::new(id).unwrap())
}

fn put_one(id: &str) -> Change {
    put(staged(id, &["one"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_one_copy_still_has_is_put_again() {
    let copies = Copies::new().await;
    copies.scene.put("d", &["one"]).await;
    copies.double.remember();
    copies.scene.delete("d").await;
    copies.double.lag(false);
    let outcome = copies.stage(put_one("d")).await.unwrap();
    assert!(
        matches!(outcome, ChangeOutcome::Staged { .. }),
        "{outcome:?}"
    );
    copies.double.catch_up();
    copies.scene.publish().await;
    assert_eq!(copies.scene.visible().await, ["d: one"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_one_copy_lacks_is_deleted() {
    let copies = Copies::new().await;
    copies.double.remember();
    copies.scene.put("d", &["one"]).await;
    copies.double.lag(false);
    let outcome = copies.stage(delete("d")).await.unwrap();
    assert!(
        matches!(outcome, ChangeOutcome::Deleted { .. }),
        "{outcome:?}"
    );
    assert_eq!(
        copies.stage(delete("absent")).await.unwrap(),
        ChangeOutcome::Absent
    );
    copies.double.catch_up();
    assert_eq!(
        copies.stage(delete("d")).await.unwrap(),
        ChangeOutcome::Absent
    );
    assert_eq!(
        copies.stage(delete("absent")).await.unwrap(),
        ChangeOutcome::Absent
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_while_copies_disagree() {
    let copies = Copies::new().await;
    copies.scene.put("deleted", &["one"]).await;
    copies.double.remember();
    copies.scene.put("new", &["one"]).await;
    copies.scene.delete("deleted").await;
    copies.double.lag(true);
    copies.is_refused(delete("new")).await;
    copies.is_refused(put_one("deleted")).await;
    copies.double.catch_up();
    let deleted = copies.stage(delete("new")).await.unwrap();
    assert!(matches!(deleted, ChangeOutcome::Deleted { .. }));
    let stored = copies.stage(put_one("deleted")).await.unwrap();
    assert!(matches!(stored, ChangeOutcome::Staged { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_late_removes_nothing_that_is_published() {
    let copies = Copies::new().await;
    copies.double.remember();
    copies.scene.put("d", &["one"]).await;
    let late = copies.claim().await;
    copies.world.advance_ms(LEASE.as_millis() as i64);
    let item = copies.claim().await;
    assert_eq!(copies.publish(&item).await, Settled::Done);
    copies.double.lag(false);
    assert_eq!(copies.publish(&late).await, Settled::Superseded);
    copies.double.catch_up();
    assert_eq!(copies.scene.visible().await, ["d: one"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_removes_nothing_of_which_one_copy_does_not_know() {
    let copies = Copies::new().await;
    copies.double.remember();
    copies.scene.put("d", &["one"]).await;
    copies.scene.publish().await;
    copies.world.advance_ms(2 * LEFT_OVER.as_millis() as i64);
    copies.double.lag(false);
    WorkQueue::sweep(&*copies.ledger, LEASE).await.unwrap();
    copies.double.catch_up();
    copies.scene.check_sound().await;
    assert_eq!(copies.scene.visible().await, ["d: one"]);
}

/// A version that a read may miss because its copy is behind: it is looked for before it counts as lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_a_copy_lacks_is_looked_for_again() {
    let copies = Copies::new().await;
    let sequence = copies.scene.put("a", &["one"]).await;
    let shelf = copies.ledger.shelf_of(&copies.scene.collection);
    let version = (DocumentId::new("a").unwrap(), sequence);
    let whole = shelf.versions.whole(&version.0, sequence).await.unwrap();
    let whole = whole.unwrap();
    shelf
        .versions
        .delete(std::slice::from_ref(&version))
        .await
        .unwrap();
    for _ in 0..2 {
        copies.finds_nothing().await;
    }
    shelf.versions.write(&[&whole]).await.unwrap();
    let item = copies.claim().await;
    assert_eq!((item.claim.attempt, item.claim.returned), (1, 2));
    assert_eq!(item.chunks[0].record.chunk.text, "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_no_copy_has_is_a_dead_letter_in_the_end() {
    let copies = Copies::new().await;
    let sequence = copies.scene.put("a", &["one"]).await;
    let shelf = copies.ledger.shelf_of(&copies.scene.collection);
    let version = (DocumentId::new("a").unwrap(), sequence);
    shelf.versions.delete(&[version]).await.unwrap();
    let id = copies.scene.collection.id;
    for _ in 0..3 {
        copies.finds_nothing().await;
        assert_eq!(copies.ledger.stats(id).await.unwrap().failed, 0);
    }
    copies.finds_nothing().await;
    assert_eq!(copies.ledger.stats(id).await.unwrap().failed, 1);
}
