//! Collections: making, listing, deleting.

use std::sync::Arc;

use braid_core::operation::CollectionStats;
use braid_core::ports::{Recorded, WriteGuard};
use braid_core::{
    Collection, CollectionName, CollectionSettings, Error, ErrorCode, NewCollection, Result,
    Synonyms,
};

use crate::engine::Engine;

/// A collection with its counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionInfo {
    /// The collection.
    pub collection: Collection,
    /// Its counters, from one consistent view.
    pub stats: CollectionStats,
}

impl Engine {
    /// The settings a collection gets when its creator names none.
    pub fn default_collection_settings(&self) -> CollectionSettings {
        self.inner.default_settings
    }

    /// Makes a collection; one that exists with the same settings is returned as it is.
    ///
    /// # Errors
    /// [`CollectionExists`](ErrorCode::CollectionExists) when its settings differ.
    pub async fn create_collection(
        &self,
        name: CollectionName,
        settings: CollectionSettings,
        guard: Option<WriteGuard<Collection>>,
    ) -> Result<Recorded<Collection>> {
        let engine = self.clone();
        let work = async move { engine.create_and_open(name, settings, guard).await };
        self.finish(work).await
    }

    async fn create_and_open(
        &self,
        name: CollectionName,
        settings: CollectionSettings,
        guard: Option<WriteGuard<Collection>>,
    ) -> Result<Recorded<Collection>> {
        let inner = &self.inner;
        let new = NewCollection {
            name,
            settings,
            fingerprint: inner.indexer.pipeline_fingerprint(&settings)?,
            dimension: inner.embedder.dimension(),
        };
        let recorded = inner.ledger.create_collection(new, guard).await?;
        if let Recorded::Done(collection) = &recorded {
            inner.indexer.start(collection).await?;
        }
        Ok(recorded)
    }

    /// The collection of that name, made with default settings if there is none.
    ///
    /// # Errors
    /// What the ledger reports.
    pub async fn ensure_collection(&self, name: &CollectionName) -> Result<Collection> {
        if let Some(collection) = self.inner.ledger.collection(name).await? {
            return Ok(collection);
        }
        let settings = self.default_collection_settings();
        match self.create_collection(name.clone(), settings, None).await? {
            Recorded::Done(collection) => Ok(collection),
            Recorded::Replayed(_) => Err(Error::internal("an unguarded write was replayed")),
        }
    }

    /// The collection of that name.
    ///
    /// # Errors
    /// [`CollectionNotFound`](ErrorCode::CollectionNotFound).
    pub async fn collection(&self, name: &CollectionName) -> Result<Collection> {
        self.inner
            .ledger
            .collection(name)
            .await?
            .ok_or_else(|| not_found(name))
    }

    /// A collection with its counters.
    ///
    /// # Errors
    /// [`CollectionNotFound`](ErrorCode::CollectionNotFound).
    pub async fn collection_info(&self, name: &CollectionName) -> Result<CollectionInfo> {
        let collection = self.collection(name).await?;
        let stats = self.inner.ledger.stats(collection.id).await?;
        Ok(CollectionInfo { collection, stats })
    }

    /// The name of every collection, also of one that is damaged.
    ///
    /// # Errors
    /// What the ledger reports.
    pub async fn collection_names(&self) -> Result<Vec<CollectionName>> {
        let collections = self.inner.ledger.collections().await?;
        Ok(collections.into_iter().map(|it| it.name).collect())
    }

    /// Every collection with its counters, by name.
    ///
    /// # Errors
    /// What the ledger reports.
    pub async fn collections(&self) -> Result<Vec<CollectionInfo>> {
        let mut infos = Vec::new();
        for collection in self.inner.ledger.collections().await? {
            match self.inner.ledger.stats(collection.id).await {
                Ok(stats) => infos.push(CollectionInfo { collection, stats }),
                // Deleted since the list was read.
                Err(error) if error.code() == ErrorCode::CollectionNotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(infos)
    }

    /// Replaces the synonyms of a collection. They act on queries that start from now on, in profile
    /// `cluster` up to a second later in other processes; nothing is indexed anew.
    ///
    /// # Errors
    /// [`CollectionNotFound`](ErrorCode::CollectionNotFound), and what the ledger reports.
    pub async fn set_synonyms(
        &self,
        name: &CollectionName,
        synonyms: Arc<Synonyms>,
        guard: Option<WriteGuard<Collection>>,
    ) -> Result<Recorded<Collection>> {
        // For its help, which the ledger does not know.
        self.collection(name).await?;
        self.inner.ledger.set_synonyms(name, synonyms, guard).await
    }

    /// Deletes a collection with everything in it; `Done(false)` when there was none.
    ///
    /// # Errors
    /// What the ledger reports.
    pub async fn delete_collection(
        &self,
        name: &CollectionName,
        guard: Option<WriteGuard<bool>>,
    ) -> Result<Recorded<bool>> {
        let (engine, name) = (self.clone(), name.clone());
        let work = async move { engine.close_and_delete(&name, guard).await };
        self.finish(work).await
    }

    async fn close_and_delete(
        &self,
        name: &CollectionName,
        guard: Option<WriteGuard<bool>>,
    ) -> Result<Recorded<bool>> {
        let inner = &self.inner;
        let Some(existing) = inner.ledger.collection(name).await? else {
            return inner.ledger.delete_collection(name, guard).await;
        };
        inner.indexer.stop(existing.id).await;
        let deleted = inner.ledger.delete_collection(name, guard).await;
        if let Ok(Recorded::Done(_)) = &deleted {
            inner.place.delete_indexes(&existing).await?;
            inner.answers.forget_collection(existing.id).await?;
        } else if self.collection(name).await.is_ok_and(|now| now == existing) {
            // It failed, or was done by an earlier request to a collection of the same name.
            inner.indexer.start(&existing).await?;
        }
        deleted
    }

    /// Runs `work` to its end even if the caller loses interest half-way: what the ledger holds and
    /// what is open must agree.
    async fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        match self.inner.shutdown.spawn(work).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Error::new(ErrorCode::ShuttingDown, "Braid has stopped")),
            },
        }
    }
}

pub(crate) fn not_found(name: &CollectionName) -> Error {
    Error::new(
        ErrorCode::CollectionNotFound,
        format!("no collection named {name:?}", name = name.as_str()),
    )
    .with_help(format!(
        "create it with `braid collection create {name}` or PUT /v1/collections/{name}"
    ))
}
