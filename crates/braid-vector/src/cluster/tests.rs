//! Against the double, and where `BRAID_TEST_QDRANT_URL` names one against a real server.
//!
//! Of the suite of ledgers, these cases do not apply, and why:
//! - `stage`: `a_staged_document_is_pending`, `a_delete_hides_at_once`, `a_pending_document_can_be_deleted`,
//!   `the_same_content_is_unchanged` and `the_later_put_of_a_request_wins` count operations and retired
//!   slots, which are approximate here; `staged_chunks_can_be_indexed`, `slots_are_never_reused` and
//!   `the_log_is_read_in_parts` read the log, and there is none; `documents_are_listed_in_id_order`:
//!   listings are in the order of hashed ids.
//! - `publish`: all but `failing_never_undoes_a_delete` check receipts of [`Ledger::publish`] or counts
//!   of retired slots; the suite of work queues checks the same of claims.
//! - `purge`: there are no purges; the sweep is checked by the suite of work queues.
//! - `pins`: `a_pin_does_not_change`: a pin is of one mind about each document, and no snapshot.
//! - `filters`: `filters_agree_with_their_definition`, `filters_follow_the_live_version` and
//!   `a_detected_language_is_a_field` select slots; here the legs filter.
//! - `jobs`: `a_job_follows_its_operations` and `a_cancelled_job_leaves_documents_as_they_were` take a
//!   delete to be pending, here it is done at once; `a_cancelled_put_that_was_overtaken_leaves_no_trace`
//!   and `pending_puts_are_taken_back_in_any_order`: what was overtaken is replaced, and stays so;
//!   `dead_letters_are_the_newest_failures` checks their order; `a_request_is_done_once` counts
//!   operations.
//! - `duplicates`: they are not looked for.
//! - `lineage`: `a_chunk_is_followed_from_staging_to_purge` and
//!   `a_repeated_chunk_is_found_in_both_versions` find chunks that are not indexed yet, which are not
//!   looked through; `a_chunk_of_a_rebuild_is_unreferenced`: there is no rebuild; `use_grows`: the server knows how full it is.
//! - `embeddings`: they are kept with the chunks. `rebuild`: not enabled.

mod audit;
mod claims;
mod contention;
mod copies;
mod fields;
mod going_back;
mod half_made;
mod idempotency;
mod keeping;
mod lengths;
mod model;
mod queue;
mod reads;
mod refusals;
mod silence;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use braid_core::{Ledger, WorkQueue};
use braid_qdrant_double::{Leftovers, QdrantDouble};
use braid_runtime::CpuPool;
use braid_testkit::{LedgerSubject, WorkSubject, shared_ledger_suite, work_suite};

use super::*;
use crate::qdrant::options::{ApiKey, QdrantOptions};

/// A server, and what its clients agree on.
#[derive(Clone)]
struct World {
    options: QdrantOptions,
    clock: Arc<AtomicI64>,
}

impl World {
    /// Of names that nobody else has.
    fn new(options: &QdrantOptions) -> Self {
        let namespace = format!("braid-test-{}", uuid::Uuid::new_v4().simple());
        Self {
            options: QdrantOptions {
                namespace,
                ..options.clone()
            },
            clock: Arc::default(),
        }
    }

    fn advance_ms(&self, ms: i64) {
        self.clock.fetch_add(ms, Relaxed);
    }

    fn site(&self) -> Arc<Site> {
        Site::new(self.options.clone(), CpuPool::new(1).unwrap()).unwrap()
    }

    /// One more process.
    async fn open(&self) -> Arc<ClusterLedger> {
        let clock = Arc::clone(&self.clock);
        let clock = Arc::new(move || clock.load(Relaxed));
        ClusterLedger::open_at(self.site(), clock).await.unwrap()
    }

    /// For suites that make their subjects at once.
    fn open_now(&self) -> Arc<ClusterLedger> {
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(self.open()))
    }

    fn leftovers(&self) -> Leftovers {
        leftovers(&self.options)
    }
}

