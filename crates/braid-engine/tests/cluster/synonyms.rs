//! Rules of synonyms that several processes use.

use std::sync::Arc;
use std::time::{Duration, Instant};

use braid_core::Synonyms;
use braid_core::ports::Recorded;
use braid_engine::Engine;
use braid_engine::query::Mode;

use crate::world::{World, document, found, ingest, name, request};

/// Collections are known as they were a second ago, and a machine may be busy.
const SOON: Duration = Duration::from_secs(20);

async fn set(engine: &Engine, rules: &[&str]) {
    let rules = Arc::new(Synonyms::parse(rules).unwrap());
    let set = engine.set_synonyms(&name(), Arc::clone(&rules), None).await;
    let Recorded::Done(collection) = set.unwrap() else {
        panic!("set without an idempotency key");
    };
    assert_eq!(collection.synonyms, rules);
}

/// The best document and all that the query was searched for besides.
async fn answer(engine: &Engine, query: &str) -> (Option<String>, Vec<String>) {
    let answer = engine
        .retrieve(request(query, Mode::Lexical))
        .await
        .unwrap();
    assert!(answer.degraded.is_empty(), "{:?}", answer.degraded);
    let best = answer.hits.first();
    let best = best.map(|hit| hit.passage.record.document.to_string());
    let expansions = answer.expansions.into_iter().map(|it| it.to);
    (best, expansions.collect())
}

/// Waits until a process answers so.
async fn answers(engine: &Engine, query: &str, best: Option<&str>, means: &[&str]) {
    let began = Instant::now();
    let wanted = (
        best.map(str::to_owned),
        means.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>(),
    );
    loop {
        let found = answer(engine, query).await;
        if found == wanted {
            return;
        }
        assert!(began.elapsed() < SOON, "{query}: {found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_of_one_process_are_used_by_queries_of_another() {
    let world = World::new();
    let (setting, asking) = (world.open().await, world.open().await);
    setting.ensure_collection(&name()).await.unwrap();
    ingest(&setting, (0..6).map(|it| document(it, 1)).collect()).await;
    world.work().await;
    answers(&asking, "zephyr", None, &[]).await;
    set(&setting, &["zephyr, n4", "brook => river"]).await;
    let own = answer(&setting, "zephyr").await;
    assert_eq!(own, (Some("doc/4".to_owned()), vec!["n4".to_owned()]));
    answers(&asking, "zephyr", Some("doc/4"), &["n4"]).await;
    assert_eq!(found(&asking, "brook", Mode::Lexical).await.len(), 6);
    // The word itself counts more.
    answers(&asking, "n4 heron", Some("doc/4"), &["zephyr"]).await;
    // A process that starts later has them too.
    let later = world.open().await;
    assert_eq!(answer(&later, "zephyr").await, own);
    set(&later, &["zephyr => n5"]).await;
    answers(&asking, "zephyr", Some("doc/5"), &["n5"]).await;
    answers(&asking, "brook", None, &[]).await;
    set(&setting, &[]).await;
    answers(&asking, "zephyr", None, &[]).await;
}
