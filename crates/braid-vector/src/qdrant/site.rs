//! A Qdrant server or cluster, and Braid's collections in it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use braid_core::{IndexKey, Result};
use braid_runtime::CpuPool;

use super::QdrantVectors;
use super::collection::RemoteCollection;
use super::connections::Connections;
use super::error::{is_missing, translate};
use super::options::QdrantOptions;

/// Connections to Qdrant: made with the first request, and again when they broke or went silent.
pub struct QdrantSite {
    connections: Arc<Connections>,
    options: Arc<QdrantOptions>,
    pool: Arc<CpuPool>,
}

impl QdrantSite {
    /// A site that has asked nothing yet; vectors are put into messages on `pool`.
    ///
    /// # Errors
    /// [`InvalidRequest`](braid_core::ErrorCode::InvalidRequest) for options that make no sense.
    pub fn new(options: QdrantOptions, pool: Arc<CpuPool>) -> Result<Self> {
        options.check()?;
        Ok(Self {
            connections: Arc::new(Connections::new(&options)?),
            options: Arc::new(options),
            pool,
        })
    }

    /// The store of a collection generation. It asks the server when it is first used.
    pub fn store(&self, key: IndexKey, dimension: usize) -> QdrantVectors {
        QdrantVectors::new(RemoteCollection::new(
            self.name(key),
            key,
            dimension,
            Arc::clone(&self.connections),
            Arc::clone(&self.options),
            Arc::clone(&self.pool),
        ))
    }

    /// The version of the server, which shows that it answers within `limit`.
    ///
    /// # Errors
    /// [`Unavailable`](braid_core::ErrorCode::Unavailable); [`Timeout`](braid_core::ErrorCode::Timeout).
    pub async fn version(&self, limit: Duration) -> Result<String> {
        self.connections.version(limit).await
    }

    /// Where the server is.
    pub fn url(&self) -> &str {
        &self.options.url
    }

    /// Removes the collection of `key`; a no-op where there is none.
    ///
    /// # Errors
    /// [`Unavailable`](braid_core::ErrorCode::Unavailable).
    pub async fn remove(&self, key: IndexKey) -> Result<()> {
        self.remove_named(&self.name(key)).await
    }

    /// Removes every collection of this namespace except those of `keep`.
    ///
    /// # Errors
    /// As [`QdrantSite::remove`].
    pub async fn retain(&self, keep: &[IndexKey]) -> Result<()> {
        let kept: BTreeSet<String> = keep.iter().map(|key| self.name(*key)).collect();
        let listed = self.connections.client().list_collections().await;
        let listed = listed.map_err(|error| translate(&error))?;
        for collection in listed.collections {
            let name = collection.name;
            if self.is_ours(&name) && !kept.contains(&name) {
                tracing::info!(collection = %name, "removing a left-over collection of Qdrant");
                self.remove_named(&name).await?;
            }
        }
        Ok(())
    }

    async fn remove_named(&self, name: &str) -> Result<()> {
        match self.connections.client().delete_collection(name).await {
            Ok(_) => Ok(()),
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(translate(&error)),
        }
    }

    fn name(&self, key: IndexKey) -> String {
        let namespace = &self.options.namespace;
        format!("{namespace}-{}-{}", key.collection.0, key.generation.0)
    }

    /// Whether `name` is of this namespace: the rest of it is two numbers.
    fn is_ours(&self, name: &str) -> bool {
        let rest = name.strip_prefix(&self.options.namespace);
        let rest = rest.and_then(|rest| rest.strip_prefix('-'));
        let numbers = rest.and_then(|rest| rest.split_once('-'));
        numbers.is_some_and(|(collection, generation)| {
            [collection, generation]
                .iter()
                .all(|number| number.parse::<u32>().is_ok())
        })
    }
}

impl fmt::Debug for QdrantSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QdrantSite")
            .field("url", &self.options.url)
            .field("namespace", &self.options.namespace)
            .finish_non_exhaustive()
    }
}
