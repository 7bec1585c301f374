//! Synonyms of collections, in a table of their own: they change without anything else.

use std::collections::HashMap;
use std::sync::Arc;

use braid_core::{Collection, CollectionId, CollectionName, Result, Synonyms};
use heed::{RoTxn, RwTxn};
use parking_lot::Mutex;

use crate::collections;
use crate::error::corrupt;
use crate::keys;
use crate::rows::SynonymsRow;
use crate::store::Store;
use crate::table::{Row, Tables};

/// The synonyms that were read last, by collection, with the bytes they were read from: every query
/// reads them, and parsing a thousand rules takes longer than a search.
#[derive(Debug, Default)]
pub(crate) struct ParsedSynonyms(Mutex<HashMap<CollectionId, Parsed>>);

#[derive(Debug)]
struct Parsed {
    bytes: Vec<u8>,
    synonyms: Arc<Synonyms>,
}

/// The synonyms of collection `id`.
pub(crate) fn of(tables: &Tables, txn: &RoTxn, id: CollectionId) -> Result<Arc<Synonyms>> {
    let Some(bytes) = tables.synonyms.bytes(txn, &keys::collection(id))? else {
        return Ok(Arc::default());
    };
    let mut known = tables.parsed_synonyms.0.lock();
    if let Some(parsed) = known.get(&id).filter(|parsed| parsed.bytes == bytes) {
        return Ok(Arc::clone(&parsed.synonyms));
    }
    let row = SynonymsRow::decode(bytes)?;
    let synonyms = Synonyms::parse(&row.rules)
        .map_err(|error| corrupt("stored synonyms are damaged").with_source(error))?;
    let parsed = Parsed {
        bytes: bytes.to_vec(),
        synonyms: Arc::new(synonyms),
    };
    let synonyms = Arc::clone(&parsed.synonyms);
    known.insert(id, parsed);
    Ok(synonyms)
}

/// As [`braid_core::Ledger::set_synonyms`].
pub(crate) fn set(
    store: &Store,
    txn: &mut RwTxn,
    name: &CollectionName,
    synonyms: &Synonyms,
) -> Result<Collection> {
    let tables = &store.tables;
    let id = collections::existing(tables, txn, name)?;
    let key = keys::collection(id);
    if synonyms.is_empty() {
        tables.synonyms.delete(txn, &key)?;
    } else {
        let row = SynonymsRow {
            rules: synonyms.lines().to_vec(),
        };
        tables.synonyms.put(txn, &key, &row)?;
    }
    collections::read(tables, txn, id)
}

/// Forgets those of a deleted collection.
pub(crate) fn delete(tables: &Tables, txn: &mut RwTxn, id: CollectionId) -> Result<()> {
    tables.parsed_synonyms.0.lock().remove(&id);
    tables.synonyms.delete_collection(txn, id)
}
