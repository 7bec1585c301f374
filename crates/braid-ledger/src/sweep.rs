//! Dropping what nothing refers to any more.
//!
//! What to drop is found in snapshots beside the writers, and looked at again in the short
//! transactions that drop it. Embeddings are matched with the texts of chunks one part of the hashes
//! at a time, so that memory does not grow with the corpus.

use std::collections::{HashMap, HashSet};
use std::ops::Bound;

use braid_core::{CollectionId, ContentHash, ErrorCode, Result, Sequence, SlotSet};
use heed::RoTxn;

use crate::collections;
use crate::documents::Reading;
use crate::jobs::RETENTION_MS;
use crate::keys;
use crate::rows::ChunkHeader;
use crate::store::Store;
use crate::table::{Row, Table};

/// Rows dropped in one transaction.
const STEP: usize = 4096;
/// Keys of rows to drop that are held at a time.
const MOST_FOUND: usize = 64 * STEP;
/// Hashes of texts that are held at a time: some 75 MB.
const MOST_TEXTS: u64 = 4_000_000;

/// As [`braid_core::Ledger::sweep`].
pub(crate) fn sweep(store: &Store) -> Result<u64> {
    Ok(sweep_rows(store)? + sweep_embeddings(store, OfUnusedModels::Dropped, MOST_TEXTS)?)
}

/// As [`braid_core::Ledger::tidy`].
pub(crate) fn tidy(store: &Store) -> Result<u64> {
    Ok(sweep_rows(store)? + sweep_embeddings(store, OfUnusedModels::Kept, MOST_TEXTS)?)
}

/// Everything but embeddings.
fn sweep_rows(store: &Store) -> Result<u64> {
    let mut dropped = 0;
    for collection in store.read(|txn| collections::all(&store.tables, txn))? {
        dropped += sweep_chunks(store, collection.id)?;
        dropped += sweep_failures(store, collection.id)?;
    }
    let now = store.now_ms();
    let jobs = &store.tables.jobs;
    dropped += drop_if(store, jobs, &[], |_, _, job| {
        Ok(now - job.created_at_ms >= RETENTION_MS)
    })?;
    let responses = &store.tables.responses;
    dropped += drop_if(store, responses, &[], |_, _, row| {
        Ok(row.expires_at_ms <= now)
    })?;
    Ok(dropped)
}

/// Drops the rows below `prefix` that pass `test`, both when they are found and when they are dropped.
fn drop_if<R: Row>(
    store: &Store,
    table: &Table<R>,
    prefix: &[u8],
    test: impl Fn(&RoTxn, &[u8], &R) -> Result<bool>,
) -> Result<u64> {
    let found = store.read(|txn| {
        let mut found = Vec::new();
        for entry in table.scan(txn, prefix)? {
            let (key, row) = entry?;
            if test(txn, key, &row)? {
                found.push(key.to_vec());
            }
        }
        Ok(found)
    })?;
    drop_found(store, table, &found, |txn, step| {
        let mut left = Vec::with_capacity(step.len());
        for key in step {
            if let Some(row) = table.get(txn, key)?
                && test(txn, key, &row)?
            {
                left.push(key.clone());
            }
        }
        Ok(left)
    })
}

/// Drops what `still` leaves of the keys that were found, a step at a time.
fn drop_found<R: Row>(
    store: &Store,
    table: &Table<R>,
    found: &[Vec<u8>],
    mut still: impl FnMut(&RoTxn, &[Vec<u8>]) -> Result<Vec<Vec<u8>>>,
) -> Result<u64> {
    let mut dropped = 0;
    for step in found.chunks(STEP) {
        dropped += store.write(|txn| {
            let left = still(txn, step)?;
            for key in &left {
                table.delete(txn, key)?;
            }
            Ok(left.len() as u64)
        })?;
    }
    Ok(dropped)
}

