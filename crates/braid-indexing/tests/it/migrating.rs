//! Copies from one ledger in memory to another that others write to.

use std::sync::Arc;
use std::time::Duration;

use braid_core::ports::Asked;
use braid_core::{
    CollectionId, DocumentId, Embedder, ErrorCode, Fingerprint, Ledger, Result, WorkQueue,
};
use braid_indexing::{Migrated, Migration, Side};
use braid_runtime::Shutdown;
use braid_testkit::ledger_suite::{Scene, new_collection};
use braid_testkit::{RamIndexProvider, RamLedger};
use futures::FutureExt as _;

use crate::outages::Rough;
use crate::worker::{DIMENSION, Waiting, embedder};

const LEASE: Duration = Duration::from_secs(60);

/// A source with its documents, and a target.
struct World {
    source: Waiting,
    target: RamLedger,
    shutdown: Shutdown,
}

impl World {
    /// The source has embedded these documents.
    async fn new(documents: &[(&str, &[&str])]) -> Self {
        let source = Waiting::new(documents).await;
        source.drain(embedder()).await;
        Self {
            source,
            target: RamLedger::new(),
            shutdown: Shutdown::new(),
        }
    }

    async fn migrate(&self) -> Migrated {
        self.migrate_through(Arc::new(self.target.clone()))
            .await
            .unwrap()
    }

    /// As one process does, whose queue is `queue`.
    async fn migrate_through(&self, queue: Arc<dyn WorkQueue>) -> Result<Migrated> {
        let side = |ledger: &RamLedger| Side {
            ledger: Arc::new(ledger.clone()),
            indexes: Arc::new(RamIndexProvider::new()),
        };
        let migration = Migration {
            source: side(&self.source.ledger),
            target: side(&self.target),
            queue,
            copied: Arc::new(self.target.clone()),
            shutdown: self.shutdown.clone(),
        };
        let name = &self.source.scene.collection.name;
        migration.run(name, &|_| {}).await
    }

    /// After a copy that was told to stop in its first batch.
    async fn stopped(self) -> Self {
        let shutdown = self.shutdown.clone();
        let stopping = Rough::new(&self.target, move |_| {
            shutdown.request();
            None
        });
        let error = self.migrate_through(stopping).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::ShuttingDown);
        assert_eq!(self.target.depth().await.unwrap().waiting, 0);
        Self {
            shutdown: Shutdown::new(),
            ..self
        }
    }

    /// The target, as its clients and workers see it.
    async fn there(&self) -> Scene {
        let mut new = new_collection("scene");
        new.dimension = DIMENSION;
        new.fingerprint.embedder = fingerprint();
        Scene::made(Arc::new(self.target.clone()), new).await
    }

    /// Publishes what clients wrote to the target.
    async fn work(&self) {
        let queue: Arc<dyn WorkQueue> = Arc::new(self.target.clone());
        let (worker, _) = self
            .source
            .worker_over(queue, embedder(), crate::worker::options());
        worker.run(braid_indexing::Until::Idle).await.unwrap();
    }

    async fn ask(&self, collection: CollectionId, document: &str) -> Asked {
        let documents = [DocumentId::new(document).unwrap()];
        let asked = self.target.claim_documents(collection, &documents, LEASE);
        asked.await.unwrap().remove(0)
    }
}

fn fingerprint() -> Fingerprint {
    embedder().fingerprint().clone()
}

