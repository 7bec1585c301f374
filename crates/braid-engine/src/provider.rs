//! The indexes of both storage profiles: one Tantivy directory per collection generation, under
//! `indexes/COLLECTION-GENERATION/` of the data directory, and beside it one hannoy environment, or a
//! collection in [Qdrant](crate::remote).

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use braid_core::{
    Collection, CollectionId, Error, ErrorCode, IndexKey, IndexProvider, Leg, LexicalIndex, Result,
    VectorStore,
};
use braid_lexical::{LexicalOptions, TantivyIndex};
use braid_query::IndexWrites;
use braid_runtime::{Blocking, CpuPool};
use braid_vector::{EmbeddedVectors, VectorOptions};
use tokio::sync::Mutex;

use crate::counted::Counted;
use crate::durable::sync_directories;
use crate::remote::RemoteVectors;

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
    /// Collections that were deleted: their numbers are never used again, and a query that began
    /// before the delete must not make empty indexes in their place.
    deleted: HashSet<CollectionId>,
    /// Directories moved away so far, to name the next one.
    removals: u64,
    lexical: HashMap<IndexKey, Arc<dyn LexicalIndex>>,
    vector: HashMap<IndexKey, Arc<dyn VectorStore>>,
}

impl Open {
    fn refuse_deleted(&self, collection: &Collection) -> Result<()> {
        if self.deleted.contains(&collection.id) {
            return Err(crate::collections::not_found(&collection.name));
        }
        Ok(())
    }
}

/// Opens each index once and keeps it open.
pub(crate) struct Indexes {
    root: PathBuf,
    options: IndexOptions,
    /// Where vectors are, if not below `root`.
    remote: Option<RemoteVectors>,
    pool: Arc<CpuPool>,
    writes: Arc<IndexWrites>,
    open: Mutex<Open>,
}

impl Indexes {
    /// Indexes below `root`, vectors in `remote` if there is one; every batch written to one of them
    /// is noted in `writes`.
    pub(crate) fn new(
        root: PathBuf,
        options: IndexOptions,
        remote: Option<RemoteVectors>,
        pool: Arc<CpuPool>,
        writes: Arc<IndexWrites>,
    ) -> Self {
        Self {
            root,
            options,
            remote,
            pool,
            writes,
            open: Mutex::default(),
        }
    }

    /// Threads for work on the files.
    pub(crate) fn blocking(&self) -> &Blocking {
        self.pool.blocking()
    }

    /// What `root` stands in.
    fn data_directory(&self) -> PathBuf {
        self.root.parent().unwrap_or(&self.root).to_owned()
    }

    /// Where vectors are, if not in the data directory.
    pub(crate) fn remote(&self) -> Option<&RemoteVectors> {
        self.remote.as_ref()
    }

    /// Removes the indexes of a collection that was deleted, for good. A server that is away does not
    /// keep it from being deleted: what is there is removed at the next start.
    pub(crate) async fn delete(&self, key: IndexKey) -> Result<()> {
        self.open.lock().await.deleted.insert(key.collection);
        self.remove_local(key).await?;
        match &self.remote {
            Some(remote) => remote.remove_if_reachable(key).await,
            None => Ok(()),
        }
    }

    /// Opens the vectors of `key` in the data directory.
    async fn open_vectors(
        &self,
        collection: &Collection,
        key: IndexKey,
    ) -> Result<Arc<EmbeddedVectors>> {
        let directory = self.directory(key).join("vector");
        let options = VectorOptions {
            dimension: collection.dimension,
            ..self.options.vector.clone()
        };
        let (pool, root) = (Arc::clone(&self.pool), self.data_directory());
        let opened = self.blocking().run(move || {
            let store = EmbeddedVectors::open(&directory, options, pool)?;
            sync_directories(&directory, &root)?;
            Ok(store)
        });
        opened.await
    }

    async fn remove_local(&self, key: IndexKey) -> Result<()> {
        let mut open = self.open.lock().await;
        open.lexical.remove(&key);
        open.vector.remove(&key);
        open.removals += 1;
        let (directory, removed) = (self.directory(key), self.removed_directory(open.removals));
        let moving = self.blocking().run(move || move_away(&directory, removed));
        let moved = moving.await?;
        // Every query opens its indexes under this lock: deleting large files must not hold it.
        drop(open);
        match moved {
            Some(removed) => {
                self.blocking()
                    .run(move || remove_directory(&removed))
                    .await
            }
            None => Ok(()),
        }
    }

    /// Where a directory waits to be deleted; [`IndexProvider::retain`] deletes what a crash leaves.
    fn removed_directory(&self, number: u64) -> PathBuf {
        self.root
            .join(format!("removed-{}-{number}", std::process::id()))
    }

    /// Where the files of one index of a collection's served generation are.
    pub(crate) fn index_directory(&self, collection: &Collection, leg: Leg) -> PathBuf {
        let directory = self.directory(collection.index_key());
        match leg {
            Leg::Lexical => directory.join("lexical"),
            Leg::Dense => directory.join("vector"),
        }
    }

    fn directory(&self, key: IndexKey) -> PathBuf {
        self.root.join(directory_name(key))
    }
}

