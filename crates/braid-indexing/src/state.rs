//! One collection while it is open: its locks, its progress and its background tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use braid_core::{Collection, CollectionName, Error, ErrorCode, Result, Sequence};
use braid_runtime::Shutdown;
use parking_lot::RwLock as SyncRwLock;
use tokio::sync::{Mutex, Notify, RwLock, watch};
use tokio::task::JoinHandle;

use crate::pipeline::Pipeline;
use crate::progress::{Health, Progress};

/// What is served and written now; a rebuild replaces it.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) collection: Collection,
    pub(crate) pipeline: Pipeline,
}

/// Shared by the callers and the background tasks of one collection. Locks are taken in the order
/// of the fields.
#[derive(Debug)]
pub(crate) struct CollectionState {
    /// At most one rebuild.
    pub(crate) rebuilding: Arc<Mutex<()>>,
    /// Held shared by every ingest and delete, exclusively by the last step of a rebuild.
    pub(crate) writers: RwLock<()>,
    /// Held while the indexes change: by the applier for one run, by verify and by a switch.
    pub(crate) applying: Mutex<()>,
    /// Held from asking the ledger whether a document is unchanged until it is staged, and by
    /// everything else that could change the answer in between. Not where other processes could.
    pub(crate) staging: Mutex<()>,
    /// Wakes a stalled applier.
    pub(crate) revive: Notify,
    pub(crate) progress: watch::Sender<Progress>,
    served: SyncRwLock<Arc<Served>>,
    paused: watch::Sender<bool>,
    session: parking_lot::Mutex<Option<Session>>,
    closed: AtomicBool,
}

/// The background tasks of one served generation.
#[derive(Debug)]
struct Session {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl CollectionState {
    pub(crate) fn new(served: Served, progress: Progress) -> Self {
        Self {
            rebuilding: Arc::default(),
            writers: RwLock::default(),
            applying: Mutex::default(),
            staging: Mutex::default(),
            revive: Notify::new(),
            paused: watch::Sender::new(progress.paused),
            progress: watch::Sender::new(progress),
            served: SyncRwLock::new(Arc::new(served)),
            session: parking_lot::Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// Lets no more writes begin. The caller holds `writers` exclusively.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Whoever got this state before it was closed must not write. The caller holds `writers`.
    ///
    /// # Errors
    /// [`CollectionNotFound`](ErrorCode::CollectionNotFound).
    pub(crate) fn check_open(&self) -> Result<()> {
        match self.closed.load(Ordering::Acquire) {
            true => Err(no_collection(&self.served().collection.name)),
            false => Ok(()),
        }
    }

    pub(crate) fn served(&self) -> Arc<Served> {
        Arc::clone(&self.served.read())
    }

    pub(crate) fn serve(&self, served: Served) {
        *self.served.write() = Arc::new(served);
    }

    /// Says that operations up to `newest` are acknowledged.
    pub(crate) fn note_staged(&self, newest: Sequence) {
        self.progress.send_modify(|progress| {
            progress.newest = progress.newest.max(newest);
        });
        self.record_lag();
    }

    /// Tells the metrics how far the published state is behind.
    pub(crate) fn record_lag(&self) {
        let lag = self.progress.borrow().lag();
        self.set_lag(lag);
    }

    /// Tells the metrics that there is nothing to be behind of.
    pub(crate) fn forget_lag(&self) {
        self.set_lag(0);
    }

    fn set_lag(&self, lag: u64) {
        let collection = self.served().collection.name.to_string();
        metrics::gauge!("braid_index_lag", "collection" => collection).set(lag as f64);
    }

    pub(crate) fn pause(&self, paused: bool) {
        self.paused.send_replace(paused);
        self.progress
            .send_modify(|progress| progress.paused = paused);
    }

    /// Starts background tasks; `tasks` gets the control that ends them.
    pub(crate) fn begin(
        &self,
        shutdown: &Shutdown,
        tasks: impl FnOnce(&Control) -> Vec<JoinHandle<()>>,
    ) {
        let stop = watch::Sender::new(false);
        let control = Control {
            paused: self.paused.subscribe(),
            stop: stop.subscribe(),
            shutdown: shutdown.clone(),
        };
        let tasks = tasks(&control);
        *self.session.lock() = Some(Session { stop, tasks });
    }

    /// Tells the background tasks to end after the step they are in.
    pub(crate) fn signal_stop(&self) {
        if let Some(session) = &*self.session.lock() {
            session.stop.send_replace(true);
        }
    }

    /// Ends the background tasks.
    pub(crate) async fn end(&self) {
        let Some(session) = self.session.lock().take() else {
            return;
        };
        session.stop.send_replace(true);
        for task in session.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a background task of indexing ended badly");
            }
        }
    }

