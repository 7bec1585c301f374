//! Names and hashes of content: BLAKE3 over length-prefixed fields, so that no two different
//! contents share a hash input. Stored data depends on every byte of these inputs: changing one
//! makes every document look changed.

use braid_core::{
    Chunk, ChunkId, CollectionName, ContentHash, Document, DocumentId, Metadata, MetadataValue,
    NewDocument,
};
use uuid::Uuid;

/// Namespace of chunk ids.
const CHUNK_NAMESPACE: Uuid = Uuid::from_u128(0x6f2c_9d5e_41b7_4c0a_9a3d_7e5b_1f08_c2d4);

/// Hash of everything handed in but the id: text, title, uri, format, metadata in key order, and origin.
pub fn content_hash(document: &NewDocument) -> ContentHash {
    let mut hash = FieldHasher::new(b"braid document 1");
    hash.text(&document.text);
    hash.optional(document.title.as_deref());
    hash.optional(document.uri.as_deref());
    hash.text(document.format.as_str());
    hash_metadata(&mut hash, &document.metadata);
    if let Some(origin) = &document.origin {
        hash.text("origin");
        hash.bytes(&origin.hash.0);
        hash.text(&origin.parser);
    }
    hash.finish()
}

/// A stored document as it was handed in. Its stored title may be one that was found in the text; the
/// content hash tells. `None` where the hash fits neither, as when it was made in another way.
pub fn handed_in(stored: Document) -> Option<NewDocument> {
    let hash = stored.summary.content_hash;
    let mut document = as_stored(stored);
    if content_hash(&document) == hash {
        return Some(document);
    }
    document.title = None;
    (content_hash(&document) == hash).then_some(document)
}

/// What is handed in to store a document once more, with the title that is stored.
pub fn as_stored(Document { summary, text }: Document) -> NewDocument {
    NewDocument {
        id: summary.id,
        text,
        title: summary.title,
        uri: summary.uri,
        format: summary.format,
        metadata: summary.metadata,
        origin: summary.origin,
    }
}

/// Key of the embedding of `text`, which is what the embedder sees
/// ([`embedded_text`](braid_core::chunk::embedded_text)).
pub fn embedding_key(text: &str) -> ContentHash {
    let mut hash = FieldHasher::new(b"braid embedding 1");
    hash.text(text);
    hash.finish()
}

/// The caller-visible name of a chunk: UUIDv5 of collection, document, ordinal and a hash of body,
/// title and heading path. The same content in the same place has the same name in every version.
pub fn chunk_id(
    collection: &CollectionName,
    document: &DocumentId,
    chunk: &Chunk,
    title: Option<&str>,
) -> ChunkId {
    let mut content = FieldHasher::new(b"braid chunk 1");
    content.text(&chunk.text);
    content.optional(title);
    content.count(chunk.heading_path.len());
    for heading in &chunk.heading_path {
        content.text(heading);
    }
    let mut name = Vec::with_capacity(128);
    for part in [collection.as_str(), document.as_str()] {
        name.extend_from_slice(&(part.len() as u64).to_le_bytes());
        name.extend_from_slice(part.as_bytes());
    }
    name.extend_from_slice(&chunk.ordinal.to_le_bytes());
    name.extend_from_slice(&content.finish().0);
    ChunkId(Uuid::new_v5(&CHUNK_NAMESPACE, &name))
}

fn hash_metadata(hash: &mut FieldHasher, metadata: &Metadata) {
    hash.count(metadata.iter().count());
    for (key, value) in metadata.iter() {
        hash.text(key);
        match value {
            MetadataValue::String(text) => {
                hash.text("string");
                hash.text(text);
            }
            MetadataValue::Number(number) => {
                hash.text("number");
                // Zero has two forms that are one value.
                hash.bytes(&(number + 0.0).to_bits().to_le_bytes());
            }
            MetadataValue::Bool(value) => {
                hash.text("bool");
                hash.bytes(&[u8::from(*value)]);
            }
            MetadataValue::Strings(texts) => {
                hash.text("strings");
                hash.count(texts.len());
                for text in texts {
                    hash.text(text);
                }
            }
        }
    }
}

/// Hashes fields, each after its length.
struct FieldHasher(blake3::Hasher);

impl FieldHasher {
    fn new(domain: &[u8]) -> Self {
        let mut hasher = Self(blake3::Hasher::new());
        hasher.bytes(domain);
        hasher
    }

    fn bytes(&mut self, field: &[u8]) {
        self.count(field.len());
        self.0.update(field);
    }

    fn text(&mut self, field: &str) {
        self.bytes(field.as_bytes());
    }

    /// Absent differs from empty.
    fn optional(&mut self, field: Option<&str>) {
        self.count(usize::from(field.is_some()));
        if let Some(field) = field {
            self.text(field);
        }
    }

    fn count(&mut self, count: usize) {
        self.0.update(&(count as u64).to_le_bytes());
    }

