//! A map that fills up: what is refused, and that what was acknowledged can be finished and undone.

use std::sync::Arc;

use braid_core::operation::ChangeOutcome;
use braid_core::ports::{Recorded, StageRequest};
use braid_core::{Error, ErrorCode, Fingerprint, MetadataValue, Sequence};
use braid_ledger::{LedgerOptions, LmdbLedger};
use braid_testkit::ledger_suite::{Scene, hash, metadata, put, staged};

use crate::Clock;

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

/// Stages documents of one short chunk and many metadata values of their own until one is refused;
/// returns how many were taken.
async fn fill_with_metadata(scene: &Scene) -> usize {
    for id in 0..10_000 {
        let values = |field: usize| {
            let value = |at: usize| format!("{id} {field} {at} {}", "value ".repeat(20));
            MetadataValue::Strings((0..16).map(value).collect())
        };
        let names: Vec<_> = (0..16).map(|field| format!("field{field}")).collect();
        let fields: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(at, name)| (name.as_str(), values(at)))
            .collect();
        let mut document = staged(&format!("d{id:04}"), &[&format!("chunk {id}")]);
        document.document.metadata = metadata(&fields);
        let request = StageRequest {
            changes: vec![put(document)],
            job: None,
            guard: None,
        };
        if let Err(error) = scene.ledger.stage(scene.collection.id, request).await {
            assert_eq!(error.code(), ErrorCode::StorageFull);
            return id;
        }
    }
    panic!("the map never fills");
}

/// The filter rows of pending documents are written when they are published: more than the reserve
/// has room for.
#[tokio::test]
async fn staging_far_ahead_leaves_room_for_the_filters_and_for_deletes() {
    let dir = tempfile::tempdir().unwrap();
    let scene = small_scene(dir.path(), 24 << 20).await;
    let count = fill_with_metadata(&scene).await;
    assert!(count > 100, "{count}");
    scene.check_sound().await;
    scene.publish().await;
    assert_eq!(scene.stats().await.documents, count as u64);
    for id in 0..count {
        let deleted = scene.delete(&format!("d{id:04}")).await;
        assert!(matches!(deleted, ChangeOutcome::Deleted { .. }));
    }
    scene.purge().await;
    scene.publish().await;
    scene.check_sound().await;
    let again = fill_with_metadata(&scene).await;
    assert!(again > count / 2, "{again} after {count}");
}

/// Room that was kept for puts which came to nothing is given back.
#[tokio::test]
async fn what_failed_keeps_no_room() {
    let dir = tempfile::tempdir().unwrap();
    let scene = small_scene(dir.path(), 24 << 20).await;
    let count = fill_with_metadata(&scene).await;
    let before = scene.ledger.storage_use().await.unwrap().used_bytes;
    for sequence in 1..=count as u64 {
        scene.fail(Sequence(sequence), "poison").await;
    }
    let after = scene.ledger.storage_use().await.unwrap().used_bytes;
    assert!(after < before * 2 / 3, "{after} of {before} bytes");
    scene.check_sound().await;
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
