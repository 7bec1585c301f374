//! What an operator wants to know of a data directory, without changing anything in it.

use std::path::{Path, PathBuf};

use braid_core::{
    Collection, CollectionName, Fingerprint, Leg, PipelineFingerprint, Result, Sequence, SlotSet,
    StorageUse,
};
use braid_indexing::{BoilerplateReport, IndexReport};

use crate::engine::Engine;

/// One index of a collection, beside what the ledger says.
#[derive(Debug)]
pub struct IndexState {
    /// Which.
    pub leg: Leg,
    /// Bytes of its files.
    pub bytes: u64,
    /// How it compares with the ledger, or why it cannot be opened.
    pub report: Result<IndexReport>,
}

/// A part of the pipeline that differs from what wrote a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FingerprintMismatch {
    /// `embedder`, `chunker` or `analyzer`.
    pub part: &'static str,
    /// What wrote the collection.
    pub collection: Fingerprint,
    /// What this process runs.
    pub process: Fingerprint,
}

impl Engine {
    /// How full the ledger is, over all collections.
    ///
    /// # Errors
    /// What the ledger reports.
    pub async fn storage_use(&self) -> Result<StorageUse> {
        self.inner.ledger.storage_use().await
    }

    /// Both indexes of a collection: their size, and how they compare with the ledger as they are
    /// now. Unlike [`Engine::verify`] this waits for nothing that is pending, which does not count as
    /// missing, and does not look for inconsistencies within the ledger.
    ///
    /// # Errors
    /// What the ledger reports; what an index reports is in its own state.
    /// [`NotEnabled`](braid_core::ErrorCode::NotEnabled) where there is no data directory.
    pub async fn index_states(&self, collection: &Collection) -> Result<[IndexState; 2]> {
        Ok([
            self.index_state(collection, Leg::Lexical).await?,
            self.index_state(collection, Leg::Dense).await?,
        ])
    }

    async fn index_state(&self, collection: &Collection, leg: Leg) -> Result<IndexState> {
        let files = self.inner.place.files()?;
        let directory = files.index_directory(collection, leg);
        let sizing = move || Ok(file_bytes(&directory));
        let bytes = files.blocking().run(sizing).await?;
        let report = match self.held(collection, leg).await {
            Ok((held, watermark)) => Ok(self.compare(collection, held, watermark).await?),
            Err(error) => Err(error),
        };
        Ok(IndexState { leg, bytes, report })
    }

    /// The slots that an index has, and its watermark.
    async fn held(&self, collection: &Collection, leg: Leg) -> Result<(SlotSet, Sequence)> {
        let (indexes, key) = (&self.inner.indexes, collection.index_key());
        match leg {
            Leg::Lexical => {
                let index = indexes.lexical(collection, key).await?;
                Ok((index.slots().await?, index.watermark().await?))
            }
            Leg::Dense => {
                let store = indexes.vector(collection, key).await?;
                Ok((store.slots().await?, store.watermark().await?))
            }
        }
    }

    /// `held` was read before the ledger is, so that what is staged meanwhile is not extra.
    async fn compare(
        &self,
        collection: &Collection,
        held: SlotSet,
        watermark: Sequence,
    ) -> Result<IndexReport> {
        let ledger = &self.inner.ledger;
        let live = ledger.live_slots(collection.id).await?;
        let expected = ledger.expected_slots(collection.id).await?;
        Ok(IndexReport {
            held: held.len(),
            missing: live - &held,
            extra: held - expected,
            watermark,
        })
    }

    /// Parts of this process's pipeline that differ from what wrote `collection`: until it is
    /// rebuilt, it takes no documents, and with another embedder or analyzer it is not searched.
    /// Needs the embedder loaded.
    ///
    /// # Errors
    /// `InvalidRequest` for settings that do not fit the embedder.
    pub fn fingerprint_mismatches(
        &self,
        collection: &Collection,
    ) -> Result<Vec<FingerprintMismatch>> {
        let indexer = &self.inner.indexer;
        let process = indexer.pipeline_fingerprint(&collection.settings)?;
        Ok(mismatches(&collection.fingerprint, &process))
    }

    /// Text that many documents of a collection share; the `most` largest texts are named. Reads
    /// every retrievable chunk twice.
    ///
    /// # Errors
    /// [`CollectionNotFound`](braid_core::ErrorCode::CollectionNotFound) and what the ledger reports.
    pub async fn boilerplate(
        &self,
        name: &CollectionName,
        most: usize,
    ) -> Result<BoilerplateReport> {
        self.refuse_in_cluster(
            "search for boilerplate",
            "look for it before it is ingested",
        )?;
        let collection = self.collection(name).await?;
        self.inner.indexer.boilerplate(&collection, most).await
    }
}

fn mismatches(
    collection: &PipelineFingerprint,
    process: &PipelineFingerprint,
) -> Vec<FingerprintMismatch> {
    let parts = [
        ("embedder", &collection.embedder, &process.embedder),
        ("chunker", &collection.chunker, &process.chunker),
        ("analyzer", &collection.analyzer, &process.analyzer),
    ];
    let differing = parts.into_iter().filter(|(_, was, is)| was != is);
    differing
        .map(|(part, was, is)| FingerprintMismatch {
            part,
            collection: was.clone(),
            process: is.clone(),
        })
        .collect()
}

/// Where the parts of a data directory are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFiles {
    /// The ledger.
    pub ledger: PathBuf,
    /// The indexes of every collection.
    pub indexes: PathBuf,
}

impl DataFiles {
    /// The parts of `data_dir`, there or not.
    pub fn of(data_dir: &Path) -> Self {
        Self {
            ledger: data_dir.join("ledger"),
            indexes: data_dir.join("indexes"),
        }
    }
}

/// Bytes of every file below `path`; what cannot be read counts as nothing. Blocks.
pub fn file_bytes(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else {
        return path.metadata().map_or(0, |metadata| metadata.len());
    };
    let bytes = entries.flatten().map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => file_bytes(&entry.path()),
        Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |metadata| metadata.len()),
        Ok(_) | Err(_) => 0,
    });
    bytes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_that_differs_is_named() {
        let of = |embedder: &str, chunker: &str| PipelineFingerprint {
            embedder: Fingerprint::new(embedder),
            chunker: Fingerprint::new(chunker),
            analyzer: Fingerprint::new("analyzer"),
        };
        assert_eq!(mismatches(&of("a", "b"), &of("a", "b")), []);
        let found = mismatches(&of("a", "b"), &of("a", "c"));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].part, found[0].process.as_str()), ("chunker", "c"));
    }

    #[test]
    fn files_are_added_up() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("a/b")).unwrap();
        std::fs::write(root.path().join("a/b/one"), [0; 10]).unwrap();
        std::fs::write(root.path().join("two"), [0; 5]).unwrap();
        assert_eq!(file_bytes(root.path()), 15);
        assert_eq!(file_bytes(&root.path().join("absent")), 0);
    }
}
