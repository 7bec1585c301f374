//! The embedded profile's indexes: one Tantivy directory and one hannoy environment per collection
//! generation, under `indexes/COLLECTION-GENERATION/` of the data directory.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use braid_core::{
    Collection, Error, ErrorCode, IndexKey, IndexProvider, LexicalIndex, Result, VectorStore,
};
use braid_lexical::{LexicalOptions, TantivyIndex};
use braid_runtime::CpuPool;
use braid_vector::{EmbeddedVectors, VectorOptions};
use tokio::sync::Mutex;

/// Options every index of the process shares.
#[derive(Clone, Debug)]
pub(crate) struct IndexOptions {
    /// Lexical options; the language is each collection's own.
    pub(crate) lexical: LexicalOptions,
    /// Vector options; the dimension is each collection's own.
    pub(crate) vector: VectorOptions,
}

#[derive(Default)]
struct Open {
    lexical: HashMap<IndexKey, Arc<dyn LexicalIndex>>,
    vector: HashMap<IndexKey, Arc<dyn VectorStore>>,
}

/// Opens each index once and keeps it open.
pub(crate) struct EmbeddedIndexes {
    root: PathBuf,
    options: IndexOptions,
    pool: Arc<CpuPool>,
    open: Mutex<Open>,
}

impl EmbeddedIndexes {
    pub(crate) fn new(root: PathBuf, options: IndexOptions, pool: Arc<CpuPool>) -> Self {
        Self {
            root,
            options,
            pool,
            open: Mutex::default(),
        }
    }

    fn directory(&self, key: IndexKey) -> PathBuf {
        self.root.join(directory_name(key))
    }
}

impl std::fmt::Debug for EmbeddedIndexes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedIndexes")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl IndexProvider for EmbeddedIndexes {
    async fn lexical(
        &self,
        collection: &Collection,
        key: IndexKey,
    ) -> Result<Arc<dyn LexicalIndex>> {
        let mut open = self.open.lock().await;
        if let Some(index) = open.lexical.get(&key) {
            return Ok(Arc::clone(index));
        }
        let directory = self.directory(key).join("lexical");
        let options = LexicalOptions {
            language: collection.settings.language,
            ..self.options.lexical
        };
        let pool = Arc::clone(&self.pool);
        let index = blocking(move || TantivyIndex::open(&directory, options, pool)).await?;
        let index: Arc<dyn LexicalIndex> = index;
        open.lexical.insert(key, Arc::clone(&index));
        Ok(index)
    }

    async fn vector(&self, collection: &Collection, key: IndexKey) -> Result<Arc<dyn VectorStore>> {
        let mut open = self.open.lock().await;
        if let Some(store) = open.vector.get(&key) {
            return Ok(Arc::clone(store));
        }
        let directory = self.directory(key).join("vector");
        let options = VectorOptions {
            dimension: collection.dimension,
            ..self.options.vector.clone()
        };
        let pool = Arc::clone(&self.pool);
        let store = blocking(move || EmbeddedVectors::open(&directory, options, pool)).await?;
        let store: Arc<dyn VectorStore> = store;
        open.vector.insert(key, Arc::clone(&store));
        Ok(store)
    }

    async fn remove(&self, key: IndexKey) -> Result<()> {
        let mut open = self.open.lock().await;
        open.lexical.remove(&key);
        open.vector.remove(&key);
        let directory = self.directory(key);
        blocking(move || remove_directory(&directory)).await
    }

    async fn retain(&self, keep: &[IndexKey]) -> Result<()> {
        let names: Vec<String> = keep.iter().map(|key| directory_name(*key)).collect();
        let root = self.root.clone();
        blocking(move || retain_directories(&root, &names)).await
    }
}

fn directory_name(key: IndexKey) -> String {
    format!("{}-{}", key.collection.0, key.generation.0)
}

fn retain_directories(root: &Path, names: &[String]) -> Result<()> {
    let entries = match std::fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unusable(root, error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| unusable(root, error))?;
        let is_kept = entry
            .file_name()
            .to_str()
            .is_some_and(|name| names.iter().any(|n| n == name));
        if !is_kept {
            tracing::info!(directory = %entry.path().display(), "removing a left-over index");
            remove_directory(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a directory tree; one that is not there is fine. On Unix, views pinned before keep
/// reading the unlinked files.
fn remove_directory(directory: &Path) -> Result<()> {
    match std::fs::remove_dir_all(directory) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unusable(directory, error)),
    }
}

fn unusable(path: &Path, error: std::io::Error) -> Error {
    Error::new(
        ErrorCode::Unavailable,
        format!("cannot use {}: {error}", path.display()),
    )
    .with_source(error)
}

/// Runs file-system work off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("index opener stopped").with_source(error))?
}

#[cfg(test)]
mod tests {
    use braid_core::{CollectionId, Generation};

    use super::*;

    #[test]
    fn retain_removes_only_what_is_not_kept() {
        let root = tempfile::tempdir().unwrap();
        let key = |generation| IndexKey {
            collection: CollectionId(7),
            generation: Generation(generation),
        };
        for generation in 1..=3 {
            std::fs::create_dir_all(root.path().join(directory_name(key(generation)))).unwrap();
        }
        retain_directories(root.path(), &[directory_name(key(2))]).unwrap();
        let left: Vec<_> = std::fs::read_dir(root.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(left, ["7-2"]);
        retain_directories(&root.path().join("absent"), &[]).unwrap();
    }
}
