//! Chunk rows: a fixed header, which answers most questions without decoding the text, and the rest
//! in postcard.

use std::borrow::Cow;

use braid_core::operation::StagedChunk;
use braid_core::{
    Chunk, ChunkId, ChunkRecord, ContentHash, DocumentId, Language, Result, Sequence, Slot, Span,
};
use serde::{Deserialize, Serialize};

use super::{decode_postcard, encode_postcard, split_postcard};
use crate::error::corrupt;
use crate::table::Row;

const HEADER_BYTES: usize = 16 + 32 + 8 + 4;

/// What a chunk row starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkHeader {
    pub(crate) id: ChunkId,
    pub(crate) embedding_key: ContentHash,
    pub(crate) sequence: u64,
    pub(crate) ordinal: u32,
}

impl ChunkHeader {
    /// Reads the header alone.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self> {
        let fields = || {
            let (id, rest) = bytes.split_first_chunk()?;
            let (embedding_key, rest) = rest.split_first_chunk()?;
            let (sequence, rest) = rest.split_first_chunk()?;
            let (ordinal, _) = rest.split_first_chunk()?;
            Some(Self {
                id: ChunkId(uuid::Uuid::from_bytes(*id)),
                embedding_key: ContentHash(*embedding_key),
                sequence: u64::from_le_bytes(*sequence),
                ordinal: u32::from_le_bytes(*ordinal),
            })
        };
        fields().ok_or_else(|| corrupt("a stored chunk is damaged"))
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.id.0.as_bytes());
        bytes.extend(self.embedding_key.0);
        bytes.extend(self.sequence.to_le_bytes());
        bytes.extend(self.ordinal.to_le_bytes());
    }
}

/// A chunk.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ChunkRow {
    pub(crate) header: ChunkHeader,
    body: Body,
    /// Behind the body: older builds wrote none, and read over it.
    gap: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Body {
    document: String,
    title: Option<String>,
    start: u32,
    end: u32,
    page: Option<u32>,
    heading_path: Vec<String>,
    text: String,
    context_header: String,
    language: Option<String>,
}

/// The version of a document that chunks are of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChunkVersion<'a> {
    pub(crate) document: &'a DocumentId,
    pub(crate) sequence: u64,
    pub(crate) title: Option<&'a str>,
    pub(crate) language: Option<Language>,
}

impl ChunkRow {
    /// The row of a chunk of `version`.
    pub(crate) fn new(version: ChunkVersion<'_>, staged: StagedChunk) -> Self {
        let chunk = staged.chunk;
        Self {
            header: ChunkHeader {
                id: staged.id,
                embedding_key: staged.embedding_key,
                sequence: version.sequence,
                ordinal: chunk.ordinal,
            },
            body: Body {
                document: version.document.to_string(),
                title: version.title.map(str::to_owned),
                start: chunk.span.start,
                end: chunk.span.end,
                page: chunk.page,
                heading_path: chunk.heading_path,
                text: chunk.text,
                context_header: chunk.context_header,
                language: version.language.map(|language| language.to_string()),
            },
            gap: chunk.gap,
        }
    }

    /// The stored name of the document's language.
    pub(crate) fn into_language(self) -> Option<String> {
        self.body.language
    }

    /// The chunk stored under `slot`.
    pub(crate) fn into_record(self, slot: u32) -> Result<ChunkRecord> {
        let Self { header, body, gap } = self;
        Ok(ChunkRecord {
            slot: Slot(slot),
            id: header.id,
            document: super::convert::document_id(body.document)?,
            sequence: Sequence(header.sequence),
            title: body.title,
            chunk: Chunk {
                ordinal: header.ordinal,
                span: Span {
                    start: body.start,
                    end: body.end,
                },
                page: body.page,
                heading_path: body.heading_path,
                context_header: body.context_header,
                text: body.text,
                gap,
            },
            embedding_key: header.embedding_key,
            language: super::convert::language(body.language)?,
        })
    }
}

impl Row for ChunkRow {
    fn encode(&self) -> Result<Cow<'_, [u8]>> {
        let body = encode_postcard(&self.body)?;
        let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
        self.header.write(&mut bytes);
        bytes.extend(body);
        if !self.gap.is_empty() {
            bytes.extend(encode_postcard(&self.gap)?);
        }
        Ok(Cow::Owned(bytes))
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let header = ChunkHeader::read(bytes)?;
        let (body, gap) = split_postcard(&bytes[HEADER_BYTES..])?;
        let gap = match gap {
            [] => String::new(),
            gap => decode_postcard(gap)?,
        };
        Ok(Self { header, body, gap })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_round_trip() {
        let staged = StagedChunk {
            id: ChunkId(uuid::Uuid::from_u128(9)),
            chunk: Chunk {
                ordinal: 3,
                span: Span { start: 5, end: 9 },
                page: Some(2),
                heading_path: vec!["Guide".to_owned()],
                context_header: "title > Guide".to_owned(),
                text: "text".to_owned(),
                gap: "\n\n".to_owned(),
            },
            embedding_key: ContentHash([7; 32]),
        };
        let document = DocumentId::new("a/b").unwrap();
        let version = ChunkVersion {
            document: &document,
            sequence: 11,
            title: Some("title"),
            language: Some(Language::Thai),
        };
        let row = ChunkRow::new(version, staged.clone());
        let bytes = row.encode().unwrap().into_owned();
        assert_eq!(ChunkHeader::read(&bytes).unwrap(), row.header);
        let record = ChunkRow::decode(&bytes).unwrap().into_record(4).unwrap();
        assert_eq!(record.chunk, staged.chunk);
        assert_eq!((record.slot, record.id), (Slot(4), staged.id));
        assert_eq!((record.document, record.sequence), (document, Sequence(11)));
        assert_eq!(record.embedding_key, staged.embedding_key);
        assert_eq!(record.language, Some(Language::Thai));
        // An older build wrote no gap.
        let older = ChunkRow::decode(&bytes[..bytes.len() - 3]).unwrap();
        assert_eq!(older.body, row.body);
        assert_eq!(older.gap, "");
        assert!(ChunkRow::decode(&bytes[..HEADER_BYTES - 1]).is_err());
        assert!(ChunkRow::decode(&bytes[..HEADER_BYTES + 2]).is_err());
    }
}
