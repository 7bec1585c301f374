//! What fails is waited out, isolated or shown; nothing acknowledged is lost.

use std::sync::Arc;
use std::time::Duration;

use braid_core::{DocumentStatus, ErrorCode, Ledger, Sequence};
use braid_indexing::{Health, RetryPolicy};
use braid_testkit::{Call, Fault, Faulty, HashEmbedder, RamLexicalIndex, RamVectorStore};
use tokio::time::Instant;

use crate::world::{DIMENSION, Life, PoisonedEmbedder, World, texts};

fn poisoned(code: ErrorCode) -> World {
    World::with_embedder(Arc::new(PoisonedEmbedder {
        inner: HashEmbedder::new(DIMENSION),
        code,
    }))
}

fn faulty_embedder(faults: impl Fn(Faulty<HashEmbedder>) -> Faulty<HashEmbedder>) -> World {
    World::with_embedder(Arc::new(faults(Faulty::new(HashEmbedder::new(DIMENSION)))))
}

/// A life whose vector store is `store`.
async fn with_store(world: &World, store: &Arc<Faulty<RamVectorStore>>) -> Life {
    let (indexer, _) = world.indexer();
    let collection = world.create(&indexer, crate::world::settings(4)).await;
    world
        .indexes
        .put_vector(collection.index_key(), Arc::clone(store) as _);
    world.open().await
}

