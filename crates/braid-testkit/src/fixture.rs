//! [`MiniCorpus`]: a published collection out of one literal, without the ingest pipeline.

use std::collections::BTreeMap;
use std::sync::Arc;

use braid_core::chunk::context_header;
use braid_core::operation::{Change, StagedChunk, StagedDocument};
use braid_core::ports::{Recorded, StageRequest};
use braid_core::{
    Chunk, ChunkId, Collection, CollectionName, CollectionSettings, ContentHash, DocumentId,
    Embedder, Fingerprint, Format, IndexBatch, IndexProvider, Ledger, LexicalEntry, Metadata,
    MetadataValue, NewCollection, NewDocument, OperationKind, PipelineFingerprint, Sequence, Slot,
    SlotSet, Span, VectorEntry,
};
use uuid::Uuid;

use crate::{HashEmbedder, RamIndexProvider, RamLedger};

/// Dimension of the fixture's embeddings.
const DIMENSION: usize = 64;

/// The collection `mini` in a [`RamLedger`] with both indexes in a [`RamIndexProvider`].
///
/// Its documents are lines of text: an id, a title in parentheses and metadata in braces where
/// there are any, and after the colon the chunks, separated by ` | `, each with its heading path in
/// angle brackets where it has one:
///
/// ```text
/// d1: red fox
/// d2 (Animals) {lang=en, year=2020, draft=true, tag=[a b]}: <Foxes> blue fox | <Cats/Big> lions
/// ```
///
/// A document's extracted text is its chunks joined by one space.
#[derive(Debug)]
pub struct MiniCorpus {
    /// The truth.
    pub ledger: RamLedger,
    /// Both indexes.
    pub indexes: Arc<RamIndexProvider>,
    /// What embedded the chunks.
    pub embedder: Arc<HashEmbedder>,
    /// The collection.
    pub collection: Collection,
}

impl MiniCorpus {
    /// A corpus with these documents published.
    pub async fn new(lines: &str) -> Self {
        let corpus = Self::empty().await;
        corpus.stage(lines).await;
        corpus.apply().await;
        corpus
    }

    /// A corpus without documents.
    pub async fn empty() -> Self {
        let ledger = RamLedger::new();
        let embedder = Arc::new(HashEmbedder::new(DIMENSION));
        let new = NewCollection {
            name: CollectionName::new("mini").expect("a valid name"),
            settings: CollectionSettings::default(),
            fingerprint: PipelineFingerprint {
                embedder: embedder.fingerprint().clone(),
                chunker: Fingerprint::new("mini-chunker"),
                analyzer: Fingerprint::new("mini-analyzer"),
            },
            dimension: DIMENSION,
        };
        let created = ledger.create_collection(new, None).await;
        let collection = match created.expect("a new collection") {
            Recorded::Done(collection) => collection,
            Recorded::Replayed(_) => panic!("created without an idempotency key"),
        };
        Self {
            ledger,
            indexes: Arc::new(RamIndexProvider::new()),
            embedder,
            collection,
        }
    }

    /// Its name.
    pub fn name(&self) -> CollectionName {
        self.collection.name.clone()
    }

    /// Acknowledges these documents without indexing them.
    pub async fn stage(&self, lines: &str) {
        let lines = lines.lines().map(str::trim);
        let documents = lines.filter(|line| !line.is_empty()).map(parse_document);
        let changes = documents.map(|document| Change::Put(Box::new(document)));
        self.stage_changes(changes.collect()).await;
    }

    /// Acknowledges the deletion of these documents; their index entries stay for now.
    pub async fn delete(&self, ids: &[&str]) {
        let changes = ids.iter().map(|id| Change::Delete(document_id(id)));
        self.stage_changes(changes.collect()).await;
    }

