//! Formats, sizes and limits of what is stored.

use std::sync::Arc;

use braid_core::operation::{Change, ChangeOutcome};
use braid_core::ports::{RechunkedDocument, Recorded, StageRequest};
use braid_core::{DocumentId, Error, ErrorCode, Fingerprint, Ledger, Slot};
use braid_ledger::{FORMAT_VERSION, LedgerOptions, LmdbLedger};
use braid_testkit::ledger_suite::{Scene, hash, put, staged, staged_chunks};

use crate::{Clock, open};

/// Writes a row of the meta table as another build of the ledger would.
#[allow(unsafe_code)]
fn write_format(path: &std::path::Path, version: &[u8]) {
    use heed::types::Bytes;
    let mut options = heed::EnvOpenOptions::new();
    options.map_size(1 << 20).max_dbs(4);
    // SAFETY: nobody else has the test's directory open.
    let env = unsafe { options.open(path) }.unwrap();
    let txn = env.write_txn().unwrap();
    let done = env.create_databases_and_commit(txn, |opener, txn| {
        let meta = opener.create_database::<Bytes, Bytes>(txn, Some("meta"))?;
        meta.put(txn, b"format", version)?;
        Ok::<_, heed::Error>(heed::CommitOrAbort::<_, ()>::Commit(()))
    });
    assert!(done.unwrap().commit().is_some());
}

fn refusal(path: &std::path::Path) -> Error {
    LmdbLedger::open(path, Clock::default().options()).unwrap_err()
}

#[test]
fn another_format_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let newer = FORMAT_VERSION + 1;
    write_format(dir.path(), &newer.to_be_bytes());
    for _ in 0..2 {
        let error = refusal(dir.path());
        assert_eq!(error.code(), ErrorCode::UnsupportedVersion);
        let said = error.message().to_owned();
        assert!(said.contains(&format!("version {newer}")), "{said}");
        assert!(
            said.contains(&format!("reads version {FORMAT_VERSION}")),
            "{said}"
        );
    }
    write_format(dir.path(), &FORMAT_VERSION.to_be_bytes());
    open(dir.path());
}

#[test]
fn a_store_that_is_no_ledger_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    write_format(dir.path(), b"?");
    assert_eq!(refusal(dir.path()).code(), ErrorCode::Corrupt);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("data.mdb"), vec![7; 8192]).unwrap();
    assert_eq!(refusal(dir.path()).code(), ErrorCode::Corrupt);
}

fn full_text(id: usize) -> String {
    format!("{id} ").repeat(2000)
}

async fn try_put(scene: &Scene, id: usize) -> Result<(), Error> {
    let text = full_text(id);
    let request = StageRequest {
        changes: vec![put(staged(&format!("d{id:04}"), &[&text]))],
        job: None,
        guard: None,
    };
    let staged = scene.ledger.stage(scene.collection.id, request).await;
    staged.map(|_| ())
}

async fn small_scene(path: &std::path::Path, map_size: usize) -> Scene {
    let options = LedgerOptions {
        map_size,
        ..Clock::default().options()
    };
    Scene::of(Arc::new(LmdbLedger::open(path, options).unwrap())).await
}

/// Puts documents until one is refused and returns how many were taken.
async fn fill(scene: &Scene, from: usize) -> usize {
    for id in from..10_000 {
        if let Err(error) = try_put(scene, id).await {
            assert_eq!(error.code(), ErrorCode::StorageFull);
            assert!(error.help().unwrap().contains("storage.map_size_gib"));
            return id;
        }
    }
    panic!("the map never fills");
}

