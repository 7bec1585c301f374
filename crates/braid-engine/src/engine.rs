//! Opening and closing.

use std::sync::Arc;

use braid_config::Settings;
use braid_core::{
    CollectionName, CollectionSettings, Embedder, ErrorCode, IndexProvider, Ledger, Reranker,
    Result,
};
use braid_indexing::{Breakpoints, Health, Indexer, IndexerParts};
use braid_query::cache::semantic::SemanticParts;
use braid_query::{
    CachingEmbedder, CachingRetriever, IndexWrites, PagingRetriever, Retriever, RetrieverParts,
};
use braid_readers::FormatReader;
use braid_readers::file::isolated::Parser;
use braid_runtime::{CpuPool, Shutdown};

use crate::answers::Answers;
use crate::models;
use crate::parsing::Parsing;
use crate::place::Place;
use crate::remote::VectorServer;
use crate::wiring;

/// Which models [`Engine::open`] loads. What is not loaded answers `ModelUnavailable` when used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoadModels {
    /// Embedder and re-ranker.
    #[default]
    All,
    /// The embedder alone: ingesting.
    Embedder,
    /// None: listing and printing. Nothing is indexed in the background.
    None,
}

/// How an engine is opened.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Which models are loaded.
    pub models: LoadModels,
    /// Used instead of loading models: for tests, and for a process that needs the fingerprint of an
    /// embedder and, with [`LoadModels::None`], indexes nothing.
    pub instead_of_models: Option<Arc<dyn Embedder>>,
    /// The re-ranker beside that embedder; for tests.
    pub instead_of_reranker: Option<Arc<dyn Reranker>>,
    /// Whether rows that nothing refers to are dropped from the start on, and from time to time: for
    /// a process that stays. One that does one thing and ends drops them only after a refusal for lack
    /// of room.
    pub sweeps: bool,
    /// Parses files that are sent; without it they are refused.
    pub parser: Option<Parser>,
    /// Called at named points of the write path; for crash tests.
    pub breakpoints: Breakpoints,
}

/// Whether every acknowledged write is retrievable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Acknowledged operations not yet published, by collection; collections without lag left out.
    pub lag: Vec<(CollectionName, u64)>,
    /// Collections whose indexes are being compared with the published state: until that is done a
    /// damaged index may miss hits.
    pub reconciling: Vec<CollectionName>,
    /// Collections whose applier cannot go on, with the reason.
    pub stalled: Vec<(CollectionName, String)>,
    /// Why the server that has the vectors cannot be reached, if it cannot: retrieval is by the
    /// lexical leg alone meanwhile, and writes wait in the ledger.
    pub unreachable: Option<String>,
    /// Whether workers of other processes index what is written: whether any runs is not known here.
    pub by_workers: bool,
}

/// A data directory in use, or a share in a cluster. Clones share it.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) default_settings: CollectionSettings,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) indexes: Arc<dyn IndexProvider>,
    pub(crate) embedder: Arc<dyn Embedder>,
    pub(crate) reranker: Option<Arc<dyn Reranker>>,
    pub(crate) indexer: Indexer,
    pub(crate) retriever: PagingRetriever,
    pub(crate) answers: Answers,
    pub(crate) shutdown: Shutdown,
    pub(crate) pool: Arc<CpuPool>,
    pub(crate) parsing: Parsing,
    // Last: it has the lock of the data directory.
    pub(crate) place: Place,
}

