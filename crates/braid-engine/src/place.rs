//! Where an engine keeps what it stores.

use std::path::Path;
use std::sync::Arc;

use braid_config::{Settings, StorageProfile};
use braid_core::{Collection, Error, ErrorCode, IndexProvider, Ledger, Result};
use braid_ledger::LmdbLedger;
use braid_query::IndexWrites;
use braid_runtime::CpuPool;

use crate::cluster::Cluster;
use crate::durable::{sync_directories, sync_directory};
use crate::lock::DirectoryLock;
use crate::provider::Indexes;
use crate::remote::{RemoteVectors, VectorServer};
use crate::wiring;

/// A data directory, or a cluster that needs none.
#[derive(Debug)]
pub(crate) enum Place {
    /// Files, and vectors in Qdrant where the profile says so.
    Directory {
        indexes: Arc<Indexes>,
        // Last, so that it is released after everything that uses the directory is gone.
        _lock: DirectoryLock,
    },
    /// Everything in Qdrant.
    Cluster(Cluster),
}

impl Place {
    /// Opens the place of `settings`, and the ledger in it; a data directory is made if needed. Batches
    /// written to its indexes are noted in `writes`.
    pub(crate) async fn open(
        settings: &Settings,
        pool: &Arc<CpuPool>,
        writes: &Arc<IndexWrites>,
    ) -> Result<(Self, Arc<dyn Ledger>)> {
        if settings.storage.profile == StorageProfile::Cluster {
            let cluster = Cluster::open(settings, pool).await?;
            let ledger = cluster.ledger();
            return Ok((Self::Cluster(cluster), ledger));
        }
        let directory = &settings.storage.data_dir;
        let (lock, ledger) = open_storage(directory, settings, pool).await?;
        let indexes = Arc::new(Indexes::new(
            directory.join("indexes"),
            wiring::index_options(settings),
            open_remote(directory, settings, pool).await?,
            Arc::clone(pool),
            Arc::clone(writes),
        ));
        let place = Self::Directory {
            indexes,
            _lock: lock,
        };
        Ok((place, ledger))
    }

    pub(crate) fn indexes(&self) -> Arc<dyn IndexProvider> {
        match self {
            Self::Directory { indexes, .. } => Arc::clone(indexes) as Arc<dyn IndexProvider>,
            Self::Cluster(cluster) => cluster.indexes(),
        }
    }

    pub(crate) fn cluster(&self) -> Option<&Cluster> {
        match self {
            Self::Directory { .. } => None,
            Self::Cluster(cluster) => Some(cluster),
        }
    }

    /// The files of the indexes.
    ///
    /// # Errors
    /// [`NotEnabled`](ErrorCode::NotEnabled) where there are none.
    pub(crate) fn files(&self) -> Result<&Indexes> {
        match self {
            Self::Directory { indexes, .. } => Ok(indexes),
            Self::Cluster(_) => {
                let message = "storage.profile = cluster has no index files";
                let error = Error::new(ErrorCode::NotEnabled, message);
                Err(error.with_help("ask Qdrant for the size of its collections"))
            }
        }
    }

    /// Removes the indexes of a collection that was deleted, for good.
    pub(crate) async fn delete_indexes(&self, collection: &Collection) -> Result<()> {
        let key = collection.index_key();
        match self {
            Self::Directory { indexes, .. } => indexes.delete(key).await,
            Self::Cluster(cluster) => cluster.indexes().remove(key).await,
        }
    }

    /// The Qdrant server, asked now; `None` where there is none.
    pub(crate) async fn server(&self) -> Option<VectorServer> {
        match self {
            Self::Directory { indexes, .. } => Some(indexes.remote()?.server().await),
            Self::Cluster(cluster) => Some(cluster.server().await),
        }
    }

    /// Why the Qdrant server cannot be reached, if it cannot.
    pub(crate) async fn unreachable(&self) -> Option<String> {
        match self {
            Self::Directory { indexes, .. } => indexes.remote()?.unreachable().await,
            Self::Cluster(cluster) => {
                let version = cluster.server().await.version;
                version.err().map(|error| error.chain())
            }
        }
    }
}

/// The server that the profile keeps vectors in, if it does.
async fn open_remote(
    directory: &Path,
    settings: &Settings,
    pool: &Arc<CpuPool>,
) -> Result<Option<RemoteVectors>> {
    if settings.storage.profile == StorageProfile::Embedded {
        return Ok(None);
    }
    let (directory, settings) = (directory.to_owned(), settings.clone());
    let vectors = Arc::clone(pool);
    let opening = move || RemoteVectors::open(&settings, &directory, vectors);
    pool.blocking().run(opening).await.map(Some)
}

async fn open_storage(
    directory: &Path,
    settings: &Settings,
    pool: &CpuPool,
) -> Result<(DirectoryLock, Arc<dyn Ledger>)> {
    let directory = directory.to_owned();
    let options = wiring::ledger_options(settings, pool);
    let opened = pool.blocking().run(move || {
        let lock = DirectoryLock::acquire(&directory)?;
        let path = directory.join("ledger");
        let ledger: Arc<dyn Ledger> = Arc::new(LmdbLedger::open(&path, options)?);
        sync_directories(&path, &directory)?;
        let parent = directory
            .canonicalize()
            .ok()
            .and_then(|d| d.parent().map(Path::to_owned));
        if let Some(parent) = parent {
            // One that may not be read was not made by this process either.
            let _ = sync_directory(&parent);
        }
        Ok((lock, ledger))
    });
    opened.await
}
