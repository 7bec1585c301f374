//! What is stored, as stored. Rows are postcard, except where another form is said to be.

mod chunk;
mod convert;

use std::borrow::Cow;

use braid_core::{Result, Slot};
use serde::{Deserialize, Serialize};

use crate::error::corrupt;
use crate::table::Row;

pub(crate) use chunk::{ChunkHeader, ChunkRow, ChunkVersion};
pub(crate) use convert::{document_id, language, metadata, metadata_row};

/// A collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CollectionRow {
    pub(crate) name: String,
    pub(crate) language: String,
    pub(crate) strategy: String,
    pub(crate) target_tokens: u64,
    pub(crate) overlap_tokens: u64,
    pub(crate) embedder: String,
    pub(crate) chunker: String,
    pub(crate) analyzer: String,
    pub(crate) dimension: u64,
    pub(crate) generation: u32,
    pub(crate) created_at_ms: i64,
    pub(crate) duplicates: String,
    pub(crate) duplicates_min_percent: u8,
    /// Chunking of formats that differ, by the format's name.
    pub(crate) formats: Vec<(String, OverrideRow)>,
}

/// The synonyms of a collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SynonymsRow {
    /// The rules as they were written.
    pub(crate) rules: Vec<String>,
}

/// What is different in the chunking of one format.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OverrideRow {
    pub(crate) strategy: Option<String>,
    pub(crate) target_tokens: Option<u64>,
    pub(crate) overlap_tokens: Option<u64>,
}

/// What changes with every write of a collection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CountersRow {
    pub(crate) next_slot: u32,
    pub(crate) newest: u64,
    pub(crate) published: u64,
    pub(crate) documents: u64,
    pub(crate) chunks: u64,
    pub(crate) failed: u64,
    pub(crate) retired: u64,
}

/// Which versions a document has. A deleted document has no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DocumentRow {
    /// The newest version, failed or not: what reading the document gives.
    pub(crate) newest: u64,
    /// The newest version that did not fail: the one a publish must be of.
    pub(crate) current: Option<u64>,
    /// The retrievable version.
    pub(crate) live: Option<u64>,
}

impl DocumentRow {
    /// Whether `sequence` is one of its versions.
    pub(crate) fn names(&self, sequence: u64) -> bool {
        self.newest == sequence || self.current == Some(sequence) || self.live == Some(sequence)
    }

    /// Whether the newest version failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.current != Some(self.newest)
    }
}

/// A version of a document, without its text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct VersionRow {
    pub(crate) document: String,
    pub(crate) title: Option<String>,
    pub(crate) uri: Option<String>,
    pub(crate) format: FormatRow,
    pub(crate) metadata: Vec<(String, ValueRow)>,
    pub(crate) content_hash: [u8; 32],
    pub(crate) pipeline: String,
    pub(crate) slots: Vec<u32>,
    pub(crate) updated_at_ms: i64,
    /// The version that was its document's newest when it was staged, failed ones apart: what is
    /// brought back when it is cancelled.
    pub(crate) replaces: Option<u64>,
    /// Whether cancelling its job would lose something: it took the place of a failed version, or
    /// another request was told that it is there.
    pub(crate) kept: bool,
    pub(crate) likeness: Option<LikenessRow>,
    pub(crate) duplicate: Option<DuplicateRow>,
    /// The language detected in it, where one was.
    pub(crate) language: Option<String>,
    pub(crate) origin: Option<OriginRow>,
}

/// What of a version is compared to find duplicates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LikenessRow {
    pub(crate) words: [u8; 32],
    pub(crate) sketch: Option<Vec<u32>>,
}

/// The document that another one is a duplicate of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DuplicateRow {
    pub(crate) of: String,
    pub(crate) percent: u8,
}

/// What a version's text was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OriginRow {
    pub(crate) hash: [u8; 32],
    pub(crate) parser: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FormatRow {
    Text,
    Markdown,
    Html,
    Code(CodeRow),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum CodeRow {
    C,
    Go,
    Java,
    JavaScript,
    Python,
    Rust,
    Tsx,
    TypeScript,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum ValueRow {
    String(String),
    Number(f64),
    Bool(bool),
    Strings(Vec<String>),
}

/// An operation that is not yet published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OperationRow {
    Put { document: String, slots: Vec<u32> },
    Delete { document: String },
    Purge { slots: Vec<u32> },
    Failed { reason: String },
}

/// Why an operation failed; kept after it is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FailureRow {
    pub(crate) document: Option<String>,
    pub(crate) reason: String,
    pub(crate) at_ms: i64,
    /// Whether it was taken back rather than refused.
    pub(crate) cancelled: bool,
}

/// A bulk job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JobRow {
    pub(crate) collection: u32,
    pub(crate) created_at_ms: i64,
    pub(crate) items: Vec<(String, JobOutcomeRow)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum JobOutcomeRow {
    Staged {
        sequence: u64,
        change: StagedChangeRow,
        duplicate: Option<DuplicateRow>,
    },
    Skipped,
    Rejected(String),
    Duplicate(DuplicateRow),
}

/// What a staged operation of a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum StagedChangeRow {
    Create,
    Replace,
    Delete,
}

/// The recorded answer to an idempotent request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResponseRow {
    pub(crate) request: [u8; 32],
    pub(crate) expires_at_ms: i64,
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Bytes as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Raw(pub(crate) Vec<u8>);

impl Row for Raw {
    fn encode(&self) -> Result<Cow<'_, [u8]>> {
        Ok(Cow::Borrowed(&self.0))
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        Ok(Self(bytes.to_vec()))
    }
}

/// Eight bytes, big-endian: readable whatever becomes of the other rows' format.
impl Row for u64 {
    fn encode(&self) -> Result<Cow<'_, [u8]>> {
        Ok(Cow::Owned(self.to_be_bytes().to_vec()))
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let number = bytes.try_into().map(Self::from_be_bytes);
        number.map_err(|_| corrupt("a stored number is damaged"))
    }
}

macro_rules! postcard_rows {
    ($($row:ty),+ $(,)?) => {$(
        impl Row for $row {
            fn encode(&self) -> Result<Cow<'_, [u8]>> {
                encode_postcard(self).map(Cow::Owned)
            }

            fn decode(bytes: &[u8]) -> Result<Self> {
                decode_postcard(bytes)
            }
        }
    )+};
}

postcard_rows!(
    CollectionRow,
    CountersRow,
    DocumentRow,
    VersionRow,
    OperationRow,
    FailureRow,
    JobRow,
    ResponseRow,
    SynonymsRow,
);

fn encode_postcard(row: &impl Serialize) -> Result<Vec<u8>> {
    postcard::to_stdvec(row)
        .map_err(|error| braid_core::Error::internal("a row cannot be encoded").with_source(error))
}

/// A row, and the bytes behind it.
fn split_postcard<'b, R: Deserialize<'b>>(bytes: &'b [u8]) -> Result<(R, &'b [u8])> {
    postcard::take_from_bytes(bytes)
        .map_err(|error| corrupt("a stored row is damaged").with_source(error))
}

fn decode_postcard<'b, R: Deserialize<'b>>(bytes: &'b [u8]) -> Result<R> {
    postcard::from_bytes(bytes)
        .map_err(|error| corrupt("a stored row is damaged").with_source(error))
}

/// Slots as numbers.
pub(crate) fn numbers(slots: &[Slot]) -> Vec<u32> {
    slots.iter().map(|slot| slot.0).collect()
}

/// Numbers as slots.
pub(crate) fn slots(numbers: &[u32]) -> Vec<Slot> {
    numbers.iter().copied().map(Slot).collect()
}
