//! Planted damage: each kind must be found, and nothing must be found without it.

use std::sync::Arc;

use braid_core::{CollectionId, Ledger, Result, Sequence, SlotSet};
use braid_testkit::ledger_suite::{Scene, hash, metadata, put, staged};
use heed::RwTxn;

use crate::keys;
use crate::rows::{CountersRow, DuplicateRow, OperationRow, VersionRow};
use crate::table::Tables;
use crate::{LedgerOptions, LmdbLedger};

const EMBEDDED: [&str; 5] = ["one", "two", "old", "new", "later"];

/// A ledger with something in every table: `a` is published, `b` was replaced, `c` has failed and
/// `d` is pending.
async fn scene() -> (tempfile::TempDir, LmdbLedger, CollectionId) {
    let dir = tempfile::tempdir().unwrap();
    let options = LedgerOptions {
        map_size: 64 << 20,
        ..LedgerOptions::default()
    };
    let ledger = LmdbLedger::open(dir.path(), options).unwrap();
    let scene = Scene::of(Arc::new(ledger.clone())).await;
    let mut document = staged("a", &["one", "two"]);
    let value = braid_core::MetadataValue::String("en".to_owned());
    document.document.metadata = metadata(&[("lang", value)]);
    scene.stage_one(put(document)).await; // operation 1, slots 0 and 1
    scene.put("b", &["old"]).await; // operation 2, slot 2
    scene.publish().await;
    scene.put("b", &["new"]).await; // operation 3, slot 3
    let failed = scene.put("c", &["poison"]).await; // operation 4, slot 4
    scene.fail(failed, "the reason").await;
    scene.publish().await;
    scene.put("d", &["later"]).await; // operation 5, slot 5
    let embedder = &scene.collection.fingerprint.embedder;
    let embeddings = EMBEDDED.map(|text| (hash(text), vec![1.0, 0.0].into()));
    let stored = ledger.put_embeddings(embedder, embeddings.to_vec());
    stored.await.unwrap();
    (dir, ledger, scene.collection.id)
}