/// Drops chunks that no version has: what a rebuild that was interrupted left.
fn sweep_chunks(store: &Store, id: CollectionId) -> Result<u64> {
    let orphans = store.read(|txn| {
        let used = used_slots(store, txn, id)?;
        let mut orphans = SlotSet::new();
        let prefix = keys::collection(id);
        for entry in store.tables.chunks.entries(txn, &prefix)? {
            let slot = keys::read_slot(entry?.0)?;
            if !used.contains(slot) {
                orphans.insert(slot);
            }
        }
        Ok(orphans)
    })?;
    let mut dropped = 0;
    let mut left = orphans.iter();
    loop {
        let step: SlotSet = left.by_ref().take(STEP).collect();
        if step.is_empty() {
            return Ok(dropped);
        }
        dropped += store.write(|txn| {
            // A rebuild that began before the snapshot may have switched since.
            let unused = step - used_slots(store, txn, id)?;
            for slot in &unused {
                store.tables.chunks.delete(txn, &keys::slot(id, slot))?;
            }
            Ok(unused.len())
        })?;
    }
}

/// Slots that have a use, or may come to have one; none in a collection that is gone.
fn used_slots(store: &Store, txn: &RoTxn, id: CollectionId) -> Result<SlotSet> {
    let mut used = match Reading::open(&store.tables, txn, id) {
        Ok(reading) => reading.expected()?,
        Err(error) if error.code() == ErrorCode::CollectionNotFound => SlotSet::new(),
        Err(error) => return Err(error),
    };
    if let Some(rechunking) = store.rechunking.lock().get(&id) {
        used |= rechunking;
    }
    Ok(used)
}

/// Drops old reasons of failures whose document has moved on.
fn sweep_failures(store: &Store, id: CollectionId) -> Result<u64> {
    let tables = &store.tables;
    let now = store.now_ms();
    let prefix = keys::collection(id);
    drop_if(store, &tables.failures, &prefix, |txn, key, failure| {
        if now - failure.at_ms < RETENTION_MS {
            return Ok(false);
        }
        let sequence = keys::read_number(key)?;
        // A version that failed is kept for as long as it is its document's newest.
        let version = keys::sequence(id, Sequence(sequence));
        let is_newest = tables.versions.contains(txn, &version)?;
        Ok(!is_newest && sequence <= collections::counters(tables, txn, id)?.published)
    })
}

/// What becomes of embeddings by embedders that no collection uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OfUnusedModels {
    Dropped,
    Kept,
}

/// Drops embeddings of texts that no chunk has, holding the hashes of at most about `most_texts`.
fn sweep_embeddings(store: &Store, unused: OfUnusedModels, most_texts: u64) -> Result<u64> {
    let chunks = store.read(|txn| store.tables.chunks.len(txn))?;
    let mut dropped = 0;
    for part in Part::all(chunks / most_texts + 1) {
        dropped += sweep_part(store, unused, part)?;
    }
    Ok(dropped)
}

fn sweep_part(store: &Store, unused: OfUnusedModels, part: Part) -> Result<u64> {
    let mut texts = Texts::new(part);
    let embedders = store.read(|txn| {
        texts.read_on(store, txn)?;
        embedders(store, txn)
    })?;
    let is_orphan = |used: &HashSet<[u8; 16]>, texts: &Texts, key: &[u8]| {
        let Some((embedder, text)) = key.split_first_chunk() else {
            return false;
        };
        match unused {
            OfUnusedModels::Dropped => !used.contains(embedder) || !texts.contains(text),
            OfUnusedModels::Kept => used.contains(embedder) && !texts.contains(text),
        }
    };
    let mut dropped = 0;
    for embedder in embedders {
        let mut start = part.first_key(embedder).to_vec();
        loop {
            let (found, next) = store.read(|txn| {
                let used = used_embedders(store, txn, unused)?;
                let last = part.last_key(embedder);
                let range = (Bound::Included(&start[..]), Bound::Included(&last[..]));
                let mut found = Vec::new();
                for entry in store.tables.embeddings.entries_in(txn, range)? {
                    let key = entry?.0;
                    if found.len() == MOST_FOUND {
                        return Ok((found, Some(key.to_vec())));
                    }
                    if is_orphan(&used, &texts, key) {
                        found.push(key.to_vec());
                    }
                }
                Ok((found, None))
            })?;
            dropped += drop_found(store, &store.tables.embeddings, &found, |txn, step| {
                // Only chunks staged since are looked at while writers wait.
                texts.read_on(store, txn)?;
                let used = used_embedders(store, txn, unused)?;
                let orphans = step.iter().filter(|key| is_orphan(&used, &texts, key));
                Ok(orphans.cloned().collect())
            })?;
            match next {
                Some(next) => start = next,
                None => break,
            }
        }
    }
    Ok(dropped)
}

