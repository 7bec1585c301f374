//! The queue of two processes at once, and what the suite of queues does not ask of one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use braid_core::operation::ChangeOutcome;
use braid_core::ports::{Settled, WorkDepth, WorkFailure, WorkItem};
use braid_core::{
    DocumentId, Embedding, ErrorCode, Fingerprint, Ledger, Sequence, Slot, WorkQueue,
};

use braid_testkit::ledger_suite::{Scene, put, staged};

use super::{World, everywhere};
use crate::cluster::ClusterLedger;

const LEASE: Duration = Duration::from_secs(10);
const LEASE_MS: i64 = 10_000;
const GRACE: Duration = Duration::from_secs(60);
const GRACE_MS: i64 = 60_000;

/// Two processes that share a store.
struct Processes {
    ledger: Arc<ClusterLedger>,
    work: Arc<ClusterLedger>,
    other: Arc<ClusterLedger>,
}

/// A collection of theirs.
struct Stage {
    scene: Scene,
    subject: Processes,
    world: World,
}

impl Stage {
    async fn new(world: World) -> Self {
        let (ledger, other) = (world.open().await, world.open().await);
        let scene = Scene::of(ledger.clone()).await.indexed_by(ledger.clone());
        let work = Arc::clone(&ledger);
        let subject = Processes {
            ledger,
            work,
            other,
        };
        Self {
            scene,
            subject,
            world,
        }
    }

    fn advance_ms(&self, ms: i64) {
        self.world.advance_ms(ms);
    }

    fn embedder(&self) -> Fingerprint {
        self.scene.collection.fingerprint.embedder.clone()
    }

    async fn claim_up_to(&self, limit: usize) -> Vec<WorkItem> {
        let work = &self.subject.work;
        work.claim(&self.embedder(), limit, LEASE).await.unwrap()
    }

    /// The only document that waits.
    async fn claim(&self) -> WorkItem {
        let mut claimed = self.claim_up_to(9).await;
        assert_eq!(claimed.len(), 1, "{claimed:?}");
        claimed.remove(0)
    }

    async fn publish(&self, item: &WorkItem) -> Settled {
        let work = vec![(item.clone(), embeddings(item))];
        WorkQueue::publish(&*self.subject.work, work).await.unwrap()[0]
    }

    async fn fail(&self, item: &WorkItem, retry_after: Option<Duration>) -> Settled {
        let failure = WorkFailure {
            reason: "the reason".to_owned(),
            retry_after,
        };
        let failed = WorkQueue::fail(&*self.subject.work, &item.claim, failure);
        failed.await.unwrap()
    }

    async fn depth(&self) -> WorkDepth {
        self.subject.work.depth().await.unwrap()
    }

    async fn sweep(&self) -> u64 {
        self.subject.work.sweep_all(GRACE).await.unwrap()
    }
}

everywhere!(
    a_claim_says_what_is_to_be_indexed,
    claims_are_exclusive,
    a_lease_ends,
    a_renewed_lease_lasts,
    a_late_publish_resurrects_nothing,
    publishing_again_does_nothing,
    bad_embeddings_are_refused,
    a_failed_version_is_tried_again,
    a_dead_letter_waits_for_a_new_version,
    other_embedders_have_other_work,
    work_of_a_deleted_collection_is_settled,
    a_sweep_respects_grace,
    a_sweep_leaves_what_is_needed,
);

/// One for each chunk, all different.
fn embeddings(item: &WorkItem) -> Vec<Embedding> {
    let chunks = item.chunks.iter();
    let embedding = chunks.map(|chunk| vec![1.0, chunk.record.slot.0 as f32].into());
    embedding.collect()
}

