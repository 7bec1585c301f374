//! [`Version`]: what was handed in of a document once, with its chunks. Written before a head names it,
//! and never changed.

use std::sync::Arc;

use ::qdrant_client::qdrant::FieldType;
use braid_core::operation::{IndexableChunk, StagedDocument};
use braid_core::{
    Chunk, ChunkId, ChunkRecord, ContentHash, Document, DocumentId, DocumentStatus,
    DocumentSummary, Error, Metadata, Origin, Result, Sequence, Slot, Span,
};
use braid_runtime::CpuPool;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::cas::Table;
use super::heads::Newest;
use super::rows::{
    Fields, MetadataRow, damaged, integer, language, metadata, metadata_row, point_id, read_json,
    read_text, signed, text, write_json,
};

/// When it was staged, Unix milliseconds.
pub(crate) const STAGED: &str = "staged_ms";
/// The document.
pub(crate) const DOCUMENT: &str = "document";
/// The operation that staged it.
pub(crate) const SEQUENCE: &str = "sequence";
/// The largest slot of its chunks.
pub(crate) const LAST_SLOT: &str = "last_slot";
/// Everything but the text and the chunks.
const SUMMARY: &str = "summary";
/// The text that was handed in.
const TEXT: &str = "text";
/// The chunks.
const CHUNKS: &str = "chunks";

