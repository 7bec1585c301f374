//! What cancels took back, held against what was answered and what may be taken back.

use std::collections::BTreeSet;

use braid_core::JobId;
use braid_core::ports::JobItemStatus;
use braid_engine::Breakpoints;

use crate::points::live;
use crate::process::Death;
use crate::script::{Step, cancelled, job_id, key, script};
use crate::state::{Fate, State, Taken};
use crate::world::{self, Life, scratch};

/// What the cancels among the first `count` steps took back, as their jobs say.
pub(crate) async fn taken(life: &Life, steps: &[Step], count: usize) -> Taken {
    let mut taken = Taken::new();
    for step in steps.iter().take(count) {
        if let Step::Cancel(of) = step {
            taken.insert(*of, cancelled_of(life, job_id(*of)).await);
        }
    }
    taken
}

async fn cancelled_of(life: &Life, job: JobId) -> BTreeSet<String> {
    let job = life.engine.job(job).await.expect("an acknowledged job");
    let items = job.items.into_iter();
    let cancelled = items.filter(|item| item.status == JobItemStatus::Cancelled);
    cancelled.map(|item| item.document).collect()
}

/// Each cancel took back what it said, and nothing that it must leave. The one that was not
/// acknowledged happened, with an answer on record, or it did not and took back nothing.
pub(crate) async fn check_cancels(life: &Life, steps: &[Step], answers: &[&str], taken: &Taken) {
    let mut state = State::default();
    for (at, step) in steps.iter().enumerate().take(answers.len() + 1) {
        if let Step::Cancel(of) = step {
            let gone = &taken[of];
            let answer = match answers.get(at) {
                Some(answer) => Some((*answer).to_owned()),
                None => recorded(life, at).await,
            };
            let answer = answer.unwrap_or_else(|| cancelled(0));
            assert_eq!(answer, cancelled(gone.len()), "step {at}: {gone:?}");
            check_fates(at, &state.fates(*of), gone);
        }
        state.apply(at, step, taken);
    }
}

async fn recorded(life: &Life, at: usize) -> Option<String> {
    let key = key(at);
    let recorded = life.engine.ledger().recorded_response(&key);
    let recorded = recorded.await.unwrap();
    recorded.map(|response| String::from_utf8(response.body).unwrap())
}

/// Publishing goes in order: where one was still pending, so were all after it.
fn check_fates(at: usize, fates: &[(&str, Fate)], gone: &BTreeSet<String>) {
    let mut is_pending = false;
    for (id, fate) in fates {
        let is_gone = gone.contains(*id);
        is_pending |= is_gone;
        match fate {
            Fate::Stays => assert!(!is_gone, "step {at} took {id} back: {fates:?}"),
            Fate::Goes => assert_eq!(is_gone, is_pending, "step {at}, {id}: {fates:?}"),
            Fate::Either => {}
        }
    }
    let known = |id: &&String| fates.iter().any(|(known, _)| known == id);
    assert_eq!(gone.iter().find(|id| !known(id)), None, "step {at}");
}

/// While nothing is published, and so nothing that a version replaced can be lost, what cancels take
/// back is known exactly: all but what another request was told is there.
#[test]
fn a_held_job_is_taken_back_but_for_what_others_were_told() {
    let scratch = scratch();
    let ended = live(2, Death::Never, scratch.path(), None);
    let steps = script(2);
    let hold = steps.iter().position(|step| matches!(step, Step::Hold));
    let held = steps.iter().enumerate().skip(hold.unwrap());
    let held = held.take_while(|(_, step)| !matches!(step, Step::Release));
    let cancels = held.filter_map(|(at, step)| Some((at, step.cancelled_job()?)));
    let cancels: Vec<_> = cancels.collect();
    assert_eq!(cancels.len(), 2);
    world::run(async {
        let life = Life::open(scratch.path(), Breakpoints::default()).await;
        let taken = taken(&life, &steps, steps.len()).await;
        for (at, of) in cancels {
            let state = State::after_cancels(&steps, at, &taken);
            let fates = state.fates(of);
            let goes = fates.iter().filter(|(_, fate)| *fate != Fate::Stays);
            let goes: BTreeSet<_> = goes.map(|(id, _)| (*id).to_owned()).collect();
            assert_eq!(taken[&of], goes, "{fates:?}");
            assert_eq!(ended.answers()[at], cancelled(goes.len()));
            assert!(!goes.is_empty());
        }
        life.close().await;
    });
}
