//! [`RamVectorStore`]: the smallest correct vector store, for pipeline tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use braid_core::{
    Candidate, Embedding, Error, IndexBatch, RankedList, Result, Selection, Sequence, Slot,
    SlotSet, VectorEntry, VectorStore, VectorView,
};
use parking_lot::RwLock;

/// Exact search over vectors kept in memory. Nothing survives a drop.
#[derive(Debug)]
pub struct RamVectorStore {
    dimension: usize,
    state: RwLock<Arc<State>>,
}

#[derive(Clone, Debug, Default)]
struct State {
    embeddings: BTreeMap<u32, Embedding>,
    watermark: Sequence,
}

impl RamVectorStore {
    /// An empty store of vectors of `dimension` numbers.
    pub fn new(dimension: usize) -> Self {
        Self {
            dimension,
            state: RwLock::default(),
        }
    }

    fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read())
    }
}

#[async_trait]
impl VectorStore for RamVectorStore {
    async fn apply(&self, batch: IndexBatch<VectorEntry>) -> Result<()> {
        for entry in &batch.add {
            check_vector(&entry.embedding, self.dimension)?;
        }
        let mut state = self.state.write();
        let next = Arc::make_mut(&mut *state);
        for slot in &batch.delete {
            next.embeddings.remove(&slot);
        }
        for entry in batch.add {
            next.embeddings.insert(entry.slot.0, entry.embedding);
        }
        next.watermark = batch.watermark;
        Ok(())
    }

    async fn watermark(&self) -> Result<Sequence> {
        Ok(self.state().watermark)
    }

    async fn slots(&self) -> Result<SlotSet> {
        Ok(self.state().embeddings.keys().copied().collect())
    }

    async fn pin(&self) -> Result<Arc<dyn VectorView>> {
        Ok(Arc::new(RamVectorView {
            dimension: self.dimension,
            state: self.state(),
        }))
    }
}

struct RamVectorView {
    dimension: usize,
    state: Arc<State>,
}

#[async_trait]
impl VectorView for RamVectorView {
    async fn search(
        &self,
        query: &Embedding,
        selection: &Selection,
        depth: usize,
    ) -> Result<RankedList> {
        check_vector(query, self.dimension)?;
        let slots = selection.slots.as_deref();
        let mut found: RankedList = self
            .state
            .embeddings
            .iter()
            .filter(|(slot, _)| slots.is_none_or(|slots| slots.contains(**slot)))
            .map(|(slot, embedding)| Candidate {
                slot: Slot(*slot),
                score: cosine(query, embedding),
            })
            .collect();
        // The sort is stable and the map iterates by rising slot, which breaks ties.
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        found.truncate(depth);
        Ok(found)
    }
}

/// Cosine similarity in -1..=1; 0 when either vector has no length.
pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot: f32 = a.iter().zip(b).map(|(x, y)| x * y).sum();
    let norms = length(a) * length(b);
    if norms > 0.0 {
        (dot / norms).clamp(-1.0, 1.0)
    } else {
        0.0
    }
}

pub(crate) fn length(vector: &[f32]) -> f32 {
    vector.iter().map(|x| x * x).sum::<f32>().sqrt()
}

fn check_vector(vector: &[f32], dimension: usize) -> Result<()> {
    if vector.len() != dimension {
        return Err(Error::invalid(format!(
            "the vector has dimension {}, the store has dimension {dimension}",
            vector.len()
        )));
    }
    if vector.iter().any(|x| !x.is_finite()) {
        return Err(Error::invalid("the vector has a number that is not finite"));
    }
    Ok(())
}
