//! The pipeline's face: one for the whole engine.

use std::collections::HashMap;
use std::sync::Arc;

use braid_core::operation::CollectionStats;
use braid_core::ports::{CancelReceipt, NewJob, Recorded, StageOutcome, StageReceipt, WriteGuard};
use braid_core::{
    Collection, CollectionId, CollectionSettings, DocumentId, Embedder, Error, ErrorCode, Filter,
    IndexProvider, JobId, Ledger, PipelineFingerprint, Reader, Result, Sequence,
};
use braid_runtime::{CpuPool, Shutdown};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

use crate::applier;
use crate::boilerplate::{self, BoilerplateReport};
use crate::ingest::{IngestOutcome, IngestRequest, Writer};
use crate::options::IndexingOptions;
use crate::pipeline::Pipeline;
use crate::progress::{Health, Progress};
use crate::rebuild::{Rebuild, RebuildProgress};
use crate::state::{CollectionState, Served, no_collection};
use crate::sweeper;
use crate::verify::{self, VerifyReport};

/// What the pipeline works with.
#[derive(Clone, Debug)]
pub struct IndexerParts {
    /// The durable truth.
    pub ledger: Arc<dyn Ledger>,
    /// Where the derived indexes are.
    pub indexes: Arc<dyn IndexProvider>,
    /// The embedder of every collection.
    pub embedder: Arc<dyn Embedder>,
    /// Extracts text.
    pub reader: Arc<dyn Reader>,
    /// Where documents are hashed, extracted and chunked.
    pub pool: Arc<CpuPool>,
    /// Ends the background tasks.
    pub shutdown: Shutdown,
    /// Knobs.
    pub options: IndexingOptions,
}

/// The ingest pipeline. Clones share everything; when the last one is dropped the background tasks
/// end after the step they are in.
#[derive(Clone, Debug)]
pub struct Indexer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    parts: Arc<IndexerParts>,
    collections: Mutex<HashMap<CollectionId, Arc<CollectionState>>>,
    /// How often a sweep was asked for.
    sweeps: watch::Sender<u64>,
    /// Room for writes.
    writes: Arc<Semaphore>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        for state in self.collections.lock().values() {
            state.signal_stop();
        }
    }
}

impl Indexer {
    /// A pipeline without open collections.
    pub fn new(parts: IndexerParts) -> Self {
        Self {
            inner: Arc::new(Inner {
                writes: Arc::new(Semaphore::new(parts.options.most_writes)),
                parts: Arc::new(parts),
                collections: Mutex::default(),
                sweeps: watch::Sender::default(),
            }),
        }
    }

    /// The fingerprint of what this process would write under `settings`.
    ///
    /// # Errors
    /// [`InvalidRequest`](ErrorCode::InvalidRequest) for settings that contradict each other or do
    /// not fit the embedder.
    pub fn pipeline_fingerprint(
        &self,
        settings: &CollectionSettings,
    ) -> Result<PipelineFingerprint> {
        Ok(Pipeline::new(&self.inner.parts, settings)?.fingerprint)
    }

    /// Opens every collection of the ledger, once per process and before anything else: drops
    /// indexes that crashes left behind, then replays in the background what was acknowledged, and
    /// drops rows that nothing refers to [from time to time](IndexingOptions::sweep_interval),
    /// beginning now. A process that does not index drops nothing from the ledger.
    ///
    /// # Errors
    /// Those of the ledger and of the index provider.
    pub async fn recover(&self) -> Result<Vec<Collection>> {
        let parts = &self.inner.parts;
        if parts.options.background {
            sweeper::begin(parts, self.inner.sweeps.subscribe());
        }
        let collections = parts.ledger.collections().await?;
        let keep: Vec<_> = collections.iter().map(Collection::index_key).collect();
        parts.indexes.retain(&keep).await?;
        for collection in &collections {
            if let Err(error) = self.start(collection).await {
                // The others, and the published state of this one, can be served all the same.
                tracing::error!(collection = %collection.name, error = %error.chain(), "cannot open the collection for writing");
            }
        }
        Ok(collections)
    }

