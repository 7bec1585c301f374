//! Chunks in Qdrant, as far as the ledger needs them: a stand-in until the real store is merged.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use ::qdrant_client::qdrant::FieldType;
use braid_core::{
    Chunk, ChunkId, ChunkRecord, Collection, ContentHash, DocumentId, Embedding, LanguageSetting,
    Metadata, Result, Sequence, Slot, Span,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::cas::{Table, all, any_text, is_integer, is_text};
use super::rows::*;
use super::site::Site;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ChunkPoint {
    pub(crate) record: ChunkRecord,
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) uri: Option<String>,
    pub(crate) duplicate_of: Option<DocumentId>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bm25Parameters {
    pub(crate) k1: f32,
    pub(crate) b: f32,
    pub(crate) mean_length: f32,
}

#[derive(Serialize, Deserialize)]
struct Row {
    slot: u32,
    id: Uuid,
    document: String,
    sequence: u64,
    title: Option<String>,
    ordinal: u32,
    span: (u32, u32),
    page: Option<u32>,
    headings: Vec<String>,
    header: String,
    text: String,
    key: String,
    language: Option<String>,
    metadata: MetadataRow,
    uri: Option<String>,
    embedding: Vec<f32>,
}

pub(crate) struct ChunkStore {
    table: Table,
}

fn id(slot: Slot) -> Uuid {
    point_id(&slot.0.to_string())
}

impl ChunkStore {
    pub(crate) fn new(site: Arc<Site>, collection: &Collection) -> Self {
        let name = format!(
            "{}-c{}-g{}-chunks",
            site.prefix, collection.id.0, collection.generation.0
        );
        Self { table: Table::new(site, name) }
    }

    pub(crate) async fn ensure(&self) -> Result<()> {
        let indexes = [("document", FieldType::Keyword), ("sequence", FieldType::Integer), ("key", FieldType::Keyword)];
        self.table.ensure(&indexes).await
    }

    pub(crate) async fn put(&self, chunks: Vec<(ChunkPoint, Embedding)>, _: Bm25Parameters) -> Result<()> {
        let points = chunks.into_iter().map(|(point, embedding)| {
            let record = point.record;
            let row = Row {
                slot: record.slot.0,
                id: record.id.0,
                document: record.document.to_string(),
                sequence: record.sequence.0,
                title: record.title,
                ordinal: record.chunk.ordinal,
                span: (record.chunk.span.start, record.chunk.span.end),
                page: record.chunk.page,
                headings: record.chunk.heading_path,
                header: record.chunk.context_header,
                text: record.chunk.text,
                key: record.embedding_key.to_string(),
                language: record.language.map(|it| it.to_string()),
                metadata: metadata_row(&point.metadata),
                uri: point.uri,
                embedding: embedding.to_vec(),
            };
            let fields = Fields::from([
                ("document".to_owned(), text(&row.document)),
                ("sequence".to_owned(), integer(signed(row.sequence))),
                ("key".to_owned(), text(&row.key)),
                (BODY.to_owned(), write_json(&row)?),
            ]);
            Ok((id(record.slot), fields))
        });
        self.table.put(points.collect::<Result<Vec<_>>>()?).await
    }

    pub(crate) async fn fetch(&self, slots: &[Slot]) -> Result<Vec<Option<ChunkPoint>>> {
        let ids: Vec<Uuid> = slots.iter().map(|slot| id(*slot)).collect();
        let found = self.table.get(&ids, &[]).await?;
        found.iter().map(|it| it.as_ref().map(|it| Ok(read(it)?.0)).transpose()).collect()
    }

    pub(crate) async fn of_document(
        &self,
        document: &DocumentId,
        sequence: Sequence,
        ordinals: RangeInclusive<u32>,
    ) -> Result<Vec<ChunkPoint>> {
        let filter = all(vec![is_text("document", document.as_str()), is_integer("sequence", signed(sequence.0))]);
        let found = self.table.list_all(Some(filter)).await?;
        let points: Result<Vec<_>> = found.iter().map(|(_, it)| Ok(read(it)?.0)).collect();
        let mut points = points?;
        points.retain(|it| ordinals.contains(&it.record.chunk.ordinal));
        points.sort_by_key(|it| it.record.chunk.ordinal);
        Ok(points)
    }

    pub(crate) async fn embeddings(&self, keys: &[ContentHash]) -> Result<Vec<Option<Embedding>>> {
        let names = keys.iter().map(ToString::to_string).collect();
        let found = self.table.list_all(Some(all(vec![any_text("key", names)]))).await?;
        let mut known = HashMap::new();
        for (_, fields) in &found {
            let (point, embedding) = read(fields)?;
            known.insert(point.record.embedding_key, embedding);
        }
        Ok(keys.iter().map(|key| known.get(key).cloned()).collect())
    }

    pub(crate) async fn delete_versions(&self, versions: &[(DocumentId, Sequence)]) -> Result<u64> {
        let mut gone = 0;
        for (document, sequence) in versions {
            let filter = all(vec![is_text("document", document.as_str()), is_integer("sequence", signed(sequence.0))]);
            gone += self.table.count(filter.clone()).await?;
            self.table.delete_where(filter).await?;
        }
        Ok(gone)
    }

    pub(crate) async fn count(&self) -> Result<u64> {
        self.table.count(all(Vec::new())).await
    }

    pub(crate) async fn remove(&self) -> Result<()> {
        self.table.remove().await
    }
}

fn read(fields: &Fields) -> Result<(ChunkPoint, Embedding)> {
    let row: Row = read_json(fields, BODY)?;
    let record = ChunkRecord {
        slot: Slot(row.slot),
        id: ChunkId(row.id),
        document: DocumentId::new(row.document)?,
        sequence: Sequence(row.sequence),
        title: row.title,
        chunk: Chunk {
            ordinal: row.ordinal,
            span: Span { start: row.span.0, end: row.span.1 },
            page: row.page,
            heading_path: row.headings,
            context_header: row.header,
            text: row.text,
        },
        embedding_key: row.key.parse()?,
        language: language(row.language.as_deref())?,
    };
    let point = ChunkPoint {
        record,
        metadata: Arc::new(metadata(&row.metadata)),
        uri: row.uri,
        duplicate_of: None,
    };
    Ok((point, row.embedding.into()))
}

pub(crate) fn mean_length<'a>(
    chunks: impl Iterator<Item = &'a ChunkPoint>,
    _: LanguageSetting,
) -> f32 {
    let lengths: Vec<usize> = chunks.map(|it| it.record.chunk.text.split_whitespace().count()).collect();
    lengths.iter().sum::<usize>() as f32 / lengths.len().max(1) as f32
}
