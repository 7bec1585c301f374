//! The operation log: every acknowledged change, in order.

use std::sync::Arc;

use crate::chunk::ChunkRecord;
use crate::duplicate::Duplicate;
use crate::filter::Filter;
use crate::id::{DocumentId, Sequence, Slot};

/// One acknowledged change of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its place in the log.
    pub sequence: Sequence,
    /// What it does.
    pub kind: OperationKind,
}

/// What an operation does to the indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// Adds a new version of a document: these slots are to be embedded and indexed.
    Put {
        /// The document.
        document: DocumentId,
        /// Slots of the version's chunks, in ordinal order.
        slots: Vec<Slot>,
    },
    /// Deletes a document. It was hidden when the delete was acknowledged; its slots are purged
    /// by a later [`OperationKind::Purge`].
    Delete {
        /// The document.
        document: DocumentId,
    },
    /// Removes slots that no reader can see any more from the indexes.
    Purge {
        /// The slots.
        slots: Vec<Slot>,
    },
    /// An operation whose retries were exhausted: a no-op, kept in its place.
    Failed {
        /// Why.
        reason: String,
    },
}

/// A document version ready to be staged: extracted, chunked, hashed.
#[derive(Clone, Debug, PartialEq)]
pub struct StagedDocument {
    /// As handed in; `title` holds what the reader found where the caller gave none.
    pub document: crate::document::NewDocument,
    /// Hash over everything handed in (text, title, uri, format, metadata).
    pub content_hash: crate::hash::ContentHash,
    /// Fingerprint of reader, chunker, analyzer and embedder at staging time. The same hash under
    /// the same fingerprint is an unchanged document.
    pub pipeline: crate::hash::Fingerprint,
    /// The chunks with their names and embedding keys, in ordinal order.
    pub chunks: Vec<StagedChunk>,
    /// What of it is compared to find duplicates; none where they are not looked for.
    pub likeness: Option<crate::duplicate::Likeness>,
    /// The language detected in the text, where one was.
    pub language: Option<crate::collection::Language>,
}

/// A chunk ready to be staged; the ledger gives it a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedChunk {
    /// The caller-visible name.
    pub id: crate::id::ChunkId,
    /// What the chunker made.
    pub chunk: crate::chunk::Chunk,
    /// Hash of the embedded text.
    pub embedding_key: crate::hash::ContentHash,
}

/// One change to be staged.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Add or replace a document.
    Put(Box<StagedDocument>),
    /// Delete a document; deleting what is not there is [`ChangeOutcome::Absent`].
    Delete(DocumentId),
    /// As [`Change::Put`], where the document is still what was looked up.
    PutIf(Expected, Box<StagedDocument>),
    /// As [`Change::Delete`], where the document is still what was looked up.
    DeleteIf(Expected, DocumentId),
}

/// What a document is to be for a change to be made: otherwise it is [`ChangeOutcome::Unmet`]. The
/// ledger checks it in the step that makes the change, so that what others acknowledge between a look-up
/// and a change that was decided by it is not lost.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// Its newest version is this one, and could not be indexed.
    Failed(Sequence),
    /// Its newest version passes the filter.
    Passing(Arc<Filter>),
    /// There is no such document, not even one that could not be indexed.
    Missing,
}

impl Change {
    /// The document that it changes.
    pub fn document(&self) -> &DocumentId {
        match self {
            Self::Put(staged) | Self::PutIf(_, staged) => &staged.document.id,
            Self::Delete(document) | Self::DeleteIf(_, document) => document,
        }
    }

    /// The version that it adds, if it adds one.
    pub fn staged(&self) -> Option<&StagedDocument> {
        match self {
            Self::Put(staged) | Self::PutIf(_, staged) => Some(staged),
            Self::Delete(_) | Self::DeleteIf(..) => None,
        }
    }

    /// What it expects, if it expects something.
    pub fn expected(&self) -> Option<&Expected> {
        match self {
            Self::PutIf(expected, _) | Self::DeleteIf(expected, _) => Some(expected),
            Self::Put(_) | Self::Delete(_) => None,
        }
    }
}

/// What staging did with one change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeOutcome {
    /// A new version was staged under this sequence; `replaced` says whether one was there before.
    Staged {
        /// Its operation.
        sequence: Sequence,
        /// Whether the document existed.
        replaced: bool,
        /// The document that it is a duplicate of, where one was found.
        duplicate: Option<Duplicate>,
    },
    /// A new document that is a duplicate was skipped, as its collection asks: nothing was written.
    Duplicate(Duplicate),
    /// The same content under the same pipeline is already stored (or staged): nothing was written.
    Unchanged {
        /// The operation that stored it.
        sequence: Sequence,
    },
    /// The document was deleted under this sequence and is hidden from now on.
    Deleted {
        /// Its operation.
        sequence: Sequence,
    },
    /// There was no such document to delete.
    Absent,
    /// The document is not, or not any more, what the change [expects](Expected): nothing was written.
    Unmet,
}

/// What a publish did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishReceipt {
    /// Operations whose version became the retrievable one.
    pub published: usize,
    /// Puts that were no longer their document's newest and were discarded.
    pub superseded: usize,
    /// The published watermark afterwards.
    pub watermark: Sequence,
}

/// Counters and watermarks of one collection, from one consistent view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectionStats {
    /// Documents with a retrievable version.
    pub documents: u64,
    /// Retrievable chunks.
    pub chunks: u64,
    /// The newest acknowledged operation.
    pub newest: Sequence,
    /// The newest published operation.
    pub published: Sequence,
    /// Operations recorded as failed whose document has no newer version.
    pub failed: u64,
    /// Slots that are retired and still in the indexes.
    pub retired: u64,
}

impl CollectionStats {
    /// Acknowledged operations that are not yet published.
    pub fn lag(&self) -> u64 {
        self.newest.0.saturating_sub(self.published.0)
    }
}

/// A chunk with what both indexes need of it.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexableChunk {
    /// The stored chunk.
    pub record: ChunkRecord,
    /// The document's metadata at that version.
    pub metadata: Arc<crate::document::Metadata>,
}