#[tokio::test]
async fn a_full_map_refuses_puts_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let scene = small_scene(dir.path(), 2 << 20).await;
    let count = fill(&scene, 0).await;
    assert!(count > 50, "{count}");
    let stats = scene.stats().await;
    assert_eq!(
        stats.newest.0, count as u64,
        "nothing of the refused was stored"
    );
    scene.check_sound().await;

    // What was acknowledged can be finished.
    let embedder = Fingerprint::new("embedder");
    for id in 0..count {
        let embedding = vec![0.5; 384].into();
        let put = scene
            .ledger
            .put_embeddings(&embedder, vec![(hash(&full_text(id)), embedding)]);
        put.await.unwrap();
    }
    scene.publish().await;
    assert_eq!(scene.visible().await.len(), count);

    // What is deleted makes room again.
    for id in 0..count / 2 {
        let deleted = scene.delete(&format!("d{id:04}")).await;
        assert!(matches!(deleted, ChangeOutcome::Deleted { .. }));
    }
    scene.purge().await;
    scene.publish().await;
    scene.ledger.sweep().await.unwrap();
    let again = fill(&scene, count).await;
    assert!(again >= count + count / 4, "{again} after {count}");
    scene.publish().await;
    assert_eq!(scene.visible().await.len(), again - count / 2);
    scene.check_sound().await;
}

/// Text of a short chunk.
fn short_text(document: usize, chunk: usize) -> String {
    format!("document {document} chunk {chunk} ").repeat(9)
}

/// Stages documents of ten short chunks each until one is refused; returns how many were taken.
async fn fill_with_short_chunks(scene: &Scene) -> usize {
    for first in (0..).step_by(20) {
        let documents = first..first + 20;
        let changes = documents.map(|document| {
            let texts: Vec<_> = (0..10).map(|chunk| short_text(document, chunk)).collect();
            let texts: Vec<_> = texts.iter().map(String::as_str).collect();
            put(staged(&format!("d{document:04}"), &texts))
        });
        let request = StageRequest {
            changes: changes.collect(),
            job: None,
            guard: None,
        };
        if let Err(error) = scene.ledger.stage(scene.collection.id, request).await {
            assert_eq!(error.code(), ErrorCode::StorageFull);
            return first;
        }
        assert!(first < 10_000, "the map never fills");
    }
    unreachable!("the range has no end")
}

/// The embeddings of short chunks take far more room than their texts, and far more than the
/// reserve.
#[tokio::test]
async fn staging_far_ahead_leaves_room_for_the_embeddings() {
    const DIMENSION: usize = 384;
    let dir = tempfile::tempdir().unwrap();
    let mut scene = small_scene(dir.path(), 24 << 20).await;
    let new = braid_core::NewCollection {
        dimension: DIMENSION,
        ..braid_testkit::ledger_suite::new_collection("wide")
    };
    let created = scene.ledger.create_collection(new, None).await.unwrap();
    let Recorded::Done(wide) = created else {
        panic!("created without an idempotency key");
    };
    scene.collection = wide;
    let count = fill_with_short_chunks(&scene).await;
    assert!(count > 200, "{count}");
    let embedder = Fingerprint::new("embedder");
    for document in 0..count {
        let rows = (0..10).map(|chunk| {
            let embedding = vec![0.5; DIMENSION].into();
            (hash(&short_text(document, chunk)), embedding)
        });
        let put = scene.ledger.put_embeddings(&embedder, rows.collect());
        put.await.unwrap();
    }
    scene.publish().await;
    assert_eq!(scene.stats().await.documents, count as u64);
    for document in 0..count {
        scene.delete(&format!("d{document:04}")).await;
    }
    scene.purge().await;
    scene.publish().await;
    assert!(scene.ledger.sweep().await.unwrap() >= 10 * count as u64);
    scene.check_sound().await;
    assert!(fill_with_short_chunks(&scene).await > count / 2);
}

