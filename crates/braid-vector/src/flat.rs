//! [`FlatVectors`]: exact search in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use braid_core::{
    Embedding, IndexBatch, RankedList, Result, Selection, Sequence, SlotSet, VectorEntry,
    VectorStore, VectorView,
};
use braid_runtime::CpuPool;
use parking_lot::RwLock;

use crate::cosine::{similarity, unit};
use crate::nearest::Nearest;

/// Every vector in memory, every search a full scan: exact, and the oracle for the other adapters.
/// Nothing survives a drop.
#[derive(Debug)]
pub struct FlatVectors {
    dimension: usize,
    pool: Arc<CpuPool>,
    state: RwLock<Arc<State>>,
}

#[derive(Clone, Debug, Default)]
struct State {
    vectors: BTreeMap<u32, Embedding>,
    watermark: Sequence,
}

impl FlatVectors {
    /// An empty store of vectors of `dimension` numbers; searches run on `pool`.
    pub fn new(dimension: usize, pool: Arc<CpuPool>) -> Self {
        Self {
            dimension,
            pool,
            state: RwLock::default(),
        }
    }

    fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read())
    }
}

#[async_trait]
impl VectorStore for FlatVectors {
    async fn apply(&self, batch: IndexBatch<VectorEntry>) -> Result<()> {
        let mut added = Vec::with_capacity(batch.add.len());
        for entry in &batch.add {
            let vector = unit(&entry.embedding, self.dimension)?;
            added.push((entry.slot.0, Embedding::from(vector)));
        }
        let mut state = self.state.write();
        let next = Arc::make_mut(&mut *state);
        for slot in &batch.delete {
            next.vectors.remove(&slot);
        }
        next.vectors.extend(added);
        next.watermark = batch.watermark;
        Ok(())
    }

    async fn watermark(&self) -> Result<Sequence> {
        Ok(self.state().watermark)
    }

    async fn slots(&self) -> Result<SlotSet> {
        Ok(self.state().vectors.keys().copied().collect())
    }

    async fn pin(&self) -> Result<Arc<dyn VectorView>> {
        Ok(Arc::new(FlatView {
            dimension: self.dimension,
            pool: Arc::clone(&self.pool),
            state: self.state(),
        }))
    }
}

struct FlatView {
    dimension: usize,
    pool: Arc<CpuPool>,
    state: Arc<State>,
}

#[async_trait]
impl VectorView for FlatView {
    async fn search(
        &self,
        query: &Embedding,
        selection: &Selection,
        depth: usize,
    ) -> Result<RankedList> {
        let query = unit(query, self.dimension)?;
        let slots = selection.slots.clone();
        let state = Arc::clone(&self.state);
        self.pool
            .run(move || scan(&state, &query, slots.as_deref(), depth))
            .await
    }
}

fn scan(state: &State, query: &[f32], slots: Option<&SlotSet>, depth: usize) -> RankedList {
    let mut nearest = Nearest::new(depth);
    for (slot, vector) in &state.vectors {
        if slots.is_none_or(|slots| slots.contains(*slot)) {
            nearest.offer(*slot, similarity(query, vector));
        }
    }
    nearest.into_ranked()
}

#[cfg(test)]
mod tests {
    use braid_testkit::{RecallCase, vector_recall_suite, vector_store_suite};

    use super::*;

    fn fresh(dimension: usize) -> Arc<dyn VectorStore> {
        Arc::new(FlatVectors::new(dimension, CpuPool::new(1).unwrap()))
    }

    #[tokio::test]
    async fn conforms() {
        vector_store_suite(&fresh).await;
    }

    #[tokio::test]
    async fn misses_nothing() {
        let case = RecallCase {
            vectors: 1200,
            floor: 1.0,
            ..RecallCase::default()
        };
        vector_recall_suite(&fresh, case).await;
    }
}