async fn findings(damage: impl FnOnce(&Tables, &mut RwTxn<'_>, CollectionId)) -> Vec<String> {
    let (_dir, ledger, id) = scene().await;
    let planted = ledger.store().write(|txn| {
        damage(&ledger.store().tables, txn, id);
        Ok(())
    });
    planted.unwrap();
    ledger.check(id).await.unwrap()
}

/// Checks that the damage is found, and described with `expected`.
async fn check(
    expected: &str,
    damage: impl FnOnce(&Tables, &mut RwTxn<'_>, CollectionId) -> Result<()>,
) {
    let found = findings(|tables, txn, id| damage(tables, txn, id).unwrap()).await;
    let described = found.iter().any(|finding| finding.contains(expected));
    assert!(described, "{expected:?} is not among {found:#?}");
}

fn count(
    tables: &Tables,
    txn: &mut RwTxn<'_>,
    id: CollectionId,
    change: impl FnOnce(&mut CountersRow),
) -> Result<()> {
    let key = keys::collection(id);
    let mut counters = tables.counters.get(txn, &key)?.unwrap();
    change(&mut counters);
    tables.counters.put(txn, &key, &counters)
}

#[tokio::test]
async fn a_sound_ledger_has_no_finding() {
    assert_eq!(findings(|_, _, _| ()).await, Vec::<String>::new());
}

#[tokio::test]
async fn missing_rows_are_found() {
    check("live slot 1 has no chunk", |tables, txn, id| {
        tables.chunks.delete(txn, &keys::slot(id, 1)).map(|_| ())
    })
    .await;
    check("staged slot 5 has no chunk", |tables, txn, id| {
        tables.chunks.delete(txn, &keys::slot(id, 5)).map(|_| ())
    })
    .await;
    let version = |sequence| move |id| keys::sequence(id, Sequence(sequence));
    check("document a has no version 1", |tables, txn, id| {
        tables.versions.delete(txn, &version(1)(id)).map(|_| ())
    })
    .await;
    check(
        "operation 5 puts a version that is missing",
        |tables, txn, id| tables.versions.delete(txn, &version(5)(id)).map(|_| ()),
    )
    .await;
    check("document a has no text", |tables, txn, id| {
        tables.texts.delete(txn, &version(1)(id)).map(|_| ())
    })
    .await;
    check("document c failed or has a reason", |tables, txn, id| {
        tables.failures.delete(txn, &version(4)(id)).map(|_| ())
    })
    .await;
    check("live slot 3 has no embedding", |tables, txn, _| {
        let embedder = braid_core::Fingerprint::new("embedder");
        let key = keys::embedding(keys::embedder(&embedder), &hash("new").0);
        tables.embeddings.delete(txn, &key).map(|_| ())
    })
    .await;
}

#[tokio::test]
async fn wrong_bitmaps_are_found() {
    let set_live = |tables: &Tables, txn: &mut RwTxn<'_>, id, slots: &[u32]| {
        let live: SlotSet = slots.iter().collect();
        tables.live.put(txn, &keys::collection(id), &live)
    };
    check(
        "slot 2 is live and no document has it",
        |tables, txn, id| set_live(tables, txn, id, &[0, 1, 2, 3]),
    )
    .await;
    check(
        "slot 1 of a published document is not live",
        |tables, txn, id| set_live(tables, txn, id, &[0, 3]),
    )
    .await;
    check("slot 3 is both live and retired", |tables, txn, id| {
        let key = keys::epoch(id, 99);
        tables.retired.put(txn, &key, &SlotSet::from([3]))
    })
    .await;
    check("1 metadata bitmaps differ", |tables, txn, id| {
        let (key, _) = {
            let mut bitmaps = tables.filters.scan(txn, &keys::collection(id))?;
            let (key, slots) = bitmaps.next().unwrap()?;
            (key.to_vec(), slots)
        };
        tables.filters.put(txn, &key, &SlotSet::from([0]))
    })
    .await;
}

/// Names `of` as what document `a` is a duplicate of.
fn name_original(tables: &Tables, txn: &mut RwTxn<'_>, id: CollectionId, of: &str) -> Result<()> {
    let key = keys::sequence(id, Sequence(1));
    let version = tables.versions.get(txn, &key)?.unwrap();
    let duplicate = Some(DuplicateRow {
        of: of.to_owned(),
        percent: 100,
    });
    let version = VersionRow {
        duplicate,
        ..version
    };
    tables.versions.put(txn, &key, &version)
}

#[tokio::test]
async fn a_duplicate_of_what_is_gone_is_found() {
    check(
        "document a is a duplicate of old, which is gone",
        |tables, txn, id| name_original(tables, txn, id, "old"),
    )
    .await;
    check(
        "1 entries that find duplicates differ",
        |tables, txn, id| name_original(tables, txn, id, "b"),
    )
    .await;
}

#[tokio::test]
async fn wrong_counters_are_found() {
    check("3 slots are live, 4 are counted", |tables, txn, id| {
        count(tables, txn, id, |counters| counters.chunks += 1)
    })
    .await;
    check(
        "2 documents are live and 1 failed, 3 and 1",
        |tables, txn, id| count(tables, txn, id, |counters| counters.documents += 1),
    )
    .await;
    check(
        "2 documents are live and 1 failed, 2 and 0",
        |tables, txn, id| count(tables, txn, id, |counters| counters.failed = 0),
    )
    .await;
    check("2 slots are retired, 0 are counted", |tables, txn, id| {
        count(tables, txn, id, |counters| counters.retired = 0)
    })
    .await;
    check("the next one would be 2", |tables, txn, id| {
        count(tables, txn, id, |counters| counters.next_slot = 2)
    })
    .await;
}

#[tokio::test]
async fn a_wrong_log_is_found() {
    check(
        "the log ends at operation 4, 5 is acknowledged",
        |tables, txn, id| {
            let key = keys::sequence(id, Sequence(5));
            tables.operations.delete(txn, &key).map(|_| ())
        },
    )
    .await;
    check("operation 7 where 6 belongs", |tables, txn, id| {
        let delete = OperationRow::Delete {
            document: "a".to_owned(),
        };
        let key = keys::sequence(id, Sequence(7));
        tables.operations.put(txn, &key, &delete)
    })
    .await;
    check(
        "version 9 is stored and nothing refers to it",
        |tables, txn, id| {
            let version = tables.versions.get(txn, &keys::sequence(id, Sequence(1)))?;
            let key = keys::sequence(id, Sequence(9));
            tables.versions.put(txn, &key, &version.unwrap())
        },
    )
    .await;
}

/// Deleting a collection leaves no row of it in any table.
#[tokio::test]
async fn a_deleted_collection_leaves_no_row() {
    let (_dir, ledger, id) = scene().await;
    let tables = &ledger.store().tables;
    let rows = || {
        let counted = ledger.store().read(|txn| {
            let prefix = keys::collection(id);
            Ok([
                tables.collections.entries(txn, &prefix)?.count(),
                tables.counters.entries(txn, &prefix)?.count(),
                tables.documents.entries(txn, &prefix)?.count(),
                tables.versions.entries(txn, &prefix)?.count(),
                tables.texts.entries(txn, &prefix)?.count(),
                tables.chunks.entries(txn, &prefix)?.count(),
                tables.operations.entries(txn, &prefix)?.count(),
                tables.failures.entries(txn, &prefix)?.count(),
                tables.live.entries(txn, &prefix)?.count(),
                tables.retired.entries(txn, &prefix)?.count(),
                tables.filters.entries(txn, &prefix)?.count(),
            ])
        });
        counted.unwrap()
    };
    assert!(rows().iter().all(|count| *count > 0), "{:?}", rows());
    let name = braid_core::CollectionName::new("scene").unwrap();
    ledger.delete_collection(&name, None).await.unwrap();
    assert_eq!(rows(), [0; 11]);
    let swept = ledger.sweep().await.unwrap();
    assert_eq!(
        swept,
        EMBEDDED.len() as u64,
        "its embeddings go with the next sweep"
    );
}
