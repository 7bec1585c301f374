//! Boilerplate: lines, and whole chunks, that many documents share.
//!
//! Two passes over the live chunks. The first counts every line in a [`Sketch`] of fixed size,
//! which never counts too few; the second counts exactly what the sketch says may be shared by
//! enough documents. Memory does not grow with the collection, and the result depends on nothing
//! but what is stored.

mod census;
mod sketch;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use braid_core::{CollectionId, DocumentId, Ledger, Result, Slot};
use braid_runtime::CpuPool;

use census::Census;
use sketch::Sketch;

/// Chunks that are read together.
const SLICE: usize = 512;
/// Fewer documents than this make no boilerplate, however small the collection is.
const LEAST_DOCUMENTS: u64 = 5;
/// Part of the collection's documents that must share a text: one in so many.
const ONE_IN: u64 = 100;

/// What the documents of a collection share.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BoilerplateReport {
    /// Retrievable chunks that were read.
    pub chunks: u64,
    /// Characters of their lines.
    pub characters: u64,
    /// Documents that must share a text for it to count: 5, or 1 % of the collection.
    pub least_documents: u64,
    /// Characters of the lines that so many documents share.
    pub shared_characters: u64,
    /// The shared texts that take up most, first. A line that says no more than a chunk or line
    /// before it is left out.
    pub top: Vec<SharedText>,
    /// Whether everything was counted: `false` when more texts were shared than can be followed.
    pub is_complete: bool,
}

impl BoilerplateReport {
    /// Which part of the text is shared, 0 to 1.
    pub fn share(&self) -> f64 {
        if self.characters == 0 {
            return 0.0;
        }
        self.shared_characters as f64 / self.characters as f64
    }
}

/// What is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SharedKind {
    /// The whole text of chunks: each of them is found by the same queries.
    Chunk,
    /// A line within chunks.
    Line,
}

impl SharedKind {
    /// The public name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chunk => "chunk",
            Self::Line => "line",
        }
    }
}

/// A text that many documents share.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedText {
    /// What is shared.
    pub kind: SharedKind,
    /// Its beginning, white space folded.
    pub text: String,
    /// Documents that have it.
    pub documents: u64,
    /// How often it stands in the collection.
    pub occurrences: u64,
    /// Its characters, all occurrences together.
    pub characters: u64,
    /// The first document that has it.
    pub example: DocumentId,
}

/// Looks for boilerplate among the live chunks of a collection, and names the `most` largest texts.
///
/// # Errors
/// Those of the ledger.
pub(crate) async fn find(
    ledger: &dyn Ledger,
    pool: &CpuPool,
    collection: CollectionId,
    most: usize,
) -> Result<BoilerplateReport> {
    let documents = ledger.stats(collection).await?.documents;
    let least_documents = LEAST_DOCUMENTS.max(documents.div_ceil(ONE_IN));
    let mut sketch = Sketch::default();
    let pass = Pass {
        ledger,
        pool,
        collection,
    };
    sketch = pass.over(sketch, Sketch::add).await?;
    let census = Census::new(Arc::new(sketch), least_documents);
    let census = pass.over(census, Census::add).await?;
    pool.run(move || census.report(most)).await
}

/// One reading of every live chunk, in the order in which they were stored.
struct Pass<'a> {
    ledger: &'a dyn Ledger,
    pool: &'a CpuPool,
    collection: CollectionId,
}

impl Pass<'_> {
    async fn over<S: Send + 'static>(
        &self,
        mut state: S,
        add: fn(&mut S, &DocumentId, &str),
    ) -> Result<S> {
        let live = self.ledger.live_slots(self.collection).await?;
        let mut slots = live.iter().map(Slot).peekable();
        while slots.peek().is_some() {
            let slice: Vec<Slot> = slots.by_ref().take(SLICE).collect();
            let chunks = self.ledger.chunks(self.collection, &slice).await?;
            let counting = self.pool.run(move || {
                for chunk in chunks {
                    let record = chunk.record;
                    add(&mut state, &record.document, &record.chunk.text);
                }
                state
            });
            state = counting.await?;
        }
        Ok(state)
    }
}