    /// Opens a collection: starts the background tasks that replay and follow its log. A no-op
    /// where it is open. A collection built with another model or analyzer opens too, but is
    /// [stalled](Health::Stalled) until it is rebuilt.
    ///
    /// # Errors
    /// Those of the ledger; [`InvalidRequest`](ErrorCode::InvalidRequest) for settings that this
    /// process cannot follow.
    pub async fn start(&self, collection: &Collection) -> Result<()> {
        let parts = &self.inner.parts;
        let pipeline = Pipeline::new(parts, &collection.settings)?;
        let stats = parts.ledger.stats(collection.id).await?;
        let served = Served {
            collection: collection.clone(),
            pipeline,
        };
        let mut open = self.inner.collections.lock();
        open.entry(collection.id).or_insert_with(|| {
            let progress = first_progress(&stats, parts.options.start_paused);
            let state = Arc::new(CollectionState::new(served, progress));
            applier::begin(parts, &state);
            state
        });
        Ok(())
    }

    /// Whether a collection is open.
    pub fn is_open(&self, collection: CollectionId) -> bool {
        self.inner.collections.lock().contains_key(&collection)
    }

    /// Closes a collection, before it is deleted: once the writes in progress are done, later ones
    /// do not find it. A no-op where it is not open.
    pub async fn stop(&self, collection: CollectionId) {
        let Ok(state) = self.state_of(collection) else {
            return;
        };
        let writers = state.writers.write().await;
        state.close();
        self.inner.collections.lock().remove(&collection);
        drop(writers);
        state.end().await;
        state.note_stopped();
        state.forget_lag();
    }

    /// Stores documents. When this returns they are durable and will be indexed, whatever happens;
    /// those that cannot be are rejected one by one.
    ///
    /// # Errors
    /// [`FingerprintMismatch`](ErrorCode::FingerprintMismatch) when the collection was built with
    /// another model, chunker or analyzer; otherwise those of the ledger, with nothing stored.
    pub async fn ingest(
        &self,
        collection: &Collection,
        request: IngestRequest,
    ) -> Result<IngestOutcome> {
        let writer = self.writer(collection)?;
        let done = self
            .write(async move { writer.ingest(request).await })
            .await;
        self.make_room(&done);
        done
    }

    /// Deletes documents: they are hidden when this returns, and purged later.
    ///
    /// # Errors
    /// Those of the ledger, with nothing deleted.
    pub async fn delete(
        &self,
        collection: &Collection,
        ids: Vec<DocumentId>,
        job: Option<NewJob>,
        guard: Option<WriteGuard<StageReceipt>>,
    ) -> Result<StageOutcome> {
        let writer = self.writer(collection)?;
        self.write(async move { writer.delete(ids, job, guard).await })
            .await
    }

    /// Deletes the documents whose newest version passes `filter`, as they are when this is called: one
    /// that is replaced between being found and being deleted, by another process, is deleted if it
    /// still passes. One outcome per document found.
    ///
    /// # Errors
    /// As [`Indexer::delete`]; [`InvalidRequest`](ErrorCode::InvalidRequest) for a bad filter.
    pub async fn delete_matching(
        &self,
        collection: &Collection,
        filter: Filter,
        job: Option<NewJob>,
        guard: Option<WriteGuard<StageReceipt>>,
    ) -> Result<StageOutcome> {
        filter.check()?;
        let writer = self.writer(collection)?;
        self.write(async move { writer.delete_matching(filter, job, guard).await })
            .await
    }

    /// Stages the newest version of these documents again where it could not be indexed; every
    /// other one is rejected.
    ///
    /// # Errors
    /// As [`Indexer::ingest`].
    pub async fn retry(
        &self,
        collection: &Collection,
        ids: Vec<DocumentId>,
        job: Option<NewJob>,
        guard: Option<WriteGuard<StageReceipt>>,
    ) -> Result<IngestOutcome> {
        let writer = self.writer(collection)?;
        let work = async move { writer.retry(ids, job, guard).await };
        let done = self.write(work).await;
        self.make_room(&done);
        done
    }

