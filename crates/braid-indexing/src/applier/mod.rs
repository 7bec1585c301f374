//! The publishing half: two background tasks per collection.
//!
//! [`embed`] walks the log ahead and makes sure that every chunk's embedding is stored; it tells
//! how far it has come in [`Progress::embedded`](crate::Progress). [`apply`] follows behind: it
//! takes a run of consecutive embedded operations, brings the vector store and then the lexical
//! index up to it, and publishes. Both work from the ledger alone, so that neither holds more than
//! a batch in memory, a restart needs no state of theirs, and every step may be repeated.

pub(crate) mod apply;
pub(crate) mod embed;
pub(crate) mod gather;
pub(crate) mod isolate;
pub(crate) mod publish;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use braid_core::{CollectionId, Error};
use futures::FutureExt;

use crate::indexer::IndexerParts;
use crate::indexes::Source;
use crate::progress::{Health, Progress};
use crate::retry::{Backoff, Remedy, remedy};
use crate::state::{CollectionState, Control, Served, Stopped};

/// What both tasks of a session work with.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    parts: Arc<IndexerParts>,
    state: Arc<CollectionState>,
    served: Arc<Served>,
    control: Control,
    source: Source,
}

/// Starts the background tasks for what `state` serves now.
pub(crate) fn begin(parts: &Arc<IndexerParts>, state: &Arc<CollectionState>) {
    if !parts.options.background {
        state.note_stopped();
        return;
    }
    let served = state.served();
    state.progress.send_modify(|progress| {
        progress.embedding = Health::Working;
        // Until the indexes were seen to hold what is published.
        progress.applying = Health::Reconciling;
        progress.embedded = progress.published;
    });
    if let Err(error) = served.pipeline.check_indexing(&served.collection) {
        stall(state, Task::Applying, &error);
        return;
    }
    state.begin(&parts.shutdown, |control| {
        let session = Session {
            parts: Arc::clone(parts),
            state: Arc::clone(state),
            source: Source::new(Arc::clone(parts), &served.collection),
            served: Arc::clone(&served),
            control: control.clone(),
        };
        let embedding = embed::EmbeddingTask::new(session.clone());
        let applying = apply::ApplyingTask::new(session.clone());
        vec![
            parts
                .shutdown
                .spawn(session.clone().supervise(Task::Embedding, embedding.run())),
            parts
                .shutdown
                .spawn(session.supervise(Task::Applying, applying.run())),
        ]
    });
}

/// One of the two background tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Embedding,
    Applying,
}

impl Task {
    fn as_str(self) -> &'static str {
        match self {
            Self::Embedding => "embedding",
            Self::Applying => "applying",
        }
    }

    fn health(self, progress: &mut Progress) -> &mut Health {
        match self {
            Self::Embedding => &mut progress.embedding,
            Self::Applying => &mut progress.applying,
        }
    }
}

impl Session {
    fn collection(&self) -> CollectionId {
        self.served.collection.id
    }

    fn name(&self) -> String {
        self.served.collection.name.to_string()
    }

    /// Runs a task to its end. One that panics has met a defect: the collection stalls visibly
    /// rather than falling behind in silence.
    async fn supervise(self, task: Task, work: impl Future<Output = ()>) {
        let ended = AssertUnwindSafe(work).catch_unwind().await;
        if ended.is_err() {
            let error = Error::internal(format!("the {} task panicked", task.as_str()));
            stall(&self.state, task, &error);
        }
        if self.parts.shutdown.is_requested() {
            self.state.note_stopped();
        }
    }

    fn note_health(&self, task: Task, health: Health) {
        note_health(&self.state, task, health);
    }

    /// Waits out a failure, or until a person has acted.
    async fn settle(
        &self,
        task: Task,
        error: &Error,
        backoff: &mut Backoff,
    ) -> Result<(), Stopped> {
        let collection = self.name();
        match remedy(error, backoff) {
            Remedy::Stop => Err(Stopped),
            Remedy::Wait(wait) => {
                let failures = backoff.failures();
                tracing::warn!(%collection, task = task.as_str(), error = %error.chain(), failures, ?wait, "indexing failed, it will be tried again");
                let policy = self.parts.options.retry;
                self.note_health(task, Health::retrying(error, failures, policy));
                self.control.sleep(wait).await
            }
            Remedy::Stall => {
                let revived = self.state.revive.notified();
                stall(&self.state, task, error);
                backoff.reset();
                self.control.until(revived).await
            }
        }
    }
}

fn stall(state: &CollectionState, task: Task, error: &Error) {
    let collection = state.served().collection.name.to_string();
    tracing::error!(%collection, task = task.as_str(), error = %error.chain(), "indexing is stalled");
    let reason = error.chain();
    note_health(state, task, Health::Stalled { reason });
}

fn note_health(state: &CollectionState, task: Task, health: Health) {
    state.progress.send_if_modified(|progress| {
        let place = task.health(progress);
        let changed = *place != health;
        *place = health;
        changed
    });
}
