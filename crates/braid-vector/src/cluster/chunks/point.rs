//! A chunk as a point: what is searched by as fields, everything else as JSON in one of them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use ::qdrant_client::qdrant::condition::ConditionOneOf;
use ::qdrant_client::qdrant::r#match::MatchValue;
use ::qdrant_client::qdrant::point_id::PointIdOptions;
use ::qdrant_client::qdrant::vector_output::Vector as OutputKind;
use ::qdrant_client::qdrant::{
    Condition, FieldCondition, Match, NamedVectors, PointId, PointStruct, Range, RepeatedIntegers,
    RetrievedPoint, ScoredPoint, Vector,
};
use braid_core::{
    Chunk, ChunkId, ChunkRecord, DocumentId, Embedding, Result, Sequence, Slot, Span,
};
use braid_text::Analyzers;
use braid_text::lexical::EntryWords;
use prost::Message;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Bm25Parameters, ChunkPoint, DENSE, SPARSE, wire_id};
use crate::cluster::cas::{all, is_text};
use crate::cluster::rows::{
    BODY, Fields, MetadataRow, damaged, integer, language, metadata, metadata_row, read_integer,
    read_json, read_text, signed, text, write_json,
};
use crate::cluster::said::{self, SAID};
use crate::cluster::sparse;
use crate::cosine::unit;
use crate::qdrant::payload::typed_fields;

/// The name of the chunk. Without an index: only people ask for it.
pub(super) const CHUNK: &str = "chunk";
/// The document that the chunk is part of.
pub(crate) const DOCUMENT: &str = "document";
/// The operation that staged its version.
pub(crate) const SEQUENCE: &str = "sequence";
/// Its place in the document.
pub(super) const ORDINAL: &str = "ordinal";
/// The key of its embedding.
pub(super) const KEY: &str = "key";
/// The language that it was analyzed in.
pub(crate) const ANALYZED: &str = "analyzed";
/// The [revision](Bm25Parameters::revision) of its weights.
pub(super) const WEIGHED: &str = "weighed";

#[derive(Serialize, Deserialize)]
struct Row {
    id: Uuid,
    title: Option<String>,
    span: (u32, u32),
    page: Option<u32>,
    headings: Vec<String>,
    header: String,
    text: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    gap: String,
    language: Option<String>,
    metadata: MetadataRow,
    uri: Option<String>,
    duplicate_of: Option<String>,
}

/// The point of a chunk.
///
/// # Errors
/// [`InvalidRequest`](braid_core::ErrorCode::InvalidRequest) for a bad vector.
pub(super) fn write(
    chunk: &ChunkPoint,
    embedding: &[f32],
    dimension: usize,
    analyzers: &Analyzers,
    bm25: Bm25Parameters,
) -> Result<PointStruct> {
    let record = &chunk.record;
    let analyzer = analyzers.of_document(record.language);
    let texts = sparse::texts(record);
    let terms = sparse::of_entry(texts, analyzer, bm25);
    let said = said::of_entry(&EntryWords::new(texts, analyzer));
    let dense = Vector::new_dense(unit(embedding, dimension)?);
    let vectors = NamedVectors::default()
        .add_vector(DENSE, dense)
        .add_vector(SPARSE, Vector::new_sparse(terms.indices, terms.values));
    let mut payload = typed_fields(&chunk.metadata, record.language);
    for (name, value) in [
        (CHUNK, text(record.id.to_string())),
        (DOCUMENT, text(record.document.as_str())),
        (SEQUENCE, integer(signed(record.sequence.0))),
        (ORDINAL, integer(record.chunk.ordinal.into())),
        (KEY, text(record.embedding_key.to_string())),
        (ANALYZED, text(analyzer.language().to_string())),
        (SAID, text(said)),
        (WEIGHED, integer(bm25.revision.into())),
        (BODY, write_json(&row(chunk))?),
    ] {
        payload.insert(name.to_owned(), value);
    }
    Ok(PointStruct {
        id: Some(wire_id(record.slot)),
        payload,
        vectors: Some(vectors.into()),
    })
}

fn row(point: &ChunkPoint) -> Row {
    let record = &point.record;
    let chunk = &record.chunk;
    Row {
        id: record.id.0,
        title: record.title.clone(),
        span: (chunk.span.start, chunk.span.end),
        page: chunk.page,
        headings: chunk.heading_path.clone(),
        header: chunk.context_header.clone(),
        text: chunk.text.clone(),
        gap: chunk.gap.clone(),
        language: record.language.map(|it| it.to_string()),
        metadata: metadata_row(&point.metadata),
        uri: point.uri.clone(),
        duplicate_of: point.duplicate_of.as_ref().map(|it| it.as_str().to_owned()),
    }
}