impl std::fmt::Debug for Indexes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Indexes")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl IndexProvider for Indexes {
    async fn lexical(
        &self,
        collection: &Collection,
        key: IndexKey,
    ) -> Result<Arc<dyn LexicalIndex>> {
        let mut open = self.open.lock().await;
        open.refuse_deleted(collection)?;
        if let Some(index) = open.lexical.get(&key) {
            return Ok(Arc::clone(index));
        }
        let directory = self.directory(key).join("lexical");
        let options = LexicalOptions {
            language: collection.settings.language,
            ..self.options.lexical
        };
        let (pool, root) = (Arc::clone(&self.pool), self.data_directory());
        let opened = self.blocking().run(move || {
            let index = TantivyIndex::open(&directory, options, pool)?;
            sync_directories(&directory, &root)?;
            Ok(index)
        });
        let index = opened.await?;
        let index: Arc<dyn LexicalIndex> = Counted::over(index, key.collection, &self.writes);
        open.lexical.insert(key, Arc::clone(&index));
        Ok(index)
    }

    async fn vector(&self, collection: &Collection, key: IndexKey) -> Result<Arc<dyn VectorStore>> {
        let mut open = self.open.lock().await;
        open.refuse_deleted(collection)?;
        if let Some(store) = open.vector.get(&key) {
            return Ok(Arc::clone(store));
        }
        let (id, writes) = (key.collection, &self.writes);
        let store: Arc<dyn VectorStore> = match &self.remote {
            Some(remote) => {
                let store = Arc::new(remote.store(key, collection.dimension));
                Counted::over(store, id, writes)
            }
            None => Counted::over(self.open_vectors(collection, key).await?, id, writes),
        };
        open.vector.insert(key, Arc::clone(&store));
        Ok(store)
    }

    async fn remove(&self, key: IndexKey) -> Result<()> {
        self.remove_local(key).await?;
        match &self.remote {
            Some(remote) => remote.remove(key).await,
            None => Ok(()),
        }
    }

    async fn retain(&self, keep: &[IndexKey]) -> Result<()> {
        let names: Vec<String> = keep.iter().map(|key| directory_name(*key)).collect();
        let root = self.root.clone();
        let retaining = move || retain_directories(&root, &names);
        self.blocking().run(retaining).await?;
        match &self.remote {
            Some(remote) => remote.retain_if_reachable(keep).await,
            None => Ok(()),
        }
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

/// Renames a directory; `None` where there is none.
fn move_away(directory: &Path, to: PathBuf) -> Result<Option<PathBuf>> {
    match std::fs::rename(directory, &to) {
        Ok(()) => Ok(Some(to)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unusable(directory, error)),
    }
}

/// Removes a directory tree; one that is not there is fine. On Unix, views pinned before keep
/// reading the unlinked files. It is renamed first: a merge that still runs in it then finds no
/// place for another file, which would keep the directory from being removed.
fn remove_directory(directory: &Path) -> Result<()> {
    let doomed = directory.with_extension("removed");
    remove_tree(&doomed)?;
    match std::fs::rename(directory, &doomed) {
        Ok(()) => remove_tree(&doomed),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unusable(directory, error)),
    }
}

fn remove_tree(directory: &Path) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use braid_core::Generation;

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
        std::fs::create_dir(root.path().join("7-9.removed")).unwrap();
        std::fs::write(root.path().join("7-1/file"), "").unwrap();
        retain_directories(root.path(), &[directory_name(key(2))]).unwrap();
        let left: Vec<_> = std::fs::read_dir(root.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(left, ["7-2"]);
        retain_directories(&root.path().join("absent"), &[]).unwrap();
    }

    fn nothing<E>() -> braid_core::IndexBatch<E> {
        braid_core::IndexBatch {
            add: Vec::new(),
            delete: braid_core::SlotSet::default(),
            watermark: braid_core::Sequence(1),
        }
    }

    #[tokio::test]
    async fn indexes_of_a_deleted_collection_are_not_made_again() {
        let root = tempfile::tempdir().unwrap();
        let options = crate::wiring::index_options(&braid_config::Settings::default());
        let pool = CpuPool::new(1).unwrap();
        let writes = Arc::new(IndexWrites::default());
        let counted = Arc::clone(&writes);
        let indexes = Indexes::new(root.path().join("indexes"), options, None, pool, counted);
        let fingerprint = |name: &str| braid_core::Fingerprint::new(name);
        let collection = Collection {
            id: CollectionId(1),
            name: braid_core::CollectionName::new("gone").unwrap(),
            settings: braid_core::CollectionSettings::default(),
            synonyms: Arc::default(),
            fingerprint: braid_core::PipelineFingerprint {
                embedder: fingerprint("e"),
                chunker: fingerprint("c"),
                analyzer: fingerprint("a"),
            },
            dimension: 4,
            generation: Generation(1),
            created_at_ms: 0,
        };
        let key = collection.index_key();
        let lexical = indexes.lexical(&collection, key).await.unwrap();
        let vector = indexes.vector(&collection, key).await.unwrap();
        assert_eq!(writes.count(collection.id), 0);
        lexical.apply(nothing()).await.unwrap();
        assert_eq!(
            writes.count(collection.id),
            1,
            "answers made before are no more"
        );
        vector.apply(nothing()).await.unwrap();
        assert_eq!(writes.count(collection.id), 2);
        drop((lexical, vector));
        indexes.delete(key).await.unwrap();
        let error = indexes.vector(&collection, key).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::CollectionNotFound);
        let left: Vec<_> = std::fs::read_dir(root.path().join("indexes"))
            .unwrap()
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
