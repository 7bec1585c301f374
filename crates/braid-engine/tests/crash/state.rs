//! What must be found after a script: a model of the collection that knows of no storage.
//!
//! The model of a cancel is that the job had not named those documents: their puts are struck from
//! the history, and the newest of what is left is what there is. Which they are depends on how far
//! indexing had come, so the collection says it ([`Taken`]); the model says which they may be.

use std::collections::{BTreeMap, BTreeSet};

use crate::script::{Retried, Step, Version};

/// What cancels took back: document ids by the step of the job.
pub(crate) type Taken = BTreeMap<usize, BTreeSet<String>>;

/// What became of the puts and deletes of a script, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    history: Vec<Event>,
    /// Markers of every version there was.
    pub(crate) markers: Vec<String>,
    /// Those that a mended model embedded after all.
    healed: BTreeSet<String>,
    is_cured: bool,
    /// What became of each document that was tried again, by step.
    pub(crate) retries: BTreeMap<usize, Vec<(String, Again)>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    Put(Put),
    Delete(String),
}

/// A version that was staged.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Put {
    /// The step.
    at: usize,
    version: Version,
    /// Whether everything staged up to it has since been published, or has failed.
    is_settled: bool,
    /// Whether another request was told that it is there.
    is_told: bool,
    /// Whether cancelling it may lose what it replaced, which depends on how far indexing was, or
    /// it may have failed by then.
    is_doubtful: bool,
}

/// What a cancel does with a document of its job, if it is not published yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Stays,
    Either,
    Goes,
}

/// What trying a document again comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// It has not failed, or is not there.
    Refused,
    Fails,
    Succeeds,
}

impl State {
    /// After the first `count` steps of a script without cancels.
    pub(crate) fn after(steps: &[Step], count: usize) -> Self {
        Self::after_cancels(steps, count, &Taken::default())
    }

    /// After the first `count` steps, where cancels took back what they say.
    pub(crate) fn after_cancels(steps: &[Step], count: usize, taken: &Taken) -> Self {
        let mut state = Self::default();
        for (at, step) in steps.iter().enumerate().take(count) {
            state.apply(at, step, taken);
        }
        state
    }

    pub(crate) fn apply(&mut self, at: usize, step: &Step, taken: &Taken) {
        match step {
            Step::Put(versions) => versions.iter().for_each(|version| self.put(at, version)),
            Step::Delete(ids) => {
                let deletes = ids.iter().cloned().map(Event::Delete);
                self.history.extend(deletes);
            }
            Step::Cancel(of) => {
                let gone = taken.get(of).cloned().unwrap_or_default();
                let is_gone = |put: &Put| put.at == *of && gone.contains(&put.version.id);
                let stays = |event: &Event| !matches!(event, Event::Put(put) if is_gone(put));
                self.history.retain(stays);
            }
            Step::Retry(Retried::Documents(ids)) => self.retry(at, ids.clone()),
            // Nothing but a poisoned document fails, and trying it again leaves its first failure.
            Step::Retry(Retried::Job(of)) => self.retry(at, self.poisoned_of(*of)),
            Step::Cure => self.is_cured = true,
            Step::Idle => self.puts_mut().for_each(|put| put.is_settled = true),
            Step::Hold | Step::Release | Step::LoseIndex(_) | Step::Rebuild(_) => {}
        }
    }

    fn put(&mut self, at: usize, version: &Version) {
        self.markers.push(version.marker.clone());
        let before = self.newest_put(&version.id).cloned();
        if before.as_ref().is_some_and(|put| put.version == *version) {
            let newest = self.puts_mut().rfind(|put| put.version == *version);
            newest.expect("it is there").is_told = true;
            return;
        }
        let may_be_lost = |put: &Put| !put.is_settled || !put.version.is_healthy();
        self.history.push(Event::Put(Put {
            at,
            version: version.clone(),
            is_settled: false,
            is_told: false,
            is_doubtful: !version.is_healthy() || before.as_ref().is_some_and(may_be_lost),
        }));
        if self.is_cured {
            self.healed.insert(version.marker.clone());
        }
    }