/// Embedders of the collections, and those that a rebuild may be about to use.
fn used_embedders(store: &Store, txn: &RoTxn, unused: OfUnusedModels) -> Result<HashSet<[u8; 16]>> {
    let collections = collections::all(&store.tables, txn)?;
    let embedders = collections.iter().map(|one| &one.fingerprint.embedder);
    let mut used: HashSet<_> = embedders.map(keys::embedder).collect();
    if unused == OfUnusedModels::Dropped {
        used.extend(store.recent_embedders.lock().iter());
    }
    Ok(used)
}

/// Every embedder that has an embedding stored.
fn embedders(store: &Store, txn: &RoTxn) -> Result<Vec<[u8; 16]>> {
    let mut found: Vec<[u8; 16]> = Vec::new();
    let mut start = Bound::Unbounded;
    loop {
        let from = start.as_ref().map(|key: &Vec<u8>| &key[..]);
        let range = (from, Bound::Unbounded);
        let next = store.tables.embeddings.entries_in(txn, range)?.next();
        let Some((key, _)) = next.transpose()? else {
            return Ok(found);
        };
        start = Bound::Excluded(match key.first_chunk() {
            Some(embedder) => {
                found.push(*embedder);
                Part::ALL.last_key(*embedder).to_vec()
            }
            None => key.to_vec(),
        });
    }
}

/// An equal part of the hashes of texts, by their first eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    first: u64,
    last: u64,
}

impl Part {
    const ALL: Self = Self {
        first: 0,
        last: u64::MAX,
    };

    /// So many parts, which are all hashes together.
    fn all(parts: u64) -> impl Iterator<Item = Self> {
        let size = u64::MAX / parts.max(1);
        (0..parts.max(1)).map(move |at| Self {
            first: at * size + u64::from(at > 0),
            last: match at + 1 == parts.max(1) {
                true => u64::MAX,
                false => (at + 1) * size,
            },
        })
    }

    fn first_key(self, embedder: [u8; 16]) -> [u8; 48] {
        let mut text = [0; 32];
        text[..8].copy_from_slice(&self.first.to_be_bytes());
        keys::embedding(embedder, &text)
    }

    fn last_key(self, embedder: [u8; 16]) -> [u8; 48] {
        let mut text = [u8::MAX; 32];
        text[..8].copy_from_slice(&self.last.to_be_bytes());
        keys::embedding(embedder, &text)
    }

    fn contains(self, start: u64) -> bool {
        (self.first..=self.last).contains(&start)
    }
}

/// Hashes of the texts that stored chunks have, as far as they are in one part. Of each its first
/// eight bytes: two texts that share them, once in a world, keep an embedding too long.
struct Texts {
    part: Part,
    texts: HashSet<u64>,
    /// The first slot of each collection that was not looked at.
    next: HashMap<CollectionId, u32>,
}

impl Texts {
    fn new(part: Part) -> Self {
        Self {
            part,
            texts: HashSet::new(),
            next: HashMap::new(),
        }
    }

    fn contains(&self, text: &[u8]) -> bool {
        let start = text.first_chunk().copied().map(u64::from_be_bytes);
        start.is_some_and(|start| self.texts.contains(&start))
    }

