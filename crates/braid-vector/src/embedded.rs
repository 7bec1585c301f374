//! [`EmbeddedVectors`]: vectors and an HNSW graph in one LMDB environment.
//!
//! The environment holds three tables that change together in one write transaction per apply:
//!
//! - `graph`: hannoy's vectors and links, always fully built when a transaction commits; in segments
//!   of bounded size, so that a build never costs more memory or time the larger the store.
//! - `tail`: vectors that are not in the graph yet. A search scans them, so a small apply costs one
//!   commit and no graph build; when the tail is long the apply that made it so moves it into the
//!   graph ([`writer`]). A store small enough to be scanned as a whole has no graph at all.
//! - `meta`: format, dimension, the watermark, and `dead`: slots of the graph that were deleted or
//!   stand in the tail with a newer vector. They are skipped until the next graph build removes them.
//!
//! A search ([`view`]) scans the tail, then either scans or walks each segment, whichever is cheaper
//! for the selection, and scores what it found with the same arithmetic as every other store.

mod error;
mod options;
mod storage;
#[cfg(test)]
mod tests;
mod view;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use braid_core::{IndexBatch, Result, Sequence, SlotSet, VectorEntry, VectorStore, VectorView};
use braid_runtime::CpuPool;

pub use options::VectorOptions;
use storage::Storage;
use view::EmbeddedView;

/// A durable [`VectorStore`] in a directory of its own: exact while small, HNSW above.
pub struct EmbeddedVectors {
    storage: Arc<Storage>,
    options: VectorOptions,
    pool: Arc<CpuPool>,
}

impl EmbeddedVectors {
    /// Opens the store in `dir`, empty where there is none. Searches run on `pool`; applies and graph
    /// builds run on blocking threads and rayon's global pool. Blocks on I/O. A directory is opened
    /// once per process at a time.
    ///
    /// # Errors
    /// [`InvalidRequest`](braid_core::ErrorCode::InvalidRequest) for options that make no sense or a
    /// dimension other than the stored one, [`Corrupt`](braid_core::ErrorCode::Corrupt),
    /// [`UnsupportedVersion`](braid_core::ErrorCode::UnsupportedVersion),
    /// [`StorageFull`](braid_core::ErrorCode::StorageFull).
    pub fn open(dir: &Path, options: VectorOptions, pool: Arc<CpuPool>) -> Result<Arc<Self>> {
        options.check()?;
        let storage = Storage::open(dir, &options)
            .map_err(|error| error.context(format!("opening vectors in {}", dir.display())))?;
        Ok(Arc::new(Self {
            storage: Arc::new(storage),
            options,
            pool,
        }))
    }

    /// Runs `work` against the storage on a blocking thread.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Storage, &VectorOptions) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let storage = Arc::clone(&self.storage);
        let options = self.options.clone();
        let blocking = self.pool.blocking();
        blocking.run(move || work(&storage, &options)).await
    }
}

impl fmt::Debug for EmbeddedVectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedVectors")
            .field("path", &self.storage.path())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl VectorStore for EmbeddedVectors {
    async fn apply(&self, batch: IndexBatch<VectorEntry>) -> Result<()> {
        self.blocking(move |storage, options| writer::apply(storage, options, &batch))
            .await
    }

    async fn watermark(&self) -> Result<Sequence> {
        self.blocking(|storage, _| storage.watermark()).await
    }

    async fn slots(&self) -> Result<SlotSet> {
        self.blocking(|storage, _| storage.slots()).await
    }

    async fn pin(&self) -> Result<Arc<dyn VectorView>> {
        let pool = Arc::clone(&self.pool);
        let view = self
            .blocking(move |storage, options| EmbeddedView::pin(storage, options, pool))
            .await?;
        Ok(Arc::new(view))
    }
}
