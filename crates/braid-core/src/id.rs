//! Names and keys: what callers call things, and what the stores call them.

use std::fmt;
use std::str::FromStr;

use roaring::RoaringBitmap;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::limits::{MAX_COLLECTION_NAME_BYTES, MAX_DOCUMENT_ID_BYTES};

/// A set of slots.
pub type SlotSet = RoaringBitmap;

/// The caller's name of a collection: 1 to 64 of `a-z`, `0-9`, `_`, `-`, starting with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CollectionName(String);

impl CollectionName {
    /// Checks and wraps a name.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidRequest`](crate::ErrorCode::InvalidRequest) when the name breaks the rule above.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        let is_first = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let is_rest = |c: char| is_first(c) || c == '_' || c == '-';
        let valid = name.len() <= MAX_COLLECTION_NAME_BYTES
            && name.chars().next().is_some_and(is_first)
            && name.chars().all(is_rest);
        if !valid {
            let shown: String = name.chars().take(80).collect();
            return Err(Error::invalid(format!(
                "collection name {shown:?} is not valid: use 1 to {MAX_COLLECTION_NAME_BYTES} of a-z, 0-9, '_' and '-', starting with a letter or digit"
            )));
        }
        Ok(Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CollectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for CollectionName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

/// The ledger's number of a collection: never reused, so a collection made again under an old name
/// shares nothing with its predecessor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CollectionId(pub u32);

/// The caller's id of a document: 1 to 480 bytes of UTF-8 without control characters. Slashes and
/// spaces are fine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentId(String);

impl DocumentId {
    /// Checks and wraps an id.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidRequest`](crate::ErrorCode::InvalidRequest) when the id is empty, too long, or has control characters.
    pub fn new(id: impl Into<String>) -> Result<Self> {
        let id = id.into();
        if id.is_empty() {
            return Err(Error::invalid("document id is empty"));
        }
        if id.len() > MAX_DOCUMENT_ID_BYTES {
            return Err(Error::invalid(format!(
                "document id is {} bytes long, the limit is {MAX_DOCUMENT_ID_BYTES}",
                id.len()
            )));
        }
        if id.chars().any(char::is_control) {
            return Err(Error::invalid("document id has control characters"));
        }
        Ok(Self(id))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The caller-visible name of a chunk: UUIDv5 of (collection, document id, ordinal, hash of body,
/// title and heading path). The same content in the same place has the same id across re-ingests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChunkId(pub Uuid);

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The key of one index entry. Slots rise and are never reused within a collection, so an old and a
/// new version of the same chunk never collide in an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u32);

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Number of a build of a collection's indexes. A rebuild makes the next one beside the current
/// one and switches atomically.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Generation(pub u32);

/// Position of an operation in a collection's log, from 1. [`Sequence::ZERO`] precedes all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sequence(pub u64);

impl Sequence {
    /// Before the first operation.
    pub const ZERO: Self = Self(0);

    /// The following position.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one generation of one collection's derived indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IndexKey {
    /// The collection.
    pub collection: CollectionId,
    /// Its generation.
    pub generation: Generation,
}

/// Id of a bulk job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub Uuid);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collection_names_are_checked() {
        for good in ["default", "a", "0-x_y"] {
            assert!(CollectionName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "-a", "a b", "a/b", &"x".repeat(65)] {
            assert!(CollectionName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn document_ids_are_checked() {
        assert!(DocumentId::new("docs/a b.md#x").is_ok());
        for bad in ["", "a\nb", &"x".repeat(1024)] {
            assert!(DocumentId::new(bad).is_err());
        }
    }
}
