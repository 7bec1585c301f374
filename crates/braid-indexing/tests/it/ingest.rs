//! Ingesting, replacing and deleting when nothing fails.

use std::sync::Arc;

use braid_core::operation::ChangeOutcome;
use braid_core::ports::{
    IdempotencyKey, JobItemStatus, NewJob, Recorded, StageReceipt, StoredResponse, WriteGuard,
};
use braid_core::{ContentHash, DocumentStatus, ErrorCode, JobId, Ledger};
use braid_indexing::{Health, IngestRequest};
use braid_testkit::{Call, Fault, Faulty, Gate, HashEmbedder, RamLexicalIndex, RamVectorStore};
use expect_test::expect;

use crate::world::{DIMENSION, Life, World, documents, name, receipt, settings, texts};

#[tokio::test(start_paused = true)]
async fn documents_are_put_replaced_and_deleted() {
    let life = World::new().open().await;
    life.ingest("a: one two three four five six\nb: seven")
        .await;
    life.idle().await;
    expect![[r#"
        a: Published at 1, 2 chunks
        b: Published at 2, 1 chunks
        2 documents, 3 chunks live, 0 failed, 0 retired
        published 2 of 2
        live    [0, 1, 2]
        lexical [0, 1, 2] at 2
        vector  [0, 1, 2] at 2
    "#]]
    .assert_eq(&life.snapshot().await);

    life.ingest("a: one two three four nine").await;
    life.idle().await;
    expect![[r#"
        a: Published at 3, 2 chunks
        b: Published at 2, 1 chunks
        2 documents, 3 chunks live, 0 failed, 0 retired
        published 4 of 4
        live    [2, 3, 4]
        lexical [2, 3, 4] at 4
        vector  [2, 3, 4] at 4
    "#]]
    .assert_eq(&life.snapshot().await);

    life.delete(&["b", "nowhere"]).await;
    life.idle().await;
    expect![[r#"
        a: Published at 3, 2 chunks
        1 documents, 2 chunks live, 0 failed, 0 retired
        published 6 of 6
        live    [3, 4]
        lexical [3, 4] at 6
        vector  [3, 4] at 6
    "#]]
    .assert_eq(&life.snapshot().await);
    life.world.assert_sound().await;
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_document_costs_nothing() {
    let embedder = Arc::new(HashEmbedder::new(DIMENSION));
    let world = World::with_embedder(Arc::clone(&embedder) as _);
    let life = world.open().await;
    let key = life.collection.index_key();
    let lines = "a: one two three four five\nb: six";
    life.ingest(lines).await;
    life.idle().await;
    assert_eq!(embedder.passages_embedded(), 3);

    let (lexical, vector) = world.served().await;
    life.shutdown.finish().await;
    let lexical = Arc::new(Faulty::shared(lexical));
    let vector = Arc::new(Faulty::shared(vector));
    world.indexes.put_lexical(key, Arc::clone(&lexical) as _);
    world.indexes.put_vector(key, Arc::clone(&vector) as _);
    let life = world.open().await;
    let outcome = life.ingest(lines).await;
    life.idle().await;
    let outcomes = receipt(outcome.staged).outcomes;
    assert!(
        matches!(
            outcomes[..],
            [
                ChangeOutcome::Unchanged { .. },
                ChangeOutcome::Unchanged { .. }
            ]
        ),
        "{outcomes:?}"
    );
    assert_eq!(embedder.passages_embedded(), 3);
    assert_eq!(
        (lexical.count(Call::Apply), vector.count(Call::Apply)),
        (0, 0)
    );

    // Of a changed document only the chunk that changed is embedded.
    life.ingest("a: one two three four FIVE\nb: six").await;
    life.idle().await;
    assert_eq!(embedder.passages_embedded(), 4);
    assert!(lexical.count(Call::Apply) > 0 && vector.count(Call::Apply) > 0);
}

#[tokio::test(start_paused = true)]
async fn documents_are_refused_one_by_one() {
    let life = World::new().open().await;
    let mut documents =
        documents("good: fine\nbad: unreadable\nworse: explode\nempty:\ngood: again\nlong: title");
    documents[5].title = Some("x".repeat(5000));
    let job = JobId(Default::default());
    let request = IngestRequest {
        documents,
        job: Some(NewJob {
            id: job,
            rejected: vec![("?".to_owned(), "no id".to_owned())],
        }),
        guard: None,
    };
    let outcome = life
        .indexer
        .ingest(&life.collection, request)
        .await
        .unwrap();
    assert_eq!(outcome.accepted.len(), 1);
    let mut refused: Vec<_> = outcome
        .rejected
        .iter()
        .map(|(id, error)| format!("{id} {}: {}", error.code(), error.message()))
        .collect();
    refused.sort();
    expect![[r#"
        [
            "bad UNREADABLE_DOCUMENT: cannot be read",
            "empty UNREADABLE_DOCUMENT: the document is empty: there is no text in it",
            "good INVALID_REQUEST: the id occurs more than once in this request",
            "long INVALID_REQUEST: /title: may have 4096 bytes",
            "worse UNREADABLE_DOCUMENT: reading it failed unexpectedly",
        ]
    "#]]
    .assert_debug_eq(&refused);
    life.idle().await;
    let job = life.world.ledger.job(job).await.unwrap().unwrap();
    assert_eq!(job.items.len(), 7);
    assert_eq!(job.items[0].status, JobItemStatus::Indexed);
    let rejected = |status: &JobItemStatus| matches!(status, JobItemStatus::Rejected(_));
    assert!(job.items[1..].iter().all(|item| rejected(&item.status)));
    assert_eq!(life.world.live().await, texts(&[("good", &["fine"])]));
}

#[tokio::test(start_paused = true)]
async fn a_request_of_nothing_but_refused_documents_changes_nothing() {
    let life = World::new().open().await;
    let outcome = life.ingest("empty:").await;
    assert_eq!(outcome.rejected.len(), 1);
    assert_eq!(receipt(outcome.staged), StageReceipt::default());
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_request_is_answered_once() {
    let embedder = Arc::new(HashEmbedder::new(DIMENSION));
    let life = World::with_embedder(Arc::clone(&embedder) as _)
        .open()
        .await;
    let request = |hash| IngestRequest {
        documents: documents("a: one"),
        job: None,
        guard: Some(WriteGuard {
            key: IdempotencyKey {
                key: "k".to_owned(),
                request: ContentHash([hash; 32]),
                expires_at_ms: 1000,
            },
            respond: Box::new(|receipt: &StageReceipt| StoredResponse {
                status: 202,
                body: receipt.newest.to_string().into_bytes(),
            }),
        }),
    };
    let ingest = |hash| life.indexer.ingest(&life.collection, request(hash));
    assert!(matches!(ingest(1).await.unwrap().staged, Recorded::Done(_)));
    life.delete(&["a"]).await;
    life.idle().await;
    let again = ingest(1).await.unwrap().staged;
    assert!(matches!(again, Recorded::Replayed(response) if response.body == b"1"));
    let conflict = ingest(2).await.unwrap_err();
    assert_eq!(conflict.code(), ErrorCode::IdempotencyConflict);
    assert!(
        life.world.live().await.is_empty(),
        "a replay stages nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn readers_see_the_old_version_until_both_indexes_hold_the_new_one() {
    let world = World::new();
    let life = world.open().await;
    life.ingest("a: old").await;
    life.idle().await;
    let (lexical, _) = world.served().await;
    life.shutdown.finish().await;
    let gate = Gate::new();
    let held = Faulty::shared(lexical).on(Call::Apply, 1, Fault::HoldBefore(gate.clone()));
    world
        .indexes
        .put_lexical(life.collection.index_key(), Arc::new(held));

    let life = world.open().await;
    life.ingest("a: new").await;
    gate.arrived().await;
    let (_, vector) = world.served().await;
    assert_eq!(
        vector.slots().await.unwrap().len(),
        2,
        "the vector store holds both"
    );
    assert_eq!(world.live().await, texts(&[("a", &["old"])]));
    gate.open();
    life.idle().await;
    assert_eq!(world.live().await, texts(&[("a", &["new"])]));
    world.assert_sound().await;
}

#[tokio::test(start_paused = true)]
async fn a_late_publish_does_not_bring_back_what_was_deleted() {
    let world = World::new();
    let life = world.open().await;
    let gate = Gate::new();
    let held =
        Faulty::new(RamLexicalIndex::new()).on(Call::Apply, 1, Fault::HoldAfter(gate.clone()));
    life.shutdown.finish().await;
    world
        .indexes
        .put_lexical(life.collection.index_key(), Arc::new(held));

    let life = world.open().await;
    life.ingest("a: one\nb: two").await;
    gate.arrived().await;
    life.delete(&["a"]).await;
    life.ingest("b: three").await;
    gate.open();
    life.idle().await;
    assert_eq!(world.live().await, texts(&[("b", &["three"])]));
    world.assert_sound().await;
}

#[tokio::test(start_paused = true)]
async fn slots_stay_in_the_indexes_while_a_reader_may_see_them() {
    let life = World::new().open().await;
    life.ingest("a: one\nb: two").await;
    life.idle().await;
    let pin = life.world.ledger.pin(&name()).await.unwrap();
    let receipt = life.delete(&["a"]).await;
    life.indexer
        .wait_published(life.collection.id, receipt.newest)
        .await
        .unwrap();
    let (lexical, vector) = life.world.served().await;
    assert_eq!(lexical.slots().await.unwrap().len(), 2);
    assert_eq!(vector.slots().await.unwrap().len(), 2);
    drop(pin);
    life.idle().await;
    life.world.assert_sound().await;
}

#[tokio::test(start_paused = true)]
async fn deletes_hide_at_once_while_the_appliers_are_paused() {
    let life = World::new().open().await;
    let lines: Vec<_> = (0..20).map(|n| format!("d{n:02}: word{n}")).collect();
    life.ingest(&lines.join("\n")).await;
    life.idle().await;
    life.indexer.pause(life.collection.id).unwrap();
    let gone: Vec<_> = (0..15).map(|n| format!("d{n:02}")).collect();
    life.delete(&gone.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    life.ingest("d99: later").await;

    let pin = life.world.ledger.pin(&name()).await.unwrap();
    let selection = pin.select(None).await.unwrap();
    let (_, vector) = life.world.served().await;
    assert_eq!(
        vector.slots().await.unwrap().len(),
        20,
        "nothing is purged yet"
    );
    let query = life.world.embedder.embed_query("word3").await.unwrap();
    let view = vector.pin().await.unwrap();
    let hits = view.search(&query, &selection, 5).await.unwrap();
    assert_eq!(hits.len(), 5, "stale entries use up none of the depth");
    drop(pin);

    let progress = life.indexer.progress(life.collection.id).borrow().clone();
    assert!(progress.paused && progress.lag() > 0, "{progress:?}");
    life.indexer.resume(life.collection.id).unwrap();
    life.idle().await;
    assert_eq!(life.world.live().await.len(), 6);
    life.world.assert_sound().await;
}

/// A life under another model, with one document published and one pending from before.
async fn under_another_model() -> (World, Life) {
    let world = World::new();
    let life = world.open().await;
    life.ingest("a: one").await;
    life.idle().await;
    life.indexer.pause(life.collection.id).unwrap();
    life.ingest("b: two").await;
    life.shutdown.finish().await;
    let other = World {
        embedder: Arc::new(HashEmbedder::named("other", DIMENSION)),
        ..world.clone()
    };
    (world, other.open().await)
}

#[tokio::test(start_paused = true)]
async fn another_model_may_not_write() {
    let (_, life) = under_another_model().await;
    let request = IngestRequest {
        documents: documents("c: three"),
        ..IngestRequest::default()
    };
    let ingest = life.indexer.ingest(&life.collection, request);
    let refused = ingest.await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::FingerprintMismatch);
    assert_eq!(refused.help(), Some("run `braid collection rebuild main`"));
    let bad = life.indexer.pipeline_fingerprint(&settings(0)).unwrap_err();
    assert_eq!(bad.code(), ErrorCode::InvalidRequest);
}

#[tokio::test(start_paused = true)]
async fn another_model_may_not_index() {
    let (world, life) = under_another_model().await;
    let id = life.collection.id;
    let reason = life.indexer.stalled(id).unwrap();
    assert!(
        reason.contains("was built with embedder hash-embedder"),
        "{reason}"
    );
    let newest = world.ledger.stats(id).await.unwrap().newest;
    let waiting = life.indexer.wait_published(id, newest).await.unwrap_err();
    assert_eq!(waiting.code(), ErrorCode::Unavailable);
    let published = texts(&[("a", &["one"])]);
    assert_eq!(world.live().await, published, "what is published is served");
    life.shutdown.finish().await;

    let life = world.open().await;
    life.idle().await;
    let live = world.live().await;
    assert_eq!(live.len(), 2, "under its own model it goes on");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_does_not_index_may_delete_and_verify() {
    let world = World::new();
    let life = world.open().await;
    life.ingest("a: one\nb: two").await;
    life.idle().await;
    life.shutdown.finish().await;
    let mut passive = world.clone();
    passive.options.background = false;
    let life = passive.open().await;
    life.delete(&["a"]).await;
    assert_eq!(world.live().await, texts(&[("b", &["two"])]));
    let report = life.indexer.verify(&life.collection, false).await.unwrap();
    assert!(report.is_sound() && report.lag == 1, "{report:?}");
    life.shutdown.finish().await;
    world.open().await.idle().await;
    world.assert_sound().await;
}

/// A caller that goes away leaves nothing half done: what reached the ledger is indexed.
#[tokio::test(start_paused = true)]
async fn an_abandoned_request_is_published_all_the_same() {
    let world = World::new();
    let life = world.open().await;
    let request = IngestRequest {
        documents: documents("a: one"),
        ..IngestRequest::default()
    };
    let indexer = life.indexer.clone();
    let collection = life.collection.clone();
    let caller = tokio::spawn(async move { indexer.ingest(&collection, request).await });
    tokio::task::yield_now().await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    let mut progress = life.indexer.progress(life.collection.id);
    let published = progress.wait_for(|progress| progress.operations_published == 1);
    published.await.unwrap();
    assert_eq!(world.live().await, texts(&[("a", &["one"])]));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_collection_takes_and_publishes_nothing() {
    let life = World::new().open().await;
    life.indexer.pause(life.collection.id).unwrap();
    life.ingest("a: one").await;
    let indexer = life.indexer.clone();
    let id = life.collection.id;
    let newest = life.world.ledger.stats(id).await.unwrap().newest;
    let waiter = tokio::spawn(async move { indexer.wait_published(id, newest).await });
    tokio::task::yield_now().await;
    life.indexer.stop(id).await;
    let stopped = waiter.await.unwrap().unwrap_err();
    assert_eq!(stopped.code(), ErrorCode::ShuttingDown);
    assert_eq!(life.indexer.health(id), Health::Stopped);
    let request = IngestRequest::default();
    let refused = life
        .indexer
        .ingest(&life.collection, request)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), ErrorCode::CollectionNotFound);

    life.indexer.start(&life.collection).await.unwrap();
    life.indexer.start(&life.collection).await.unwrap();
    life.idle().await;
    let page = life.world.ledger.documents(id, None, 10).await.unwrap();
    assert_eq!(page.items[0].status, DocumentStatus::Published);
}

/// A document that grows while a load is in progress is applied in few batches, not one by one.
#[tokio::test(start_paused = true)]
async fn a_bulk_load_is_applied_in_large_batches() {
    let mut world = World::new();
    world.options.embed_batch_chunks = 16;
    let (indexer, _) = world.indexer();
    let collection = world.create(&indexer, settings(4)).await;
    let vector = Arc::new(Faulty::new(RamVectorStore::new(DIMENSION)));
    world
        .indexes
        .put_vector(collection.index_key(), Arc::clone(&vector) as _);
    let life = world.open().await;
    let lines: Vec<_> = (0..400).map(|n| format!("d{n}: word{n}")).collect();
    life.indexer.pause(collection.id).unwrap();
    life.ingest(&lines.join("\n")).await;
    life.indexer.resume(collection.id).unwrap();
    life.idle().await;
    let applies = vector.count(Call::Apply);
    assert!(
        (1..=2).contains(&applies),
        "{applies} applies of 400 documents"
    );
    let progress = life.indexer.progress(collection.id).borrow().clone();
    assert_eq!(
        (progress.chunks_embedded, progress.chunks_applied),
        (400, 400)
    );
    assert_eq!(progress.operations_published, 400);
}
