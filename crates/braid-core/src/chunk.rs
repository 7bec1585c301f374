//! Chunks: the unit that is indexed, ranked and cited.

use std::sync::Arc;

use crate::collection::Language;
use crate::document::Metadata;
use crate::hash::ContentHash;
use crate::id::{ChunkId, DocumentId, Sequence, Slot};

/// A half-open range of characters (Unicode scalar values) in a document's extracted text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// First character.
    pub start: u32,
    /// One past the last character.
    pub end: u32,
}

/// One chunk as the chunker makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Position in the document, from 0.
    pub ordinal: u32,
    /// Where `text` stands in the extracted text: the characters there are exactly `text`.
    pub span: Span,
    /// 1-based page, where the format has pages.
    pub page: Option<u32>,
    /// Titles of the headings above, outermost first.
    pub heading_path: Vec<String>,
    /// The line that is embedded above the text: what the chunk is about, within the embedder's
    /// window. Empty where there is nothing to say. [`context_header`], shortened where need be.
    pub context_header: String,
    /// The chunk's text.
    pub text: String,
    /// The white space between this chunk and the next, as it stands in the extracted text: with it both
    /// are one run of characters. Empty after the last chunk, where anything else is between, and where
    /// they overlap.
    pub gap: String,
}

impl Chunk {
    /// The text the dense leg sees: context header and body.
    pub fn embedded_text(&self) -> String {
        embedded_text(&self.context_header, &self.text)
    }
}

/// A chunk as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkRecord {
    /// The index entry's key.
    pub slot: Slot,
    /// The caller-visible name.
    pub id: ChunkId,
    /// The document it is part of.
    pub document: DocumentId,
    /// The operation that staged it.
    pub sequence: Sequence,
    /// The document's title at that version.
    pub title: Option<String>,
    /// What the chunker made.
    pub chunk: Chunk,
    /// Hash of [`ChunkRecord::embedded_text`]: the key of its embedding.
    pub embedding_key: ContentHash,
    /// The language detected in the document when this chunk was made, where one was.
    pub language: Option<Language>,
}

impl ChunkRecord {
    /// The text the dense leg sees, exactly as it was embedded.
    pub fn embedded_text(&self) -> String {
        self.chunk.embedded_text()
    }
}

/// The text that is embedded for a chunk: the context header on the line above the body, so that a
/// chunk is found by what it is about and not only by what it says.
pub fn embedded_text(header: &str, body: &str) -> String {
    if header.is_empty() {
        body.to_owned()
    } else {
        format!("{header}\n{body}")
    }
}

/// Stands between the parts of a context header.
pub const HEADER_SEPARATOR: &str = " > ";

/// Title and heading path as one line, `Title > Heading > Subheading`. A first heading equal to
/// the title is said once.
pub fn context_header(title: Option<&str>, heading_path: &[String]) -> String {
    context_parts(title, heading_path).join(HEADER_SEPARATOR)
}

/// What a context header says, outermost first: nothing empty, nothing twice in a row.
pub fn context_parts<'a>(title: Option<&'a str>, heading_path: &'a [String]) -> Vec<&'a str> {
    let title = title.map(str::trim).filter(|title| !title.is_empty());
    let headings = heading_path.iter().map(|heading| heading.trim());
    let mut parts: Vec<&str> = title.into_iter().collect();
    for heading in headings.filter(|heading| !heading.is_empty()) {
        if parts.last() != Some(&heading) {
            parts.push(heading);
        }
    }
    parts
}

/// A published chunk with everything a response says of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Passage {
    /// The stored chunk.
    pub record: ChunkRecord,
    /// The document's source.
    pub uri: Option<String>,
    /// The document's metadata, shared by its passages.
    pub metadata: Arc<Metadata>,
    /// The document that the document was found to be a duplicate of.
    pub duplicate_of: Option<DocumentId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_says_each_part_once() {
        let path = ["Guide".to_owned(), "Install".to_owned()];
        assert_eq!(context_header(Some("Guide"), &path), "Guide > Install");
        assert_eq!(context_header(None, &[]), "");
        assert_eq!(context_header(Some(" "), &[]), "");
        assert_eq!(embedded_text("", "body"), "body");
        assert_eq!(embedded_text("Guide", "body"), "Guide\nbody");
    }
}
