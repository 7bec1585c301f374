//! Connections that go silent: what was asked over them fails, and what is asked next takes others.

use std::time::Duration;

use braid_core::{
    Embedding, Error, ErrorCode, IndexProvider, LexicalView, Result, Selection, VectorView,
};
use braid_qdrant_double::{Fault, Kind, Link, Wire};
use braid_testkit::ledger_suite::Scene;

use super::contention::{Log, append, read, swap};
use super::*;
use crate::cluster::ClusterIndexes;
use crate::cluster::cas::Table;

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(3600);
/// Longer than what is answered takes.
const SOON: Duration = Duration::from_secs(30);
/// What a search may take: less than the engine gives a leg.
const SEARCH: Duration = Duration::from_secs(1);
const LEG: Duration = Duration::from_secs(4);

/// A server behind a wire.
struct Cut {
    double: QdrantDouble,
    wire: Wire,
    world: World,
}

/// One connection, so that it is the one that went silent, and no limit but those of `change`.
fn cut(change: impl FnOnce(&mut QdrantOptions)) -> Cut {
    let double = QdrantDouble::start();
    let wire = Wire::to(vec![double.address()]);
    let mut options = QdrantOptions {
        url: wire.url(),
        timeout: NEVER,
        search_timeout: NEVER,
        upload_concurrency: 1,
        ..QdrantOptions::default()
    };
    change(&mut options);
    let world = World::new(&options);
    Cut {
        double,
        wire,
        world,
    }
}

impl Cut {
    /// The log, as another process sees it.
    fn beside_the_wire(&self) -> Table {
        let mut world = self.world.clone();
        world.options.url = self.double.url();
        table_of(&world.site())
    }
}

fn table_of(site: &Arc<Site>) -> Table {
    Table::new(Arc::clone(site), format!("{}-log", site.prefix))
}

/// The log with one entry.
async fn log_table(site: &Arc<Site>) -> Table {
    let table = table_of(site);
    table.ensure(&[]).await.unwrap();
    append(&table, (0, 0)).await;
    table
}

/// One leg, as the engine asks it.
enum Leg {
    Terms(Arc<dyn LexicalView>),
    Vectors(Arc<dyn VectorView>),
}

impl Leg {
    async fn found(&self, selection: &Selection) -> Result<usize> {
        let search = async {
            match self {
                Self::Terms(view) => {
                    let found = view.search("amber", selection, 3).await?;
                    Ok(found.candidates.len())
                }
                Self::Vectors(view) => {
                    let query = Embedding::from(vec![1.0, 0.0]);
                    Ok(view.search(&query, selection, 3).await?.len())
                }
            }
        };
        let given_up = |_| Err(Error::new(ErrorCode::Timeout, "the leg was given up"));
        let answer = tokio::time::timeout(LEG, search).await;
        answer.unwrap_or_else(given_up)
    }
}