async fn a_claim_says_what_is_to_be_indexed(world: World) {
    let stage = Stage::new(world).await;
    let document = staged("d", &["zero", "one"]);
    let outcome = stage.scene.stage_one(put(document.clone())).await;
    let ChangeOutcome::Staged { sequence, .. } = outcome else {
        panic!("{outcome:?}");
    };
    let item = stage.claim().await;
    assert_eq!((item.claim.sequence, item.claim.attempt), (sequence, 1));
    assert_eq!(item.claim.document, document.document.id);
    assert_eq!(item.collection, stage.scene.collection);
    let chunks: Vec<_> = item.chunks.iter().map(|it| &it.record.chunk).collect();
    let staged: Vec<_> = document.chunks.iter().map(|it| &it.chunk).collect();
    assert_eq!(chunks, staged);
    let slots: BTreeSet<Slot> = item.chunks.iter().map(|it| it.record.slot).collect();
    assert_eq!(slots.len(), 2, "each has its own slot");
    assert!(stage.scene.visible().await.is_empty());
    assert_eq!(stage.publish(&item).await, Settled::Done);
    assert_eq!(stage.scene.visible().await, ["d: zero | one"]);
    stage.scene.put("empty", &[]).await;
    let item = stage.claim().await;
    assert!(item.chunks.is_empty());
    assert_eq!(stage.publish(&item).await, Settled::Done);
    assert_eq!(stage.depth().await, WorkDepth::default());
}

async fn claims_are_exclusive(world: World) {
    let stage = Stage::new(world).await;
    for number in 0..20 {
        stage.scene.put(&format!("d{number}"), &["text"]).await;
    }
    let embedder = stage.embedder();
    let (work, other) = (&stage.subject.work, &stage.subject.other);
    let mut claimed = BTreeSet::new();
    while claimed.len() < 20 {
        let (a, b, c) = futures::try_join!(
            work.claim(&embedder, 3, LEASE),
            other.claim(&embedder, 3, LEASE),
            other.claim(&embedder, 3, LEASE),
        )
        .unwrap();
        let items: Vec<WorkItem> = a.into_iter().chain(b).chain(c).collect();
        assert!(!items.is_empty(), "what waits can be claimed");
        for item in items {
            let is_new = claimed.insert(item.claim.document.clone());
            assert!(is_new, "{:?} is claimed twice", item.claim.document);
        }
    }
    assert!(stage.claim_up_to(9).await.is_empty());
    let depth = WorkDepth {
        waiting: 20,
        claimed: 20,
        failed: 0,
    };
    assert_eq!(stage.depth().await, depth);
}

async fn a_lease_ends(world: World) {
    let stage = Stage::new(world).await;
    stage.scene.put("d", &["text"]).await;
    let first = stage.claim().await;
    stage.advance_ms(LEASE_MS - 1);
    assert!(stage.claim_up_to(9).await.is_empty());
    stage.advance_ms(1);
    let second = stage.claim().await;
    assert_eq!(second.claim.attempt, 2);
    assert_ne!(second.claim.token, first.claim.token);
    assert_eq!(stage.publish(&first).await, Settled::Lost);
    assert_eq!(stage.fail(&first, None).await, Settled::Lost);
    assert!(
        stage.scene.visible().await.is_empty(),
        "a lost claim publishes nothing"
    );
    assert_eq!(stage.publish(&second).await, Settled::Done);
    assert_eq!(stage.scene.visible().await, ["d: text"]);
    assert_eq!(stage.publish(&first).await, Settled::Lost);
    assert_eq!(stage.fail(&first, None).await, Settled::Lost);
    assert_eq!(stage.scene.visible().await, ["d: text"]);
    assert_eq!(stage.depth().await, WorkDepth::default());
}

async fn a_renewed_lease_lasts(world: World) {
    let stage = Stage::new(world).await;
    stage.scene.put("d", &["text"]).await;
    let work = &stage.subject.work;
    let first = stage.claim().await;
    for _ in 0..3 {
        stage.advance_ms(LEASE_MS - 1);
        let renewed = work.renew(std::slice::from_ref(&first.claim), LEASE);
        assert_eq!(renewed.await.unwrap(), [true]);
        assert!(stage.claim_up_to(9).await.is_empty());
    }
    stage.advance_ms(LEASE_MS);
    let second = stage.claim().await;
    let claims = [first.claim.clone(), second.claim.clone()];
    assert_eq!(work.renew(&claims, LEASE).await.unwrap(), [false, true]);
    assert_eq!(stage.publish(&second).await, Settled::Done);
    assert_eq!(work.renew(&claims, LEASE).await.unwrap(), [false, false]);
    // A lease that has ended is good until somebody else claims.
    stage.scene.put("e", &["text"]).await;
    let late = stage.claim().await;
    stage.advance_ms(2 * LEASE_MS);
    assert_eq!(stage.publish(&late).await, Settled::Done);
}

