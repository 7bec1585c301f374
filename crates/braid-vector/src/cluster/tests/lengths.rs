//! The weights of terms follow the mean length of chunks.

use std::sync::Arc;
use std::time::Duration;

use braid_core::ports::CopyLog;
use braid_core::{ChunkRecord, DocumentId, Embedding, Sequence, Slot, WorkQueue};
use braid_testkit::ledger_suite::Scene;

use super::{World, everywhere};
use crate::cluster::chunks::{Bm25Parameters, ChunkPoint};
use crate::cluster::ledger::ClusterLedger;
use crate::cluster::registry::{RecordedBm25, Size};
use crate::cluster::shelf::Shelf;

/// 4 terms, with those of the title and the heading.
const SHORT: &str = "one two";
/// 14.
const LONG: &str = "one two three four five six seven eight nine ten eleven twelve";

everywhere!(
    weights_are_those_of_the_mean_that_came_to_be,
    a_mean_that_holds_is_kept,
    a_mean_is_looked_at_as_a_collection_grows,
    what_waits_is_no_reason_to_look,
    an_older_mean_takes_nothing_back,
    what_is_written_with_an_older_mean_is_weighed_again,
    what_was_deleted_is_not_brought_back,
    what_is_expected_counts_before_there_is_a_chunk,
    a_sample_is_of_what_is_there,
    a_registry_that_went_back_mixes_no_means,
    a_mean_is_looked_at_as_a_collection_shrinks,
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

    /// Until there is no more to do.
    async fn tend(&self) {
        while self.ledger.tend().await.unwrap() {}
    }

    fn shelf(&self) -> Arc<Shelf> {
        self.ledger.shelf_of(&self.scene.collection)
    }

    async fn recorded(&self) -> Bm25Parameters {
        self.row().await.parameters
    }

    async fn row(&self) -> RecordedBm25 {
        let collection = &self.scene.collection;
        let registry = &self.ledger.registry;
        let recorded = registry.bm25(collection.id, collection.generation).await;
        recorded.unwrap().unwrap()
    }

    /// The registry has these again.
    async fn go_back(&self, to: (Bm25Parameters, Size)) {
        let (collection, now) = (&self.scene.collection, self.row().await);
        let key = (collection.id, collection.generation);
        let registry = &self.ledger.registry;
        let recorded = registry.record_bm25(key, Some(&now), to).await.unwrap();
        assert_eq!(recorded, to.0);
    }

    async fn chunks(&self, id: &str) -> Vec<ChunkPoint> {
        let document = DocumentId::new(id).unwrap();
        let shelf = self.shelf();
        let head = shelf.heads.read_one(&document).await.unwrap();
        let sequence = head.published_sequence().unwrap();
        let chunks = shelf.chunks.of_document(&document, sequence, 0..=9);
        chunks.await.unwrap()
    }

    async fn chunk(&self, id: &str) -> ChunkPoint {
        self.chunks(id).await.remove(0)
    }

    async fn embedding(&self, id: &str) -> Embedding {
        let key = self.chunk(id).await.record.embedding_key;
        let found = self.shelf().chunks.embeddings(&[key]).await;
        found.unwrap().remove(0).unwrap()
    }

    /// As a worker does that had read these before.
    async fn rewrite(&self, id: &str, bm25: Bm25Parameters) {
        let chunk = (self.chunk(id).await, self.embedding(id).await);
        self.shelf().chunks.put(vec![chunk], bm25).await.unwrap();
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
    let before = (stage.scene.visible().await, stage.embedding("b").await);
    stage.tend().await;
    let recorded = stage.recorded().await;
    assert_eq!((recorded.mean_length, recorded.revision), (32.0 / 3.0, 1));
    assert_eq!(stage.weights().await, at_once.weights().await);
    let after = (stage.scene.visible().await, stage.embedding("b").await);
    assert_eq!(after, before);
    // What comes later is weighed like that at once.
    stage.publish("c", &[SHORT]).await;
    let there = stage.weights().await;
    assert_eq!(there[0].1, there[3].1);
}

async fn a_mean_that_holds_is_kept(world: World) {
    let stage = Stage::new(world).await;
    stage.publish("a", &[SHORT, LONG]).await;
    stage.publish("b", &[LONG, SHORT, SHORT, LONG]).await;
    let before = stage.weights().await;
    stage.tend().await;
    let recorded = stage.recorded().await;
    assert_eq!((recorded.mean_length, recorded.revision), (9.0, 0));
    assert_eq!(stage.weights().await, before);
}

async fn a_mean_is_looked_at_as_a_collection_grows(world: World) {
    let stage = Stage::new(world).await;
    stage.publish("a", &[SHORT; 20]).await;
    stage.tend().await;
    // Not a tenth.
    stage.publish("b", &[LONG; 2]).await;
    stage.tend().await;
    assert_eq!(stage.recorded().await.revision, 0);
    // More than that, but more is to come.
    stage.publish("c", &[LONG; 10]).await;
    stage.scene.put("d", &[LONG; 6]).await;
    stage.tend().await;
    assert_eq!(stage.recorded().await.revision, 0);
    stage.scene.publish().await;
    stage.tend().await;
    let recorded = stage.recorded().await;
    let mean = (20.0 * 4.0 + 18.0 * 14.0) / 38.0;
    assert_eq!((recorded.mean_length, recorded.revision), (mean, 1));
    // Twice as many, whatever is to come.
    stage.publish("e", &[LONG; 40]).await;
    stage.scene.put("f", &[LONG]).await;
    stage.tend().await;
    assert_eq!(stage.recorded().await.revision, 2);
}

/// Staging takes slots long before workers write chunks.
async fn what_waits_is_no_reason_to_look(world: World) {
    let stage = Stage::new(world).await;
    stage.publish("a", &[SHORT]).await;
    stage.scene.put("b", &[LONG; 30]).await;
    stage.tend().await;
    stage.scene.publish().await;
    stage.tend().await;
    assert_eq!(stage.recorded().await.revision, 1);
}

async fn what_is_written_with_an_older_mean_is_weighed_again(world: World) {
    let stage = Stage::new(world).await;
    stage.publish("a", &[SHORT]).await;
    let first = stage.recorded().await;
    stage.publish("b", &[LONG]).await;
    stage.tend().await;
    let right = stage.weights().await;
    // By a worker that had read the mean before.
    let chunks = &stage.shelf().chunks;
    stage.rewrite("b", first).await;
    assert_ne!(stage.weights().await, right);
    stage.tend().await;
    assert_eq!(stage.weights().await, right);
    let recorded = stage.recorded().await;
    let again = chunks.reweigh(recorded, Slot(0), 9).await.unwrap();
    assert_eq!(again, 0);
}

/// One that reads what another one wrote from a copy that is behind does not undo it.
async fn an_older_mean_takes_nothing_back(world: World) {
    let stage = Stage::new(world).await;
    stage.publish("a", &[SHORT]).await;
    let first = stage.recorded().await;
    stage.publish("b", &[LONG]).await;
    let chunks = &stage.shelf().chunks;
    let second = Bm25Parameters {
        revision: 1,
        mean_length: 9.0,
        ..first
    };
    let (late, _) = chunks.reweighed(second, None).await.unwrap();
    assert_eq!(late.len(), 2);
    stage.tend().await;
    let third = Bm25Parameters {
        revision: 2,
        mean_length: 20.0,
        ..first
    };
    assert_eq!(chunks.reweigh(third, Slot(0), 9).await.unwrap(), 2);
    let right = stage.weights().await;
    chunks.replace(late, 1).await.unwrap();
    assert_eq!(chunks.reweigh(second, Slot(0), 9).await.unwrap(), 0);
    assert_eq!(stage.weights().await, right);
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
    let (gone, stays) = (stage.chunk("a").await, stage.chunk("b").await);
    let versions = [&gone, &stays].map(|it| (it.record.document.clone(), it.record.sequence));
    chunks.delete_versions(&versions).await.unwrap();
    // Where a counter went back, another version has the slot.
    let mut other = stays.clone();
    other.record.sequence = Sequence(700);
    let embedding = vec![1.0; stage.scene.collection.dimension].into();
    let bm25 = stage.recorded().await;
    chunks.put(vec![(other, embedding)], bm25).await.unwrap();
    chunks.replace(points, 1).await.unwrap();
    let slots = [gone.record.slot, stays.record.slot];
    assert_eq!(chunks.there(&slots).await.unwrap(), slots[1..]);
    let there = chunks.fetch(&slots[1..]).await.unwrap().remove(0);
    assert_eq!(there.unwrap().record.sequence, Sequence(700));
}

async fn what_is_expected_counts_before_there_is_a_chunk(world: World) {
    let other = Stage::new(World::new(&world.options)).await;
    let _leftovers = other._world.leftovers();
    other.publish("b", &[LONG, SHORT]).await;
    let sample = other.chunks("b").await.into_iter();
    let sample: Vec<ChunkRecord> = sample.map(|it| it.record).collect();
    let stage = Stage::new(world).await;
    let id = stage.scene.collection.id;
    stage.ledger.expect(id, &[], 0).await.unwrap();
    for _ in 0..2 {
        stage.ledger.expect(id, &sample, 100).await.unwrap();
    }
    stage.publish("a", &[SHORT]).await;
    // A worker beside the copy.
    stage.tend().await;
    let recorded = stage.recorded().await;
    assert_eq!((recorded.mean_length, recorded.revision), (9.0, 0));
    // Where something is recorded, it is what counts.
    stage.ledger.expect(id, &sample[..1], 100).await.unwrap();
    assert_eq!(stage.recorded().await.mean_length, 9.0);
}

async fn a_sample_is_of_what_is_there(world: World) {
    let stage = Stage::new(world).await;
    stage.publish("a", &[SHORT; 5]).await;
    stage.publish("b", &[LONG; 3]).await;
    stage.publish("b", &[LONG; 2]).await;
    let chunks = &stage.shelf().chunks;
    let all = chunks.drawn(10).await.unwrap();
    assert_eq!(all.len(), 10, "those of replaced versions included");
    // By chance: fewer are asked for than there are.
    let drawn = chunks.drawn(9).await.unwrap();
    assert!(!drawn.is_empty() && drawn.iter().all(|it| all.contains(it)));
}

/// Chunks have weights of revisions that it does not know, and they are not those of its next ones.
async fn a_registry_that_went_back_mixes_no_means(world: World) {
    let at_once = Stage::new(World::new(&world.options)).await;
    let _leftovers = at_once._world.leftovers();
    at_once.scene.put("a", &[SHORT]).await;
    at_once.scene.put("b", &[LONG, LONG]).await;
    at_once.scene.put("c", &[LONG; 5]).await;
    at_once.scene.publish().await;
    let stage = Stage::new(world).await;
    stage.publish("a", &[SHORT]).await;
    let first = stage.row().await;
    stage.publish("b", &[LONG, LONG]).await;
    stage.tend().await;
    stage.go_back((first.parameters, first.size)).await;
    stage.publish("c", &[LONG; 5]).await;
    stage.tend().await;
    assert_eq!(stage.recorded().await.revision, 2);
    assert_eq!(stage.weights().await, at_once.weights().await);
    // Where the mean holds and nothing grew, too.
    let now = stage.row().await;
    let back = Bm25Parameters {
        revision: 1,
        ..now.parameters
    };
    stage.go_back((back, now.size)).await;
    stage.tend().await;
    assert_eq!(stage.recorded().await.revision, 3);
    assert_eq!(stage.weights().await, at_once.weights().await);
}

async fn a_mean_is_looked_at_as_a_collection_shrinks(world: World) {
    let stage = Stage::new(world).await;
    stage.publish("a", &[SHORT; 10]).await;
    stage.publish("b", &[LONG; 30]).await;
    stage.tend().await;
    assert_eq!(stage.recorded().await.mean_length, 11.5);
    stage.scene.delete("b").await;
    stage.scene.publish().await;
    stage.ledger.sweep(Duration::ZERO).await.unwrap();
    stage.tend().await;
    assert_eq!(stage.recorded().await.mean_length, 4.0);
}
