//! Chunks whose put is acknowledged and not published: what may still have to be embedded. Counted in
//! the meta table, in the transactions that change it, so that staging can keep room for them however
//! far it runs ahead.

use braid_core::{CollectionId, Result};
use heed::RoTxn;

use crate::collections;
use crate::keys;
use crate::rows::OperationRow;
use crate::table::Tables;

/// Bytes of a page of LMDB, and of those what rows can use.
const PAGE_BYTES: usize = 4096;
const PAGE_ROOM: usize = PAGE_BYTES - 16;
/// Bytes of an embedding's key and of LMDB's own beside its value.
const ROW_BYTES: usize = 48 + 16;

/// Key of a collection's count in the meta table.
pub(crate) fn key(id: CollectionId) -> [u8; 12] {
    let mut key = *b"pending/\0\0\0\0";
    key[8..].copy_from_slice(&keys::collection(id));
    key
}

/// Chunks of the puts in a collection's log. Where none were counted yet, the log is read.
pub(crate) fn chunks(tables: &Tables, txn: &RoTxn, id: CollectionId) -> Result<u64> {
    if let Some(counted) = tables.meta.get(txn, &key(id))? {
        return Ok(counted);
    }
    let mut chunks = 0;
    for entry in tables.operations.scan(txn, &keys::collection(id))? {
        if let OperationRow::Put { slots, .. } = entry?.1 {
            chunks += slots.len() as u64;
        }
    }
    Ok(chunks)
}

/// Bytes that the embeddings of every collection's pending chunks may take.
pub(crate) fn bytes(tables: &Tables, txn: &RoTxn) -> Result<usize> {
    let mut bytes = 0_usize;
    for collection in collections::all(tables, txn)? {
        let chunks = usize::try_from(chunks(tables, txn, collection.id)?).unwrap_or(usize::MAX);
        let each = embedding_bytes(collection.dimension);
        bytes = bytes.saturating_add(chunks.saturating_mul(each));
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