async fn a_late_publish_resurrects_nothing(world: World) {
    let stage = Stage::new(world).await;
    stage.scene.put("replaced", &["old"]).await;
    let old = stage.claim().await;
    stage.scene.put("replaced", &["new"]).await;
    assert_eq!(stage.publish(&old).await, Settled::Superseded);
    assert!(stage.scene.visible().await.is_empty());
    let new = stage.claim().await;
    assert_eq!(new.claim.attempt, 1, "of this version");
    assert_eq!(stage.publish(&new).await, Settled::Done);
    assert_eq!(stage.publish(&old).await, Settled::Superseded);
    assert_eq!(stage.fail(&old, None).await, Settled::Superseded);
    assert_eq!(stage.scene.visible().await, ["replaced: new"]);

    stage.scene.put("deleted", &["text"]).await;
    let late = stage.claim().await;
    stage.scene.delete("deleted").await;
    assert_eq!(stage.publish(&late).await, Settled::Superseded);
    stage.advance_ms(GRACE_MS);
    stage.sweep().await;
    assert_eq!(stage.publish(&late).await, Settled::Superseded);
    assert_eq!(stage.fail(&late, None).await, Settled::Superseded);
    assert_eq!(stage.scene.visible().await, ["replaced: new"]);
    assert_eq!(stage.depth().await, WorkDepth::default());
    stage.scene.check_sound().await;
}

async fn publishing_again_does_nothing(world: World) {
    let stage = Stage::new(world).await;
    stage.scene.put("d", &["text"]).await;
    let item = stage.claim().await;
    assert_eq!(stage.publish(&item).await, Settled::Done);
    assert_eq!(stage.publish(&item).await, Settled::Done);
    stage.scene.put("d", &["newer"]).await;
    assert_eq!(stage.publish(&item).await, Settled::Done);
    assert_eq!(stage.scene.visible().await, ["d: text"]);
    stage.scene.delete("d").await;
    assert_eq!(stage.publish(&item).await, Settled::Superseded);
    assert!(stage.scene.visible().await.is_empty());
}

async fn bad_embeddings_are_refused(world: World) {
    let stage = Stage::new(world).await;
    stage.scene.put("d", &["zero", "one"]).await;
    let item = stage.claim().await;
    let good = embeddings(&item);
    let long: Vec<Embedding> = vec![vec![1.0; 3].into(); 2];
    for bad in [good[..1].to_vec(), long] {
        let refused = WorkQueue::publish(&*stage.subject.work, vec![(item.clone(), bad)]).await;
        assert_eq!(refused.unwrap_err().code(), ErrorCode::InvalidRequest);
    }
    assert_eq!(stage.publish(&item).await, Settled::Done);
}

async fn a_failed_version_is_tried_again(world: World) {
    let stage = Stage::new(world).await;
    stage.scene.put("d", &["text"]).await;
    let after = Duration::from_secs(5);
    for attempt in 1..4 {
        let item = stage.claim().await;
        assert_eq!(item.claim.attempt, attempt);
        assert_eq!(stage.fail(&item, Some(after)).await, Settled::Done);
        assert_eq!(stage.fail(&item, None).await, Settled::Lost, "given back");
        stage.advance_ms(4999);
        assert!(stage.claim_up_to(9).await.is_empty());
        assert_eq!(stage.depth().await.waiting, 1, "nothing is forgotten");
        stage.advance_ms(1);
    }
    let item = stage.claim().await;
    assert_eq!(stage.publish(&item).await, Settled::Done);
    assert_eq!(stage.scene.visible().await, ["d: text"]);
}

async fn a_dead_letter_waits_for_a_new_version(world: World) {
    let stage = Stage::new(world).await;
    stage.scene.put("d", &["old"]).await;
    stage.scene.publish().await;
    let failed = stage.scene.put("d", &["poison"]).await;
    let item = stage.claim().await;
    assert_eq!(stage.fail(&item, None).await, Settled::Done);
    assert_eq!(stage.depth().await.failed, 1);
    assert_eq!(
        stage.publish(&item).await,
        Settled::Lost,
        "failing is final"
    );
    stage.advance_ms(10 * LEASE_MS);
    assert!(stage.claim_up_to(9).await.is_empty());
    let (ledger, id) = (&stage.scene.ledger, stage.scene.collection.id);
    let letters = ledger.failed_documents(id, None, 9).await.unwrap().items;
    assert_eq!((letters.len(), letters[0].sequence), (1, failed));
    assert_eq!(letters[0].reason, "the reason");
    assert_eq!(stage.scene.visible().await, ["d: old"]);
    stage.scene.put("d", &["poison"]).await;
    assert_eq!(stage.depth().await.failed, 0);
    stage.scene.publish().await;
    assert_eq!(stage.scene.visible().await, ["d: poison"]);
}