    /// Indexes and publishes everything that is acknowledged.
    pub async fn apply(&self) {
        let id = self.collection.id;
        let stats = self.ledger.stats(id).await.expect("stats");
        let operations = self.ledger.operations(id, stats.published, usize::MAX);
        let mut slots: Vec<Slot> = Vec::new();
        let mut purged = SlotSet::new();
        for operation in operations.await.expect("operations") {
            match operation.kind {
                OperationKind::Put { slots: added, .. } => slots.extend(added),
                OperationKind::Purge { slots } => purged.extend(slots.iter().map(|slot| slot.0)),
                OperationKind::Delete { .. } | OperationKind::Failed { .. } => {}
            }
        }
        self.index(&slots, purged, stats.newest).await;
        let published = self.ledger.publish(id, stats.newest).await;
        published.expect("both indexes hold everything");
    }

    async fn stage_changes(&self, changes: Vec<Change>) {
        let request = StageRequest {
            changes,
            job: None,
            guard: None,
        };
        let staged = self.ledger.stage(self.collection.id, request).await;
        staged.expect("valid changes");
    }

    async fn index(&self, slots: &[Slot], delete: SlotSet, watermark: Sequence) {
        let chunks = self.ledger.chunks(self.collection.id, slots).await;
        let mut lexical = Vec::new();
        let mut vector = Vec::new();
        for chunk in chunks.expect("staged chunks") {
            let record = chunk.record;
            vector.push(VectorEntry {
                slot: record.slot,
                chunk: record.id,
                embedding: self.embedder.embed(&record.embedded_text()),
                metadata: Arc::clone(&chunk.metadata),
                language: record.language,
            });
            lexical.push(LexicalEntry {
                slot: record.slot,
                chunk: record.id,
                title: record.title.unwrap_or_default(),
                headings: record.chunk.heading_path,
                body: record.chunk.text,
                metadata: chunk.metadata,
                language: record.language,
            });
        }
        let key = self.collection.index_key();
        let store = self.indexes.vector(&self.collection, key).await;
        let store = store.expect("the vector store opens");
        let applied = store.apply(batch(vector, delete.clone(), watermark));
        applied.await.expect("the vector store takes the batch");
        let index = self.indexes.lexical(&self.collection, key).await;
        let index = index.expect("the lexical index opens");
        let applied = index.apply(batch(lexical, delete, watermark));
        applied.await.expect("the lexical index takes the batch");
    }
}

fn batch<E>(add: Vec<E>, delete: SlotSet, watermark: Sequence) -> IndexBatch<E> {
    IndexBatch {
        add,
        delete,
        watermark,
    }
}

fn parse_document(line: &str) -> StagedDocument {
    let (head, body) = line.split_once(": ").expect("a line is `id: chunks`");
    let (head, metadata) = cut(head, '{', '}');
    let (id, title) = cut(head, '(', ')');
    let mut start = 0;
    let mut chunks = Vec::new();
    for (ordinal, text) in (0..).zip(body.split(" | ")) {
        let mut chunk = parse_chunk(id.trim(), ordinal, start, text);
        chunk.chunk.context_header = context_header(title, &chunk.chunk.heading_path);
        start = chunk.chunk.span.end + 1;
        chunks.push(chunk);
    }
    let texts: Vec<&str> = chunks
        .iter()
        .map(|chunk| chunk.chunk.text.as_str())
        .collect();
    StagedDocument {
        likeness: None,
        document: NewDocument {
            id: document_id(id.trim()),
            text: texts.join(" "),
            title: title.map(str::to_owned),
            uri: None,
            format: Format::Text,
            metadata: metadata.map(parse_metadata).unwrap_or_default(),
            origin: None,
        },
        content_hash: hash(line),
        pipeline: Fingerprint::new("mini"),
        chunks,
        language: None,
    }
}

