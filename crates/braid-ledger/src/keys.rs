//! Keys, composed big-endian so that LMDB's byte order is the order of the numbers. Every key of a
//! collection's data starts with its number, so that one range is one collection.

use std::ops::Bound;

use braid_core::duplicate::LikenessKey;
use braid_core::{
    CollectionId, DocumentId, Error, ErrorCode, Fingerprint, JobId, Result, Sequence,
};

/// LMDB's longest key.
#[cfg(test)]
pub(crate) const MAX_KEY_BYTES: usize = 511;

/// A range of keys.
pub(crate) type KeyRange<'k> = (Bound<&'k [u8]>, Bound<&'k [u8]>);

/// Start of every key of a collection.
pub(crate) fn collection(id: CollectionId) -> [u8; 4] {
    id.0.to_be_bytes()
}

/// A document of a collection.
pub(crate) fn document(id: CollectionId, document: &DocumentId) -> Vec<u8> {
    [&collection(id)[..], document.as_str().as_bytes()].concat()
}

/// A version, operation or failure of a collection, or a retirement by its epoch.
pub(crate) fn sequence(id: CollectionId, sequence: Sequence) -> [u8; 12] {
    epoch(id, sequence.0)
}

/// A retirement of a collection.
pub(crate) fn epoch(id: CollectionId, epoch: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&collection(id));
    key[4..].copy_from_slice(&epoch.to_be_bytes());
    key
}

/// A chunk of a collection.
pub(crate) fn slot(id: CollectionId, slot: u32) -> [u8; 8] {
    let mut key = [0; 8];
    key[..4].copy_from_slice(&collection(id));
    key[4..].copy_from_slice(&slot.to_be_bytes());
    key
}

/// A version among those that share a [`LikenessKey`].
pub(crate) fn likeness(id: CollectionId, key: &LikenessKey, sequence: u64) -> [u8; 21] {
    let mut composed = [0; 21];
    composed[..13].copy_from_slice(&likeness_prefix(id, key));
    composed[13..].copy_from_slice(&sequence.to_be_bytes());
    composed
}

/// Start of the keys of the versions that share a [`LikenessKey`].
pub(crate) fn likeness_prefix(id: CollectionId, key: &LikenessKey) -> [u8; 13] {
    let mut prefix = [0; 13];
    prefix[..4].copy_from_slice(&collection(id));
    prefix[4] = key.kind;
    prefix[5..].copy_from_slice(&key.hash);
    prefix
}

/// The version at the end of a [`likeness`] key.
pub(crate) fn read_likeness(key: &[u8]) -> Result<u64> {
    let number = key.last_chunk().copied().map(u64::from_be_bytes);
    number.ok_or_else(malformed)
}

/// The number at the end of a [`sequence`] or [`epoch`] key.
pub(crate) fn read_number(key: &[u8]) -> Result<u64> {
    let number = key.get(4..).and_then(|bytes| bytes.try_into().ok());
    number.map(u64::from_be_bytes).ok_or_else(malformed)
}

/// The slot at the end of a [`slot`] key.
pub(crate) fn read_slot(key: &[u8]) -> Result<u32> {
    let number = key.get(4..).and_then(|bytes| bytes.try_into().ok());
    number.map(u32::from_be_bytes).ok_or_else(malformed)
}

/// The collection at the start of a key.
pub(crate) fn read_collection(key: &[u8]) -> Result<CollectionId> {
    let number = key.first_chunk().copied().map(u32::from_be_bytes);
    number.map(CollectionId).ok_or_else(malformed)
}

/// The document at the end of a [`document`] key.
pub(crate) fn read_document(key: &[u8]) -> Result<DocumentId> {
    let text = key.get(4..).and_then(|id| std::str::from_utf8(id).ok());
    let text = text.ok_or_else(malformed)?;
    DocumentId::new(text).map_err(|error| malformed().with_source(error))
}

fn malformed() -> Error {
    Error::new(ErrorCode::Corrupt, "a ledger key is malformed")
}

/// Start of the key of every embedding by one embedder.
pub(crate) fn embedder(fingerprint: &Fingerprint) -> [u8; 16] {
    let hash = blake3::hash(fingerprint.as_str().as_bytes());
    let mut key = [0; 16];
    key.copy_from_slice(&hash.as_bytes()[..16]);
    key
}

/// An embedding by an embedder.
pub(crate) fn embedding(embedder: [u8; 16], key: &[u8; 32]) -> [u8; 48] {
    let mut composed = [0; 48];
    composed[..16].copy_from_slice(&embedder);
    composed[16..].copy_from_slice(key);
    composed
}

/// A job.
pub(crate) fn job(id: JobId) -> [u8; 16] {
    *id.0.as_bytes()
}

/// The job of a [`job`] key.
pub(crate) fn read_job(key: &[u8]) -> Result<JobId> {
    let id = uuid::Uuid::from_slice(key).map_err(|_| malformed())?;
    Ok(JobId(id))
}

/// An idempotency record. Hashed: callers may scope their keys beyond what LMDB takes.
pub(crate) fn response(key: &str) -> [u8; 32] {
    *blake3::hash(key.as_bytes()).as_bytes()
}

/// The number whose unsigned big-endian bytes sort as `number` does; both zeros are one.
pub(crate) fn ordered(number: f64) -> u64 {
    let bits = if number == 0.0 { 0 } else { number.to_bits() };
    let sign = 1 << 63;
    if bits & sign == 0 { bits | sign } else { !bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_order() {
        let rising = [
            f64::MIN,
            -1e9,
            -1.5,
            -1.0,
            -f64::MIN_POSITIVE,
            0.0,
            f64::MIN_POSITIVE,
            0.5,
            2.0,
            1e300,
            f64::MAX,
        ];
        assert!(rising.map(ordered).is_sorted_by(|a, b| a < b));
        assert_eq!(ordered(-0.0), ordered(0.0));
    }

    #[test]
    fn keys_round_trip_and_fit() {
        let id = CollectionId(7);
        let longest = DocumentId::new("ü".repeat(240)).unwrap();
        let key = document(id, &longest);
        assert!(key.len() <= MAX_KEY_BYTES);
        assert_eq!(read_document(&key).unwrap(), longest);
        assert_eq!(read_collection(&key).unwrap(), id);
        assert_eq!(
            read_number(&sequence(id, Sequence(1 << 40))).unwrap(),
            1 << 40
        );
        assert_eq!(read_slot(&slot(id, 9)).unwrap(), 9);
        assert!(sequence(id, Sequence(255)) < sequence(id, Sequence(256)));
        assert!(read_number(&[1, 2]).is_err());
    }
}
