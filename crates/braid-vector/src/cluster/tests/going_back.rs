//! Counters that go back, as those of a registry that is restored from an older snapshot or lost its last
//! writes with the power.

use std::sync::Arc;
use std::time::Duration;

use braid_core::ports::{Settled, WorkItem};
use braid_core::{Embedding, IndexProvider, Sequence, WorkQueue};
use braid_qdrant_double::{Fault, Kind, QdrantDouble};
use braid_testkit::ledger_suite::Scene;

use super::{World, everywhere};
use crate::cluster::rows::point_id;
use crate::cluster::{ClusterIndexes, ClusterLedger};
use crate::qdrant::options::QdrantOptions;

const LEASE: Duration = Duration::from_secs(10);
const GRACE: Duration = Duration::from_secs(60);
const GRACE_MS: i64 = 60_000;

everywhere!(
    numbers_in_use_are_not_given_again,
    chunks_with_one_number_do_not_replace_each_other,
);

async fn scene_of(ledger: &Arc<ClusterLedger>) -> Scene {
    let scene = Scene::of(Arc::clone(ledger) as _).await;
    scene.indexed_by(Arc::clone(ledger) as _)
}

async fn lose_counters(scene: &Scene, ledger: &ClusterLedger) {
    let id = scene.collection.id.0;
    let names = ["sequences", "slots"].map(|of| point_id(&format!("counter/{id}/{of}")));
    ledger.registry.table.delete(&names).await.unwrap();
}

async fn numbers_in_use_are_not_given_again(world: World) {
    let ledger = world.open().await;
    let scene = scene_of(&ledger).await;
    let first = scene.put("a", &["a one", "a two"]).await;
    scene.publish().await;
    let second = scene.put("w", &["w one", "w two"]).await;
    lose_counters(&scene, &ledger).await;
    let other = scene_of(&world.open().await).await;
    let third = other.put("b", &["b one", "b two", "b three"]).await;
    assert!(third > second && second > first, "{first} {second} {third}");
    lose_counters(&scene, &ledger).await;
    // One that runs has numbers left, and does not go back after that either.
    let mut last = third;
    for number in 0..70 {
        let sequence = other.put("c", &[&format!("c {number}")]).await;
        assert!(sequence > last, "{sequence} after {last}");
        last = sequence;
    }
    other.publish().await;
    let visible = [
        "a: a one | a two",
        "b: b one | b two | b three",
        "c: c 69",
        "w: w one | w two",
    ];
    assert_eq!(other.visible().await, visible);
    other.check_sound().await;
}

/// Two processes with the same numbers: each wrote a document with the same sequence and slot.
struct Twins {
    scene: Scene,
    ledger: Arc<ClusterLedger>,
}

impl Twins {
    async fn new(world: &World) -> Self {
        let (ledger, other) = (world.open().await, world.open().await);
        let scene = scene_of(&ledger).await;
        scene.put("before", &["before"]).await;
        lose_counters(&scene, &ledger).await;
        let sequence = scene_of(&other).await.put("other", &["other"]).await;
        assert!(sequence > Sequence(1));
        assert_eq!(scene.put("twin", &["twin"]).await, sequence);
        Self { scene, ledger }
    }

    async fn claim(&self) -> Vec<WorkItem> {
        let embedder = &self.scene.collection.fingerprint.embedder;
        self.ledger.claim(embedder, 9, LEASE).await.unwrap()
    }

    /// What a search for everything finds.
    async fn found(&self, world: &World) -> Vec<String> {
        let indexes = ClusterIndexes::new(world.site(), Arc::clone(&self.ledger));
        let collection = &self.scene.collection;
        let vectors = indexes.vector(collection, collection.index_key());
        let vectors = vectors.await.unwrap().pin().await.unwrap();
        let pin = self.scene.pin().await;
        let selection = pin.select(None).await.unwrap();
        let query = vec![1.0, 0.0].into();
        let found = vectors.search(&query, &selection, 9).await.unwrap();
        let slots: Vec<_> = found.iter().map(|it| it.slot).collect();
        let passages = pin.hydrate(&slots).await.unwrap().into_iter();
        let mut texts: Vec<String> = passages.map(|it| it.record.chunk.text).collect();
        texts.sort_unstable();
        texts
    }
}

async fn chunks_with_one_number_do_not_replace_each_other(world: World) {
    let twins = Twins::new(&world).await;
    let scene = &twins.scene;
    scene.publish().await;
    let visible = ["before: before", "other: other", "twin: twin"];
    assert_eq!(scene.visible().await, visible);
    assert_eq!(twins.found(&world).await, ["before", "other", "twin"]);
    // A version that does not count hides none with the same number.
    scene.put("other", &["newer"]).await;
    scene.publish().await;
    assert_eq!(twins.found(&world).await, ["before", "newer", "twin"]);
    world.advance_ms(GRACE_MS);
    assert!(twins.ledger.sweep_all(GRACE).await.unwrap() > 0);
    assert_eq!(twins.found(&world).await, ["before", "newer", "twin"]);
    let visible = ["before: before", "other: newer", "twin: twin"];
    assert_eq!(scene.visible().await, visible);
    scene.check_sound().await;
}

fn embedded(items: &[WorkItem]) -> Vec<(WorkItem, Vec<Embedding>)> {
    let with_embeddings = |item: &WorkItem| {
        let embeddings = item.chunks.iter().map(|_| vec![1.0, 2.0].into());
        (item.clone(), embeddings.collect())
    };
    items.iter().map(with_embeddings).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing_again_writes_no_chunk_twice() {
    for broken in 0.. {
        let double = QdrantDouble::start();
        let world = World::new(&QdrantOptions {
            url: double.url(),
            ..QdrantOptions::default()
        });
        let twins = Twins::new(&world).await;
        let items = twins.claim().await;
        assert_eq!(items.len(), 3);
        double.inject(Kind::Write, Fault::Nothing, broken);
        double.inject(Kind::Write, Fault::LostAnswer, 1);
        let first = WorkQueue::publish(&*twins.ledger, embedded(&items)).await;
        double.heal();
        let again = WorkQueue::publish(&*twins.ledger, embedded(&items)).await;
        assert_eq!(again.unwrap(), [Settled::Done; 3]);
        let visible = ["before: before", "other: other", "twin: twin"];
        assert_eq!(twins.scene.visible().await, visible, "broken at {broken}");
        twins.scene.check_sound().await;
        if first.is_ok() {
            return;
        }
    }
}
