//! Entries that an older build of the same format did not make: added once, when the store is opened.

use std::collections::BTreeSet;

use braid_core::{CollectionId, Result};
use heed::RwTxn;

use crate::draft::Draft;
use crate::duplicates::naming;
use crate::keys;
use crate::rows::document_id;
use crate::store::Store;
use crate::table::UPGRADES;

/// The last upgrade: 1 lets filters see the detected language, and documents know their duplicates.
const LAST: u64 = 1;

/// Adds what is missing. One transaction, so that a store is upgraded or as it was.
pub(crate) fn upgrade(store: &Store) -> Result<()> {
    if store.read(|txn| store.tables.number(txn, UPGRADES))? >= LAST {
        return Ok(());
    }
    store.write(|txn| {
        let mut ids = Vec::new();
        for entry in store.tables.collections.entries(txn, &[])? {
            ids.push(keys::read_collection(entry?.0)?);
        }
        for id in ids {
            upgrade_collection(store, txn, id)?;
        }
        store.tables.meta.put(txn, UPGRADES, &LAST)
    })
}

fn upgrade_collection(store: &Store, txn: &mut RwTxn<'_>, id: CollectionId) -> Result<()> {
    let mut draft = Draft::open(store, txn, id)?;
    let prefix = keys::collection(id);
    let mut live = Vec::new();
    for entry in draft.tables().documents.scan(draft.txn, &prefix)? {
        live.extend(entry?.1.live);
    }
    for sequence in live {
        let version = draft.version(sequence)?;
        draft.show_to_filters(&version);
    }
    let mut named = Vec::new();
    for entry in draft.tables().versions.scan(draft.txn, &prefix)? {
        let (key, version) = entry?;
        let sequence = keys::read_number(key)?;
        named.extend(version.duplicate.map(|duplicate| (sequence, duplicate.of)));
    }
    for (sequence, of) in &named {
        draft.put_key(&naming(of), *sequence)?;
    }
    let named: BTreeSet<String> = named.into_iter().map(|(_, of)| of).collect();
    for of in named {
        let of = document_id(of)?;
        if draft.document(&of)?.is_none() {
            draft.release_duplicates(&of)?;
        }
    }
    draft.finish()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use braid_core::{
        CollectionName, Condition, Filter, LANGUAGE_KEY, Language, Ledger, MetadataValue,
        Predicate, Sequence, SlotSet,
    };
    use braid_testkit::ledger_suite::{Scene, put, staged};

    use super::*;
    use crate::rows::{DuplicateRow, VersionRow};
    use crate::{LedgerOptions, LmdbLedger};

    /// Takes out what an older build did not write, and writes what it did: `b` and `c` are
    /// duplicates of `gone`.
    fn as_an_older_build(ledger: &LmdbLedger, id: CollectionId) {
        let store = ledger.store();
        let undone = store.write(|txn| {
            let tables = &store.tables;
            tables.meta.delete(txn, UPGRADES)?;
            tables.filters.delete_collection(txn, id)?;
            for sequence in [2, 3] {
                let key = keys::sequence(id, Sequence(sequence));
                let version = tables.versions.get(txn, &key)?.unwrap();
                let duplicate = DuplicateRow {
                    of: "gone".to_owned(),
                    percent: 100,
                };
                let version = VersionRow {
                    duplicate: Some(duplicate),
                    ..version
                };
                tables.versions.put(txn, &key, &version)?;
            }
            Ok(())
        });
        undone.unwrap();
    }

    #[tokio::test]
    async fn what_an_older_build_did_not_write_is_added_at_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let open = || LmdbLedger::open(dir.path(), LedgerOptions::default()).unwrap();
        let ledger = open();
        let scene = Scene::of(Arc::new(ledger.clone())).await;
        let mut german = staged("a", &["one"]);
        german.language = Some(Language::German);
        scene.stage_one(put(german)).await;
        scene.put("b", &["two"]).await;
        scene.put("c", &["three"]).await;
        scene.publish().await;
        let id = scene.collection.id;
        as_an_older_build(&ledger, id);
        assert!(!ledger.check(id).await.unwrap().is_empty());
        drop((scene, ledger));
        let ledger = open();
        // Without its embeddings, which this scene does not store.
        let found = ledger.check(id).await.unwrap();
        let others = found.iter().filter(|it| !it.contains("has no embedding"));
        assert_eq!(others.collect::<Vec<_>>(), Vec::<&String>::new());
        let german = Filter {
            must: vec![Condition {
                key: LANGUAGE_KEY.to_owned(),
                predicate: Predicate::Match(MetadataValue::String("german".to_owned())),
            }],
            ..Filter::default()
        };
        let name = CollectionName::new("scene").unwrap();
        let pin = ledger.pin(&name).await.unwrap();
        let selected = pin.select(Some(Arc::new(german))).await.unwrap();
        assert_eq!(selected.slots.as_deref(), Some(&SlotSet::from([0])));
    }
}
