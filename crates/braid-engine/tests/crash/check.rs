//! What must hold of a data directory after a process died on it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use braid_core::DocumentStatus;
use braid_core::Slot;
use braid_core::ports::JobItemStatus;
use braid_engine::Breakpoints;
use braid_engine::query::{Mode, RetrieveRequest, Typos};

use crate::cancels::{check_cancels, taken};
use crate::process::Ended;
use crate::script::{Step, Version, is_cured, job_id, write};
use crate::state::{Again, State, Taken, listed};
use crate::world::{self, Life, name};

/// Opens what a child left behind after running `steps`, and checks all of it. Says how many
/// documents its cancels had taken back.
pub(crate) fn check(directory: &Path, steps: &[Step], ended: &Ended) -> usize {
    let answers = ended.answers();
    world::run(async {
        let is_cured = is_cured(steps, answers.len());
        let life = Life::with_cure(directory, Breakpoints::default(), is_cured).await;
        life.drain().await;
        let taken = taken(&life, steps, answers.len() + 1).await;
        check_cancels(&life, steps, &answers, &taken).await;
        let state = found_state(&life, steps, answers.len(), &taken).await;
        check_state(&life, &state).await;
        check_jobs(&life, steps, answers.len(), &taken).await;
        check_replay(&life, steps, &answers).await;
        go_on(&life, steps, &answers).await;
        life.close().await;
        taken.values().map(BTreeSet::len).sum()
    })
}

/// The state after what was acknowledged, or after the step that was not any more.
async fn found_state(life: &Life, steps: &[Step], acknowledged: usize, taken: &Taken) -> State {
    let found = listing(life).await;
    let state = |count| State::after_cancels(steps, count, taken);
    let [before, after] = [acknowledged, acknowledged + 1].map(state);
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

/// Every document's newest text by id, and whether it failed.
pub(crate) async fn listing(life: &Life) -> BTreeMap<String, String> {
    let page = life.engine.documents(&name(), None, 1000).await.unwrap();
    assert!(page.next.is_none());
    let mut texts = BTreeMap::new();
    for summary in page.items {
        let document = life.engine.document(&name(), &summary.id).await.unwrap();
        let has_failed = matches!(summary.status, DocumentStatus::Failed(_));
        let text = listed(&document.text, has_failed);
        texts.insert(summary.id.to_string(), text);
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
    // Markers are written nearly alike: each is to be found by itself alone.
    request.typos = Typos::Off;
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

/// Every acknowledged job answers, and nothing of it is pending any more: it was cancelled where a
/// cancel says so, and failed where it had to.
async fn check_jobs(life: &Life, steps: &[Step], acknowledged: usize, taken: &Taken) {
    let state = State::after_cancels(steps, acknowledged, taken);
    let jobs = steps.iter().enumerate().take(acknowledged);
    for (at, step) in jobs.filter(|(_, step)| step.has_job()) {
        let job = life.engine.job(job_id(at)).await;
        let job = job.expect("an acknowledged job");
        let found: BTreeMap<_, _> = job
            .items
            .iter()
            .map(|item| (item.document.as_str(), &item.status))
            .collect();
        let gone = taken.get(&at).cloned().unwrap_or_default();
        for (id, status) in &found {
            let is_cancelled = **status == JobItemStatus::Cancelled;
            assert_eq!(is_cancelled, gone.contains(*id), "{job:?}");
            assert_ne!(**status, JobItemStatus::Pending, "{job:?}");
        }
        if let Step::Put(versions) = step {
            check_put(&found, versions);
        } else if let Some(expected) = state.retries.get(&at) {
            check_retry(&found, expected);
        } else {
            assert!(!found.values().any(|status| has_failed(status)), "{job:?}");
        }
    }
}

fn has_failed(status: &JobItemStatus) -> bool {
    matches!(status, JobItemStatus::Failed(_))
}

/// What cannot be embedded has failed, or was cancelled before that was known.
fn check_put(found: &BTreeMap<&str, &JobItemStatus>, versions: &[Version]) {
    assert_eq!(found.len(), versions.len(), "{found:?}");
    for version in versions {
        let status = found[version.id.as_str()];
        let is_cancelled = *status == JobItemStatus::Cancelled;
        let is_bad = !version.is_healthy() && !is_cancelled;
        assert_eq!(has_failed(status), is_bad, "{found:?}");
    }
}

fn check_retry(found: &BTreeMap<&str, &JobItemStatus>, expected: &[(String, Again)]) {
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (id, again) in expected {
        let status = found[id.as_str()];
        let is_expected = match again {
            Again::Refused => matches!(status, JobItemStatus::Rejected(_)),
            Again::Fails => has_failed(status),
            Again::Succeeds => *status == JobItemStatus::Indexed,
        };
        assert!(is_expected, "{id} {again:?}: {found:?}");
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
async fn go_on(life: &Life, steps: &[Step], answers: &[&str]) {
    let mut answers: Vec<_> = answers.iter().map(|answer| (*answer).to_owned()).collect();
    for (at, step) in steps.iter().enumerate().skip(answers.len()) {
        match step {
            Step::Idle => life.drain().await,
            Step::Cure => life.model.cure(),
            Step::Hold => life.hold().await,
            Step::Release => life.release().await,
            Step::Put(_) | Step::Delete(_) | Step::Cancel(_) | Step::Retry(_) => {}
            Step::LoseIndex(_) | Step::Rebuild(_) => {}
        }
        let answer = write(life, at, step).await.unwrap();
        answers.push(answer.map(|answer| answer.text).unwrap_or_default());
    }
    life.drain().await;
    let taken = taken(life, steps, steps.len()).await;
    let answers: Vec<_> = answers.iter().map(String::as_str).collect();
    check_cancels(life, steps, &answers, &taken).await;
    let state = State::after_cancels(steps, steps.len(), &taken);
    assert_eq!(listing(life).await, state.texts());
    check_jobs(life, steps, steps.len(), &taken).await;
    check_pin(life, &state).await;
    check_stores(life).await;
}
