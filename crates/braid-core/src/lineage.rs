//! Lineage: where a stored chunk came from, and whether a query can find it.

use std::sync::Arc;

use crate::chunk::ChunkRecord;
use crate::document::DocumentSummary;
use crate::id::Sequence;

/// Where a stored chunk stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChunkStatus {
    /// Retrievable.
    Live,
    /// Acknowledged and not yet published.
    Pending,
    /// Hidden, because its version was replaced, deleted or failed; it leaves the indexes and the
    /// ledger with the next purge.
    Retired,
    /// Stored by a rebuild that is under way or was interrupted; nothing refers to it.
    Unreferenced,
}

impl ChunkStatus {
    /// The public name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Pending => "pending",
            Self::Retired => "retired",
            Self::Unreferenced => "unreferenced",
        }
    }
}

/// A stored chunk and where it came from. The collection says what read, cut, analysed and embedded
/// it: its [fingerprint](crate::PipelineFingerprint).
#[derive(Clone, Debug, PartialEq)]
pub struct ChunkLineage {
    /// The stored chunk.
    pub record: ChunkRecord,
    /// Where it stands.
    pub status: ChunkStatus,
    /// The version of the document that it is a chunk of; `None` when nothing but the chunk is left
    /// of that version.
    pub version: Option<Arc<DocumentSummary>>,
    /// The document's newest version, where that is another one; `None` also when the document was
    /// deleted.
    pub superseded_by: Option<Sequence>,
}

/// How full a store of limited size is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageUse {
    /// Bytes in use.
    pub used_bytes: u64,
    /// Bytes in use at which puts are refused.
    pub limit_bytes: u64,
}
