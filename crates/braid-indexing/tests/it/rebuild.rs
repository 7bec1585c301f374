//! New generations: built beside the old one, switched to at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use braid_core::operation::ChangeOutcome;
use braid_core::{Embedder, ErrorCode, Generation, Ledger};
use braid_indexing::{Breakpoint, Breakpoints};
use braid_testkit::{Call, Fault, Faulty, Gate, HashEmbedder, RamVectorStore};

use crate::world::{DIMENSION, Life, World, receipt, settings, texts};

const LINES: &str = "a: one two three four five\nb: six";

#[tokio::test(start_paused = true)]
async fn new_chunking_is_switched_to_at_once() {
    let embedder = Arc::new(HashEmbedder::new(DIMENSION));
    let world = World::with_embedder(Arc::clone(&embedder) as _);
    let life = world.open().await;
    life.ingest(LINES).await;
    life.idle().await;
    let seen = AtomicU64::new(0);
    let progress = |progress: braid_indexing::RebuildProgress| {
        seen.fetch_max(progress.embedded, Ordering::SeqCst);
        assert!(progress.embedded <= progress.chunks);
    };
    let rebuilt = life
        .indexer
        .rebuild(&life.collection, settings(2), progress)
        .await
        .unwrap();
    assert_eq!(rebuilt, world.ledger_collection().await);
    assert_eq!(rebuilt.generation, Generation(2));
    assert_eq!(rebuilt.settings, settings(2));
    assert_eq!(seen.load(Ordering::SeqCst), 4);
    let expected = texts(&[("a", &["one two", "three four", "five"]), ("b", &["six"])]);
    assert_eq!(world.live().await, expected);
    life.idle().await;
    world.assert_sound().await;
    // "six" alone is the same text as before.
    assert_eq!(embedder.passages_embedded(), 3 + 3);

    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let keys = world.indexes.keys();
    assert_eq!(keys, [rebuilt.index_key()], "the old generation is removed");
}

#[tokio::test(start_paused = true)]
async fn writes_go_on_under_the_new_settings() {
    let world = World::new();
    let life = world.open().await;
    life.ingest(LINES).await;
    life.idle().await;
    let rebuild = life.indexer.rebuild(&life.collection, settings(2), |_| {});
    rebuild.await.unwrap();
    let outcome = life.ingest(&format!("{LINES}\nc: seven eight nine")).await;
    let outcomes = receipt(outcome.staged).outcomes;
    assert!(
        matches!(
            outcomes[..],
            [
                ChangeOutcome::Unchanged { .. },
                ChangeOutcome::Unchanged { .. },
                ChangeOutcome::Staged { .. }
            ]
        ),
        "{outcomes:?}"
    );
    life.idle().await;
    assert_eq!(world.live().await["c"], ["seven eight", "nine"]);
    world.assert_sound().await;
}

#[tokio::test(start_paused = true)]
async fn the_same_pipeline_embeds_nothing() {
    let embedder = Arc::new(HashEmbedder::new(DIMENSION));
    let world = World::with_embedder(Arc::clone(&embedder) as _);
    let life = world.open().await;
    life.ingest(LINES).await;
    life.idle().await;
    let before = (embedder.passages_embedded(), world.live().await);
    let collection = &life.collection;
    let rebuilt = life
        .indexer
        .rebuild(collection, collection.settings, |_| {})
        .await
        .unwrap();
    assert_eq!(rebuilt.generation, Generation(2));
    life.idle().await;
    assert_eq!((embedder.passages_embedded(), world.live().await), before);
    world.assert_sound().await;
}

/// A world whose next generation waits at the gate once its vectors are written.
fn held_at(gate: &Gate, life: &Life) -> World {
    let held = Faulty::new(RamVectorStore::new(DIMENSION)).on(
        Call::Apply,
        1,
        Fault::HoldAfter(gate.clone()),
    );
    let next = braid_core::IndexKey {
        generation: Generation(2),
        ..life.collection.index_key()
    };
    let world = life.world.clone();
    // The rebuild removes what it finds under its key, so the store is put there afterwards.
    let provider = Arc::new(PutOnRemove {
        inner: Arc::clone(&world.indexes),
        key: next,
        store: Arc::new(held),
    });
    World { provider, ..world }
}

