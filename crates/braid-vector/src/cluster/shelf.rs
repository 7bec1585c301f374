//! [`Shelf`]: where one generation of a collection is.

use std::fmt;
use std::sync::Arc;

use braid_core::{Collection, Result};

use super::cas::Table;
use super::chunks::ChunkStore;
use super::heads::{self, Heads};
use super::site::Site;
use super::versions::{self, Versions};

pub(crate) struct Shelf {
    pub(crate) heads: Heads,
    pub(crate) versions: Versions,
    pub(crate) chunks: ChunkStore,
}

impl Shelf {
    pub(crate) fn new(site: &Arc<Site>, collection: &Collection) -> Self {
        let table = |name: String| Table::new(Arc::clone(site), name);
        Self {
            heads: Heads {
                table: table(site.heads_name(collection.id)),
            },
            versions: Versions {
                table: table(site.versions_name(collection.id)),
            },
            chunks: ChunkStore::new(Arc::clone(site), collection),
        }
    }

    /// Makes what is missing in Qdrant.
    pub(crate) async fn ensure(&self) -> Result<()> {
        self.versions.table.ensure(&versions::INDEXES).await?;
        self.chunks.ensure().await?;
        // Last: a collection whose heads are there is whole.
        self.heads.table.ensure(&heads::INDEXES).await
    }

    /// Removes everything from Qdrant.
    pub(crate) async fn remove(&self) -> Result<()> {
        // First: without heads nobody takes the rest to be whole.
        self.heads.table.remove().await?;
        self.versions.table.remove().await?;
        self.chunks.remove().await
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf")
            .field("heads", &self.heads)
            .finish_non_exhaustive()
    }
}