/// The fields that are searched by.
pub(crate) const INDEXES: [(&str, FieldType); 3] = [
    (STAGED, FieldType::Integer),
    (SEQUENCE, FieldType::Integer),
    (LAST_SLOT, FieldType::Integer),
];

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SummaryRow {
    document: String,
    sequence: u64,
    title: Option<String>,
    pub(crate) uri: Option<String>,
    format: String,
    metadata: MetadataRow,
    content_hash: String,
    pipeline: String,
    pub(crate) chunks: usize,
    staged_ms: i64,
    language: Option<String>,
    origin: Option<OriginRow>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct OriginRow {
    hash: String,
    parser: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ChunkRow {
    slot: u32,
    id: Uuid,
    span: (u32, u32),
    page: Option<u32>,
    headings: Vec<String>,
    header: String,
    text: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    gap: String,
    key: String,
}

impl ChunkRow {
    /// Bytes that it takes up, roughly.
    fn size(&self) -> u64 {
        const REST: usize = 192;
        let headings: usize = self.headings.iter().map(String::len).sum();
        (self.text.len() + self.header.len() + headings + REST) as u64
    }
}

fn hash(text: &str) -> Result<ContentHash> {
    let read = text.parse();
    read.map_err(|error: Error| damaged("has a bad hash").with_source(error))
}

/// A version to be written.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    summary: SummaryRow,
    text: String,
    chunks: Vec<ChunkRow>,
}

impl Version {
    /// The version of `staged` whose chunks have `slots`, one each.
    pub(crate) fn new(
        staged: &StagedDocument,
        sequence: Sequence,
        slots: &[Slot],
        now_ms: i64,
    ) -> Self {
        let document = &staged.document;
        let chunks = staged
            .chunks
            .iter()
            .zip(slots)
            .map(|(staged, slot)| ChunkRow {
                slot: slot.0,
                id: staged.id.0,
                span: (staged.chunk.span.start, staged.chunk.span.end),
                page: staged.chunk.page,
                headings: staged.chunk.heading_path.clone(),
                header: staged.chunk.context_header.clone(),
                text: staged.chunk.text.clone(),
                gap: staged.chunk.gap.clone(),
                key: staged.embedding_key.to_string(),
            });
        let origin = document.origin.as_ref().map(|origin| OriginRow {
            hash: origin.hash.to_string(),
            parser: origin.parser.clone(),
        });
        Self {
            summary: SummaryRow {
                document: document.id.to_string(),
                sequence: sequence.0,
                title: document.title.clone(),
                uri: document.uri.clone(),
                format: document.format.to_string(),
                metadata: metadata_row(&document.metadata),
                content_hash: staged.content_hash.to_string(),
                pipeline: staged.pipeline.to_string(),
                chunks: staged.chunks.len(),
                staged_ms: now_ms,
                language: staged.language.map(|language| language.to_string()),
                origin,
            },
            text: document.text.clone(),
            chunks: chunks.collect(),
        }
    }

    /// What a head says of it.
    pub(crate) fn newest(&self, job: Option<Uuid>) -> Newest {
        let chunks = self.chunks.iter().map(ChunkRow::size);
        Newest {
            bytes: chunks.sum(),
            ..self.summary.newest(job)
        }
    }

    /// How many chunks it has.
    pub(crate) fn chunk_count(&self) -> usize {
        self.chunks.len()
    }

    /// The same content as another version, whose chunks have `slots`, one each.
    pub(crate) fn again(mut self, sequence: Sequence, slots: &[Slot], now_ms: i64) -> Self {
        self.summary.sequence = sequence.0;
        self.summary.staged_ms = now_ms;
        for (chunk, slot) in self.chunks.iter_mut().zip(slots) {
            chunk.slot = slot.0;
        }
        self
    }

    /// Its point.
    pub(crate) fn point(&self) -> Result<(Uuid, Fields)> {
        let summary = &self.summary;
        let mut fields = Fields::from([
            (DOCUMENT.to_owned(), text(&summary.document)),
            (SEQUENCE.to_owned(), integer(signed(summary.sequence))),
            (STAGED.to_owned(), integer(summary.staged_ms)),
            (SUMMARY.to_owned(), write_json(summary)?),
            (TEXT.to_owned(), text(&self.text)),
            (CHUNKS.to_owned(), write_json(&self.chunks)?),
        ]);
        if let Some(last) = self.chunks.iter().map(|chunk| chunk.slot).max() {
            fields.insert(LAST_SLOT.to_owned(), integer(last.into()));
        }
        Ok((version_id(&summary.document, summary.sequence), fields))
    }
}

impl SummaryRow {
    /// What a head says of the version.
    pub(crate) fn newest(&self, job: Option<Uuid>) -> Newest {
        Newest {
            sequence: self.sequence,
            content_hash: self.content_hash.clone(),
            pipeline: self.pipeline.clone(),
            metadata: self.metadata.clone(),
            language: self.language.clone(),
            // What is not to be indexed any more is not claimed.
            bytes: 0,
            job,
        }
    }

    /// The version in the words of the port.
    pub(crate) fn summary(&self, status: DocumentStatus) -> Result<DocumentSummary> {
        let origin = self.origin.as_ref().map(|origin| {
            Ok(Origin {
                hash: hash(&origin.hash)?,
                parser: origin.parser.clone(),
            })
        });
        let origin: Option<Result<Origin>> = origin;
        let unknown = |error: Error| damaged("has a bad field").with_source(error);
        Ok(DocumentSummary {
            id: DocumentId::new(self.document.as_str()).map_err(unknown)?,
            title: self.title.clone(),
            uri: self.uri.clone(),
            format: self.format.parse().map_err(unknown)?,
            metadata: metadata(&self.metadata),
            origin: origin.transpose()?,
            content_hash: hash(&self.content_hash)?,
            chunks: self.chunks,
            sequence: Sequence(self.sequence),
            status,
            updated_at_ms: self.staged_ms,
            duplicate: None,
            language: language(self.language.as_deref())?,
        })
    }
}

/// A version's chunks with what is said of all of them.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) chunks: Vec<IndexableChunk>,
}

/// The id of a version's point.
pub(crate) fn version_id(document: &str, sequence: u64) -> Uuid {
    // A document id has no control characters.
    point_id(&format!("{document}\n{sequence}"))
}

/// The versions of a collection.
#[derive(Clone, Debug)]
pub(crate) struct Versions {
    pub(crate) table: Table,
}

impl Versions {
    /// Writes versions that no head names yet.
    pub(crate) async fn write(&self, versions: &[&Version]) -> Result<()> {
        let points: Result<Vec<_>> = versions.iter().map(|version| version.point()).collect();
        self.table.put(points?).await
    }

    /// Versions without text and chunks, in order; `None` where there is none.
    pub(crate) async fn summaries(&self, of: &[(&str, u64)]) -> Result<Vec<Option<SummaryRow>>> {
        let found = self.read(of, &[SUMMARY]).await?;
        let found = found.iter().map(Option::as_ref);
        found
            .map(|fields| fields.map(|fields| read_json(fields, SUMMARY)).transpose())
            .collect()
    }

