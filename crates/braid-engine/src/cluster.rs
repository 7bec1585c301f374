//! The profile `cluster`: everything in Qdrant, which any number of processes share.
//!
//! An engine of this profile has no data directory and no lock. It stages and searches; what it stages
//! waits in Qdrant until a [worker](Engine::worker) of any process has indexed it.

use std::sync::Arc;
use std::time::Duration;

use braid_config::Settings;
use braid_core::ports::{CopyLog, WorkDepth};
use braid_core::{CollectionId, Error, ErrorCode, Ledger, Result, Sequence, WorkQueue};
use braid_indexing::{IndexReport, VerifyReport, Worker, WorkerOptions, WorkerParts};
use braid_runtime::CpuPool;
use braid_vector::{Breaker, ClusterIndexes, ClusterLedger, QdrantOptions, Site};

use crate::engine::Engine;
use crate::remote::{CHECK, VectorServer, api_key, warn_of_bare_key};
use crate::wiring;

/// First and longest wait between two looks at whether staged documents are published.
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LONGEST_LOOK: Duration = Duration::from_millis(500);

/// The Qdrant that has everything.
#[derive(Debug)]
pub(crate) struct Cluster {
    site: Arc<Site>,
    ledger: Arc<ClusterLedger>,
    indexes: Arc<ClusterIndexes>,
    worker: WorkerOptions,
}

impl Cluster {
    /// Opens what is stored under the prefix of `settings`, and makes it where there is nothing.
    ///
    /// # Errors
    /// `Unavailable` where the server cannot be reached, `UnsupportedVersion` where it is too old.
    pub(crate) async fn open(settings: &Settings, pool: &Arc<CpuPool>) -> Result<Self> {
        let options = QdrantOptions {
            api_key: api_key(settings)?,
            namespace: settings.qdrant.prefix.clone(),
            ..wiring::qdrant_options(settings)
        };
        warn_of_bare_key(&options);
        let site = Site::new(options, Arc::clone(pool))?;
        let opened = ClusterLedger::open(Arc::clone(&site)).await;
        let ledger = opened.map_err(|error| {
            let url = site.url();
            error.context(format!("cannot open the cluster at {url}"))
        })?;
        let breaker = Arc::new(Breaker::new(wiring::qdrant_breaker(settings)));
        let search = (
            braid_text::lexical::Weights::default(),
            wiring::qdrant_retries(settings),
        );
        let indexes = ClusterIndexes::with(Arc::clone(&site), Arc::clone(&ledger), search, breaker);
        Ok(Self {
            site,
            ledger,
            indexes: Arc::new(indexes),
            worker: wiring::worker_options(settings),
        })
    }

    pub(crate) fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::clone(&self.ledger) as Arc<dyn Ledger>
    }

    pub(crate) fn indexes(&self) -> Arc<ClusterIndexes> {
        Arc::clone(&self.indexes)
    }

    pub(crate) fn queue(&self) -> Arc<dyn WorkQueue> {
        Arc::clone(&self.ledger) as Arc<dyn WorkQueue>
    }

    pub(crate) fn copied(&self) -> Arc<dyn CopyLog> {
        Arc::clone(&self.ledger) as Arc<dyn CopyLog>
    }

    pub(crate) fn worker_options(&self) -> WorkerOptions {
        self.worker.clone()
    }

    /// Asks the server for its version.
    pub(crate) async fn server(&self) -> VectorServer {
        VectorServer {
            url: self.site.url().to_owned(),
            version: self.site.check(CHECK).await,
        }
    }

    /// Looks whether all is there that the heads of a collection name. Each chunk is an entry of both
    /// indexes.
    pub(crate) async fn verify(
        &self,
        collection: CollectionId,
        repair: bool,
    ) -> Result<VerifyReport> {
        let mut audit = self.ledger.audit(collection, repair).await?;
        if audit.again > 0 {
            let again = audit.again;
            audit.problems.push(format!(
                "{again} documents wait for a worker to index them again"
            ));
        }
        let lag = match self.ledger.stats(collection).await {
            Ok(stats) => stats.lag(),
            // Told of already.
            Err(error)
                if error.code() == ErrorCode::CollectionNotFound && !audit.problems.is_empty() =>
            {
                0
            }
            Err(error) => return Err(error),
        };
        let chunks = IndexReport {
            held: audit.chunks,
            missing: audit.missing,
            extra: audit.extra,
            watermark: Sequence::ZERO,
        };
        Ok(VerifyReport {
            ledger: audit.problems,
            vector: chunks.clone(),
            lexical: chunks,
            lag,
            repaired: repair && audit.left.is_empty(),
            left: audit.left,
        })
    }

    /// Waits until no document waits with an operation up to `through`. As long as the caller wants:
    /// nothing is known of workers.
    pub(crate) async fn wait_published(
        &self,
        collection: CollectionId,
        through: Sequence,
    ) -> Result<()> {
        let mut wait = FIRST_LOOK;
        while self.ledger.waiting_through(collection, through).await? > 0 {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_LOOK);
        }
        Ok(())
    }
}

impl Engine {
    /// Whether what is written here is indexed by workers, of whichever process, and not behind the
    /// write in this one.
    pub fn has_workers(&self) -> bool {
        self.inner.place.cluster().is_some()
    }

    /// A worker that indexes what waits, until this engine is closed.
    ///
    /// # Errors
    /// [`NotEnabled`](ErrorCode::NotEnabled) in other profiles than `cluster`, where every engine indexes
    /// what is written to it.
    pub fn worker(&self) -> Result<Worker> {
        let Some(cluster) = self.inner.place.cluster() else {
            let message = "there are workers with storage.profile = cluster only";
            return Err(Error::new(ErrorCode::NotEnabled, message)
                .with_help("`braid serve` and `braid ingest PATH` index what they take"));
        };
        Ok(Worker::new(WorkerParts {
            queue: cluster.queue(),
            ledger: cluster.ledger(),
            embedder: Arc::clone(&self.inner.embedder),
            shutdown: self.inner.shutdown.clone(),
            options: cluster.worker_options(),
        }))
    }

    /// How much waits for workers, over all collections; `None` where there are none. The metrics are
    /// told.
    ///
    /// # Errors
    /// What the queue reports.
    pub async fn work_depth(&self) -> Result<Option<WorkDepth>> {
        let Some(cluster) = self.inner.place.cluster() else {
            return Ok(None);
        };
        let depth = cluster.queue().depth().await?;
        braid_indexing::record_depth(depth);
        Ok(Some(depth))
    }

    /// Refuses what the profile does not offer.
    pub(crate) fn refuse_in_cluster(&self, what: &str, instead: &str) -> Result<()> {
        if !self.has_workers() {
            return Ok(());
        }
        let message = format!("storage.profile = cluster has no {what}");
        Err(Error::new(ErrorCode::NotEnabled, message).with_help(instead))
    }
}