    /// Takes back what a job of this collection put and is not published yet.
    ///
    /// # Errors
    /// [`JobNotFound`](ErrorCode::JobNotFound); otherwise those of the ledger, with nothing cancelled.
    pub async fn cancel_job(
        &self,
        collection: &Collection,
        job: JobId,
        guard: Option<WriteGuard<CancelReceipt>>,
    ) -> Result<Recorded<CancelReceipt>> {
        let writer = self.writer(collection)?;
        self.write(async move { writer.cancel_job(job, guard).await })
            .await
    }

    /// Waits until every operation up to `through` is published, or recorded as failed.
    ///
    /// # Errors
    /// What fails, as [`StorageFull`](ErrorCode::StorageFull) or
    /// [`ModelUnavailable`](ErrorCode::ModelUnavailable), once it was tried as often as
    /// [`RetryPolicy::attempts`](crate::RetryPolicy::attempts) says; it is tried again all the same.
    /// [`Unavailable`](ErrorCode::Unavailable) when indexing is stalled,
    /// [`ShuttingDown`](ErrorCode::ShuttingDown) when it stops.
    pub async fn wait_published(&self, collection: CollectionId, through: Sequence) -> Result<()> {
        let state = self.state_of(collection)?;
        state
            .wait(|progress| progress.is_retrievable(through))
            .await
    }

    /// Waits until everything acknowledged is published and every retired slot is purged.
    ///
    /// # Errors
    /// As [`Indexer::wait_published`].
    pub async fn wait_idle(&self, collection: CollectionId) -> Result<()> {
        let state = self.state_of(collection)?;
        let newest = self.inner.parts.ledger.stats(collection).await?.newest;
        let idle = |progress: &Progress| progress.is_retrievable(newest) && progress.is_idle();
        state.wait(idle).await
    }

    /// Follows how far indexing has come; [stopped](Health::Stopped) where the collection is not
    /// open.
    pub fn progress(&self, collection: CollectionId) -> watch::Receiver<Progress> {
        match self.state_of(collection) {
            Ok(state) => state.progress.subscribe(),
            Err(_) => watch::Sender::new(Progress::stopped()).subscribe(),
        }
    }

    /// How the background tasks of a collection are doing.
    pub fn health(&self, collection: CollectionId) -> Health {
        self.state_of(collection).map_or(Health::Stopped, |state| {
            state.progress.borrow().health().clone()
        })
    }

    /// Why indexing of a collection waits for a person, or keeps failing, if it does.
    pub fn stalled(&self, collection: CollectionId) -> Option<String> {
        match self.health(collection) {
            Health::Stalled { reason } => Some(reason),
            Health::Retrying {
                error,
                failures,
                lasting: true,
                ..
            } => Some(format!("failed {failures} times in a row: {error}")),
            Health::Working | Health::Reconciling | Health::Retrying { .. } | Health::Stopped => {
                None
            }
        }
    }

    /// Holds the background tasks of a collection after the step they are in. Acknowledged changes
    /// pile up meanwhile; deletes hide documents all the same.
    ///
    /// # Errors
    /// [`CollectionNotFound`](ErrorCode::CollectionNotFound) when it is not open.
    pub fn pause(&self, collection: CollectionId) -> Result<()> {
        self.state_of(collection)?.pause(true);
        Ok(())
    }

    /// Ends a [pause](Indexer::pause), and tries again what stalled.
    ///
    /// # Errors
    /// As [`Indexer::pause`].
    pub fn resume(&self, collection: CollectionId) -> Result<()> {
        let state = self.state_of(collection)?;
        state.pause(false);
        state.revive.notify_waiters();
        Ok(())
    }