    /// Whether there are these versions, in order.
    pub(crate) async fn are_there<'v>(
        &self,
        versions: impl IntoIterator<Item = &'v (DocumentId, Sequence)>,
    ) -> Result<Vec<bool>> {
        let found = self.table.get(&ids(versions), &[SEQUENCE]).await?;
        Ok(found.iter().map(Option::is_some).collect())
    }

    /// A version with its text.
    pub(crate) async fn document(
        &self,
        document: &DocumentId,
        sequence: Sequence,
        status: DocumentStatus,
    ) -> Result<Option<Document>> {
        let found = self
            .read(&[(document.as_str(), sequence.0)], &[SUMMARY, TEXT])
            .await?;
        let Some(fields) = found.into_iter().next().flatten() else {
            return Ok(None);
        };
        let text = read_text(&fields, TEXT).ok_or_else(|| damaged("has no text"))?;
        let summary: SummaryRow = read_json(&fields, SUMMARY)?;
        Ok(Some(Document {
            summary: summary.summary(status)?,
            text: text.to_owned(),
        }))
    }

    /// A version with all it has.
    pub(crate) async fn whole(
        &self,
        document: &DocumentId,
        sequence: Sequence,
    ) -> Result<Option<Version>> {
        let of = [(document.as_str(), sequence.0)];
        let Some(fields) = self.read(&of, &[SUMMARY, TEXT, CHUNKS]).await?.remove(0) else {
            return Ok(None);
        };
        let text = read_text(&fields, TEXT).ok_or_else(|| damaged("has no text"))?;
        Ok(Some(Version {
            summary: read_json(&fields, SUMMARY)?,
            text: text.to_owned(),
            chunks: read_json(&fields, CHUNKS)?,
        }))
    }

    /// The chunks of versions, in order, taken apart on `pool`; `None` where there is no version, and
    /// why where one cannot be read.
    pub(crate) async fn contents(
        &self,
        of: &[(&str, u64)],
        pool: &CpuPool,
    ) -> Result<Vec<Option<Result<Content>>>> {
        let found = self.read(of, &[SUMMARY, CHUNKS]).await?;
        let read = move || {
            let found = found.iter().map(Option::as_ref);
            found.map(|fields| fields.map(content)).collect()
        };
        pool.run(read).await
    }

    async fn read(&self, of: &[(&str, u64)], fields: &[&str]) -> Result<Vec<Option<Fields>>> {
        let ids = of
            .iter()
            .map(|(document, sequence)| version_id(document, *sequence));
        self.table.get(&ids.collect::<Vec<_>>(), fields).await
    }

    /// Removes versions.
    pub(crate) async fn delete(&self, versions: &[(DocumentId, Sequence)]) -> Result<()> {
        self.table.delete(&ids(versions)).await
    }
}

fn ids<'v>(versions: impl IntoIterator<Item = &'v (DocumentId, Sequence)>) -> Vec<Uuid> {
    let versions = versions.into_iter();
    let ids = versions.map(|(document, sequence)| version_id(document.as_str(), sequence.0));
    ids.collect()
}

fn content(fields: &Fields) -> Result<Content> {
    let summary: SummaryRow = read_json(fields, SUMMARY)?;
    let rows: Vec<ChunkRow> = read_json(fields, CHUNKS)?;
    let of_all = Arc::new(metadata(&summary.metadata));
    let chunks: Result<Vec<_>> = (0..)
        .zip(rows)
        .map(|(ordinal, row)| indexable(&summary, &of_all, ordinal, row))
        .collect();
    Ok(Content { chunks: chunks? })
}

fn indexable(
    summary: &SummaryRow,
    metadata: &Arc<Metadata>,
    ordinal: u32,
    row: ChunkRow,
) -> Result<IndexableChunk> {
    let (start, end) = row.span;
    let document = DocumentId::new(summary.document.as_str());
    let record = ChunkRecord {
        slot: Slot(row.slot),
        id: ChunkId(row.id),
        document: document.map_err(|error| damaged("names no document").with_source(error))?,
        sequence: Sequence(summary.sequence),
        title: summary.title.clone(),
        chunk: Chunk {
            ordinal,
            span: Span { start, end },
            page: row.page,
            heading_path: row.headings,
            context_header: row.header,
            text: row.text,
            gap: row.gap,
        },
        embedding_key: hash(&row.key)?,
        language: language(summary.language.as_deref())?,
    };
    Ok(IndexableChunk {
        record,
        metadata: Arc::clone(metadata),
    })
}
