//! Dropping what nothing refers to any more.

use std::collections::{HashMap, HashSet};
use std::ops::Bound;

use braid_core::{CollectionId, Result, Sequence};
use heed::{RoTxn, RwTxn};

use crate::collections;
use crate::documents::Reading;
use crate::jobs::RETENTION_MS;
use crate::keys;
use crate::rows::ChunkHeader;
use crate::store::Store;
use crate::table::{Row, Table};

/// Embeddings dropped in one transaction of [`tidy`].
const STEP: usize = 4096;

/// As [`braid_core::Ledger::sweep`].
pub(crate) fn sweep(store: &Store, txn: &mut RwTxn) -> Result<u64> {
    let dropped = sweep_small(store, txn)?;
    let mut used = used_embedders(store, txn)?;
    used.extend(store.recent_embedders.lock().iter());
    let texts = Texts::read(store, txn)?;
    let orphans = orphans(store, txn, |embedder, text| {
        used.contains(embedder) && texts.texts.contains(text)
    })?;
    Ok(dropped + drop_keys(&store.tables.embeddings, txn, orphans)?)
}

/// As [`braid_core::Ledger::tidy`]. What to drop is found in a snapshot beside the writers; only
/// chunks staged since are looked at while they wait.
pub(crate) fn tidy(store: &Store) -> Result<u64> {
    let mut dropped = store.write(|txn| sweep_small(store, txn))?;
    let (mut texts, orphans) = store.read(|txn| {
        let used = used_embedders(store, txn)?;
        let texts = Texts::read(store, txn)?;
        let orphans = orphans(store, txn, |embedder, text| {
            !used.contains(embedder) || texts.texts.contains(text)
        })?;
        Ok((texts, orphans))
    })?;
    for step in orphans.chunks(STEP) {
        dropped += store.write(|txn| {
            texts.read_on(store, txn)?;
            let unused = |key: &&Vec<u8>| match key.split_first_chunk::<16>() {
                Some((_, text)) => !texts.texts.contains(text),
                None => true,
            };
            let unused = step.iter().filter(unused).cloned().collect();
            drop_keys(&store.tables.embeddings, txn, unused)
        })?;
    }
    Ok(dropped)
}

/// Everything but embeddings.
fn sweep_small(store: &Store, txn: &mut RwTxn) -> Result<u64> {
    let mut dropped = 0;
    for collection in collections::all(&store.tables, txn)? {
        dropped += sweep_chunks(store, txn, collection.id)?;
        dropped += sweep_failures(store, txn, collection.id)?;
    }
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

/// Embedders of the collections.
fn used_embedders(store: &Store, txn: &RoTxn) -> Result<HashSet<[u8; 16]>> {
    let collections = collections::all(&store.tables, txn)?;
    let embedders = collections.iter().map(|one| &one.fingerprint.embedder);
    Ok(embedders.map(keys::embedder).collect())
}

/// Keys of embeddings that are not `used`, by their embedder and the hash of their text.
fn orphans(
    store: &Store,
    txn: &RoTxn,
    used: impl Fn(&[u8; 16], &[u8]) -> bool,
) -> Result<Vec<Vec<u8>>> {
    let mut orphans = Vec::new();
    for entry in store.tables.embeddings.entries(txn, &[])? {
        let (key, _) = entry?;
        let parts = key.split_first_chunk::<16>();
        if !parts.is_some_and(|(embedder, text)| used(embedder, text)) {
            orphans.push(key.to_vec());
        }
    }
    Ok(orphans)
}

/// Hashes of the texts that stored chunks have.
#[derive(Default)]
struct Texts {
    texts: HashSet<[u8; 32]>,
    /// The first slot of each collection that was not looked at.
    next: HashMap<CollectionId, u32>,
}

impl Texts {
    fn read(store: &Store, txn: &RoTxn) -> Result<Self> {
        let mut texts = Self::default();
        texts.read_on(store, txn)?;
        Ok(texts)
    }

    /// Reads the chunks stored since. Slots only rise.
    fn read_on(&mut self, store: &Store, txn: &RoTxn) -> Result<()> {
        for collection in collections::all(&store.tables, txn)? {
            let id = collection.id;
            let end = collections::counters(&store.tables, txn, id)?.next_slot;
            let start = self.next.insert(id, end).unwrap_or_default();
            let (start, end) = (keys::slot(id, start), keys::slot(id, end));
            let range = (Bound::Included(&start[..]), Bound::Excluded(&end[..]));
            for entry in store.tables.chunks.entries_in(txn, range)? {
                let header = ChunkHeader::read(entry?.1)?;
                self.texts.insert(header.embedding_key.0);
            }
        }
        Ok(())
    }
}
