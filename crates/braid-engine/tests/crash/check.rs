//! What must hold of a data directory after a process died on it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use braid_core::DocumentStatus;
use braid_core::Slot;
use braid_core::ports::JobItemStatus;
use braid_engine::Breakpoints;
use braid_engine::query::{Mode, RetrieveRequest};

use crate::process::Ended;
use crate::script::{State, Step, Version, job_id, write};
use crate::world::{self, Life, name};

/// Opens what a child left behind after running `steps`, and checks all of it.
pub(crate) fn check(directory: &Path, steps: &[Step], ended: &Ended) {
    let answers = ended.answers();
    world::run(async {
        let life = Life::open(directory, Breakpoints::default()).await;
        life.drain().await;
        let state = found_state(&life, steps, answers.len()).await;
        check_state(&life, &state).await;
        check_jobs(&life, steps, answers.len()).await;
        check_replay(&life, steps, &answers).await;
        go_on(&life, steps, answers.len()).await;
        life.close().await;
    });
}

/// The state after what was acknowledged, or after the step that was not any more.
async fn found_state(life: &Life, steps: &[Step], acknowledged: usize) -> State {
    let found = listing(life).await;
    let [before, after] = [acknowledged, acknowledged + 1].map(|count| State::after(steps, count));
    if after.texts() == found {
        return after;
    }
    assert_eq!(
        found,
        before.texts(),
        "after {acknowledged} acknowledged steps"
    );
    before
}

/// Every document's newest text by id.
pub(crate) async fn listing(life: &Life) -> BTreeMap<String, String> {
    let page = life.engine.documents(&name(), None, 1000).await.unwrap();
    assert!(page.next.is_none());
    let mut texts = BTreeMap::new();
    for summary in page.items {
        let document = life.engine.document(&name(), &summary.id).await.unwrap();
        let is_poisoned = document.text.contains("poison");
        let has_failed = matches!(summary.status, DocumentStatus::Failed(_));
        assert_eq!(is_poisoned, has_failed, "{summary:?}");
        texts.insert(summary.id.to_string(), document.text);
    }
    texts
}

/// A drained collection holds `state`, all of it and nothing else, wherever one looks.
pub(crate) async fn check_state(life: &Life, state: &State) {
    assert_eq!(listing(life).await, state.texts());
    check_pin(life, state).await;
    check_stores(life).await;
    check_lexical(life, state).await;
    check_both_legs(life, state).await;
}

/// What a reader that pins the ledger sees is the live versions, each whole.
async fn check_pin(life: &Life, state: &State) {
    let pin = life.engine.ledger().pin(&name()).await.unwrap();
    let slots = pin.select(None).await.unwrap().slots.unwrap();
    let slots: Vec<Slot> = slots.iter().map(Slot).collect();
    let passages = pin.hydrate(&slots).await.unwrap();
    assert_eq!(passages.len(), slots.len(), "every live slot has a passage");
    let mut found: BTreeMap<String, Vec<(u32, String)>> = BTreeMap::new();
    for passage in passages {
        let chunk = passage.record.chunk;
        let document = passage.record.document.to_string();
        found
            .entry(document)
            .or_default()
            .push((chunk.ordinal, chunk.text));
    }
    let text = |mut chunks: Vec<(u32, String)>| {
        chunks.sort_unstable();
        let texts: Vec<_> = chunks.into_iter().map(|(_, text)| text).collect();
        texts.join(" ")
    };
    let found: BTreeMap<_, _> = found.into_iter().map(|(id, c)| (id, text(c))).collect();
    let live = state.live().into_iter();
    let expected: BTreeMap<_, _> = live.map(|v| (v.id.clone(), v.text.clone())).collect();
    assert_eq!(found, expected, "what is pinned");
}

/// Ledger, lexical index and vector store hold the same slots: the live ones, as all others are
/// purged.
pub(crate) async fn check_stores(life: &Life) {
    let report = life.engine.verify(&name(), false).await.unwrap();
    assert!(report.is_sound(), "{report:#?}");
    let info = life.engine.collection_info(&name()).await.unwrap();
    let stats = info.stats;
    assert_eq!((stats.lag(), stats.retired), (0, 0), "{stats:?}");
    let held = (report.lexical.held, report.vector.held);
    assert_eq!(held, (stats.chunks, stats.chunks), "{report:#?}");
    let readiness = life.engine.readiness().await.unwrap();
    assert!(readiness.lag.is_empty() && readiness.stalled.is_empty());
}