fn parse_chunk(document: &str, ordinal: u32, start: u32, text: &str) -> StagedChunk {
    let (path, body) = match text
        .strip_prefix('<')
        .and_then(|text| text.split_once("> "))
    {
        Some((path, body)) => (path, body),
        None => ("", text),
    };
    let headings = path.split('/').filter(|heading| !heading.is_empty());
    let length = u32::try_from(body.chars().count()).expect("a short chunk");
    let name = format!("{document}/{ordinal}/{text}");
    StagedChunk {
        id: ChunkId(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes())),
        chunk: Chunk {
            ordinal,
            span: Span {
                start,
                end: start + length,
            },
            page: None,
            heading_path: headings.map(str::to_owned).collect(),
            context_header: String::new(),
            text: body.to_owned(),
            gap: String::new(),
        },
        embedding_key: hash(text),
    }
}

fn parse_metadata(fields: &str) -> Metadata {
    let fields = fields.split(", ").map(|field| {
        let (key, value) = field.split_once('=').expect("a field is `key=value`");
        (key.to_owned(), parse_value(value))
    });
    Metadata::new(fields.collect::<BTreeMap<_, _>>()).expect("valid metadata")
}

fn parse_value(value: &str) -> MetadataValue {
    let list = value
        .strip_prefix('[')
        .and_then(|list| list.strip_suffix(']'));
    if let Some(list) = list {
        return MetadataValue::Strings(list.split(' ').map(str::to_owned).collect());
    }
    match (value.parse::<f64>(), value.parse::<bool>()) {
        (Ok(number), _) => MetadataValue::Number(number),
        (_, Ok(truth)) => MetadataValue::Bool(truth),
        _ => MetadataValue::String(value.to_owned()),
    }
}

/// What stands before `open`, and what stands between it and the last `close`.
fn cut(text: &str, open: char, close: char) -> (&str, Option<&str>) {
    match text.split_once(open) {
        Some((before, inner)) => {
            let (inner, _) = inner.rsplit_once(close).expect("a bracket is closed");
            (before, Some(inner))
        }
        None => (text, None),
    }
}

fn document_id(id: &str) -> DocumentId {
    DocumentId::new(id).expect("a valid document id")
}

fn hash(text: &str) -> ContentHash {
    ContentHash(*blake3::hash(text.as_bytes()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_parsed() {
        let line = "d (A title) {lang=en, year=2020, on=true, tag=[a b]}: <X/Y> one two | three";
        let staged = parse_document(line);
        assert_eq!(staged.document.title.as_deref(), Some("A title"));
        assert_eq!(staged.document.text, "one two three");
        let shown: Vec<String> = staged
            .chunks
            .iter()
            .map(|StagedChunk { chunk, .. }| {
                format!("{:?} {:?} {}", chunk.span, chunk.heading_path, chunk.text)
            })
            .collect();
        assert_eq!(
            shown,
            [
                r#"Span { start: 0, end: 7 } ["X", "Y"] one two"#,
                r#"Span { start: 8, end: 13 } [] three"#,
            ]
        );
        let metadata = &staged.document.metadata;
        assert_eq!(metadata.get("year"), Some(&MetadataValue::Number(2020.0)));
        assert_eq!(metadata.get("on"), Some(&MetadataValue::Bool(true)));
        assert_eq!(metadata.iter().count(), 4);
    }

    #[tokio::test]
    async fn both_indexes_and_the_ledger_hold_the_same() {
        let corpus = MiniCorpus::new("d1: red fox | blue fox\nd2: owl").await;
        corpus.delete(&["d2"]).await;
        corpus.apply().await;
        corpus
            .ledger
            .stage_purge(corpus.collection.id)
            .await
            .unwrap();
        corpus.apply().await;
        let live = corpus
            .ledger
            .live_slots(corpus.collection.id)
            .await
            .unwrap();
        assert_eq!(live.len(), 2);
        let key = corpus.collection.index_key();
        let index = corpus
            .indexes
            .lexical(&corpus.collection, key)
            .await
            .unwrap();
        assert_eq!(index.slots().await.unwrap(), live);
        let store = corpus
            .indexes
            .vector(&corpus.collection, key)
            .await
            .unwrap();
        assert_eq!(store.slots().await.unwrap(), live);
    }
}
