//! The dense leg.

use std::sync::Arc;

use ::qdrant_client::qdrant::VectorInput;
use async_trait::async_trait;
use braid_core::{
    Embedding, IndexBatch, RankedList, Result, Selection, Sequence, SlotSet, VectorEntry,
    VectorStore, VectorView,
};

use super::rounds::Question;
use super::{Searched, not_applied};
use crate::cluster::chunks::DENSE;
use crate::cosine::unit;

/// The embeddings of one collection generation.
#[derive(Clone, Debug)]
pub(crate) struct ChunkVectors(pub(crate) Arc<Searched>);

#[async_trait]
impl VectorStore for ChunkVectors {
    async fn apply(&self, _: IndexBatch<VectorEntry>) -> Result<()> {
        not_applied()
    }

    /// There is none: each document says for itself what is published.
    async fn watermark(&self) -> Result<Sequence> {
        Ok(Sequence::ZERO)
    }

    async fn slots(&self) -> Result<SlotSet> {
        self.0.chunks.slots().await
    }

    /// Asks nothing of the server.
    async fn pin(&self) -> Result<Arc<dyn VectorView>> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl VectorView for ChunkVectors {
    async fn search(
        &self,
        query: &Embedding,
        selection: &Selection,
        depth: usize,
    ) -> Result<RankedList> {
        let vector = unit(query, self.0.chunks.dimension)?;
        let question = Question {
            using: DENSE,
            among: None,
            input: VectorInput::new_dense(vector),
            depth,
        };
        let mut found = self.0.search(&question, selection).await?;
        for candidate in &mut found {
            candidate.score = candidate.score.clamp(-1.0, 1.0);
        }
        Ok(found)
    }
}
