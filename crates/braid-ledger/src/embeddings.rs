//! Stored embeddings: `f32`, little-endian, by embedder and hash of the embedded text.

use braid_core::{ContentHash, Embedding, Fingerprint, Result};
use heed::{RoTxn, RwTxn};

use crate::error::corrupt;
use crate::keys;
use crate::rows::Raw;
use crate::store::Store;
use crate::table::Tables;

/// As [`braid_core::Ledger::embeddings`].
pub(crate) fn read(
    tables: &Tables,
    txn: &RoTxn,
    embedder: &Fingerprint,
    wanted: &[ContentHash],
) -> Result<Vec<Option<Embedding>>> {
    let embedder = keys::embedder(embedder);
    let read = |key: &ContentHash| {
        let bytes = tables
            .embeddings
            .bytes(txn, &keys::embedding(embedder, &key.0))?;
        bytes.map(decode).transpose()
    };
    wanted.iter().map(read).collect()
}

/// As [`braid_core::Ledger::put_embeddings`]. Written in key order, which LMDB likes best.
pub(crate) fn put(
    store: &Store,
    txn: &mut RwTxn,
    embedder: &Fingerprint,
    mut embeddings: Vec<(ContentHash, Embedding)>,
) -> Result<()> {
    let embedder = keys::embedder(embedder);
    store.recent_embedders.lock().insert(embedder);
    embeddings.sort_unstable_by_key(|(key, _)| *key);
    let table = &store.tables.embeddings;
    for (key, embedding) in embeddings {
        let key = keys::embedding(embedder, &key.0);
        if !table.contains(txn, &key)? {
            table.put(txn, &key, &encode(&embedding))?;
        }
    }
    Ok(())
}

fn encode(embedding: &Embedding) -> Raw {
    Raw(embedding
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect())
}

fn decode(bytes: &[u8]) -> Result<Embedding> {
    let (values, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(corrupt("a stored embedding is damaged"));
    }
    Ok(values
        .iter()
        .map(|value| f32::from_le_bytes(*value))
        .collect())
}