    fn insert(&mut self, text: &ContentHash) {
        let [a, b, c, d, e, f, g, h, ..] = text.0;
        let start = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        if self.part.contains(start) {
            self.texts.insert(start);
        }
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
                self.insert(&header.embedding_key);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use braid_core::{Fingerprint, Ledger};
    use braid_testkit::ledger_suite::{Scene, hash};

    use super::*;
    use crate::{LedgerOptions, LmdbLedger};

    #[test]
    fn parts_are_all_hashes_once() {
        assert_eq!(Part::all(0).collect::<Vec<_>>(), [Part::ALL]);
        for count in [1, 2, 3, 7, 10] {
            let parts: Vec<_> = Part::all(count).collect();
            assert_eq!(parts.len() as u64, count);
            assert_eq!((parts[0].first, parts[parts.len() - 1].last), (0, u64::MAX));
            let meet = |pair: &[Part]| pair[0].last.checked_add(1) == Some(pair[1].first);
            assert!(parts.windows(2).all(meet), "{parts:?}");
        }
    }

    /// A ledger with twenty texts in use, each embedded by the collection's embedder and by another,
    /// and with as many embeddings of texts that are gone.
    async fn scene(dir: &std::path::Path) -> (LmdbLedger, Scene) {
        let options = LedgerOptions {
            map_size: 64 << 20,
            ..LedgerOptions::default()
        };
        let ledger = LmdbLedger::open(dir, options).unwrap();
        let scene = Scene::of(Arc::new(ledger.clone())).await;
        for at in 0..20 {
            let (used, gone) = (format!("text {at}"), format!("gone {at}"));
            scene.put(&format!("d{at}"), &[&used]).await;
            for embedder in ["embedder", "another"] {
                let rows = [&used, &gone].map(|text| (hash(text), vec![1.0, 0.0].into()));
                let embedder = Fingerprint::new(embedder);
                let put = ledger.put_embeddings(&embedder, rows.to_vec());
                put.await.unwrap();
            }
        }
        scene.publish().await;
        (ledger, scene)
    }

    /// The texts of a kind that have an embedding.
    async fn embedded(ledger: &LmdbLedger, embedder: &str, kind: &str) -> usize {
        let keys: Vec<_> = (0..20).map(|at| hash(&format!("{kind} {at}"))).collect();
        let found = ledger.embeddings(&Fingerprint::new(embedder), &keys).await;
        found.unwrap().iter().flatten().count()
    }

    #[tokio::test]
    async fn however_few_texts_are_held_the_same_embeddings_go() {
        for most_texts in [1, 3, 20, 1000] {
            let dir = tempfile::tempdir().unwrap();
            let (ledger, _scene) = scene(dir.path()).await;
            let store = ledger.store();
            let kept = OfUnusedModels::Kept;
            assert_eq!(sweep_embeddings(store, kept, most_texts).unwrap(), 20);
            assert_eq!(sweep_embeddings(store, kept, most_texts).unwrap(), 0);
            assert_eq!(embedded(&ledger, "embedder", "text").await, 20);
            assert_eq!(embedded(&ledger, "embedder", "gone").await, 0);
            assert_eq!(embedded(&ledger, "another", "gone").await, 20);
            // As after a start.
            store.recent_embedders.lock().clear();
            let dropped = OfUnusedModels::Dropped;
            assert_eq!(sweep_embeddings(store, dropped, most_texts).unwrap(), 40);
            assert_eq!(embedded(&ledger, "embedder", "text").await, 20);
            assert_eq!(embedded(&ledger, "another", "text").await, 0);
        }
    }

    #[tokio::test]
    async fn a_part_holds_its_own_texts_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, _scene) = scene(dir.path()).await;
        let store = ledger.store();
        let held = Part::all(10).map(|part| {
            let mut texts = Texts::new(part);
            store.read(|txn| texts.read_on(store, txn)).unwrap();
            texts.texts.len()
        });
        let held: Vec<_> = held.collect();
        assert_eq!(held.iter().sum::<usize>(), 20);
        assert!(held.iter().all(|count| *count < 10), "{held:?}");
    }
}