    /// Says that nothing will be published any more.
    pub(crate) fn note_stopped(&self) {
        self.progress.send_modify(|progress| {
            progress.embedding = Health::Stopped;
            progress.applying = Health::Stopped;
        });
    }

    /// Waits until `reached` holds.
    ///
    /// # Errors
    /// What fails once it failed as often as the policy says, though it is tried again;
    /// [`Unavailable`](ErrorCode::Unavailable) while indexing is stalled,
    /// [`ShuttingDown`](ErrorCode::ShuttingDown) once it has stopped.
    pub(crate) async fn wait(&self, reached: impl Fn(&Progress) -> bool) -> Result<()> {
        let mut progress = self.progress.subscribe();
        loop {
            {
                let now = progress.borrow_and_update();
                if reached(&now) {
                    return Ok(());
                }
                self.check_moving(now.health())?;
            }
            if progress.changed().await.is_err() {
                return Err(stopped());
            }
        }
    }

    fn check_moving(&self, health: &Health) -> Result<()> {
        match health {
            Health::Working | Health::Reconciling | Health::Retrying { lasting: false, .. } => {
                Ok(())
            }
            Health::Retrying {
                code, error, help, ..
            } => {
                let name = &self.served().collection.name;
                let message = format!("indexing of collection {name} fails: {error}");
                let error = Error::new(*code, message);
                Err(match help {
                    Some(help) => error.with_help(help),
                    None => error,
                })
            }
            Health::Stopped => Err(stopped()),
            Health::Stalled { reason } => {
                let name = &self.served().collection.name;
                Err(Error::new(
                    ErrorCode::Unavailable,
                    format!("indexing of collection {name} is stalled: {reason}"),
                )
                .with_help(format!(
                    "run `braid verify --repair` or `braid collection rebuild {name}`"
                )))
            }
        }
    }
}

pub(crate) fn no_collection(name: &CollectionName) -> Error {
    let message = format!("no collection {name}");
    Error::new(ErrorCode::CollectionNotFound, message)
}

fn stopped() -> Error {
    Error::new(ErrorCode::ShuttingDown, "indexing has stopped")
}

/// The background task was told to end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopped;

/// How a background task is told to pause and to end.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    paused: watch::Receiver<bool>,
    stop: watch::Receiver<bool>,
    shutdown: Shutdown,
}

impl Control {
    pub(crate) fn is_stopped(&self) -> bool {
        *self.stop.borrow() || self.shutdown.is_requested()
    }

    /// Resolves when the task must end.
    pub(crate) async fn stopped(&self) {
        let mut stop = self.stop.clone();
        tokio::select! {
            // An error means that the collection's state is gone: nothing to work for either.
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.shutdown.requested() => {}
        }
    }

    /// Goes on at once, or when a pause is over.
    pub(crate) async fn pass(&self) -> Result<(), Stopped> {
        if self.is_stopped() {
            return Err(Stopped);
        }
        let mut paused = self.paused.clone();
        tokio::select! {
            biased;
            () = self.stopped() => Err(Stopped),
            resumed = paused.wait_for(|paused| !*paused) => resumed.map(drop).map_err(|_| Stopped),
        }
    }

    pub(crate) async fn sleep(&self, duration: Duration) -> Result<(), Stopped> {
        self.until(tokio::time::sleep(duration)).await
    }

    /// Awaits `event`, unless told to end.
    pub(crate) async fn until<T>(&self, event: impl Future<Output = T>) -> Result<T, Stopped> {
        tokio::select! {
            biased;
            () = self.stopped() => Err(Stopped),
            value = event => Ok(value),
        }
    }
}
