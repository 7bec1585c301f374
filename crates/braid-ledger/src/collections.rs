//! Collections: made, found by name or number, deleted with everything in them.

use std::sync::Arc;

use braid_core::{
    Collection, CollectionId, CollectionName, Error, ErrorCode, NewCollection, Result,
};
use heed::{RoTxn, RwTxn};

use crate::error::{corrupt, no_collection};
use crate::keys;
use crate::pending::Pending;
use crate::rows::{CollectionRow, CountersRow};
use crate::store::Store;
use crate::synonyms;
use crate::table::{COLLECTIONS_MADE, Tables};

/// The row of collection `id`.
pub(crate) fn row(tables: &Tables, txn: &RoTxn, id: CollectionId) -> Result<CollectionRow> {
    let row = tables.collections.get(txn, &keys::collection(id))?;
    row.ok_or_else(|| no_collection(id))
}

/// The counters of collection `id`.
pub(crate) fn counters(tables: &Tables, txn: &RoTxn, id: CollectionId) -> Result<CountersRow> {
    let row = tables.counters.get(txn, &keys::collection(id))?;
    row.ok_or_else(|| no_collection(id))
}

/// The number of the collection of that name.
fn number(tables: &Tables, txn: &RoTxn, name: &CollectionName) -> Result<Option<CollectionId>> {
    let number = tables.names.get(txn, name.as_str().as_bytes())?;
    let id = number.map(u32::try_from).transpose();
    let id = id.map_err(|error| corrupt("a collection number is damaged").with_source(error))?;
    Ok(id.map(CollectionId))
}

/// The collection of that name.
pub(crate) fn named(
    tables: &Tables,
    txn: &RoTxn,
    name: &CollectionName,
) -> Result<Option<Collection>> {
    let Some(id) = number(tables, txn, name)? else {
        return Ok(None);
    };
    read(tables, txn, id).map(Some)
}

/// Collection `id`.
pub(crate) fn read(tables: &Tables, txn: &RoTxn, id: CollectionId) -> Result<Collection> {
    row(tables, txn, id)?.into_collection(id, synonyms::of(tables, txn, id)?)
}

/// The number of the collection of that name, which must exist.
pub(crate) fn existing(
    tables: &Tables,
    txn: &RoTxn,
    name: &CollectionName,
) -> Result<CollectionId> {
    number(tables, txn, name)?.ok_or_else(|| {
        Error::new(
            ErrorCode::CollectionNotFound,
            format!("no collection named {:?}", name.as_str()),
        )
    })
}

/// Every collection, by name.
pub(crate) fn all(tables: &Tables, txn: &RoTxn) -> Result<Vec<Collection>> {
    let mut found = Vec::new();
    for entry in tables.collections.scan(txn, &[])? {
        let (key, row) = entry?;
        let id = keys::read_collection(key)?;
        found.push(row.into_collection(id, synonyms::of(tables, txn, id)?)?);
    }
    found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// As [`braid_core::Ledger::create_collection`].
pub(crate) fn create(store: &Store, txn: &mut RwTxn, new: &NewCollection) -> Result<Collection> {
    let tables = &store.tables;
    if let Some(found) = named(tables, txn, &new.name)? {
        return same_as(found, new);
    }
    let made = tables.raise(txn, COLLECTIONS_MADE)?;
    let id = u32::try_from(made).map(CollectionId).map_err(|error| {
        Error::new(ErrorCode::StorageFull, "collection numbers are used up").with_source(error)
    })?;
    let key = keys::collection(id);
    let row = CollectionRow::new(new, store.now_ms());
    tables.names.put(txn, new.name.as_str().as_bytes(), &made)?;
    tables.collections.put(txn, &key, &row)?;
    let counters = CountersRow {
        next_slot: store.options.first_slot,
        ..CountersRow::default()
    };
    tables.counters.put(txn, &key, &counters)?;
    row.into_collection(id, Arc::default())
}

fn same_as(found: Collection, new: &NewCollection) -> Result<Collection> {
    let differs = |what: &str| {
        Error::new(
            ErrorCode::CollectionExists,
            format!("collection {} exists with {what}", new.name),
        )
        .with_help("use another name, or rebuild the collection with the new settings")
    };
    if found.settings != new.settings {
        return Err(differs("other settings"));
    }
    if found.fingerprint != new.fingerprint || found.dimension != new.dimension {
        return Err(differs("another embedder, chunker or analyzer"));
    }
    Ok(found)
}

/// As [`braid_core::Ledger::delete_collection`].
pub(crate) fn delete(store: &Store, txn: &mut RwTxn, name: &CollectionName) -> Result<bool> {
    let tables = &store.tables;
    let Some(id) = number(tables, txn, name)? else {
        return Ok(false);
    };
    tables.names.delete(txn, name.as_str().as_bytes())?;
    Pending::forget(tables, txn, id)?;
    tables.collections.delete_collection(txn, id)?;
    tables.counters.delete_collection(txn, id)?;
    synonyms::delete(tables, txn, id)?;
    tables.documents.delete_collection(txn, id)?;
    tables.versions.delete_collection(txn, id)?;
    tables.texts.delete_collection(txn, id)?;
    tables.chunks.delete_collection(txn, id)?;
    tables.operations.delete_collection(txn, id)?;
    tables.failures.delete_collection(txn, id)?;
    tables.likenesses.delete_collection(txn, id)?;
    tables.live.delete_collection(txn, id)?;
    tables.retired.delete_collection(txn, id)?;
    tables.filters.delete_collection(txn, id)?;
    crate::jobs::delete_of_collection(tables, txn, id)?;
    store.rechunking.lock().remove(&id);
    Ok(true)
}
