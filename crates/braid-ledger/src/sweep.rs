//! Dropping what nothing refers to any more.

use std::collections::HashSet;

use braid_core::{CollectionId, Result, Sequence};
use heed::RwTxn;

use crate::collections;
use crate::documents::Reading;
use crate::jobs::RETENTION_MS;
use crate::keys;
use crate::rows::ChunkHeader;
use crate::store::Store;
use crate::table::{Row, Table};

/// As [`braid_core::Ledger::sweep`].
pub(crate) fn sweep(store: &Store, txn: &mut RwTxn) -> Result<u64> {
    let mut dropped = 0;
    for collection in collections::all(&store.tables, txn)? {
        dropped += sweep_chunks(store, txn, collection.id)?;
        dropped += sweep_failures(store, txn, collection.id)?;
    }
    dropped += sweep_embeddings(store, txn)?;
    let now = store.now_ms();
    let jobs = &store.tables.jobs;
    dropped += drop_if(jobs, txn, |job| now - job.created_at_ms >= RETENTION_MS)?;
    let responses = &store.tables.responses;
    dropped += drop_if(responses, txn, |row| row.expires_at_ms <= now)?;
    Ok(dropped)
}

fn drop_if<R: Row>(table: &Table<R>, txn: &mut RwTxn, test: impl Fn(&R) -> bool) -> Result<u64> {
    let mut expired = Vec::new();
    for entry in table.scan(txn, &[])? {
        let (key, row) = entry?;
        if test(&row) {
            expired.push(key.to_vec());
        }
    }
    drop_keys(table, txn, expired)
}

fn drop_keys<R: Row>(table: &Table<R>, txn: &mut RwTxn, keys: Vec<Vec<u8>>) -> Result<u64> {
    for key in &keys {
        table.delete(txn, key)?;
    }
    Ok(keys.len() as u64)
}

/// Drops chunks that no version has: what a rebuild that was interrupted left.
fn sweep_chunks(store: &Store, txn: &mut RwTxn, id: CollectionId) -> Result<u64> {
    let mut used = Reading::open(&store.tables, txn, id)?.expected()?;
    if let Some(rechunking) = store.rechunking.lock().get(&id) {
        used |= rechunking;
    }
    let mut orphans = Vec::new();
    for entry in store.tables.chunks.entries(txn, &keys::collection(id))? {
        let (key, _) = entry?;
        if !used.contains(keys::read_slot(key)?) {
            orphans.push(key.to_vec());
        }
    }
    drop_keys(&store.tables.chunks, txn, orphans)
}

/// Drops old reasons of failures whose document has moved on.
fn sweep_failures(store: &Store, txn: &mut RwTxn, id: CollectionId) -> Result<u64> {
    let tables = &store.tables;
    let published = collections::counters(tables, txn, id)?.published;
    let now = store.now_ms();
    let mut forgotten = Vec::new();
    for entry in tables.failures.scan(txn, &keys::collection(id))? {
        let (key, failure) = entry?;
        let sequence = keys::read_number(key)?;
        // A version that failed is kept for as long as it is its document's newest.
        let version = keys::sequence(id, Sequence(sequence));
        let is_newest = tables.versions.contains(txn, &version)?;
        if sequence <= published && !is_newest && now - failure.at_ms >= RETENTION_MS {
            forgotten.push(key.to_vec());
        }
    }
    drop_keys(&tables.failures, txn, forgotten)
}

/// Drops embeddings of texts that no stored chunk has, and those by embedders that no collection
/// uses, unless they were stored since the start: a rebuild may be about to switch to them.
fn sweep_embeddings(store: &Store, txn: &mut RwTxn) -> Result<u64> {
    let tables = &store.tables;
    let mut embedders = store.recent_embedders.lock().clone();
    for collection in collections::all(tables, txn)? {
        embedders.insert(keys::embedder(&collection.fingerprint.embedder));
    }
    let mut texts = HashSet::new();
    for entry in tables.chunks.entries(txn, &[])? {
        texts.insert(ChunkHeader::read(entry?.1)?.embedding_key.0);
    }
    let mut orphans = Vec::new();
    for entry in tables.embeddings.entries(txn, &[])? {
        let (key, _) = entry?;
        let used = key
            .split_first_chunk::<16>()
            .is_some_and(|(embedder, text)| embedders.contains(embedder) && texts.contains(text));
        if !used {
            orphans.push(key.to_vec());
        }
    }
    drop_keys(&tables.embeddings, txn, orphans)
}
