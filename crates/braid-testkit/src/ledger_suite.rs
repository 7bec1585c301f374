//! What every ledger must do.
//!
//! [`ledger_suite`] checks the contract, [`ledger_durability_suite`] what a durable one keeps over a
//! reopening. [`Scene`] is how the checks, and property tests elsewhere, drive a ledger;
//! [`render`] writes a collection's whole state as text, so that two ledgers can be compared.

// A suite is test code: a failed unwrap is a failed check.
#![allow(clippy::unwrap_used)]

mod collections;
mod duplicates;
mod embeddings;
mod expected;
mod filters;
mod jobs;
mod lineage;
mod pins;
mod publish;
mod purge;
mod rebuild;
mod render;
mod scene;
mod stage;
pub(crate) mod work;

use std::any::Any;
use std::sync::Arc;

use braid_core::{Ledger, WorkQueue};

pub use render::render;
pub use scene::{Scene, hash, metadata, new_collection, put, staged, staged_chunks};

/// A fresh ledger whose clock the suite moves.
pub struct LedgerSubject {
    /// The ledger, empty.
    pub ledger: Arc<dyn Ledger>,
    /// Who indexes, where that is not the ledger's caller: the ledger then has no log.
    pub work: Option<Arc<dyn WorkQueue>>,
    /// Moves its clock by so many milliseconds.
    pub advance_ms: Box<dyn Fn(i64) + Send + Sync>,
    /// What must live as long as the ledger, such as its directory.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl std::fmt::Debug for LedgerSubject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LedgerSubject")
            .field("ledger", &self.ledger)
            .finish_non_exhaustive()
    }
}

/// Makes an empty ledger.
pub type FreshLedger<'f> = &'f dyn Fn() -> LedgerSubject;

/// Checks the contract of [`Ledger`] on fresh ledgers.
pub async fn ledger_suite(fresh: FreshLedger<'_>) {
    collections::check(fresh).await;
    stage::check(fresh).await;
    expected::check(fresh).await;
    publish::check(fresh).await;
    purge::check(fresh).await;
    pins::check(fresh).await;
    filters::check(fresh).await;
    jobs::check(fresh).await;
    duplicates::check(fresh).await;
    lineage::check(fresh).await;
    embeddings::check(fresh).await;
    rebuild::check(fresh).await;
}

/// Checks what of the contract of [`Ledger`] also holds for ledgers that several processes share, whose
/// subjects have a [`WorkQueue`]. It leaves out the log and what is counted by it, slots, snapshots,
/// purges, likeness, stored embeddings and rebuilding.
pub async fn shared_ledger_suite(fresh: FreshLedger<'_>) {
    collections::check(fresh).await;
    stage::check_shared(fresh).await;
    expected::check(fresh).await;
    publish::check_shared(fresh).await;
    pins::check_shared(fresh).await;
    filters::check_shared(fresh).await;
    jobs::check_shared(fresh).await;
    lineage::check_shared(fresh).await;
}

/// Checks that a ledger opened again in the same place, by `open`, has everything that was
/// acknowledged, and goes on where it stopped.
pub async fn ledger_durability_suite(open: &dyn Fn() -> Arc<dyn Ledger>) {
    let scene = Scene::of(open()).await;
    scene.put("kept", &["one", "two"]).await;
    scene.put("replaced", &["old"]).await;
    scene.put("deleted", &["gone"]).await;
    scene.publish().await;
    scene.put("replaced", &["new"]).await;
    scene.publish().await;
    scene.delete("deleted").await;
    let failed = scene.put("failed", &["poison"]).await;
    scene.fail(failed, "the reason").await;
    scene.put("pending", &["later"]).await;
    let before = render(&*scene.ledger, &scene.collection).await;
    drop(scene);

    let scene = Scene::of(open()).await;
    assert_eq!(render(&*scene.ledger, &scene.collection).await, before);
    scene.publish().await;
    let purge = scene.ledger.stage_purge(scene.collection.id).await.unwrap();
    assert!(purge.is_some(), "no pin outlives a process");
    scene.publish().await;
    let before = render(&*scene.ledger, &scene.collection).await;
    drop(scene);

    let scene = Scene::of(open()).await;
    assert_eq!(render(&*scene.ledger, &scene.collection).await, before);
    assert_eq!(scene.stats().await.retired, 0);
    assert_eq!(
        scene.visible().await,
        ["kept: one | two", "pending: later", "replaced: new"]
    );
}