/// Each live version is found by its own word, all of it; no word of another version finds anything.
async fn check_lexical(life: &Life, state: &State) {
    for version in state.live() {
        let texts = retrieve(life, Mode::Lexical, &version.marker).await;
        assert!(!texts.is_empty(), "{version:?} is not found");
        check_hits(&texts, &[version]);
        let sentences = texts.iter().map(|(_, text)| text.matches('.').count());
        assert_eq!(sentences.sum::<usize>(), version.text.matches('.').count());
    }
    for markers in state.dead_markers().chunks(100) {
        let found = retrieve(life, Mode::Lexical, &markers.join(" ")).await;
        assert_eq!(found, [], "deleted or superseded");
    }
}

/// The dense leg and both together find what a version says first, and nothing that is not live.
async fn check_both_legs(life: &Life, state: &State) {
    let live = state.live();
    for mode in [Mode::Dense, Mode::Hybrid] {
        if let Some(version) = live.first() {
            let hits = retrieve(life, mode, &version.text).await;
            assert_eq!(hits[0].0, version.id, "{mode:?}");
            check_hits(&hits, &live);
            let found: BTreeSet<_> = hits.iter().map(|(id, _)| id).collect();
            assert_eq!(found.len(), live.len(), "{mode:?} reaches every document");
        }
    }
}

/// Each hit says what a version of `allowed` says.
fn check_hits(hits: &[(String, String)], allowed: &[&Version]) {
    for (id, text) in hits {
        let is_allowed = |v: &&&Version| v.id == *id && v.text.contains(text.as_str());
        assert!(allowed.iter().find(is_allowed).is_some(), "{id}: {text}");
    }
}

/// Hits as (document, text), with every leg at work.
pub(crate) async fn retrieve(life: &Life, mode: Mode, query: &str) -> Vec<(String, String)> {
    let mut request = RetrieveRequest::new(query, name());
    request.mode = mode;
    request.top_k = 100;
    request.candidates.lexical = 100;
    request.candidates.dense = 100;
    request.rerank.enabled = false;
    let response = life.engine.retrieve(request).await.unwrap();
    assert_eq!(response.degraded, []);
    let hits = response.hits.into_iter();
    let hits = hits.map(|hit| {
        let record = hit.passage.record;
        (record.document.to_string(), record.chunk.text)
    });
    hits.collect()
}

/// Every acknowledged job answers, and nothing of it is pending any more.
async fn check_jobs(life: &Life, steps: &[Step], acknowledged: usize) {
    for (at, step) in steps.iter().enumerate().take(acknowledged) {
        let poisoned = |versions: &[Version]| versions.iter().filter(|v| !v.is_healthy()).count();
        let (documents, most_failed) = match step {
            Step::Put(versions) if versions.len() > 1 => (versions.len(), poisoned(versions)),
            Step::Delete(ids) if ids.len() > 1 => (ids.len(), 0),
            Step::Put(_) | Step::Delete(_) => continue,
            Step::Idle | Step::LoseIndex(_) | Step::Rebuild(_) => continue,
        };
        let job = life
            .engine
            .job(job_id(at))
            .await
            .expect("an acknowledged job");
        assert_eq!(job.items.len(), documents);
        let statuses = job.items.iter().map(|item| &item.status);
        let is_pending = |status: &&JobItemStatus| matches!(status, JobItemStatus::Pending);
        assert_eq!(statuses.clone().find(is_pending), None, "{job:?}");
        let has_failed = |status: &&JobItemStatus| matches!(status, JobItemStatus::Failed(_));
        assert!(
            statuses.filter(has_failed).count() <= most_failed,
            "{job:?}"
        );
    }
}

/// The last acknowledged write, sent again, is answered as before and does nothing.
async fn check_replay(life: &Life, steps: &[Step], answers: &[&str]) {
    let Some(at) = answers.iter().rposition(|answer| !answer.is_empty()) else {
        return;
    };
    let before = life.engine.collection_info(&name()).await.unwrap();
    let answer = write(life, at, &steps[at]).await.unwrap().expect("a write");
    assert!(answer.is_replay);
    assert_eq!(answer.text, answers[at]);
    let after = life.engine.collection_info(&name()).await.unwrap();
    assert_eq!(before, after, "a replay does nothing");
}

/// The step that was not acknowledged is taken again under its key, and so are all the others:
/// each is done once.
async fn go_on(life: &Life, steps: &[Step], acknowledged: usize) {
    for (at, step) in steps.iter().enumerate().skip(acknowledged) {
        write(life, at, step).await.unwrap();
    }
    life.drain().await;
    let state = State::after(steps, steps.len());
    assert_eq!(listing(life).await, state.texts());
    check_pin(life, &state).await;
    check_stores(life).await;
}
