//! [`QdrantVectors`]: vectors in a collection of a Qdrant server or cluster.
//!
//! Each generation of a Braid collection is one Qdrant collection ([`QdrantSite`] names them), made
//! with the first batch ([`collection`]). An entry is a point: its id is made of collection, generation and
//! slot, so that whatever is written twice is there once; its payload is in [`payload`]. One more
//! point, without a vector, has the watermark. It is written after all points of a batch are, each
//! acknowledged as applied, so it is never ahead of them ([`write`](mod@write)).
//!
//! What a remote store cannot promise: a batch is not atomic, and a view is not a snapshot. Neither
//! shows where a [`Selection`](braid_core::Selection) has slots: they are never used twice, what is
//! not live is not in it, and no slot that a pin can see is purged before the pin is gone. A view
//! therefore fetches as much as it takes to fill the depth from the selection ([`view`]).
//!
//! Every call may fail because the server cannot be reached. Nothing here tries again: see
//! [`resilient`](crate::resilient).

pub(crate) mod collection;
pub(crate) mod connections;
pub(crate) mod error;
pub(crate) mod filter;
pub(crate) mod options;
pub(crate) mod payload;
mod site;
#[cfg(test)]
mod tests;
mod view;
mod write;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use braid_core::{IndexBatch, Result, Sequence, SlotSet, VectorEntry, VectorStore, VectorView};

pub use options::{
    ApiKey, CollectionOptions, QdrantOptions, Quantization, ReadConsistency, WriteOrdering,
};
pub use site::QdrantSite;

use collection::RemoteCollection;
use view::QdrantView;

/// The durable vectors of one collection generation in Qdrant. Made by [`QdrantSite::store`].
pub struct QdrantVectors {
    remote: Arc<RemoteCollection>,
}

impl QdrantVectors {
    fn new(remote: RemoteCollection) -> Self {
        Self {
            remote: Arc::new(remote),
        }
    }
}

impl fmt::Debug for QdrantVectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QdrantVectors")
            .field("collection", &self.remote.name)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl VectorStore for QdrantVectors {
    /// A batch that fails may have left some of its entries; they are not live before the batch is
    /// repeated as a whole.
    async fn apply(&self, batch: IndexBatch<VectorEntry>) -> Result<()> {
        write::apply(&self.remote, batch).await
    }

    /// Zero where there is no collection, also where there was one: whoever asks fills it again.
    async fn watermark(&self) -> Result<Sequence> {
        self.remote.watermark().await
    }

    async fn slots(&self) -> Result<SlotSet> {
        self.remote.slots().await
    }

    /// Asks nothing of the server.
    async fn pin(&self) -> Result<Arc<dyn VectorView>> {
        Ok(Arc::new(QdrantView::new(Arc::clone(&self.remote))))
    }
}