    /// Compares ledger and indexes once pending operations are applied, and with `repair` mends
    /// the indexes from the ledger.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn verify(&self, collection: &Collection, repair: bool) -> Result<VerifyReport> {
        let state = self.state(collection)?;
        let parts = Arc::clone(&self.inner.parts);
        let work = async move { verify::verify(&parts, &state, repair).await };
        detached(&self.inner.parts.shutdown, work).await
    }

    /// Looks for text that many documents of a collection share, and names the `most` largest of it.
    /// Reads every retrievable chunk twice.
    ///
    /// # Errors
    /// Those of the ledger.
    pub async fn boilerplate(
        &self,
        collection: &Collection,
        most: usize,
    ) -> Result<BoilerplateReport> {
        let parts = &self.inner.parts;
        boilerplate::find(&*parts.ledger, &parts.pool, collection.id, most).await
    }

    /// Builds the next generation under `settings` beside the served one and switches to it. Texts
    /// are embedded again only if the embedder or their chunks changed. Writes go on until the
    /// last step, which holds them briefly. A crash leaves the old generation served.
    ///
    /// # Errors
    /// [`Overloaded`](ErrorCode::Overloaded) when a rebuild of the collection is running;
    /// otherwise those of the stores and the embedder, with the old generation served.
    pub async fn rebuild(
        &self,
        collection: &Collection,
        settings: CollectionSettings,
        progress: impl Fn(RebuildProgress) + Send + Sync,
    ) -> Result<Collection> {
        let state = self.state(collection)?;
        let parts = Arc::clone(&self.inner.parts);
        Rebuild::new(parts, state, settings).run(&progress).await
    }

    /// After a refusal for lack of room: what is stored for nothing goes, so that the next try may
    /// succeed.
    fn make_room<T>(&self, done: &Result<T>) {
        let refused = done.as_ref().err().map(Error::code);
        if refused == Some(ErrorCode::StorageFull) {
            self.inner.sweeps.send_modify(|asked| *asked += 1);
        }
    }

    /// Runs a write to its end once there is room for it. One that its caller has left keeps its place, so
    /// that requests that are given up and repeated do not pile up.
    ///
    /// # Cancel safety
    /// Dropping the future before there is room leaves nothing behind; afterwards the write goes on.
    ///
    /// In boxes: the types of all that callers put around it would become too deep for the compiler.
    fn write<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> BoxFuture<'_, Result<T>> {
        let work: BoxFuture<'static, Result<T>> = Box::pin(work);
        Box::pin(async move {
            let room = Arc::clone(&self.inner.writes).acquire_owned().await;
            let room =
                room.map_err(|_| Error::new(ErrorCode::ShuttingDown, "indexing has stopped"))?;
            let work = async move {
                let done = work.await;
                drop(room);
                done
            };
            detached(&self.inner.parts.shutdown, work).await
        })
    }

    fn writer(&self, collection: &Collection) -> Result<Writer> {
        Ok(Writer {
            parts: Arc::clone(&self.inner.parts),
            state: self.state(collection)?,
        })
    }

    fn state(&self, collection: &Collection) -> Result<Arc<CollectionState>> {
        let state = self.state_of(collection.id);
        state.map_err(|_| no_collection(&collection.name))
    }

    fn state_of(&self, collection: CollectionId) -> Result<Arc<CollectionState>> {
        let open = self.inner.collections.lock();
        open.get(&collection).cloned().ok_or_else(|| {
            Error::new(
                ErrorCode::CollectionNotFound,
                format!("collection number {} is not open", collection.0),
            )
        })
    }
}

/// Runs `work` to its end even if the caller loses interest half-way: what is in the ledger must
/// reach the background tasks, and locks must outlast what they protect.
pub(crate) async fn detached<T: Send + 'static>(
    shutdown: &Shutdown,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    match shutdown.spawn(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::new(ErrorCode::ShuttingDown, "indexing has stopped")),
        },
    }
}

fn first_progress(stats: &CollectionStats, paused: bool) -> Progress {
    Progress {
        newest: stats.newest,
        embedded: stats.published,
        published: stats.published,
        purgeable: stats.retired > 0,
        paused,
        ..Progress::default()
    }
}