async fn other_embedders_have_other_work(world: World) {
    let stage = Stage::new(world).await;
    stage.scene.put("d", &["text"]).await;
    let other = Fingerprint::new("another");
    let claimed = stage.subject.work.claim(&other, 9, LEASE).await.unwrap();
    assert!(claimed.is_empty());
    stage.claim().await;
}

async fn work_of_a_deleted_collection_is_settled(world: World) {
    let stage = Stage::new(world).await;
    stage.scene.put("d", &["text"]).await;
    let item = stage.claim().await;
    let name = &stage.scene.collection.name;
    stage
        .scene
        .ledger
        .delete_collection(name, None)
        .await
        .unwrap();
    assert_eq!(stage.publish(&item).await, Settled::Superseded);
    assert_eq!(stage.fail(&item, None).await, Settled::Superseded);
    let claims = std::slice::from_ref(&item.claim);
    assert_eq!(
        stage.subject.work.renew(claims, LEASE).await.unwrap(),
        [false]
    );
    assert!(stage.claim_up_to(9).await.is_empty());
    assert_eq!(stage.depth().await, WorkDepth::default());
}

async fn a_sweep_respects_grace(world: World) {
    let stage = Stage::new(world).await;
    stage.scene.put("replaced", &["old"]).await;
    stage.scene.put("deleted", &["text"]).await;
    stage.scene.publish().await;
    let pin = stage.scene.pin().await;
    let texts = async || {
        let mut shown = Vec::new();
        for id in ["replaced", "deleted"] {
            let id = DocumentId::new(id).unwrap();
            let chunks = pin.document_chunks(&id, 0..=9).await.unwrap();
            shown.extend(chunks.into_iter().map(|record| record.chunk.text));
        }
        shown
    };
    assert_eq!(texts().await, ["old", "text"]);
    stage.scene.put("replaced", &["new"]).await;
    stage.scene.publish().await;
    stage.scene.delete("deleted").await;
    stage.advance_ms(GRACE_MS - 1);
    assert_eq!(stage.sweep().await, 0);
    assert_eq!(
        texts().await,
        ["old", "text"],
        "who asked before still sees it"
    );
    assert_eq!(stage.scene.visible().await, ["replaced: new"]);
    stage.advance_ms(1);
    assert!(stage.sweep().await > 0);
    assert!(texts().await.is_empty(), "nothing is left of it");
    assert_eq!(stage.sweep().await, 0, "once");
    assert_eq!(stage.scene.visible().await, ["replaced: new"]);
    stage.scene.check_sound().await;
}

async fn a_sweep_leaves_what_is_needed(world: World) {
    let stage = Stage::new(world).await;
    stage.scene.put("published", &["published"]).await;
    stage.scene.put("again", &["first"]).await;
    stage.scene.publish().await;
    stage.scene.put("waiting", &["waiting"]).await;
    let poison = stage.scene.put("failed", &["poison"]).await;
    stage.scene.fail(poison, "the reason").await;
    stage.scene.delete("again").await;
    stage.advance_ms(24 * 3600 * 1000);
    stage.scene.put("again", &["second"]).await;
    stage.sweep().await;
    stage.sweep().await;
    stage.scene.check_sound().await;
    assert_eq!(stage.scene.visible().await, ["published: published"]);
    let depth = WorkDepth {
        waiting: 2,
        claimed: 0,
        failed: 1,
    };
    assert_eq!(stage.depth().await, depth);
    stage.scene.publish().await;
    let shown = ["again: second", "published: published", "waiting: waiting"];
    assert_eq!(stage.scene.visible().await, shown);
    assert_eq!(
        stage
            .subject
            .ledger
            .operations(stage.scene.collection.id, Sequence::ZERO, 9)
            .await
            .unwrap(),
        []
    );
}
