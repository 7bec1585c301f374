//! Formats, sizes and limits of what is stored.

use std::sync::Arc;

use braid_core::limits::MAX_METADATA_BYTES;
use braid_core::operation::{Change, ChangeOutcome};
use braid_core::ports::{RechunkedDocument, Recorded, StageRequest};
use braid_core::{
    DocumentId, Error, ErrorCode, Fingerprint, Ledger, Metadata, MetadataValue, Slot,
};
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

/// Metadata that was stored when there was no limit to all of it stays readable.
#[tokio::test]
async fn metadata_beyond_the_limit_of_today_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::of(Arc::new(open(dir.path()))).await;
    let value = MetadataValue::Strings(vec!["v".repeat(2000); 40]);
    let fields = [("field".to_owned(), value)];
    let mut document = staged("d", &["one"]);
    document.document.metadata = Metadata::stored(fields.into());
    let metadata = document.document.metadata.clone();
    assert!(metadata.bytes() > MAX_METADATA_BYTES);
    scene.stage_one(put(document)).await;
    scene.publish().await;
    let id = DocumentId::new("d").unwrap();
    let found = scene.ledger.document(scene.collection.id, &id).await;
    assert_eq!(found.unwrap().unwrap().summary.metadata, metadata);
    let passages = scene.pin().await.hydrate(&[Slot(0)]).await.unwrap();
    assert_eq!(*passages[0].metadata, metadata);
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