/// What is stored with these options.
pub(super) fn leftovers(options: &QdrantOptions) -> Leftovers {
    Leftovers::of(&options.url, &format!("{}-", options.namespace))
}

/// A real server, if there is one: its version must be 1.17 or newer.
pub(super) fn real_server() -> Option<QdrantOptions> {
    let Ok(url) = std::env::var("BRAID_TEST_QDRANT_URL") else {
        eprintln!("skipped: set BRAID_TEST_QDRANT_URL to the gRPC address of a Qdrant server");
        return None;
    };
    let key = std::env::var("BRAID_TEST_QDRANT_API_KEY").ok();
    let copies = std::env::var("BRAID_TEST_QDRANT_REPLICATION").ok();
    let mut options = QdrantOptions {
        url,
        api_key: key.map(|key| ApiKey::new(&key).unwrap()),
        ..QdrantOptions::default()
    };
    options.collection.replication = copies.map_or(1, |copies| copies.parse().unwrap());
    Some(options)
}

/// Each of these against the double and against a real server.
macro_rules! everywhere {
    ($($name:ident),+ $(,)?) => {
        mod against_the_double {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let double = braid_qdrant_double::QdrantDouble::start();
                let options = crate::qdrant::options::QdrantOptions {
                    url: double.url(),
                    ..crate::qdrant::options::QdrantOptions::default()
                };
                super::$name(crate::cluster::tests::World::new(&options)).await;
            })+
        }

        mod against_a_real_server {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let Some(options) = crate::cluster::tests::real_server() else { return };
                let world = crate::cluster::tests::World::new(&options);
                let _leftovers = world.leftovers();
                super::$name(world).await;
            })+
        }
    };
}
use everywhere;

everywhere!(is_a_ledger, is_a_work_queue);

async fn is_a_ledger(world: World) {
    let fresh = || {
        let world = World::new(&world.options);
        let ledger = world.open_now();
        let leftovers = world.leftovers();
        LedgerSubject {
            ledger: ledger.clone(),
            work: Some(ledger),
            advance_ms: Box::new(move |ms| world.advance_ms(ms)),
            keep: Box::new(leftovers),
        }
    };
    shared_ledger_suite(&fresh).await;
}

async fn is_a_work_queue(world: World) {
    let fresh = async || {
        let world = World::new(&world.options);
        let ledger = world.open().await;
        let leftovers = world.leftovers();
        WorkSubject {
            ledger: ledger.clone(),
            queue: ledger,
            advance_ms: Box::new(move |ms| world.advance_ms(ms)),
            keep: Box::new(leftovers),
        }
    };
    work_suite(fresh).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_see_what_others_did() {
    let double = QdrantDouble::start();
    let options = QdrantOptions {
        url: double.url(),
        ..QdrantOptions::default()
    };
    let world = World::new(&options);
    let (a, b) = (world.open().await, world.open().await);
    let scene = braid_testkit::ledger_suite::Scene::of(a.clone()).await;
    scene.put("d", &["one"]).await;
    let there = braid_testkit::ledger_suite::Scene::of(b.clone()).await;
    assert_eq!(there.collection, scene.collection);
    let there = there.indexed_by(b.clone() as Arc<dyn WorkQueue>);
    assert_eq!(there.publish().await.published, 1);
    let scene = scene.indexed_by(a.clone());
    assert_eq!(scene.visible().await, ["d: one"]);
    there.delete("d").await;
    assert!(scene.visible().await.is_empty());
    let name = &scene.collection.name;
    b.delete_collection(name, None).await.unwrap();
    let stats = a.stats(scene.collection.id).await;
    assert_eq!(
        stats.unwrap_err().code(),
        braid_core::ErrorCode::CollectionNotFound
    );
    assert!(
        double
            .collections()
            .iter()
            .all(|it| it.ends_with("-registry"))
    );
}