/// Writes that arrive while the new generation is being built are in it when it is switched to.
#[tokio::test(start_paused = true)]
async fn writes_go_on_during_a_rebuild() {
    let life = World::new().open().await;
    life.ingest(LINES).await;
    life.idle().await;
    life.shutdown.finish().await;
    let gate = Gate::new();
    let world = held_at(&gate, &life);
    let life = world.open().await;
    let rebuild = tokio::spawn({
        let life = life.clone();
        async move {
            let rebuild = life.indexer.rebuild(&life.collection, settings(2), |_| {});
            rebuild.await
        }
    });
    gate.arrived().await;
    let twice = life.indexer.rebuild(&life.collection, settings(3), |_| {});
    assert_eq!(twice.await.unwrap_err().code(), ErrorCode::Overloaded);
    life.ingest("a: seven eight nine\nc: ten").await;
    life.delete(&["b"]).await;
    life.idle().await;
    let live = world.live().await;
    assert_eq!(
        live["a"],
        ["seven eight nine"],
        "the old generation takes writes"
    );
    gate.open();
    rebuild.await.unwrap().unwrap();
    life.idle().await;
    let expected = texts(&[("a", &["seven eight", "nine"]), ("c", &["ten"])]);
    assert_eq!(world.live().await, expected);
    world.assert_sound().await;
}