/// The chunk of a point that has its whole payload.
///
/// # Errors
/// [`Corrupt`](braid_core::ErrorCode::Corrupt).
pub(super) fn read(point: &RetrievedPoint) -> Result<ChunkPoint> {
    let fields = &point.payload;
    let slot = read_slot(point.id.as_ref()).ok_or_else(|| damaged("has an id that is no slot"))?;
    let row: Row = read_json(fields, BODY)?;
    let (document, sequence) = read_version(fields)?;
    let ordinal = read_integer(fields, ORDINAL).and_then(|it| u32::try_from(it).ok());
    let key = read_text(fields, KEY).ok_or_else(|| damaged("has no key"))?;
    let record = ChunkRecord {
        slot,
        id: ChunkId(row.id),
        document,
        sequence,
        title: row.title,
        chunk: Chunk {
            ordinal: ordinal.ok_or_else(|| damaged("has no ordinal"))?,
            span: Span {
                start: row.span.0,
                end: row.span.1,
            },
            page: row.page,
            heading_path: row.headings,
            context_header: row.header,
            text: row.text,
            gap: row.gap,
        },
        embedding_key: key.parse()?,
        language: language(row.language.as_deref())?,
    };
    Ok(ChunkPoint {
        record,
        metadata: Arc::new(metadata(&row.metadata)),
        uri: row.uri,
        duplicate_of: row.duplicate_of.map(DocumentId::new).transpose()?,
    })
}

/// A point that has its whole payload and its embedding, with other weights.
///
/// # Errors
/// [`Corrupt`](braid_core::ErrorCode::Corrupt).
pub(super) fn reweighed(
    point: RetrievedPoint,
    analyzers: &Analyzers,
    bm25: Bm25Parameters,
) -> Result<PointStruct> {
    let record = read(&point)?.record;
    let dense = point
        .vectors
        .as_ref()
        .and_then(|it| it.get_vector_by_name(DENSE));
    let Some(OutputKind::Dense(dense)) = dense else {
        return Err(damaged("has no embedding"));
    };
    let analyzer = analyzers.of_document(record.language);
    let terms = sparse::of_entry(sparse::texts(&record), analyzer, bm25);
    let vectors = NamedVectors::default()
        .add_vector(DENSE, Vector::new_dense(dense.data))
        .add_vector(SPARSE, Vector::new_sparse(terms.indices, terms.values));
    let mut payload = point.payload;
    payload.insert(WEIGHED.to_owned(), integer(bm25.revision.into()));
    Ok(PointStruct {
        id: point.id,
        payload,
        vectors: Some(vectors.into()),
    })
}

/// The slot that an id is.
pub(crate) fn read_slot(id: Option<&PointId>) -> Option<Slot> {
    match id?.point_id_options {
        Some(PointIdOptions::Num(number)) => u32::try_from(number).ok().map(Slot),
        _ => None,
    }
}

/// The version that a point is of.
///
/// # Errors
/// [`Corrupt`](braid_core::ErrorCode::Corrupt).
pub(crate) fn read_version(fields: &Fields) -> Result<(DocumentId, Sequence)> {
    let document = read_text(fields, DOCUMENT).ok_or_else(|| damaged("has no document"))?;
    let sequence = read_integer(fields, SEQUENCE).and_then(|it| u64::try_from(it).ok());
    let sequence = sequence.ok_or_else(|| damaged("has no sequence"))?;
    Ok((DocumentId::new(document)?, Sequence(sequence)))
}

/// The embedding of a point that came with it.
pub(super) fn embedding(point: Option<ScoredPoint>) -> Option<Embedding> {
    let vectors = point?.vectors?;
    match vectors.get_vector_by_name(DENSE)? {
        OutputKind::Dense(dense) => Some(dense.data.into()),
        OutputKind::Sparse(_) | OutputKind::MultiDense(_) => None,
    }
}

/// How many bytes a point takes in a message.
pub(super) fn size(point: &PointStruct) -> usize {
    point.encoded_len()
}

/// An integer field from one number to another.
pub(super) fn within(field: &str, range: &RangeInclusive<u32>) -> Condition {
    on_field(FieldCondition {
        key: field.to_owned(),
        range: Some(Range {
            gte: Some(f64::from(*range.start())),
            lte: Some(f64::from(*range.end())),
            ..Range::default()
        }),
        ..FieldCondition::default()
    })
}

/// A condition for each document, which its chunks of these versions meet. Not by sequence alone: where
/// a counter went back, versions of two documents may have the same one.
pub(crate) fn of_versions<'v>(
    versions: impl Iterator<Item = &'v (DocumentId, Sequence)>,
) -> Vec<Condition> {
    let mut by_document: BTreeMap<&DocumentId, Vec<i64>> = BTreeMap::new();
    for (document, sequence) in versions {
        let sequences = by_document.entry(document).or_default();
        sequences.push(signed(sequence.0));
    }
    let conditions = by_document.into_iter().map(|(document, sequences)| {
        let document = is_text(DOCUMENT, document.as_str());
        Condition::from(all(vec![document, any_integer(SEQUENCE, sequences)]))
    });
    conditions.collect()
}

/// An integer field that is one of these.
fn any_integer(field: &str, integers: Vec<i64>) -> Condition {
    on_field(FieldCondition {
        key: field.to_owned(),
        r#match: Some(Match {
            match_value: Some(MatchValue::Integers(RepeatedIntegers { integers })),
        }),
        ..FieldCondition::default()
    })
}

fn on_field(field: FieldCondition) -> Condition {
    Condition {
        condition_one_of: Some(ConditionOneOf::Field(field)),
    }
}