    fn finish(&self) -> ContentHash {
        ContentHash(*self.0.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use braid_core::{DocumentStatus, DocumentSummary, Format, Origin, Sequence, Span};

    use super::*;

    fn document() -> NewDocument {
        NewDocument {
            id: DocumentId::new("a").unwrap(),
            text: "text".to_owned(),
            title: None,
            uri: None,
            format: Format::Text,
            metadata: Metadata::default(),
            origin: None,
        }
    }

    fn with_origin(hash: u8, parser: &str) -> NewDocument {
        NewDocument {
            origin: Some(Origin {
                hash: ContentHash([hash; 32]),
                parser: parser.to_owned(),
            }),
            ..document()
        }
    }

    fn with_metadata(value: MetadataValue) -> NewDocument {
        let fields = BTreeMap::from([("key".to_owned(), value)]);
        NewDocument {
            metadata: Metadata::new(fields).unwrap(),
            ..document()
        }
    }

    #[test]
    fn every_field_but_the_id_changes_the_content_hash() {
        let strings = |texts: &[&str]| {
            MetadataValue::Strings(texts.iter().map(|text| (*text).to_owned()).collect())
        };
        let some = |text: &str| Some(text.to_owned());
        let variants = [
            document(),
            NewDocument {
                text: "text2".to_owned(),
                ..document()
            },
            NewDocument {
                title: some(""),
                ..document()
            },
            NewDocument {
                title: some("x"),
                ..document()
            },
            NewDocument {
                uri: some("x"),
                ..document()
            },
            NewDocument {
                format: Format::Html,
                ..document()
            },
            with_metadata(MetadataValue::String("1".to_owned())),
            with_metadata(MetadataValue::Number(1.0)),
            with_metadata(MetadataValue::Bool(true)),
            with_metadata(strings(&["a", "b"])),
            with_metadata(strings(&["ab"])),
            with_origin(1, "parser 1"),
            with_origin(2, "parser 1"),
            with_origin(1, "parser 2"),
        ];
        let hashes: BTreeSet<ContentHash> = variants.iter().map(content_hash).collect();
        assert_eq!(hashes.len(), variants.len());

        let renamed = NewDocument {
            id: DocumentId::new("b").unwrap(),
            ..document()
        };
        assert_eq!(content_hash(&renamed), content_hash(&document()));
        let zero = content_hash(&with_metadata(MetadataValue::Number(0.0)));
        assert_eq!(
            zero,
            content_hash(&with_metadata(MetadataValue::Number(-0.0)))
        );
    }

    #[test]
    fn a_stored_document_is_as_it_was_handed_in() {
        let stored = |handed_in: &NewDocument, title: Option<&str>| Document {
            summary: DocumentSummary {
                id: handed_in.id.clone(),
                title: title.map(str::to_owned),
                uri: handed_in.uri.clone(),
                format: handed_in.format,
                metadata: handed_in.metadata.clone(),
                origin: handed_in.origin.clone(),
                content_hash: content_hash(handed_in),
                chunks: 1,
                sequence: Sequence(1),
                status: DocumentStatus::Published,
                updated_at_ms: 0,
                duplicate: None,
                language: None,
            },
            text: handed_in.text.clone(),
        };
        let untitled = with_origin(1, "parser 1");
        let titled = NewDocument {
            title: Some("T".to_owned()),
            ..untitled.clone()
        };
        assert_eq!(handed_in(stored(&titled, Some("T"))), Some(titled.clone()));
        assert_eq!(handed_in(stored(&untitled, None)), Some(untitled.clone()));
        assert_eq!(handed_in(stored(&untitled, Some("found"))), Some(untitled));
        assert_eq!(handed_in(stored(&titled, Some("other"))), None);
    }

    #[test]
    fn chunk_ids_name_place_and_content() {
        let chunk = Chunk {
            ordinal: 0,
            span: Span { start: 0, end: 4 },
            page: None,
            heading_path: vec!["A".to_owned()],
            context_header: "A".to_owned(),
            text: "body".to_owned(),
            gap: "\n".to_owned(),
        };
        let name = |collection: &str, document: &str, chunk: &Chunk, title: Option<&str>| {
            chunk_id(
                &CollectionName::new(collection).unwrap(),
                &DocumentId::new(document).unwrap(),
                chunk,
                title,
            )
        };
        let ids = BTreeSet::from([
            name("c", "d", &chunk, None),
            name("c1", "d", &chunk, None),
            name("c", "d1", &chunk, None),
            name("c", "d", &chunk, Some("A")),
            name(
                "c",
                "d",
                &Chunk {
                    ordinal: 1,
                    ..chunk.clone()
                },
                None,
            ),
            name(
                "c",
                "d",
                &Chunk {
                    text: "b".to_owned(),
                    ..chunk.clone()
                },
                None,
            ),
            name(
                "c",
                "d",
                &Chunk {
                    heading_path: vec![],
                    ..chunk.clone()
                },
                None,
            ),
        ]);
        assert_eq!(ids.len(), 7);
        // The span moves when something before the chunk changes, and the gap is of what comes after; the name
        // does not.
        let moved = Chunk {
            span: Span { start: 9, end: 13 },
            gap: " ".to_owned(),
            ..chunk.clone()
        };
        assert_eq!(name("c", "d", &moved, None), name("c", "d", &chunk, None));
    }

    /// Names and hashes are stored and given to callers: these values may never change.
    #[test]
    fn hash_inputs_are_stable() {
        assert_eq!(
            content_hash(&document()).to_string(),
            "8d3d7a1fd0c232a64969c0493e8d0ef621de29d7b840a2f8d245d3a686e5e895"
        );
        assert_eq!(
            embedding_key("text").to_string(),
            "dce48f9a849c83b8666f73437d0b24a07424c58a776a373c71225b5ff13ebf04"
        );
    }
}