#[tokio::test]
async fn a_map_that_is_truly_full_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let scene = small_scene(dir.path(), 1 << 20).await;
    scene.put("kept", &["kept"]).await;
    scene.publish().await;
    let embedder = Fingerprint::new("embedder");
    let mut stored = 0;
    let error = loop {
        let batch = (0..50).map(|n| (hash(&format!("{stored}/{n}")), vec![1.0; 384].into()));
        match scene
            .ledger
            .put_embeddings(&embedder, batch.collect())
            .await
        {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 1000, "the map never fills");
    };
    assert_eq!(error.code(), ErrorCode::StorageFull);
    let refused = hash(&format!("{stored}/0"));
    let kept = hash(&format!("{}/49", stored - 1));
    let found = scene.ledger.embeddings(&embedder, &[refused, kept]).await;
    let known: Vec<_> = found.unwrap().iter().map(Option::is_some).collect();
    assert_eq!(known, [false, true], "the refused batch left no trace");
    assert_eq!(scene.visible().await, ["kept: kept"]);
    drop(scene);
    let scene = small_scene(dir.path(), 64 << 20).await;
    assert_eq!(scene.visible().await, ["kept: kept"]);
    scene.put("more", &["room"]).await;
    assert!(scene.ledger.sweep().await.unwrap() >= 50);
    scene.check_sound().await;
}

#[tokio::test]
async fn used_up_slots_are_a_typed_refusal() {
    let dir = tempfile::tempdir().unwrap();
    let options = LedgerOptions {
        first_slot: u32::MAX - 2,
        ..Clock::default().options()
    };
    let ledger = Arc::new(LmdbLedger::open(dir.path(), options).unwrap());
    let scene = Scene::of(ledger).await;
    scene.put("d", &["one"]).await;
    let request = StageRequest {
        changes: vec![
            put(staged("e", &["one"])),
            put(staged("f", &["one", "two"])),
        ],
        job: None,
        guard: None,
    };
    let refused = scene.ledger.stage(scene.collection.id, request).await;
    assert_eq!(refused.unwrap_err().code(), ErrorCode::StorageFull);
    assert_eq!(scene.stats().await.newest.0, 1);
    scene.put("e", &["one"]).await;
    assert_eq!(
        scene.slots_of(braid_core::Sequence(2)).await,
        [Slot(u32::MAX - 1)]
    );
}

#[tokio::test]
async fn chunks_of_an_interrupted_rebuild_are_swept() {
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::of(Arc::new(open(dir.path()))).await;
    scene.put("d", &["one"]).await;
    scene.publish().await;
    let id = DocumentId::new("d").unwrap();
    let rechunked = RechunkedDocument {
        chunks: staged_chunks("d", &["o", "ne"]),
        ..RechunkedDocument::default()
    };
    let ledger = &scene.ledger;
    let slots = ledger.stage_rechunked(scene.collection.id, &id, rechunked);
    let slots = slots.await.unwrap();
    assert_eq!(ledger.sweep().await.unwrap(), 0);
    drop(scene);
    let scene = Scene::of(Arc::new(open(dir.path()))).await;
    assert_eq!(scene.ledger.sweep().await.unwrap(), 2);
    let left = scene.ledger.chunks(scene.collection.id, &slots).await;
    assert!(left.unwrap().is_empty());
    assert_eq!(scene.visible().await, ["d: one"]);
}

#[tokio::test]
async fn embeddings_of_a_model_no_collection_uses_go_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::of(Arc::new(open(dir.path()))).await;
    scene.put("d", &["one"]).await;
    for embedder in ["embedder", "next embedder"] {
        let embedding = (hash("one"), vec![1.0, 0.0].into());
        let embedder = Fingerprint::new(embedder);
        let put = scene.ledger.put_embeddings(&embedder, vec![embedding]);
        put.await.unwrap();
    }
    assert_eq!(
        scene.ledger.sweep().await.unwrap(),
        0,
        "a rebuild may be about to use it"
    );
    drop(scene);
    let ledger = open(dir.path());
    assert_eq!(ledger.sweep().await.unwrap(), 1);
    let (embedder, keys) = (Fingerprint::new("embedder"), [hash("one")]);
    let left = ledger.embeddings(&embedder, &keys);
    assert!(left.await.unwrap()[0].is_some());
}