impl Engine {
    /// Opens the data directory of `settings` (made if needed), serves its published state at once
    /// and starts replaying what is acknowledged but not yet published. Of the profile `cluster` it
    /// opens what is in Qdrant, and indexes nothing itself.
    ///
    /// # Errors
    /// `DataDirLocked`, `UnsupportedVersion`, `ModelUnavailable`, `Corrupt`, each with what to do.
    pub async fn open(settings: &Settings, options: OpenOptions) -> Result<Self> {
        let mut indexing = wiring::indexing_options(settings, options.breakpoints);
        indexing.background = options.models != LoadModels::None;
        if !options.sweeps {
            indexing.sweep_interval = None;
        }
        let pool = CpuPool::with_available_cores()?;
        let writes = Arc::new(IndexWrites::default());
        let (place, ledger) = Place::open(settings, &pool, &writes).await?;
        if place.cluster().is_some() {
            // Workers do.
            indexing.background = false;
            indexing.shared = true;
        }
        let models = match options.instead_of_models {
            Some(embedder) => models::Models {
                embedder,
                reranker: options.instead_of_reranker,
            },
            None => models::load(settings, options.models).await?,
        };
        let indexes = place.indexes();
        let shutdown = Shutdown::new();
        let indexer = Indexer::new(IndexerParts {
            ledger: Arc::clone(&ledger),
            indexes: Arc::clone(&indexes),
            embedder: Arc::clone(&models.embedder),
            reader: Arc::new(FormatReader),
            pool: Arc::clone(&pool),
            shutdown: shutdown.clone(),
            options: indexing,
        });
        let queries = CachingEmbedder::over(
            Arc::clone(&models.embedder),
            settings.cache.query_embeddings,
        );
        let answers = Answers::open(
            wiring::semantic_options(settings),
            SemanticParts {
                embedder: Arc::clone(&queries),
                ledger: Arc::clone(&ledger),
                pool: Arc::clone(&pool),
            },
        );
        let retriever = Retriever::new(RetrieverParts {
            ledger: Arc::clone(&ledger),
            indexes: Arc::clone(&indexes),
            embedder: queries,
            reranker: models.reranker.clone(),
            tokenizers: wiring::tokenizers(),
            pool: Arc::clone(&pool),
            leg_timeout: wiring::leg_timeout(settings),
        });
        let retriever = CachingRetriever::new(
            retriever,
            Arc::clone(&ledger),
            writes,
            wiring::answer_bytes(settings),
        );
        let retriever = PagingRetriever::new(retriever, wiring::page_limits(settings));
        let inner = Inner {
            default_settings: wiring::collection_settings(settings),
            ledger,
            indexes,
            embedder: models.embedder,
            reranker: models.reranker,
            indexer,
            retriever,
            answers,
            shutdown,
            pool,
            parsing: Parsing::new(options.parser),
            place,
        };
        let engine = Self {
            inner: Arc::new(inner),
        };
        engine.inner.indexer.recover().await?;
        Ok(engine)
    }

    /// Whether every acknowledged write is retrievable, and what is not.
    ///
    /// # Errors
    /// What the ledger reports.
    pub async fn readiness(&self) -> Result<Readiness> {
        let mut readiness = Readiness {
            by_workers: self.has_workers(),
            unreachable: self.inner.place.unreachable().await,
            ..Readiness::default()
        };
        if readiness.by_workers && readiness.unreachable.is_some() {
            // What waits is there too.
            return Ok(readiness);
        }
        let collections = match self.collections().await {
            Ok(collections) => collections,
            // It went away between the two questions.
            Err(error) if readiness.by_workers && error.code() == ErrorCode::Unavailable => {
                readiness.unreachable = Some(error.chain());
                return Ok(readiness);
            }
            Err(error) => return Err(error),
        };
        for info in collections {
            let name = info.collection.name;
            if info.stats.lag() > 0 {
                readiness.lag.push((name.clone(), info.stats.lag()));
            }
            if self.inner.indexer.health(info.collection.id) == Health::Reconciling {
                readiness.reconciling.push(name.clone());
            }
            if let Some(reason) = self.inner.indexer.stalled(info.collection.id) {
                readiness.stalled.push((name, reason));
            }
        }
        Ok(readiness)
    }

    /// The server that has the vectors, asked now; `None` where they are in the data directory.
    pub async fn vector_server(&self) -> Option<VectorServer> {
        self.inner.place.server().await
    }

    /// The re-ranker in use, if any.
    pub fn reranker(&self) -> Option<&Arc<dyn Reranker>> {
        self.inner.reranker.as_ref()
    }

    /// The embedder in use.
    pub fn embedder(&self) -> &Arc<dyn Embedder> {
        &self.inner.embedder
    }

    /// The ingest pipeline, for tests that pause or inspect it.
    pub fn indexer(&self) -> &Indexer {
        &self.inner.indexer
    }

    /// The ledger, for tests that compare it with the indexes.
    pub fn ledger(&self) -> &Arc<dyn Ledger> {
        &self.inner.ledger
    }

    /// Stops background work between two steps and waits for it, and for what nobody awaits any
    /// more: once the last clone is dropped, the directory may be opened again. What was
    /// acknowledged and not yet published is replayed at the next start.
    pub async fn close(&self) {
        self.inner.shutdown.finish().await;
        self.inner.pool.finish().await;
    }
}
