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
