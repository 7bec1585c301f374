//! An in-memory [`LexicalIndex`]: lower-cased alphanumeric runs as terms, and a score that any
//! reader can compute by hand.

mod phrases;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use braid_core::ports::LexicalMatches;
use braid_core::{
    Candidate, Error, ErrorCode, Expansion, IndexBatch, LexicalEntry, LexicalIndex, LexicalQuery,
    LexicalView, Narrowed, Result, Selection, Sequence, Slot, SlotSet, TextCondition,
};
use parking_lot::Mutex;

/// One committed state.
#[derive(Clone, Debug, Default)]
struct State {
    entries: BTreeMap<Slot, Arc<LexicalEntry>>,
    watermark: Sequence,
}

/// A [`LexicalIndex`] in memory. An entry scores, per distinct query term, `tf / (tf + 1)` where
/// `tf` counts the term in body and headings once and in the title twice, and for what the query is
/// expanded to `weight * n / (n + 1)` where it says that `n` times; entries without any of it are not
/// returned.
///
/// Every applied batch is a new immutable state, so a pinned view never changes.
#[derive(Debug, Default)]
pub struct RamLexicalIndex {
    state: Mutex<Arc<State>>,
    failures: Mutex<Vec<ErrorCode>>,
}

impl RamLexicalIndex {
    /// An empty index.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the next apply that is not yet told to fail return `code`, with nothing of its batch
    /// visible. Called twice, the next two applies fail.
    pub fn fail_next_apply(&self, code: ErrorCode) {
        self.failures.lock().insert(0, code);
    }

    fn snapshot(&self) -> Arc<State> {
        Arc::clone(&self.state.lock())
    }
}

#[async_trait]
impl LexicalIndex for RamLexicalIndex {
    async fn apply(&self, batch: IndexBatch<LexicalEntry>) -> Result<()> {
        if let Some(code) = self.failures.lock().pop() {
            return Err(Error::new(code, "planned failure of a lexical apply"));
        }
        let mut guard = self.state.lock();
        let mut next = State::clone(&guard);
        next.entries
            .retain(|slot, _| !batch.delete.contains(slot.0));
        let added = batch.add.into_iter();
        next.entries
            .extend(added.map(|entry| (entry.slot, Arc::new(entry))));
        next.watermark = batch.watermark;
        *guard = Arc::new(next);
        Ok(())
    }

    async fn watermark(&self) -> Result<Sequence> {
        Ok(self.snapshot().watermark)
    }

    async fn slots(&self) -> Result<SlotSet> {
        let state = self.snapshot();
        Ok(state.entries.keys().map(|slot| slot.0).collect())
    }

    async fn pin(&self) -> Result<Arc<dyn LexicalView>> {
        Ok(Arc::new(RamLexicalView(self.snapshot())))
    }
}

struct RamLexicalView(Arc<State>);

#[async_trait]
impl LexicalView for RamLexicalView {
    async fn find(
        &self,
        query: &LexicalQuery,
        selection: &Selection,
        depth: usize,
    ) -> Result<LexicalMatches> {
        let terms: BTreeSet<String> = terms(&query.text).collect();
        let expansions = phrases::expansions(&self.0, query);
        let mut candidates: Vec<Candidate> = self
            .0
            .entries
            .values()
            .filter(|entry| selects(selection, entry))
            .map(|entry| Candidate {
                slot: entry.slot,
                score: score(entry, &terms) + score_expansions(entry, &expansions),
            })
            .filter(|candidate| candidate.score > 0.0)
            .collect();
        candidates.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.slot.cmp(&b.slot)));
        candidates.truncate(depth);
        Ok(LexicalMatches {
            candidates,
            // Every term counts at most 1, see `score`.
            ceiling: terms.len() as f32,
            terms: with_expansions(terms, &expansions),
            expansions: expansions.into_iter().map(|(_, told)| told).collect(),
        })
    }

    async fn narrow(
        &self,
        conditions: &[TextCondition],
        selection: &Selection,
    ) -> Result<Narrowed> {
        Ok(phrases::narrow(&self.0, conditions, selection))
    }
}

