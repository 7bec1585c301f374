//! Texts that were extracted before: an unchanged file is not parsed again.

use braid_core::{CollectionName, DocumentId, Origin, Result};
use braid_readers::file::ParsedFile;
use braid_readers::source::KnownTexts;
use braid_text::hashing::handed_in;
use tokio::runtime::Handle;

use crate::engine::Engine;

/// The texts of a collection's documents.
#[derive(Debug)]
pub struct StoredTexts {
    engine: Engine,
    collection: CollectionName,
    runtime: Handle,
}

impl StoredTexts {
    /// The texts of `collection`, for threads other than the current runtime's.
    pub fn new(engine: Engine, collection: CollectionName) -> Self {
        Self {
            engine,
            collection,
            runtime: Handle::current(),
        }
    }
}

impl KnownTexts for StoredTexts {
    fn find(&self, id: &DocumentId, origin: &Origin) -> Option<ParsedFile> {
        let found = self.engine.known_text(&self.collection, id, origin);
        // Where it cannot be read the file is parsed again: nothing is lost but time.
        self.runtime.block_on(found).ok().flatten()
    }
}

impl Engine {
    /// What a document's text was extracted as, if it was extracted from `origin`.
    ///
    /// # Errors
    /// [`CollectionNotFound`](braid_core::ErrorCode::CollectionNotFound), or what the ledger fails with.
    pub async fn known_text(
        &self,
        collection: &CollectionName,
        id: &DocumentId,
        origin: &Origin,
    ) -> Result<Option<ParsedFile>> {
        let collection = self.collection(collection).await?;
        let stored = self.inner.ledger.document(collection.id, id).await?;
        let Some(stored) = stored.filter(|stored| stored.summary.origin.as_ref() == Some(origin))
        else {
            return Ok(None);
        };
        let handed_in = self.inner.pool.run(move || handed_in(stored)).await?;
        Ok(handed_in.map(|document| ParsedFile {
            text: document.text,
            format: document.format,
            title: document.title,
        }))
    }
}
