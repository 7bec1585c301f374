//! Verify, rebuild and sweep.

use braid_core::{Collection, CollectionName, CollectionSettings, Result};
use braid_indexing::{RebuildProgress, VerifyReport};

use crate::engine::Engine;

impl Engine {
    /// Drains a collection and compares ledger, lexical index and vector store; with `repair`,
    /// brings both indexes to what the ledger says. In a cluster nothing is drained, and what lacks
    /// chunks waits for a worker afterwards.
    ///
    /// # Errors
    /// [`CollectionNotFound`](braid_core::ErrorCode::CollectionNotFound) and what the stores report.
    pub async fn verify(&self, name: &CollectionName, repair: bool) -> Result<VerifyReport> {
        let collection = self.collection(name).await?;
        if let Some(cluster) = self.inner.place.cluster() {
            return cluster.verify(collection.id, repair).await;
        }
        self.inner.indexer.verify(&collection, repair).await
    }

    /// Builds a new generation of a collection's indexes from the ledger and switches to it.
    /// `settings` are the collection's from then on.
    ///
    /// # Errors
    /// As [`Engine::verify`].
    pub async fn rebuild(
        &self,
        name: &CollectionName,
        settings: Option<CollectionSettings>,
        progress: impl Fn(RebuildProgress) + Send + Sync + 'static,
    ) -> Result<Collection> {
        let instead = "ingest into a new collection, and delete the old one";
        self.refuse_in_cluster("rebuild", instead)?;
        let collection = self.collection(name).await?;
        let settings = settings.unwrap_or(collection.settings);
        self.inner
            .indexer
            .rebuild(&collection, settings, progress)
            .await
    }

    /// Drops stored rows nothing refers to any more; returns how many.
    ///
    /// # Errors
    /// What the ledger reports.
    pub async fn sweep(&self) -> Result<u64> {
        self.inner.ledger.sweep().await
    }
}
