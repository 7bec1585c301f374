//! Stored chunks and where they came from.

use braid_core::ports::Page;
use braid_core::{ChunkLineage, Collection, DocumentSummary};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::collections::FingerprintAnswer;
use super::documents::DocumentSummaryAnswer;
use super::retrieve::SourceBody;

/// A stored chunk and where it came from.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ChunkAnswer {
    /// The chunk.
    #[serde(flatten)]
    pub chunk: ChunkBody,
    /// The version of the document that it is a chunk of; `null` when nothing but the chunk is left
    /// of that version.
    pub document: Option<DocumentSummaryAnswer>,
}

/// A stored chunk.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ChunkBody {
    /// The collection it is in.
    pub collection: String,
    /// Number of the index build that is served.
    pub generation: u32,
    /// Key of its entry in both indexes.
    pub slot: u32,
    /// Name of the chunk: the same content in the same place keeps it.
    pub chunk_id: String,
    /// The caller's id of the document.
    pub document_id: String,
    /// Position in the document, from 0.
    pub ordinal: u32,
    /// `live` (retrievable), `pending` (not yet), `retired` (replaced, deleted or failed; soon
    /// gone) or `unreferenced` (of a rebuild that is under way or was interrupted).
    pub status: String,
    /// The newest version of the document, where that is another one: its place in the log.
    pub superseded_by: Option<u64>,
    /// The write that stored it: its place in the collection's log.
    pub sequence: u64,
    /// When that write was acknowledged, Unix milliseconds.
    pub acknowledged_at_ms: Option<i64>,
    /// Where the text stands.
    pub source: SourceBody,
    /// The text.
    pub text: String,
    /// Hash of the text that is embedded (title, headings and body), hexadecimal: with the
    /// embedder's fingerprint, the key of the stored embedding.
    pub embedding_key: String,
    /// What read, cut, analyzed and embedded it.
    pub fingerprint: FingerprintAnswer,
}

/// One page of a document's chunks.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ChunksAnswer {
    /// The retrievable version; `null` on a page without chunks.
    pub document: Option<DocumentSummaryAnswer>,
    /// Its chunks, in ordinal order.
    pub chunks: Vec<ChunkBody>,
    /// The next page's `cursor`; `null` on the last.
    pub next_cursor: Option<String>,
}

impl ChunkAnswer {
    /// A chunk of `collection`.
    pub fn new(collection: &Collection, lineage: ChunkLineage) -> Self {
        let document = lineage.version.as_deref().map(summary);
        Self {
            chunk: ChunkBody::new(collection, lineage),
            document,
        }
    }
}

impl ChunksAnswer {
    /// One page of chunks of `collection`.
    pub fn new(collection: &Collection, page: Page<ChunkLineage>) -> Self {
        let first = page.items.first().and_then(|item| item.version.as_deref());
        Self {
            document: first.map(summary),
            chunks: page
                .items
                .into_iter()
                .map(|lineage| ChunkBody::new(collection, lineage))
                .collect(),
            next_cursor: page.next,
        }
    }
}

fn summary(version: &DocumentSummary) -> DocumentSummaryAnswer {
    version.clone().into()
}

impl ChunkBody {
    fn new(collection: &Collection, lineage: ChunkLineage) -> Self {
        let ChunkLineage {
            record,
            status,
            version,
            superseded_by,
        } = lineage;
        let fingerprint = &collection.fingerprint;
        Self {
            collection: collection.name.as_str().to_owned(),
            generation: collection.generation.0,
            slot: record.slot.0,
            chunk_id: record.id.to_string(),
            document_id: record.document.as_str().to_owned(),
            ordinal: record.chunk.ordinal,
            status: status.as_str().to_owned(),
            superseded_by: superseded_by.map(|sequence| sequence.0),
            sequence: record.sequence.0,
            acknowledged_at_ms: version.as_ref().map(|version| version.updated_at_ms),
            source: SourceBody {
                uri: version.as_ref().and_then(|version| version.uri.clone()),
                title: record.title,
                heading_path: record.chunk.heading_path,
                char_start: record.chunk.span.start,
                char_end: record.chunk.span.end,
                page: record.chunk.page,
                context_header: Some(record.chunk.context_header).filter(|it| !it.is_empty()),
            },
            text: record.chunk.text,
            embedding_key: record.embedding_key.to_string(),
            fingerprint: fingerprint.into(),
        }
    }
}
