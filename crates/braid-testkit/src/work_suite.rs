//! What every queue of documents that wait to be indexed must do.
//!
//! [`work_suite`] checks the contract of [`WorkQueue`] together with the ledger that documents are
//! staged in and read from. It looks at what is retrievable through pins alone, so that it holds for
//! ledgers which do not know slots.

// A suite is test code: a failed unwrap is a failed check.
#![allow(clippy::unwrap_used)]

mod claims;
mod given_back;
mod letters;
mod named;
mod settling;
mod sweeping;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use braid_core::ports::{Claim, Settled, WorkDepth, WorkItem};
use braid_core::{DocumentId, Embedding, Fingerprint, Ledger, Sequence, WorkQueue};

use crate::ledger_suite::{Scene, hash};

/// How long claims last in the suite.
const LEASE: Duration = Duration::from_secs(60);

/// The same in milliseconds.
const LEASE_MS: i64 = 60_000;

/// A fresh queue whose clock the suite moves.
pub struct WorkSubject {
    /// Where documents are staged, empty.
    pub ledger: Arc<dyn Ledger>,
    /// The queue of what was staged.
    pub queue: Arc<dyn WorkQueue>,
    /// Moves the clock of both by so many milliseconds.
    pub advance_ms: Box<dyn Fn(i64) + Send + Sync>,
    /// What must live as long as the queue, such as a server.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl std::fmt::Debug for WorkSubject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkSubject")
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

/// Checks the contract of [`WorkQueue`] on fresh queues.
pub async fn work_suite(fresh: impl AsyncFn() -> WorkSubject) {
    claims::check(&fresh).await;
    settling::check(&fresh).await;
    given_back::check(&fresh).await;
    letters::check(&fresh).await;
    named::check(&fresh).await;
    sweeping::check(&fresh).await;
}

/// A collection whose documents wait in a queue.
struct Desk {
    scene: Scene,
    subject: WorkSubject,
}

impl Desk {
    async fn new(fresh: &impl AsyncFn() -> WorkSubject) -> Self {
        let subject = fresh().await;
        let scene = Scene::of(Arc::clone(&subject.ledger)).await;
        Self { scene, subject }
    }

    fn queue(&self) -> &dyn WorkQueue {
        &*self.subject.queue
    }

    fn advance_ms(&self, ms: i64) {
        (self.subject.advance_ms)(ms);
    }

    async fn put(&self, id: &str, chunks: &[&str]) -> Sequence {
        self.scene.put(id, chunks).await
    }

    async fn claim(&self, limit: usize) -> Vec<WorkItem> {
        let claimed = self.queue().claim(&embedder(), limit, LEASE).await;
        claimed.unwrap()
    }

    /// Claims the one document that can be claimed.
    #[track_caller]
    fn claim_one(&self) -> impl Future<Output = WorkItem> + '_ {
        let caller = std::panic::Location::caller();
        async move {
            let mut claimed = self.claim(10).await;
            assert_eq!(claimed.len(), 1, "at {caller}: {claimed:#?}");
            claimed.remove(0)
        }
    }

    async fn publish(&self, item: WorkItem) -> Settled {
        let embeddings = embeddings(&item);
        let settled = self.queue().publish(vec![(item, embeddings)]).await;
        settled.unwrap().remove(0)
    }

    /// Publishes everything that can be claimed.
    async fn drain(&self) {
        for item in self.claim(100).await {
            assert_eq!(self.publish(item).await, Settled::Done);
        }
    }

    /// The chunks of a document's retrievable version, as a query sees them now.
    async fn shown(&self, id: &str) -> Vec<String> {
        let pin = self.scene.pin().await;
        let id = DocumentId::new(id).unwrap();
        let records = pin.document_chunks(&id, 0..=u32::MAX).await.unwrap();
        let texts = records.into_iter().map(|record| record.chunk.text);
        texts.collect()
    }

    async fn depth(&self) -> WorkDepth {
        self.queue().depth().await.unwrap()
    }

    #[track_caller]
    fn assert_depth(&self, waiting: u64, claimed: u64, failed: u64) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        let expected = WorkDepth {
            waiting,
            claimed,
            failed,
        };
        async move { assert_eq!(self.depth().await, expected, "at {caller}") }
    }
}

fn embedder() -> Fingerprint {
    Fingerprint::new("embedder")
}

/// An embedding a chunk: unit vectors, of which each text has its own.
fn embeddings(item: &WorkItem) -> Vec<Embedding> {
    let chunks = item.chunks.iter();
    chunks
        .map(|chunk| embedding(&chunk.record.chunk.text))
        .collect()
}

fn embedding(text: &str) -> Embedding {
    let angle = f32::from(hash(text).0[0]) / 41.0;
    vec![angle.cos(), angle.sin()].into()
}

fn texts(item: &WorkItem) -> Vec<&str> {
    let chunks = item.chunks.iter();
    chunks
        .map(|chunk| chunk.record.chunk.text.as_str())
        .collect()
}

fn names(items: &[WorkItem]) -> Vec<&str> {
    let mut names: Vec<_> = items.iter().map(|it| it.claim.document.as_str()).collect();
    names.sort_unstable();
    names
}

fn claims(items: &[WorkItem]) -> Vec<Claim> {
    items.iter().map(|item| item.claim.clone()).collect()
}