async fn a_leg_goes_on(open: impl AsyncFnOnce(&ClusterIndexes, &Scene) -> Leg) {
    let cut = cut(|options| options.search_timeout = SEARCH);
    let ledger = cut.world.open().await;
    let work = Arc::clone(&ledger) as Arc<dyn WorkQueue>;
    let scene = Scene::of(ledger.clone()).await.indexed_by(work);
    scene.put("d", &["amber"]).await;
    scene.publish().await;
    let indexes = ClusterIndexes::new(Arc::clone(&ledger.site), ledger);
    let leg = open(&indexes, &scene).await;
    let selection = scene.pin().await.select(None).await.unwrap();
    assert_eq!(leg.found(&selection).await.unwrap(), 1);
    cut.wire.set(Link::Silent);
    let error = leg.found(&selection).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Timeout, "{error}");
    cut.wire.set(Link::Whole);
    assert_eq!(leg.found(&selection).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_searched_over_another_connection() {
    a_leg_goes_on(async |indexes, scene| {
        let key = scene.collection.index_key();
        let index = indexes.lexical(&scene.collection, key).await.unwrap();
        Leg::Terms(index.pin().await.unwrap())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_are_searched_over_another_connection() {
    a_leg_goes_on(async |indexes, scene| {
        let key = scene.collection.index_key();
        let store = indexes.vector(&scene.collection, key).await.unwrap();
        Leg::Vectors(store.pin().await.unwrap())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_call_that_was_given_up_over_a_silent_connection_replaces_it() {
    let cut = cut(|options| options.search_timeout = Duration::from_millis(20));
    let table = log_table(&cut.world.site()).await;
    cut.wire.set(Link::Silent);
    let given_up = tokio::time::timeout(Duration::from_millis(200), read(&table)).await;
    assert!(given_up.is_err(), "nothing comes through");
    cut.wire.set(Link::Whole);
    let answered = tokio::time::timeout(SOON, read(&table)).await;
    assert_eq!(answered.expect("another connection").0, [(0, 0)]);
}

/// The client replaces the one connection that was late; the others are as silent.
#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_call_that_is_late_replaces_every_connection() {
    let cut = cut(|options| {
        options.timeout = SEARCH;
        options.upload_concurrency = 4;
    });
    let site = cut.world.site();
    let table = log_table(&site).await;
    let before = site.connections.client();
    cut.wire.set(Link::Silent);
    let late = table.list_all(None).await.unwrap_err();
    assert_eq!(late.code(), ErrorCode::Timeout, "{late}");
    assert!(!Arc::ptr_eq(&before, &site.connections.client()));
    cut.wire.set(Link::Whole);
    assert_eq!(read(&table).await.0, [(0, 0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_stay_where_a_call_is_answered_or_soon_given_up() {
    let cut = cut(|_| {});
    let site = cut.world.site();
    let table = log_table(&site).await;
    let before = site.connections.client();
    read(&table).await;
    cut.double.inject(Kind::Read, Fault::Held, 1);
    tokio::select! {
        _ = read(&table) => panic!("it is held"),
        () = cut.double.holds_a_call() => {}
    }
    cut.double.release();
    read(&table).await;
    assert!(Arc::ptr_eq(&before, &site.connections.client()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_without_an_answer_replaces_the_connection() {
    let cut = cut(|_| {});
    let site = cut.world.site();
    site.check(SOON).await.unwrap();
    cut.wire.set(Link::Silent);
    let error = site.check(Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Timeout, "{error}");
    cut.wire.set(Link::Whole);
    site.check(SOON).await.unwrap();
}

/// A compare-and-set is on its way to being applied when its connection goes silent.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_was_given_up_and_is_applied_is_not_done_twice() {
    // Whatever is given up replaces the connections.
    let cut = cut(|options| options.search_timeout = Duration::ZERO);
    let table = log_table(&cut.world.site()).await;
    let (mut log, expected) = read(&table).await;
    log.push((0, 1));
    let write = || vec![swap(&log, expected.clone())];
    cut.double.inject(Kind::Write, Fault::Held, 1);
    let (writer, written) = (table.clone(), write());
    let given_up = tokio::spawn(async move { writer.swap(written).await });
    cut.double.holds_a_call().await;
    cut.wire.set(Link::Silent);
    cut.double.release();
    let applied = tokio::time::timeout(SOON, until(&cut.beside_the_wire(), &log)).await;
    applied.expect("it is applied");
    given_up.abort();
    assert!(given_up.await.is_err(), "it waits for an answer");
    cut.wire.set(Link::Whole);
    // Whoever repeats it learns that the point is not what it read.
    assert_eq!(table.swap(write()).await.unwrap(), [false]);
    append(&table, (0, 2)).await;
    assert_eq!(read(&table).await.0, [(0, 0), (0, 1), (0, 2)]);
}

async fn until(table: &Table, wanted: &Log) {
    while read(table).await.0 != *wanted {}
}
