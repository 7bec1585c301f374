//! Puts that are acknowledged and not published: their chunks, which may still have to be embedded, and
//! the filter rows that publishing them writes. Counted in the meta table, in the transactions that
//! change it, so that staging can keep room for them however far it runs ahead.

use braid_core::{CollectionId, Result, Sequence};
use heed::{RoTxn, RwTxn};

use crate::collections;
use crate::error::corrupt;
use crate::filters;
use crate::keys;
use crate::rows::{OperationRow, VersionRow};
use crate::table::Tables;

/// Bytes of a page of LMDB, and of those what rows can use.
const PAGE_BYTES: usize = 4096;
const PAGE_ROOM: usize = PAGE_BYTES - 16;
/// Bytes of an embedding's key and of LMDB's own beside its value.
const ROW_BYTES: usize = 48 + 16;

/// Keys of a collection's counts in the meta table: chunks, and bytes of filter rows.
const CHUNKS: &[u8; 8] = b"pending/";
const FILTERS: &[u8; 8] = b"filters/";

fn key(count: &[u8; 8], id: CollectionId) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(count);
    key[8..].copy_from_slice(&keys::collection(id));
    key
}

/// What the puts in a collection's log will take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) chunks: u64,
    /// Bytes of filter rows, as [`filters::row_bytes`] reckons them.
    pub(crate) filter_bytes: u64,
}

impl Pending {
    /// What a version takes once it is published.
    fn of(id: CollectionId, version: &VersionRow) -> Self {
        Self {
            chunks: version.slots.len() as u64,
            filter_bytes: filters::row_bytes(
                id,
                &version.metadata,
                version.language.as_deref(),
                version.slots.len(),
            ) as u64,
        }
    }

    pub(crate) fn add(&mut self, id: CollectionId, version: &VersionRow) {
        let more = Self::of(id, version);
        self.chunks += more.chunks;
        self.filter_bytes += more.filter_bytes;
    }

    pub(crate) fn remove(&mut self, id: CollectionId, version: &VersionRow) {
        let less = Self::of(id, version);
        self.chunks = self.chunks.saturating_sub(less.chunks);
        self.filter_bytes = self.filter_bytes.saturating_sub(less.filter_bytes);
    }

    /// The counts of a collection. Where they were not counted yet, the log is read.
    pub(crate) fn read(tables: &Tables, txn: &RoTxn, id: CollectionId) -> Result<Self> {
        let chunks = tables.meta.get(txn, &key(CHUNKS, id))?;
        let filter_bytes = tables.meta.get(txn, &key(FILTERS, id))?;
        match (chunks, filter_bytes) {
            (Some(chunks), Some(filter_bytes)) => Ok(Self {
                chunks,
                filter_bytes,
            }),
            (Some(_) | None, _) => Self::count(tables, txn, id),
        }
    }

    /// Counts what the log has.
    pub(crate) fn count(tables: &Tables, txn: &RoTxn, id: CollectionId) -> Result<Self> {
        let mut pending = Self::default();
        for entry in tables.operations.scan(txn, &keys::collection(id))? {
            let (key, operation) = entry?;
            if let OperationRow::Put { .. } = operation {
                let sequence = keys::read_number(key)?;
                let version = tables
                    .versions
                    .get(txn, &keys::sequence(id, Sequence(sequence)))?;
                let version =
                    version.ok_or_else(|| corrupt(format!("version {sequence} is missing")))?;
                pending.add(id, &version);
            }
        }
        Ok(pending)
    }

    pub(crate) fn write(self, tables: &Tables, txn: &mut RwTxn, id: CollectionId) -> Result<()> {
        tables.meta.put(txn, &key(CHUNKS, id), &self.chunks)?;
        tables.meta.put(txn, &key(FILTERS, id), &self.filter_bytes)
    }

    /// Forgets the counts of a collection that is deleted.
    pub(crate) fn forget(tables: &Tables, txn: &mut RwTxn, id: CollectionId) -> Result<()> {
        tables.meta.delete(txn, &key(CHUNKS, id))?;
        tables.meta.delete(txn, &key(FILTERS, id)).map(drop)
    }
}

/// Bytes that the embeddings of every collection's pending chunks, and their filter rows, may take.
pub(crate) fn bytes(tables: &Tables, txn: &RoTxn) -> Result<usize> {
    let fits = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let mut bytes = 0_usize;
    for collection in collections::all(tables, txn)? {
        let pending = Pending::read(tables, txn, collection.id)?;
        let each = embedding_bytes(collection.dimension);
        let embeddings = fits(pending.chunks).saturating_mul(each);
        bytes = bytes
            .saturating_add(embeddings)
            .saturating_add(fits(pending.filter_bytes));
    }
    Ok(bytes)
}

/// Bytes that an embedding takes up in its table. Keys are hashes, so rows arrive in no order and
/// pages stay about two thirds full.
pub(crate) fn embedding_bytes(dimension: usize) -> usize {
    let value = dimension.saturating_mul(size_of::<f32>());
    let row = value + ROW_BYTES;
    if row <= PAGE_ROOM / 2 {
        return PAGE_BYTES / (PAGE_ROOM / row) * 3 / 2;
    }
    // Too long for a page of rows: LMDB gives it pages of its own.
    (value + 16).next_multiple_of(PAGE_BYTES) + 2 * ROW_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embeddings_take_more_than_their_values() {
        for dimension in [1, 2, 64, 384, 512, 768, 1024, 4096] {
            let (taken, value) = (embedding_bytes(dimension), dimension * 4);
            assert!(taken > value + 48, "{dimension}: {taken}");
            assert!(taken < 2 * value + 4096, "{dimension}: {taken}");
        }
        assert_eq!(embedding_bytes(384), 3072);
        assert_eq!(embedding_bytes(768), 4096 + 128);
    }
}
