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

use braid_core::operation::{Change, StagedDocument};
use braid_core::ports::StageRequest;
use braid_core::{ChunkId, DocumentId, Ledger, Slot};
use braid_ledger::{LedgerOptions, LmdbLedger};
use braid_testkit::ledger_suite::{new_collection, staged};
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
    let texts: Vec<&str> = (0..CHUNKS_OF_A_DOCUMENT)
        .map(|ordinal| &text[ordinal * 1000..(ordinal + 1) * 1000])
        .collect();
    let mut document = staged(&format!("document-{number}"), &texts);
    for (ordinal, chunk) in document.chunks.iter_mut().enumerate() {
        chunk.id = chunk_id(number, ordinal);
    }
    document
}
