//! Planted differences between ledger and indexes are found and mended.

use std::sync::Arc;

use braid_core::{
    ChunkId, IndexBatch, IndexProvider, Ledger, LexicalEntry, LexicalIndex, Sequence, Slot,
    SlotSet, VectorEntry, VectorStore,
};
use braid_testkit::{HashEmbedder, RamIndexProvider, RamLexicalIndex, RamVectorStore};

use crate::world::{DIMENSION, Life, World, texts};

async fn filled() -> Life {
    let life = World::new().open().await;
    life.ingest("a: one two three four five\nb: six").await;
    life.idle().await;
    life
}

fn slots(slots: &[u32]) -> SlotSet {
    slots.iter().copied().collect()
}

async fn spoil_lexical(index: &dyn LexicalIndex, watermark: Sequence) {
    let entry = LexicalEntry {
        slot: Slot(77),
        chunk: ChunkId(Default::default()),
        title: String::new(),
        headings: Vec::new(),
        body: "nobody's".to_owned(),
        metadata: Arc::default(),
        language: None,
    };
    let batch = IndexBatch {
        add: vec![entry],
        delete: slots(&[0]),
        watermark,
    };
    index.apply(batch).await.unwrap();
}

async fn spoil_vector(store: &dyn VectorStore, watermark: Sequence) {
    let entry = VectorEntry {
        slot: Slot(78),
        chunk: ChunkId(Default::default()),
        embedding: HashEmbedder::new(DIMENSION).embed("nobody's"),
        metadata: Arc::default(),
        language: None,
    };
    let batch = IndexBatch {
        add: vec![entry],
        delete: slots(&[1, 2]),
        watermark,
    };
    store.apply(batch).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn planted_slots_are_found_and_mended_in_each_index() {
    let life = filled().await;
    let sound = life.indexer.verify(&life.collection, false).await.unwrap();
    assert!(sound.is_sound() && !sound.repaired, "{sound:?}");
    assert_eq!((sound.vector.held, sound.lexical.held), (3, 3));

    let (lexical, vector) = life.world.served().await;
    spoil_lexical(&*lexical, lexical.watermark().await.unwrap()).await;
    spoil_vector(&*vector, vector.watermark().await.unwrap()).await;
    let before = vector.watermark().await.unwrap();
    for repair in [false, true] {
        let found = life.indexer.verify(&life.collection, repair).await.unwrap();
        assert!(!found.is_sound());
        assert_eq!(
            (&found.lexical.missing, &found.lexical.extra),
            (&slots(&[0]), &slots(&[77]))
        );
        assert_eq!(
            (&found.vector.missing, &found.vector.extra),
            (&slots(&[1, 2]), &slots(&[78]))
        );
        assert_eq!(found.repaired, repair);
    }
    assert_eq!(
        vector.watermark().await.unwrap(),
        before,
        "the watermark is kept"
    );
    let mended = life.indexer.verify(&life.collection, false).await.unwrap();
    assert!(mended.is_sound(), "{mended:?}");
    life.world.assert_sound().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_pending_or_retired_is_not_wrong() {
    let life = filled().await;
    let pin = life.world.ledger.pin(&life.collection.name).await.unwrap();
    life.ingest("b: seven").await;
    let report = life.indexer.verify(&life.collection, false).await.unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(
        report.vector.held, 4,
        "the replaced version is still there for the pinned reader"
    );
    assert_eq!(report.lag, 0, "verify lets the appliers catch up");

    life.indexer.pause(life.collection.id).unwrap();
    life.ingest("c: eight").await;
    life.delete(&["a"]).await;
    let report = life.indexer.verify(&life.collection, false).await.unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.lag, 2, "unless they are paused");
    drop(pin);
}

#[tokio::test(start_paused = true)]
async fn a_lost_index_is_rebuilt_from_the_ledger_without_embedding_again() {
    let embedder = Arc::new(HashEmbedder::new(DIMENSION));
    let world = World::with_embedder(Arc::clone(&embedder) as _);
    let life = world.open().await;
    life.ingest("a: one two three four five\nb: six").await;
    life.idle().await;
    let embedded = embedder.passages_embedded();
    life.shutdown.finish().await;
    let key = life.collection.index_key();
    world
        .indexes
        .put_lexical(key, Arc::new(RamLexicalIndex::new()));
    world
        .indexes
        .put_vector(key, Arc::new(RamVectorStore::new(DIMENSION)));

    let life = world.open().await;
    life.ingest("c: seven").await;
    life.idle().await;
    world.assert_sound().await;
    assert_eq!(embedder.passages_embedded(), embedded + 1);
}

/// Copies what two indexes hold, as a backup of their directories would.
async fn copy(world: &World, life: &Life) -> RamIndexProvider {
    let copy = RamIndexProvider::new();
    let key = life.collection.index_key();
    let ledger = &world.ledger;
    let live = ledger.live_slots(life.collection.id).await.unwrap();
    let slots: Vec<_> = live.iter().map(Slot).collect();
    let watermark = ledger.stats(life.collection.id).await.unwrap().published;
    let mut terms = Vec::new();
    let mut vectors = Vec::new();
    for chunk in ledger.chunks(life.collection.id, &slots).await.unwrap() {
        let text = chunk.record.embedded_text();
        terms.push(LexicalEntry {
            slot: chunk.record.slot,
            chunk: chunk.record.id,
            title: String::new(),
            headings: Vec::new(),
            body: chunk.record.chunk.text,
            metadata: Arc::default(),
            language: None,
        });
        vectors.push(VectorEntry {
            slot: chunk.record.slot,
            chunk: chunk.record.id,
            embedding: HashEmbedder::new(DIMENSION).embed(&text),
            metadata: Arc::default(),
            language: None,
        });
    }
    let lexical = copy.lexical(&life.collection, key).await.unwrap();
    let batch = IndexBatch {
        add: terms,
        delete: SlotSet::new(),
        watermark,
    };
    lexical.apply(batch).await.unwrap();
    let vector = copy.vector(&life.collection, key).await.unwrap();
    let batch = IndexBatch {
        add: vectors,
        delete: SlotSet::new(),
        watermark,
    };
    vector.apply(batch).await.unwrap();
    copy
}

#[tokio::test(start_paused = true)]
async fn indexes_restored_from_an_older_copy_catch_up_with_what_was_purged_too() {
    let world = World::new();
    let life = world.open().await;
    life.ingest("a: one\nb: two").await;
    life.idle().await;
    let old = copy(&world, &life).await;
    life.delete(&["a"]).await;
    life.ingest("b: three\nc: four").await;
    life.idle().await;
    life.shutdown.finish().await;
    let key = life.collection.index_key();
    let lexical = old.lexical(&life.collection, key).await.unwrap();
    world.indexes.put_lexical(key, lexical);
    let vector = old.vector(&life.collection, key).await.unwrap();
    world.indexes.put_vector(key, vector);

    let life = world.open().await;
    life.ingest("d: five").await;
    life.idle().await;
    assert_eq!(
        world.live().await,
        texts(&[("b", &["three"]), ("c", &["four"]), ("d", &["five"])])
    );
    world.assert_sound().await;
}

/// Indexes that are ahead of the whole log belong to another history: a restored older ledger.
#[tokio::test(start_paused = true)]
async fn indexes_from_another_history_are_not_believed() {
    let world = World::new();
    let life = world.open().await;
    life.ingest("a: one").await;
    life.idle().await;
    life.shutdown.finish().await;
    let (lexical, vector) = world.served().await;
    spoil_lexical(&*lexical, Sequence(1000)).await;
    spoil_vector(&*vector, Sequence(1000)).await;

    let life = world.open().await;
    life.ingest("b: two").await;
    life.idle().await;
    assert_eq!(world.live().await.len(), 2);
    world.assert_sound().await;
    assert!(vector.watermark().await.unwrap() < Sequence(1000));
}

/// A live chunk whose embedding is not stored, though both indexes hold it.
#[tokio::test(start_paused = true)]
async fn repair_embeds_what_the_ledger_lost() {
    let embedder = Arc::new(HashEmbedder::new(DIMENSION));
    let world = World::with_embedder(Arc::clone(&embedder) as _);
    let life = world.open().await;
    life.indexer.pause(life.collection.id).unwrap();
    life.ingest("a: one").await;
    let newest = world.ledger.stats(life.collection.id).await.unwrap().newest;
    world
        .ledger
        .publish(life.collection.id, newest)
        .await
        .unwrap();
    let old = copy(&world, &life).await;
    let key = life.collection.index_key();
    let lexical = old.lexical(&life.collection, key).await.unwrap();
    world.indexes.put_lexical(key, lexical);
    let vector = old.vector(&life.collection, key).await.unwrap();
    world.indexes.put_vector(key, vector);

    let found = life.indexer.verify(&life.collection, true).await.unwrap();
    assert_eq!(found.ledger, ["slot 0 has no embedding"]);
    assert!(found.vector.is_sound() && found.lexical.is_sound());
    assert_eq!(embedder.passages_embedded(), 1);
    let mended = life.indexer.verify(&life.collection, false).await.unwrap();
    assert!(mended.is_sound(), "{mended:?}");
}

/// A repair that changes nothing is not called one.
#[tokio::test(start_paused = true)]
async fn a_repair_that_does_not_help_says_what_is_left() {
    let life = filled().await;
    life.indexer.pause(life.collection.id).unwrap();
    life.ingest("c: seven").await;
    let key = life.collection.index_key();
    let deaf = Deaf(RamVectorStore::new(DIMENSION));
    life.world.indexes.put_vector(key, Arc::new(deaf));
    let found = life.indexer.verify(&life.collection, true).await.unwrap();
    assert!(!found.is_sound() && !found.repaired);
    assert_eq!(
        found.left,
        ["the dense index still lacks 3 entries and has 0 too many"]
    );
    life.world.lose_vectors(&life.collection);
    let found = life.indexer.verify(&life.collection, true).await.unwrap();
    assert!(found.repaired && found.left.is_empty(), "{found:?}");
}

/// Says that it stored what it did not.
#[derive(Debug)]
struct Deaf(RamVectorStore);

#[async_trait::async_trait]
impl VectorStore for Deaf {
    async fn apply(&self, _: IndexBatch<VectorEntry>) -> braid_core::Result<()> {
        Ok(())
    }

    async fn watermark(&self) -> braid_core::Result<Sequence> {
        self.0.watermark().await
    }

    async fn slots(&self) -> braid_core::Result<SlotSet> {
        self.0.slots().await
    }

    async fn pin(&self) -> braid_core::Result<Arc<dyn braid_core::ports::VectorView>> {
        self.0.pin().await
    }
}
