//! Chunks whose slots are taken get others.

use braid_core::{Collection, Error, ErrorCode, Result};

use super::chunks::{Bm25Parameters, ChunkPoint, Embedded};
use super::ledger::ClusterLedger;
use super::shelf::Shelf;

/// How often chunks get other slots in one call. Once, where numbers went back once.
const TRIES: usize = 8;

impl ClusterLedger {
    /// Writes the chunks of claimed versions. A version names slots for its chunks; nothing depends on
    /// their being in these, so those that another version's chunk is in are replaced by new ones.
    pub(super) async fn write_chunks(
        &self,
        collection: &Collection,
        shelf: &Shelf,
        chunks: Vec<Embedded>,
        bm25: Bm25Parameters,
    ) -> Result<()> {
        let mut left = shelf.chunks.put(chunks, bm25).await?;
        for _ in 0..TRIES {
            left = without_written(shelf, left).await?;
            if left.is_empty() {
                return Ok(());
            }
            tracing::warn!(collection = %collection.name, chunks = left.len(), "slots are taken: did Qdrant lose its last writes?");
            let counters = &self.registry.counters;
            let slots = counters.slots(collection.id, left.len()).await?;
            for ((chunk, _), slot) in left.iter_mut().zip(slots) {
                chunk.record.slot = slot;
            }
            left = shelf.chunks.put(left, bm25).await?;
        }
        if left.is_empty() {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::Unavailable,
            format!("no free slots are found for chunks of {}", collection.name),
        )
        .with_help("try again"))
    }
}

/// Without the chunks that were given other slots before, by a call that was broken off.
async fn without_written(shelf: &Shelf, chunks: Vec<Embedded>) -> Result<Vec<Embedded>> {
    let mut left = Vec::with_capacity(chunks.len());
    for (chunk, embedding) in chunks {
        if !is_written(shelf, &chunk).await? {
            left.push((chunk, embedding));
        }
    }
    Ok(left)
}

async fn is_written(shelf: &Shelf, chunk: &ChunkPoint) -> Result<bool> {
    let (record, ordinal) = (&chunk.record, chunk.record.chunk.ordinal);
    let found = shelf
        .chunks
        .of_document(&record.document, record.sequence, ordinal..=ordinal);
    Ok(!found.await?.is_empty())
}
