//! The weights of terms follow the mean length of chunks.

use std::sync::Arc;
use std::time::Duration;

use braid_core::ports::CopyLog;
use braid_core::{ChunkRecord, DocumentId, WorkQueue};
use braid_testkit::ledger_suite::Scene;

use super::{World, everywhere};
use crate::cluster::chunks::Bm25Parameters;
use crate::cluster::ledger::ClusterLedger;
use crate::cluster::shelf::Shelf;

/// 4 terms, with those of the title and the heading.
const SHORT: &str = "one two";
/// 14.
const LONG: &str = "one two three four five six seven eight nine ten eleven twelve";
const GRACE: Duration = Duration::from_secs(300);

everywhere!(
    weights_are_those_of_the_mean_that_came_to_be,
    a_mean_that_holds_is_kept,
    what_is_written_with_an_older_mean_is_weighed_again,
    what_was_deleted_is_not_brought_back,
    what_is_expected_counts_before_there_is_a_chunk,
);

struct Stage {
    ledger: Arc<ClusterLedger>,
    scene: Scene,
    _world: World,
}

impl Stage {
    async fn new(world: World) -> Self {
        let ledger = world.open().await;
        let scene = Scene::of(ledger.clone()).await.indexed_by(ledger.clone());
        Self {
            ledger,
            scene,
            _world: world,
        }
    }

    async fn publish(&self, id: &str, chunks: &[&str]) {
        self.scene.put(id, chunks).await;
        self.scene.publish().await;
    }

    async fn sweep(&self) {
        WorkQueue::sweep(&*self.ledger, GRACE).await.unwrap();
    }

    fn shelf(&self) -> Arc<Shelf> {
        self.ledger.shelf_of(&self.scene.collection)
    }

    async fn recorded(&self) -> Bm25Parameters {
        let collection = &self.scene.collection;
        let registry = &self.ledger.registry;
        let recorded = registry.bm25(collection.id, collection.generation).await;
        recorded.unwrap().unwrap().parameters
    }

    async fn chunks(&self, id: &str) -> Vec<ChunkRecord> {
        let document = DocumentId::new(id).unwrap();
        let shelf = self.shelf();
        let head = shelf.heads.read_one(&document).await.unwrap();
        let sequence = head.published_sequence().unwrap();
        let chunks = shelf.chunks.of_document(&document, sequence, 0..=9);
        let chunks = chunks.await.unwrap().into_iter();
        chunks.map(|it| it.record).collect()
    }

    /// What each chunk weighs, by its slot.
    async fn weights(&self) -> Vec<(u32, Vec<(u32, f32)>)> {
        self.shelf().chunks.weights().await
    }
}

async fn weights_are_those_of_the_mean_that_came_to_be(world: World) {
    let at_once = Stage::new(World::new(&world.options)).await;
    let _leftovers = at_once._world.leftovers();
    at_once.scene.put("a", &[SHORT]).await;
    at_once.scene.put("b", &[LONG, LONG]).await;
    at_once.scene.publish().await;
    let stage = Stage::new(world).await;
    stage.publish("a", &[SHORT]).await;
    stage.publish("b", &[LONG, LONG]).await;
    assert_eq!(stage.recorded().await.mean_length, 4.0);
    assert_ne!(stage.weights().await, at_once.weights().await);
    let before = stage.scene.visible().await;
    stage.sweep().await;
    let recorded = stage.recorded().await;
    assert_eq!((recorded.mean_length, recorded.revision), (32.0 / 3.0, 1));
    assert_eq!(stage.weights().await, at_once.weights().await);
    assert_eq!(stage.scene.visible().await, before);
    // What comes later is weighed like that at once.
    stage.publish("c", &[SHORT]).await;
    let there = stage.weights().await;
    assert_eq!(there[0].1, there[3].1);
    // The embeddings are what they were.
    let key = stage.chunks("b").await[0].embedding_key;
    let embeddings = stage.shelf().chunks.embeddings(&[key]).await.unwrap();
    assert!(embeddings[0].is_some());
}

async fn a_mean_that_holds_is_kept(world: World) {
    let stage = Stage::new(world).await;
    stage.publish("a", &[SHORT, LONG]).await;
    stage.publish("b", &[LONG, SHORT, SHORT, LONG]).await;
    let before = stage.weights().await;
    stage.sweep().await;
    let recorded = stage.recorded().await;
    assert_eq!((recorded.mean_length, recorded.revision), (9.0, 0));
    assert_eq!(stage.weights().await, before);
    // It is not looked at before there are twice as many slots.
    stage.publish("c", &[LONG]).await;
    stage.sweep().await;
    assert_eq!(stage.recorded().await.revision, 0);
}

async fn what_is_written_with_an_older_mean_is_weighed_again(world: World) {
    let stage = Stage::new(world).await;
    stage.publish("a", &[SHORT]).await;
    let first = stage.recorded().await;
    stage.publish("b", &[LONG]).await;
    stage.sweep().await;
    let right = stage.weights().await;
    // By a worker that had read the mean before.
    let chunks = &stage.shelf().chunks;
    let (points, _) = chunks.reweighed(first, None).await.unwrap();
    assert_eq!(points.len(), 2);
    chunks.replace(points).await.unwrap();
    assert_ne!(stage.weights().await, right);
    stage.sweep().await;
    assert_eq!(stage.weights().await, right);
    let recorded = stage.recorded().await;
    assert_eq!(chunks.reweigh(recorded, 9).await.unwrap(), 0);
}

async fn what_was_deleted_is_not_brought_back(world: World) {
    let stage = Stage::new(world).await;
    stage.publish("a", &[SHORT]).await;
    stage.publish("b", &[LONG]).await;
    let chunks = &stage.shelf().chunks;
    let next = Bm25Parameters {
        revision: 1,
        ..stage.recorded().await
    };
    let (points, _) = chunks.reweighed(next, None).await.unwrap();
    let gone = stage.chunks("a").await.remove(0);
    let version = (gone.document.clone(), gone.sequence);
    chunks.delete_versions(&[version]).await.unwrap();
    chunks.replace(points).await.unwrap();
    assert_eq!(chunks.there(&[gone.slot]).await.unwrap(), []);
    assert_eq!(chunks.count().await.unwrap(), 1);
}

async fn what_is_expected_counts_before_there_is_a_chunk(world: World) {
    let other = Stage::new(World::new(&world.options)).await;
    let _leftovers = other._world.leftovers();
    other.publish("b", &[LONG, SHORT]).await;
    let sample = other.chunks("b").await;
    let stage = Stage::new(world).await;
    let id = stage.scene.collection.id;
    stage.ledger.expect(id, &[]).await.unwrap();
    for _ in 0..2 {
        stage.ledger.expect(id, &sample).await.unwrap();
    }
    stage.publish("a", &[SHORT]).await;
    assert_eq!(stage.recorded().await.mean_length, 9.0);
    // Where there are chunks, they are what counts.
    stage.ledger.expect(id, &sample[..1]).await.unwrap();
    assert_eq!(stage.recorded().await.mean_length, 9.0);
}
