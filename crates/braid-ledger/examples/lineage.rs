//! What it costs to find a chunk by its name, which no table leads to, and to read every chunk.
//!
//! ```text
//! cargo run --release -p braid-ledger --example lineage -- [CHUNKS]
//! ```
//!
//! Documents of 20 chunks of 1,000 characters are staged and published in a temporary directory,
//! without embeddings; a million take about 2 GB of disk.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement prints"
)]

use std::time::Instant;

use braid_core::operation::{Change, StagedChunk, StagedDocument};
use braid_core::ports::StageRequest;
use braid_core::{
    Chunk, ChunkId, ContentHash, DocumentId, Fingerprint, Format, Ledger, Metadata, NewDocument,
    Slot, Span,
};
use braid_ledger::{LedgerOptions, LmdbLedger};
use braid_testkit::ledger_suite::new_collection;
use uuid::Uuid;

const CHUNKS_OF_A_DOCUMENT: usize = 20;
const DOCUMENTS_OF_A_REQUEST: usize = 200;

#[tokio::main]
async fn main() {
    let chunks = std::env::args()
        .nth(1)
        .and_then(|chunks| chunks.parse().ok());
    let chunks: usize = chunks.unwrap_or(1_000_000);
    let root = tempfile::tempdir().unwrap();
    let ledger = LmdbLedger::open(root.path(), LedgerOptions::default()).unwrap();
    let made = ledger.create_collection(new_collection("measured"), None);
    made.await.unwrap();
    let name = "measured".parse().unwrap();
    let collection = ledger.collection(&name).await.unwrap().unwrap().id;

    let started = Instant::now();
    let documents: Vec<usize> = (0..chunks / CHUNKS_OF_A_DOCUMENT).collect();
    for numbers in documents.chunks(DOCUMENTS_OF_A_REQUEST) {
        let changes = numbers
            .iter()
            .map(|number| Change::Put(Box::new(document(*number))));
        let request = StageRequest {
            changes: changes.collect(),
            job: None,
            guard: None,
        };
        ledger.stage(collection, request).await.unwrap();
        let newest = ledger.stats(collection).await.unwrap().newest;
        ledger.publish(collection, newest).await.unwrap();
    }
    println!(
        "staged and published {chunks} chunks in {:.1?}",
        started.elapsed()
    );

    for round in ["first", "second", "third"] {
        let started = Instant::now();
        let id = chunk_id(documents.len() / 2, 7);
        let found = ledger.find_chunk(collection, id).await.unwrap();
        assert_eq!(found.len(), 1);
        println!(
            "found a chunk by its name in {:.1?}, {round} time",
            started.elapsed()
        );
    }
    let started = Instant::now();
    let id = DocumentId::new(format!("document-{}", documents.len() / 2)).unwrap();
    let page = ledger.document_chunks(collection, &id, None, 100).await;
    assert_eq!(page.unwrap().unwrap().items.len(), CHUNKS_OF_A_DOCUMENT);
    println!("read the chunks of a document in {:.1?}", started.elapsed());

    let started = Instant::now();
    let live = ledger.live_slots(collection).await.unwrap();
    let slots: Vec<Slot> = live.iter().map(Slot).collect();
    let mut bytes = 0;
    for slice in slots.chunks(512) {
        let read = ledger.chunks(collection, slice).await.unwrap();
        bytes += read
            .iter()
            .map(|it| it.record.chunk.text.len())
            .sum::<usize>();
    }
    println!(
        "read every chunk, {bytes} bytes of text, in {:.1?}",
        started.elapsed()
    );
}

fn chunk_id(document: usize, ordinal: usize) -> ChunkId {
    ChunkId(Uuid::from_u128(
        (document * CHUNKS_OF_A_DOCUMENT + ordinal) as u128,
    ))
}

fn document(number: usize) -> StagedDocument {
    let text = format!("The text of document {number} goes on. ").repeat(1000);
    let chunk = |ordinal: usize| {
        let start = ordinal * 1000;
        StagedChunk {
            id: chunk_id(number, ordinal),
            chunk: Chunk {
                ordinal: ordinal as u32,
                span: Span {
                    start: start as u32,
                    end: start as u32 + 1000,
                },
                page: None,
                heading_path: vec!["Heading".to_owned()],
                text: text[start..start + 1000].to_owned(),
            },
            embedding_key: ContentHash([number as u8; 32]),
        }
    };
    StagedDocument {
        content_hash: ContentHash(*blake3::hash(text.as_bytes()).as_bytes()),
        pipeline: Fingerprint::new("pipeline"),
        chunks: (0..CHUNKS_OF_A_DOCUMENT).map(chunk).collect(),
        document: NewDocument {
            id: DocumentId::new(format!("document-{number}")).unwrap(),
            text: text[..CHUNKS_OF_A_DOCUMENT * 1000].to_owned(),
            title: None,
            uri: None,
            format: Format::Text,
            metadata: Metadata::default(),
            origin: None,
        },
    }
}