/// What a rebuild to another model embedded before it was interrupted is kept until asked for.
#[tokio::test]
async fn tidying_keeps_what_an_interrupted_rebuild_embedded() {
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::of(Arc::new(open(dir.path()))).await;
    scene.put("d", &["one"]).await;
    for (embedder, text) in [
        ("embedder", "one"),
        ("next embedder", "one"),
        ("embedder", "gone"),
    ] {
        let embedding = (hash(text), vec![1.0, 0.0].into());
        let embedder = Fingerprint::new(embedder);
        let put = scene.ledger.put_embeddings(&embedder, vec![embedding]);
        put.await.unwrap();
    }
    drop(scene);
    let ledger = open(dir.path());
    assert_eq!(ledger.tidy().await.unwrap(), 1, "the text that is gone");
    assert_eq!(ledger.tidy().await.unwrap(), 0);
    let (embedder, keys) = (Fingerprint::new("next embedder"), [hash("one")]);
    let kept = ledger.embeddings(&embedder, &keys).await.unwrap();
    assert!(kept[0].is_some());
    assert_eq!(ledger.sweep().await.unwrap(), 1);
}

#[tokio::test]
async fn the_longest_names_are_stored() {
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::of(Arc::new(open(dir.path()))).await;
    let id = "ß".repeat(240);
    scene.put(&id, &["one"]).await;
    scene.publish().await;
    assert_eq!(scene.visible().await, [format!("{id}: one")]);
    let page = scene.ledger.documents(scene.collection.id, None, 1).await;
    assert_eq!(page.unwrap().items[0].id.as_str(), id);
    scene.delete(&id).await;
    assert!(scene.visible().await.is_empty());
}

#[tokio::test]
async fn a_panicking_answer_stores_nothing() {
    use braid_core::ports::{IdempotencyKey, WriteGuard};
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::of(Arc::new(open(dir.path()))).await;
    let request = StageRequest {
        changes: vec![Change::Put(Box::new(staged("d", &["one"])))],
        job: None,
        guard: Some(WriteGuard {
            key: IdempotencyKey {
                key: "key".to_owned(),
                request: hash("request"),
                expires_at_ms: i64::MAX,
            },
            respond: Box::new(|_| panic!("a defect in the caller")),
        }),
    };
    let refused = scene.ledger.stage(scene.collection.id, request).await;
    assert_eq!(refused.unwrap_err().code(), ErrorCode::Internal);
    assert_eq!(scene.stats().await.newest.0, 0);
    let staged = scene.stage_one(put(staged("d", &["one"]))).await;
    assert!(
        matches!(staged, ChangeOutcome::Staged { .. }),
        "the writer is free"
    );
}

#[tokio::test]
async fn pins_can_be_dropped_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::of(Arc::new(open(dir.path()))).await;
    scene.put("d", &["one"]).await;
    scene.publish().await;
    let pin = scene.pin().await;
    scene.delete("d").await;
    assert_eq!(scene.purge().await, None);
    std::thread::spawn(move || drop(pin)).join().unwrap();
    assert!(scene.purge().await.is_some());
    let created = scene
        .ledger
        .create_collection(braid_testkit::ledger_suite::new_collection("scene"), None);
    assert!(matches!(created.await.unwrap(), Recorded::Done(_)));
}

#[tokio::test]
async fn more_pins_than_readers_is_a_typed_refusal() {
    let dir = tempfile::tempdir().unwrap();
    let options = LedgerOptions {
        max_readers: 8,
        ..Clock::default().options()
    };
    let scene = Scene::of(Arc::new(LmdbLedger::open(dir.path(), options).unwrap())).await;
    let mut pins = Vec::new();
    let error = loop {
        match scene.ledger.pin(&scene.collection.name).await {
            Ok(pin) => pins.push(pin),
            Err(error) => break error,
        }
        assert!(pins.len() <= 8);
    };
    assert_eq!(error.code(), ErrorCode::Overloaded);
    pins.pop();
    pins.pop();
    scene.pin().await;
}
