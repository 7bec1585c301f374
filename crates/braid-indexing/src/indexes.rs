//! The two derived indexes of one generation, seen alike.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use braid_core::operation::IndexableChunk;
use braid_core::{
    Collection, CollectionId, IndexBatch, Leg, LexicalEntry, LexicalIndex, Result, Sequence, Slot,
    SlotSet, VectorEntry, VectorStore,
};

use crate::embeddings::Embeddings;
use crate::indexer::IndexerParts;

/// Both indexes of one generation, in the order in which they are written.
#[derive(Debug)]
pub(crate) struct Indexes {
    pub(crate) vector: Vectors,
    pub(crate) lexical: Terms,
}

impl Indexes {
    /// Opens the indexes of `collection`'s generation.
    pub(crate) async fn open(parts: &IndexerParts, collection: &Collection) -> Result<Self> {
        let key = collection.index_key();
        let vector = parts.indexes.vector(collection, key).await?;
        let lexical = parts.indexes.lexical(collection, key).await?;
        Ok(Self {
            vector: Vectors(vector),
            lexical: Terms(lexical),
        })
    }

    pub(crate) fn both(&self) -> [&dyn DerivedIndex; 2] {
        [&self.vector, &self.lexical]
    }

    pub(crate) fn of(&self, leg: Leg) -> &dyn DerivedIndex {
        match leg {
            Leg::Dense => &self.vector,
            Leg::Lexical => &self.lexical,
        }
    }
}

/// An index that is derived from the ledger.
#[async_trait]
pub(crate) trait DerivedIndex: Send + Sync {
    fn leg(&self) -> Leg;
    async fn watermark(&self) -> Result<Sequence>;
    async fn slots(&self) -> Result<SlotSet>;
    /// One atomic step: drops `delete`, adds `add`, moves the watermark.
    async fn apply(&self, source: &Source, step: Step<'_>) -> Result<()>;
}

/// One atomic step of an index.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    pub(crate) add: &'a [Slot],
    pub(crate) delete: SlotSet,
    pub(crate) watermark: Sequence,
}

/// Where an index's entries come from: the ledger, by slot.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    parts: Arc<IndexerParts>,
    collection: CollectionId,
    pub(crate) embeddings: Embeddings,
}

impl Source {
    pub(crate) fn new(parts: Arc<IndexerParts>, collection: &Collection) -> Self {
        Self {
            embeddings: Embeddings::new(Arc::clone(&parts), collection),
            collection: collection.id,
            parts,
        }
    }

    /// Stored chunks in order; slots whose chunk is gone are left out.
    pub(crate) async fn chunks(&self, slots: &[Slot]) -> Result<Vec<IndexableChunk>> {
        if slots.is_empty() {
            return Ok(Vec::new());
        }
        let chunks = self.parts.ledger.chunks(self.collection, slots);
        crate::steps::Step::ReadChunks.timed(chunks).await
    }

    /// Changes `index` in steps of bounded size. Until the last step the watermark stays at
    /// `change.before`, so that an interrupted change is made again.
    pub(crate) async fn write(&self, index: &dyn DerivedIndex, change: Change) -> Result<()> {
        let started = Instant::now();
        let mut delete = change.delete;
        let mut slices = change
            .add
            .chunks(self.parts.options.apply_batch_chunks.max(1));
        let mut next = slices.next().unwrap_or_default();
        loop {
            let following = slices.next();
            let step = Step {
                add: next,
                delete: std::mem::take(&mut delete),
                watermark: following.map_or(change.after, |_| change.before),
            };
            index.apply(self, step).await?;
            match following {
                Some(slice) => next = slice,
                None => break,
            }
        }
        metrics::histogram!("braid_index_apply_seconds", "leg" => index.leg().as_str())
            .record(started.elapsed());
        Ok(())
    }
}

/// A change of one index, however large.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub(crate) add: Vec<Slot>,
    pub(crate) delete: SlotSet,
    /// The watermark until everything is there.
    pub(crate) before: Sequence,
    /// The watermark afterwards.
    pub(crate) after: Sequence,
}

/// The vector store.
#[derive(Debug)]
pub(crate) struct Vectors(Arc<dyn VectorStore>);

#[async_trait]
impl DerivedIndex for Vectors {
    fn leg(&self) -> Leg {
        Leg::Dense
    }

    async fn watermark(&self) -> Result<Sequence> {
        self.0.watermark().await
    }

    async fn slots(&self) -> Result<SlotSet> {
        self.0.slots().await
    }

    async fn apply(&self, source: &Source, step: Step<'_>) -> Result<()> {
        let chunks = source.chunks(step.add).await?;
        let ensured = source.embeddings.ensure(&chunks).await?;
        let entries = chunks.into_iter().zip(ensured.embeddings);
        let add = entries.map(|(chunk, embedding)| VectorEntry {
            slot: chunk.record.slot,
            chunk: chunk.record.id,
            embedding,
            language: chunk.record.language,
            metadata: chunk.metadata,
        });
        let batch = IndexBatch {
            add: add.collect(),
            delete: step.delete,
            watermark: step.watermark,
        };
        self.0.apply(batch).await
    }
}

/// The lexical index.
#[derive(Debug)]
pub(crate) struct Terms(Arc<dyn LexicalIndex>);

#[async_trait]
impl DerivedIndex for Terms {
    fn leg(&self) -> Leg {
        Leg::Lexical
    }

    async fn watermark(&self) -> Result<Sequence> {
        self.0.watermark().await
    }

    async fn slots(&self) -> Result<SlotSet> {
        self.0.slots().await
    }

    async fn apply(&self, source: &Source, step: Step<'_>) -> Result<()> {
        let chunks = source.chunks(step.add).await?;
        let add = chunks.into_iter().map(|chunk| LexicalEntry {
            slot: chunk.record.slot,
            chunk: chunk.record.id,
            title: chunk.record.title.unwrap_or_default(),
            headings: chunk.record.chunk.heading_path,
            body: chunk.record.chunk.text,
            metadata: chunk.metadata,
            language: chunk.record.language,
        });
        let batch = IndexBatch {
            add: add.collect(),
            delete: step.delete,
            watermark: step.watermark,
        };
        self.0.apply(batch).await
    }
}
