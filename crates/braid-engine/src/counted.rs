//! An index whose batches are counted, so that answers made before one are not given after it.

use std::sync::Arc;

use async_trait::async_trait;
use braid_core::{
    CollectionId, IndexBatch, LexicalEntry, LexicalIndex, LexicalView, Result, Sequence, SlotSet,
    VectorEntry, VectorStore, VectorView,
};
use braid_query::IndexWrites;

/// `inner`, with every batch noted in `writes`.
#[derive(Debug)]
pub(crate) struct Counted<T> {
    inner: Arc<T>,
    collection: CollectionId,
    writes: Arc<IndexWrites>,
}

impl<T> Counted<T> {
    pub(crate) fn over(
        inner: Arc<T>,
        collection: CollectionId,
        writes: &Arc<IndexWrites>,
    ) -> Arc<Self> {
        let writes = Arc::clone(writes);
        Arc::new(Self {
            inner,
            collection,
            writes,
        })
    }

    fn note_at_end(&self) -> Note<'_> {
        Note(&self.writes, self.collection)
    }
}

/// Notes a batch however it ended: one that failed may show as well.
struct Note<'w>(&'w IndexWrites, CollectionId);

impl Drop for Note<'_> {
    fn drop(&mut self) {
        self.0.note(self.1);
    }
}

#[async_trait]
impl<T: VectorStore> VectorStore for Counted<T> {
    async fn apply(&self, batch: IndexBatch<VectorEntry>) -> Result<()> {
        let _note = self.note_at_end();
        self.inner.apply(batch).await
    }

    async fn watermark(&self) -> Result<Sequence> {
        self.inner.watermark().await
    }

    async fn slots(&self) -> Result<SlotSet> {
        self.inner.slots().await
    }

    async fn pin(&self) -> Result<Arc<dyn VectorView>> {
        self.inner.pin().await
    }
}

#[async_trait]
impl<T: LexicalIndex> LexicalIndex for Counted<T> {
    async fn apply(&self, batch: IndexBatch<LexicalEntry>) -> Result<()> {
        let _note = self.note_at_end();
        self.inner.apply(batch).await
    }

    async fn watermark(&self) -> Result<Sequence> {
        self.inner.watermark().await
    }

    async fn slots(&self) -> Result<SlotSet> {
        self.inner.slots().await
    }

    async fn pin(&self) -> Result<Arc<dyn LexicalView>> {
        self.inner.pin().await
    }
}