fn left_out(migrated: &Migrated) -> Vec<&str> {
    let left_out = migrated.left_out.iter();
    left_out.map(|(document, _)| document.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_clients_wrote_since_is_neither_replaced_nor_brought_back() {
    let documents: [(&str, &[&str]); 3] = [("a", &["one"]), ("b", &["two"]), ("c", &["three"])];
    let world = World::new(&documents).await;
    assert_eq!(world.migrate().await.copied, 3);
    let there = world.there().await;
    there.put("a", &["newer"]).await;
    there.delete("b").await;
    world.work().await;
    world.target.advance_ms(1_000_000);
    WorkQueue::sweep(&world.target, LEASE).await.unwrap();
    let again = world.migrate().await;
    assert_eq!((again.copied, again.unchanged), (0, 1));
    assert_eq!(left_out(&again), ["a", "b"]);
    assert!(!again.agrees());
    assert_eq!(there.visible().await, ["a: newer", "c: three"]);
    // What is new in the source is copied all the same.
    world.source.scene.put("0", &["four"]).await;
    world.source.drain(embedder()).await;
    let again = world.migrate().await;
    assert_eq!((again.copied, left_out(&again)), (1, vec!["a", "b"]));
    assert_eq!(there.visible().await, ["0: four", "a: newer", "c: three"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_client_puts_between_the_look_up_and_the_write_stays() {
    // So long that it is written by itself, after what follows was looked up too.
    let long = "one ".repeat(2 << 20);
    let documents: [(&str, &[&str]); 4] = [
        ("a", &[&long]),
        ("b", &["two"]),
        ("c", &["three"]),
        ("d", &["four"]),
    ];
    let world = World::new(&documents).await;
    let there = Arc::new(world.there().await);
    let (client, mut is_first) = (Arc::clone(&there), true);
    let putting = Rough::new(&world.target, move |_| {
        if std::mem::take(&mut is_first) {
            client.put("b", &["newer"]).now_or_never().unwrap();
            client.put("d", &["four"]).now_or_never().unwrap();
        }
        None
    });
    let migrated = world.migrate_through(putting).await.unwrap();
    // What says the same is published with the embeddings that are there.
    assert_eq!((migrated.copied, left_out(&migrated)), (3, vec!["b"]));
    assert!(
        migrated.left_out[0]
            .1
            .contains("written while it was copied")
    );
    world.work().await;
    let visible = there.visible().await;
    assert_eq!(visible[1..], ["b: newer", "c: three", "d: four"]);
}

#[tokio::test(start_paused = true)]
async fn only_what_was_copied_is_claimed() {
    let world = World::new(&[("a", &["one"])]).await;
    let mut new = new_collection("other");
    new.dimension = DIMENSION;
    new.fingerprint.embedder = fingerprint();
    let other = Scene::made(Arc::new(world.target.clone()), new).await;
    other.put("a", &["of others"]).await;
    let there = world.there().await;
    there.put("b", &["of others"]).await;
    assert_eq!(world.migrate().await.copied, 1);
    for (collection, document) in [(&other.collection, "a"), (&there.collection, "b")] {
        let Asked::Claimed(item) = world.ask(collection.id, document).await else {
            panic!("{document} of {} does not wait", collection.name);
        };
        assert_eq!((item.claim.attempt, item.claim.returned), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_source_has_not_embedded_waits_for_workers_untouched() {
    let source = Waiting::new(&[("a", &["one"])]).await;
    source.scene.publish().await;
    let world = World {
        source,
        target: RamLedger::new(),
        shutdown: Shutdown::new(),
    };
    for _ in 0..12 {
        let migrated = world.migrate().await;
        assert_eq!((migrated.copied, left_out(&migrated)), (0, vec!["a"]));
    }
    let there = world.there().await;
    let Asked::Claimed(item) = world.ask(there.collection.id, "a").await else {
        panic!("it does not wait, or not for anybody");
    };
    assert_eq!((item.claim.attempt, item.claim.returned), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_fails_gives_back_what_it_claimed_and_goes_on_at_once() {
    let world = World::new(&[("a", &["one"]), ("b", &["two"])]).await;
    let away = Rough::new(&world.target, |_| Some(ErrorCode::Unavailable));
    let error = world.migrate_through(away).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    assert_eq!(world.target.depth().await.unwrap().claimed, 0);
    let again = world.migrate().await;
    assert_eq!((again.copied, again.unchanged), (2, 0));
    assert!(again.agrees(), "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_is_stopped_finishes_its_batch_and_goes_on_where_it_stopped() {
    let names: Vec<String> = (100..200).map(|number| format!("d{number}")).collect();
    let texts: Vec<[&str; 1]> = names.iter().map(|name| [name.as_str()]).collect();
    let documents: Vec<(&str, &[&str])> = names
        .iter()
        .zip(&texts)
        .map(|(name, text)| (name.as_str(), text.as_slice()))
        .collect();
    let world = World::new(&documents).await.stopped().await;
    // What was copied before it stopped is not brought back.
    world.there().await.delete("d100").await;
    let again = world.migrate().await;
    assert_eq!((again.copied, again.unchanged), (36, 63));
    assert_eq!(left_out(&again), ["d100"]);
}

#[tokio::test(start_paused = true)]
async fn what_another_process_has_is_said() {
    let world = World::new(&[("a", &["one"]), ("b", &["two"])]).await;
    let away = Rough::new(&world.target, |_| Some(ErrorCode::Unavailable));
    world.migrate_through(away).await.unwrap_err();
    // As a copy that was killed leaves it.
    let there = world.there().await;
    let Asked::Claimed(_) = world.ask(there.collection.id, "a").await else {
        panic!("it was not given back");
    };
    let migrated = world.migrate().await;
    assert_eq!((migrated.copied, left_out(&migrated)), (1, vec!["a"]));
    assert!(migrated.left_out[0].1.contains("claimed"));
    world.target.advance_ms(60_001);
    let again = world.migrate().await;
    assert_eq!((again.copied, again.unchanged), (1, 1));
    assert!(again.agrees(), "{again:?}");
    assert!(world.target.stats(there.collection.id).await.is_ok());
}

/// The first copy came to its end, and the source has more since.
#[tokio::test(start_paused = true)]
async fn what_a_later_copy_came_to_before_it_was_stopped_is_not_brought_back() {
    let world = World::new(&[("a", &["one"])]).await;
    assert_eq!(world.migrate().await.copied, 1);
    for number in 100..200 {
        let name = format!("d{number}");
        world.source.scene.put(&name, &[name.as_str()]).await;
    }
    world.source.drain(embedder()).await;
    let world = world.stopped().await;
    world.there().await.delete("d100").await;
    let again = world.migrate().await;
    assert_eq!((again.copied, again.unchanged), (37, 63));
    assert_eq!(left_out(&again), ["d100"]);
}