/// A caller that goes away during the last step leaves a collection that works.
#[tokio::test(start_paused = true)]
async fn an_abandoned_rebuild_leaves_a_collection_that_works() {
    let world = World::new();
    let life = world.open().await;
    life.ingest(LINES).await;
    life.idle().await;
    for turns in 0..40 {
        let collection = world.ledger_collection().await;
        let tokens = 2 + turns % 3;
        let rebuild = tokio::spawn({
            let life = life.clone();
            async move {
                life.indexer
                    .rebuild(&collection, settings(tokens), |_| {})
                    .await
            }
        });
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        rebuild.abort();
        life.ingest(&format!("c: written at turn {turns}")).await;
        life.idle().await;
        let expected = format!("written at turn {turns}");
        assert_eq!(world.live().await["c"].join(" "), expected);
        world.assert_sound().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_rebuild_that_fails_leaves_the_old_generation() {
    let embedder = Arc::new(Faulty::new(HashEmbedder::new(DIMENSION)).on_from(
        Call::EmbedPassages,
        2,
        Fault::FailBefore(ErrorCode::Internal),
    ));
    let world = World::with_embedder(Arc::clone(&embedder) as _);
    let life = world.open().await;
    life.ingest(LINES).await;
    life.idle().await;
    let before = life.snapshot().await;
    let failed = life
        .indexer
        .rebuild(&life.collection, settings(2), |_| {})
        .await
        .unwrap_err();
    assert_eq!(failed.code(), ErrorCode::Internal);
    assert_eq!(life.snapshot().await, before);
    assert_eq!(
        world.indexes.keys(),
        [life.collection.index_key()],
        "nothing is left behind"
    );
    embedder.heal();
    life.ingest("c: seven").await;
    life.idle().await;
    life.indexer
        .rebuild(&life.collection, settings(2), |_| {})
        .await
        .unwrap();
    life.idle().await;
    assert_eq!(world.live().await.len(), 3);
    world.assert_sound().await;
    let bad = life
        .indexer
        .rebuild(&life.collection, settings(0), |_| {})
        .await
        .unwrap_err();
    assert_eq!(bad.code(), ErrorCode::InvalidRequest);
}

/// What was acknowledged under the old model and never indexed is indexed under the new one.
#[tokio::test(start_paused = true)]
async fn another_model_takes_over_with_what_was_pending() {
    let world = World::new();
    let life = world.open().await;
    life.ingest(LINES).await;
    life.idle().await;
    life.indexer.pause(life.collection.id).unwrap();
    life.ingest("b: seven\nc: eight").await;
    life.delete(&["a"]).await;
    life.shutdown.finish().await;

    for tokens in [4, 2] {
        let other = HashEmbedder::named(&format!("other-{tokens}"), DIMENSION);
        let world = World {
            embedder: Arc::new(other),
            ..world.clone()
        };
        let life = world.open().await;
        assert!(life.indexer.stalled(life.collection.id).is_some());
        let collection = world.ledger_collection().await;
        let rebuilt = life
            .indexer
            .rebuild(&collection, settings(tokens), |_| {})
            .await
            .unwrap();
        assert_eq!(&rebuilt.fingerprint.embedder, world.embedder.fingerprint());
        life.idle().await;
        assert_eq!(
            world.live().await,
            texts(&[("b", &["seven"]), ("c", &["eight"])])
        );
        world.assert_sound().await;
        assert_eq!(life.indexer.stalled(life.collection.id), None);
        life.ingest("d: nine").await;
        life.idle().await;
        life.delete(&["d"]).await;
        life.indexer.pause(life.collection.id).unwrap();
        life.shutdown.finish().await;
    }
}

/// A world that another model has taken over, with `b` replaced and `c` new and neither indexed.
async fn pending_under_another_model(embedder: Arc<dyn Embedder>) -> (World, Life) {
    let world = World::new();
    let life = world.open().await;
    life.ingest(LINES).await;
    life.idle().await;
    life.indexer.pause(life.collection.id).unwrap();
    life.ingest("b: seven eight nine\nc: ten").await;
    life.shutdown.finish().await;
    let world = World { embedder, ..world };
    let life = world.open().await;
    assert!(life.indexer.stalled(life.collection.id).is_some());
    (world, life)
}

/// The versions that the served generation has are the ones that are live: what was acknowledged
/// since stays pending.
async fn assert_old_versions_are_served(world: &World) {
    let collection = world.ledger_collection().await;
    assert_eq!(collection.generation, Generation(1));
    let old = texts(&[("a", &["one two three", "four five"]), ("b", &["six"])]);
    assert_eq!(world.live().await, old);
    let live = world.ledger.live_slots(collection.id).await.unwrap();
    let (lexical, vector) = world.served().await;
    assert_eq!(lexical.slots().await.unwrap(), live);
    assert_eq!(vector.slots().await.unwrap(), live);
    let stats = world.ledger.stats(collection.id).await.unwrap();
    assert_eq!(stats.lag(), 2);
}

async fn take_over(world: &World, life: &Life) {
    let collection = world.ledger_collection().await;
    let rebuild = life.indexer.rebuild(&collection, settings(2), |_| {});
    rebuild.await.unwrap();
    life.idle().await;
    let expected = texts(&[
        ("a", &["one two", "three four", "five"]),
        ("b", &["seven eight", "nine"]),
        ("c", &["ten"]),
    ]);
    let live = world.live().await;
    assert_eq!(live, expected, "chunked anew, pending or not");
    world.assert_sound().await;
}

/// Whatever fails in the last pass, the old generation goes on with the versions that it holds.
#[tokio::test(start_paused = true)]
async fn a_rebuild_that_fails_at_its_end_publishes_nothing() {
    // The passages of `a` and old `b`, what is pending, and then its new chunks.
    for fails_at in 1..=3 {
        let model = HashEmbedder::named("other", DIMENSION);
        let embedder = Arc::new(Faulty::new(model).on_from(
            Call::EmbedPassages,
            fails_at,
            Fault::FailBefore(ErrorCode::Internal),
        ));
        let (world, life) = pending_under_another_model(Arc::clone(&embedder) as _).await;
        let rebuild = life.indexer.rebuild(&life.collection, settings(2), |_| {});
        assert!(rebuild.await.is_err(), "failing from call {fails_at}");
        assert_old_versions_are_served(&world).await;
        embedder.heal();
        take_over(&world, &life).await;
    }
}

/// The process dies when the next generation holds everything and nothing has been switched.
#[tokio::test(start_paused = true)]
async fn a_crash_before_the_switch_leaves_what_is_pending_pending() {
    let other = || Arc::new(HashEmbedder::named("other", DIMENSION));
    let (world, life) = pending_under_another_model(other()).await;
    life.shutdown.finish().await;
    let mut dying = world.clone();
    dying.options.breakpoints = Breakpoints::new(|point| {
        if point == Breakpoint::BeforeSwitchGeneration {
            // Unwinds without the noise of a panic hook.
            std::panic::resume_unwind(Box::new("the process dies here"));
        }
    });
    let life = dying.open().await;
    let died = tokio::spawn({
        let life = life.clone();
        async move {
            let rebuild = life.indexer.rebuild(&life.collection, settings(2), |_| {});
            rebuild.await
        }
    });
    assert!(died.await.unwrap_err().is_panic());
    life.shutdown.finish().await;
    assert_old_versions_are_served(&world).await;
    let life = world.open().await;
    assert_old_versions_are_served(&world).await;
    take_over(&world, &life).await;
}

/// A disk that is full for good holds up neither a rebuild nor, should that fail, the versions
/// that are served.
#[tokio::test(start_paused = true)]
async fn a_rebuild_takes_over_from_a_full_disk() {
    let embedder = Arc::new(Faulty::new(HashEmbedder::new(DIMENSION)));
    let mut world = World::with_embedder(Arc::clone(&embedder) as _);
    let (indexer, _) = world.indexer();
    let collection = world.create(&indexer, settings(4)).await;
    let full = Faulty::new(RamVectorStore::new(DIMENSION)).on_from(
        Call::Apply,
        2,
        Fault::FailBefore(ErrorCode::StorageFull),
    );
    let key = collection.index_key();
    world.indexes.put_vector(key, Arc::new(full));
    let life = world.open().await;
    life.ingest(LINES).await;
    let mut progress = life.indexer.progress(collection.id);
    let first = |now: &braid_indexing::Progress| now.lag() == 0;
    progress.wait_for(first).await.unwrap();
    life.ingest("b: seven").await;
    let next = braid_core::IndexKey {
        generation: Generation(2),
        ..key
    };
    let broken = Faulty::new(RamVectorStore::new(DIMENSION)).on(
        Call::Apply,
        2,
        Fault::FailBefore(ErrorCode::Unavailable),
    );
    world.provider = Arc::new(PutOnRemove {
        inner: Arc::clone(&world.indexes),
        key: next,
        store: Arc::new(broken),
    });
    life.shutdown.finish().await;
    let life = world.open().await;
    let rebuild = || life.indexer.rebuild(&life.collection, settings(4), |_| {});
    assert_eq!(rebuild().await.unwrap_err().code(), ErrorCode::Unavailable);
    assert_eq!(
        world.live().await["b"],
        ["six"],
        "the old version is served"
    );
    rebuild().await.unwrap();
    life.idle().await;
    assert_eq!(world.live().await["b"], ["seven"]);
    world.assert_sound().await;
}

/// Hands out a store of the test's own for one generation.
#[derive(Debug)]
struct PutOnRemove {
    inner: Arc<braid_testkit::RamIndexProvider>,
    key: braid_core::IndexKey,
    store: Arc<dyn braid_core::VectorStore>,
}

#[async_trait::async_trait]
impl braid_core::IndexProvider for PutOnRemove {
    async fn lexical(
        &self,
        collection: &braid_core::Collection,
        key: braid_core::IndexKey,
    ) -> braid_core::Result<Arc<dyn braid_core::LexicalIndex>> {
        self.inner.lexical(collection, key).await
    }

    async fn vector(
        &self,
        collection: &braid_core::Collection,
        key: braid_core::IndexKey,
    ) -> braid_core::Result<Arc<dyn braid_core::VectorStore>> {
        self.inner.vector(collection, key).await
    }

    async fn remove(&self, key: braid_core::IndexKey) -> braid_core::Result<()> {
        self.inner.remove(key).await?;
        if key == self.key {
            self.inner.put_vector(key, Arc::clone(&self.store));
        }
        Ok(())
    }

    async fn retain(&self, keep: &[braid_core::IndexKey]) -> braid_core::Result<()> {
        self.inner.retain(keep).await
    }
}