async fn until_health(life: &Life, reached: impl Fn(&Health) -> bool) {
    let mut progress = life.indexer.progress(life.collection.id);
    progress
        .wait_for(|progress| reached(progress.health()))
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_poisoned_document_fails_alone() {
    for code in [ErrorCode::Internal, ErrorCode::Timeout] {
        let life = poisoned(code).open().await;
        life.ingest("a: before\nb: old").await;
        life.idle().await;
        life.indexer.pause(life.collection.id).unwrap();
        life.ingest("c: fine\nb: poison\nd: poison too\ne: also fine")
            .await;
        life.indexer.resume(life.collection.id).unwrap();
        life.idle().await;
        let live = life.world.live().await;
        let expected = [
            ("a", "before"),
            ("b", "old"),
            ("c", "fine"),
            ("e", "also fine"),
        ];
        let expected: Vec<_> = expected
            .iter()
            .map(|(id, text)| (*id, std::slice::from_ref(text)))
            .collect();
        assert_eq!(live, texts(&expected), "{code}");
        let page = life
            .world
            .ledger
            .documents(life.collection.id, None, 10)
            .await
            .unwrap();
        let status = |index: usize| &page.items[index].status;
        assert_eq!(
            *status(1),
            DocumentStatus::Failed("a vector is not finite".to_owned())
        );
        assert!(matches!(status(3), DocumentStatus::Failed(_)));
        let stats = life.world.ledger.stats(life.collection.id).await.unwrap();
        assert_eq!((stats.failed, stats.lag()), (2, 0));
        assert_eq!(life.indexer.health(life.collection.id), Health::Working);
        life.world.assert_sound().await;

        // A failed version is no reason to take the same content for unchanged, nor to keep out
        // a better one.
        life.ingest("b: better").await;
        life.idle().await;
        assert_eq!(life.world.live().await["b"], ["better"]);
        life.world.assert_sound().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_embedder_is_tried_again_with_growing_waits() {
    let busy = |embedder: Faulty<HashEmbedder>| {
        let fail = || Fault::FailBefore(ErrorCode::Overloaded);
        embedder
            .on(Call::EmbedPassages, 1, fail())
            .on(Call::EmbedPassages, 2, fail())
            .on(Call::EmbedPassages, 3, fail())
    };
    let mut world = faulty_embedder(busy);
    world.options.retry = RetryPolicy {
        attempts: 5,
        first: Duration::from_millis(100),
        longest: Duration::from_millis(250),
    };
    let life = world.open().await;
    let started = Instant::now();
    let receipt = crate::world::receipt(life.ingest("a: one").await.staged);
    life.indexer
        .wait_published(life.collection.id, receipt.newest)
        .await
        .unwrap();
    assert_eq!(world.live().await, texts(&[("a", &["one"])]));
    let waited = started.elapsed();
    assert!(
        waited >= Duration::from_millis(100 + 200 + 250),
        "{waited:?}"
    );
    assert!(waited < Duration::from_millis(700), "{waited:?}");
}

/// An embedder that answers nothing at all is an outage: documents are not to blame.
#[tokio::test(start_paused = true)]
async fn an_outage_of_the_embedder_fails_no_document() {
    let embedder = Arc::new(Faulty::new(HashEmbedder::new(DIMENSION)).on_from(
        Call::EmbedPassages,
        1,
        Fault::FailBefore(ErrorCode::ModelUnavailable),
    ));
    let world = World::with_embedder(Arc::clone(&embedder) as _);
    let life = world.open().await;
    life.ingest("a: one\nb: two").await;
    until_health(&life, |health| {
        matches!(health, Health::Retrying { failures: 8.., .. })
    })
    .await;
    let stats = world.ledger.stats(life.collection.id).await.unwrap();
    assert_eq!((stats.failed, stats.lag()), (0, 2));
    let told = life
        .indexer
        .wait_idle(life.collection.id)
        .await
        .unwrap_err();
    assert_eq!(told.code(), ErrorCode::Unavailable);
    assert!(told.message().contains("the embedder does not answer"));
    embedder.heal();
    until_health(&life, |health| *health == Health::Working).await;
    life.idle().await;
    assert_eq!(world.live().await.len(), 2);
    assert_eq!(life.indexer.health(life.collection.id), Health::Working);
}

/// A model server comes back just when it is asked whether it works at all: the document that was
/// tried before is tried again, not blamed.
#[tokio::test(start_paused = true)]
async fn an_outage_that_ends_with_the_probe_fails_no_document() {
    let cases = [
        (ErrorCode::Unavailable, 5),
        (ErrorCode::ModelUnavailable, 1),
    ];
    for (code, failures) in cases {
        let outage = |embedder: Faulty<HashEmbedder>| {
            (1..=failures).fold(embedder, |embedder, nth| {
                embedder.on(Call::EmbedPassages, nth, Fault::FailBefore(code))
            })
        };
        let world = faulty_embedder(outage);
        let life = world.open().await;
        life.ingest("a: one").await;
        life.idle().await;
        assert_eq!(world.live().await, texts(&[("a", &["one"])]), "{code}");
        let stats = world.ledger.stats(life.collection.id).await.unwrap();
        assert_eq!(stats.failed, 0, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_waited_out() {
    let store = Arc::new(Faulty::new(RamVectorStore::new(DIMENSION)).on_from(
        Call::Apply,
        2,
        Fault::FailBefore(ErrorCode::StorageFull),
    ));
    let world = World::new();
    let life = with_store(&world, &store).await;
    life.ingest("a: one").await;
    life.idle().await;
    let receipt = crate::world::receipt(life.ingest("b: two\nc: three").await.staged);
    let told = life
        .indexer
        .wait_published(life.collection.id, receipt.newest)
        .await
        .unwrap_err();
    assert_eq!(told.code(), ErrorCode::StorageFull);
    let stalled = life.indexer.stalled(life.collection.id).unwrap();
    assert!(stalled.contains("failed 5 times"), "{stalled}");
    until_health(&life, |health| {
        matches!(health, Health::Retrying { failures: 10.., .. })
    })
    .await;
    let stats = world.ledger.stats(life.collection.id).await.unwrap();
    assert_eq!(
        (stats.failed, stats.lag()),
        (0, 2),
        "visible as lag, not as failed documents"
    );
    assert_eq!(world.live().await, texts(&[("a", &["one"])]));
    store.heal();
    until_health(&life, |health| *health == Health::Working).await;
    assert_eq!(life.indexer.stalled(life.collection.id), None);
    life.idle().await;
    assert_eq!(world.live().await.len(), 3);
    world.assert_sound().await;
}

#[tokio::test(start_paused = true)]
async fn a_full_ledger_refuses_writes_and_holds_publishing_up() {
    let world = World::new();
    let life = world.open().await;
    life.ingest("a: one").await;
    life.idle().await;
    life.indexer.pause(life.collection.id).unwrap();
    life.ingest("b: two").await;
    world.ledger.refuse_writes(Some(ErrorCode::StorageFull));
    let request = braid_indexing::IngestRequest {
        documents: crate::world::documents("c: three"),
        ..Default::default()
    };
    let refused = life
        .indexer
        .ingest(&life.collection, request)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), ErrorCode::StorageFull);
    life.indexer.resume(life.collection.id).unwrap();
    until_health(&life, |health| {
        matches!(health, Health::Retrying { failures: 3.., .. })
    })
    .await;
    assert_eq!(world.live().await.len(), 1);
    world.ledger.refuse_writes(None);
    life.idle().await;
    assert_eq!(
        world.live().await,
        texts(&[("a", &["one"]), ("b", &["two"])])
    );
    world.assert_sound().await;
}

/// Done, but the answer was lost: the same step again must change nothing.
#[tokio::test(start_paused = true)]
async fn an_apply_whose_answer_is_lost_is_not_applied_twice() {
    let store = Arc::new(Faulty::new(RamVectorStore::new(DIMENSION)).on(
        Call::Apply,
        1,
        Fault::FailAfter(ErrorCode::Timeout),
    ));
    let world = World::new();
    let life = with_store(&world, &store).await;
    let receipt = crate::world::receipt(life.ingest("a: one").await.staged);
    life.indexer
        .wait_published(life.collection.id, receipt.newest)
        .await
        .unwrap();
    assert_eq!(
        store.count(Call::Apply),
        1,
        "the watermark says that it is there"
    );
    world.assert_sound().await;
}

#[tokio::test(start_paused = true)]
async fn a_corrupt_index_stalls_visibly_until_a_person_acts() {
    let world = World::new();
    let (indexer, _) = world.indexer();
    let collection = world.create(&indexer, crate::world::settings(4)).await;
    let lexical = Arc::new(Faulty::new(RamLexicalIndex::new()).on_from(
        Call::Apply,
        1,
        Fault::FailBefore(ErrorCode::Corrupt),
    ));
    world
        .indexes
        .put_lexical(collection.index_key(), Arc::clone(&lexical) as _);
    let life = world.open().await;
    life.ingest("a: one").await;
    until_health(&life, |health| matches!(health, Health::Stalled { .. })).await;
    let waiting = life
        .indexer
        .wait_published(collection.id, Sequence(1))
        .await
        .unwrap_err();
    assert_eq!(waiting.code(), ErrorCode::Unavailable);
    assert!(
        waiting
            .help()
            .unwrap()
            .contains("braid collection rebuild main")
    );
    assert_eq!(
        lexical.count(Call::Apply),
        1,
        "it is not tried again and again"
    );
    life.ingest("b: two").await;

    lexical.heal();
    life.indexer.resume(collection.id).unwrap();
    until_health(&life, |health| *health == Health::Working).await;
    life.idle().await;
    assert_eq!(world.live().await.len(), 2);
    world.assert_sound().await;
}

#[tokio::test(start_paused = true)]
async fn an_internal_failure_is_tried_a_few_times_before_it_stalls() {
    let store = Arc::new(Faulty::new(RamVectorStore::new(DIMENSION)).on_from(
        Call::Apply,
        1,
        Fault::FailBefore(ErrorCode::Internal),
    ));
    let world = World::new();
    let life = with_store(&world, &store).await;
    life.ingest("a: one").await;
    until_health(&life, |health| matches!(health, Health::Stalled { .. })).await;
    assert_eq!(store.count(Call::Apply), 5);
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_the_step_in_progress() {
    let gate = braid_testkit::Gate::new();
    let store = Arc::new(Faulty::new(RamVectorStore::new(DIMENSION)).on(
        Call::Apply,
        1,
        Fault::HoldBefore(gate.clone()),
    ));
    let world = World::new();
    let life = with_store(&world, &store).await;
    life.ingest("a: one").await;
    gate.arrived().await;
    let shutdown = life.shutdown.clone();
    let finished = tokio::spawn(async move { shutdown.finish().await });
    tokio::task::yield_now().await;
    assert!(!finished.is_finished());
    gate.open();
    finished.await.unwrap();
    assert_eq!(
        world.live().await,
        texts(&[("a", &["one"])]),
        "applied and published"
    );
    assert_eq!(life.indexer.health(life.collection.id), Health::Stopped);
}