    fn retry(&mut self, at: usize, ids: Vec<String>) {
        let again = |id: String| {
            let newest = self.newest_put(&id).map(|put| &put.version);
            let failed = newest.filter(|version| !self.is_live(version));
            let again = match failed {
                None => Again::Refused,
                Some(version) if self.is_cured => {
                    self.healed.insert(version.marker.clone());
                    Again::Succeeds
                }
                Some(_) => Again::Fails,
            };
            (id, again)
        };
        let ids = ids.into_iter().map(again).collect();
        self.retries.insert(at, ids);
    }

    fn poisoned_of(&self, step: usize) -> Vec<String> {
        let puts = self.history.iter().filter_map(Event::as_put);
        let poisoned = puts.filter(|put| put.at == step && !put.version.is_healthy());
        poisoned.map(|put| put.version.id.clone()).collect()
    }

    fn puts_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Put> {
        self.history.iter_mut().filter_map(|event| match event {
            Event::Put(put) => Some(put),
            Event::Delete(_) => None,
        })
    }

    fn newest_put(&self, id: &str) -> Option<&Put> {
        let newest = self.history.iter().rfind(|event| event.id() == id);
        newest.and_then(Event::as_put)
    }

    /// What cancelling the job of step `of` now does, of its documents in order.
    pub(crate) fn fates(&self, of: usize) -> Vec<(&str, Fate)> {
        let puts = self.history.iter().filter_map(Event::as_put);
        let fate = |put: &Put| {
            let is_newest = self.newest_put(&put.version.id) == Some(put);
            match (put.is_settled, is_newest) {
                (true, _) => Fate::Stays,
                (false, true) if put.is_told => Fate::Stays,
                (false, true) if put.is_doubtful => Fate::Either,
                (false, _) if !put.version.is_healthy() => Fate::Either,
                (false, _) => Fate::Goes,
            }
        };
        let puts = puts.filter(|put| put.at == of);
        puts.map(|put| (put.version.id.as_str(), fate(put)))
            .collect()
    }

    /// The newest version of each document.
    pub(crate) fn newest(&self) -> BTreeMap<&str, &Version> {
        let mut newest = BTreeMap::new();
        for event in &self.history {
            match event {
                Event::Put(put) => newest.insert(put.version.id.as_str(), &put.version),
                Event::Delete(id) => newest.remove(id.as_str()),
            };
        }
        newest
    }

    fn is_live(&self, version: &Version) -> bool {
        version.is_healthy() || self.healed.contains(&version.marker)
    }

    /// Texts by id, as a listing of a drained collection has them.
    pub(crate) fn texts(&self) -> BTreeMap<String, String> {
        let text = |version: &Version| listed(&version.text, !self.is_live(version));
        let newest = self.newest().into_iter();
        newest.map(|(id, v)| (id.to_owned(), text(v))).collect()
    }

    /// Versions that must be retrievable.
    pub(crate) fn live(&self) -> Vec<&Version> {
        let newest = self.newest().into_values();
        newest.filter(|version| self.is_live(version)).collect()
    }

    /// Markers that must not be found.
    pub(crate) fn dead_markers(&self) -> Vec<String> {
        let live = self.live();
        let is_dead = |marker: &&String| !live.iter().any(|version| version.marker == **marker);
        self.markers.iter().filter(is_dead).cloned().collect()
    }
}

impl Event {
    fn id(&self) -> &str {
        match self {
            Self::Put(put) => &put.version.id,
            Self::Delete(id) => id,
        }
    }

    fn as_put(&self) -> Option<&Put> {
        match self {
            Self::Put(put) => Some(put),
            Self::Delete(_) => None,
        }
    }
}

/// A document as a listing has it.
pub(crate) fn listed(text: &str, has_failed: bool) -> String {
    let failed = if has_failed { "failed: " } else { "" };
    format!("{failed}{text}")
}