fn score_expansions(entry: &LexicalEntry, expansions: &[(Vec<String>, Expansion)]) -> f32 {
    let scores = expansions.iter().map(|(words, told)| {
        let count = phrases::count(entry, words, None) as f32;
        told.weight * count / (count + 1.0)
    });
    scores.sum()
}

fn with_expansions(
    terms: BTreeSet<String>,
    expansions: &[(Vec<String>, Expansion)],
) -> Vec<String> {
    let mut all: Vec<String> = terms.into_iter().collect();
    for word in expansions.iter().flat_map(|(words, _)| words) {
        if !all.contains(word) {
            all.push(word.clone());
        }
    }
    all
}

/// Whether `selection` lets this entry through: by slots where they are given, else by filter.
fn selects(selection: &Selection, entry: &LexicalEntry) -> bool {
    match (&selection.slots, &selection.filter) {
        (Some(slots), _) => slots.contains(entry.slot.0),
        (None, Some(filter)) => filter.matches(&entry.metadata, entry.language),
        (None, None) => true,
    }
}

fn score(entry: &LexicalEntry, wanted: &BTreeSet<String>) -> f32 {
    let mut counts: BTreeMap<String, f32> = BTreeMap::new();
    let texts = entry.headings.iter().chain([&entry.body, &entry.title]);
    for term in texts.chain([&entry.title]).flat_map(|text| terms(text)) {
        *counts.entry(term).or_default() += 1.0;
    }
    let frequencies = wanted.iter().filter_map(|term| counts.get(term));
    frequencies.map(|tf| tf / (tf + 1.0)).sum()
}

fn terms(text: &str) -> impl Iterator<Item = String> {
    let runs = text.split(|c: char| !c.is_alphanumeric());
    runs.filter(|run| !run.is_empty()).map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use braid_core::{ChunkId, Metadata};
    use uuid::Uuid;

    use super::*;

    fn entry(slot: u32, title: &str, body: &str) -> LexicalEntry {
        LexicalEntry {
            slot: Slot(slot),
            chunk: ChunkId(Uuid::from_u128(u128::from(slot))),
            title: title.to_owned(),
            headings: Vec::new(),
            body: body.to_owned(),
            metadata: Arc::new(Metadata::default()),
            language: None,
        }
    }

    #[tokio::test]
    async fn score_is_what_the_documentation_says() {
        let index = RamLexicalIndex::new();
        index
            .apply(IndexBatch {
                add: vec![entry(1, "Blue", "blue sky"), entry(2, "", "red sky")],
                delete: SlotSet::new(),
                watermark: Sequence(1),
            })
            .await
            .unwrap();
        let view = index.pin().await.unwrap();
        let found = view
            .search("BLUE sky", &Selection::default(), 10)
            .await
            .unwrap();
        let scores: Vec<_> = found
            .candidates
            .iter()
            .map(|candidate| (candidate.slot.0, candidate.score))
            .collect();
        assert_eq!(scores, [(1, 0.75 + 0.5), (2, 0.5)]);
        assert_eq!(found.terms, ["blue", "sky"]);
    }

    #[tokio::test]
    async fn passes_the_suite() {
        crate::lexical_suite(&|| Arc::new(RamLexicalIndex::new())).await;
    }

    #[tokio::test]
    async fn a_planned_failure_leaves_nothing_behind() {
        let index = RamLexicalIndex::new();
        index.fail_next_apply(ErrorCode::StorageFull);
        let batch = IndexBatch {
            add: vec![entry(1, "", "sky")],
            delete: SlotSet::new(),
            watermark: Sequence(1),
        };
        let error = index.apply(batch.clone()).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::StorageFull);
        assert!(index.slots().await.unwrap().is_empty());
        index.apply(batch).await.unwrap();
        assert_eq!(index.watermark().await.unwrap(), Sequence(1));
    }
}
