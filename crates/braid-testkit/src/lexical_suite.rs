//! What every lexical index must do.
//!
//! [`lexical_suite`] checks the contract, [`lexical_durability_suite`] what a durable index keeps
//! over a reopening. Texts are plain words, so that any analyzer agrees on them, and selections
//! carry the filter and the slots that mean the same, so that indexes which honour either pass.

// A suite is test code: a failed unwrap is a failed check.
#![allow(clippy::unwrap_used)]

mod conditions;
mod corpus;
mod selections;

use std::sync::Arc;

use braid_core::ports::LexicalMatches;
use braid_core::{
    IndexBatch, LexicalEntry, LexicalIndex, LexicalView, Selection, Sequence, SlotSet,
};

use corpus::{entry, random_entries, select};

/// Makes an empty index.
pub type FreshLexicalIndex<'f> = &'f dyn Fn() -> Arc<dyn LexicalIndex>;

/// Checks the contract of [`LexicalIndex`] on fresh indexes.
pub async fn lexical_suite(fresh: FreshLexicalIndex<'_>) {
    every_index(fresh).await;
    pinned_views_do_not_change(&*fresh()).await;
    conditions::conditions(fresh).await;
    conditions::synonyms(fresh).await;
    conditions::expansions(fresh).await;
}

/// Checks the contract as far as an index behind a network can keep it: a view that is pinned may change,
/// there are no corrections, and synonyms of several words are looked for word by word.
pub async fn remote_lexical_suite(fresh: FreshLexicalIndex<'_>) {
    every_index(fresh).await;
    conditions::conditions(fresh).await;
    conditions::synonyms(fresh).await;
}

/// What every index promises.
async fn every_index(fresh: FreshLexicalIndex<'_>) {
    starts_empty(&*fresh()).await;
    finds_title_headings_and_body(&*fresh()).await;
    ranks_by_what_matches(&*fresh()).await;
    breaks_ties_by_slot(&*fresh()).await;
    takes_any_text(&*fresh()).await;
    deletes_before_adds(&*fresh()).await;
    batches_can_be_replayed(&*fresh()).await;
    many_batches_are_one_index(&*fresh()).await;
    can_be_emptied_and_filled_again(&*fresh()).await;
    selections::suite(fresh).await;
}

/// Checks that an index opened again in the same place, by `open`, has what was applied.
pub async fn lexical_durability_suite(open: FreshLexicalIndex<'_>) {
    let index = open();
    apply(&*index, 3, random_entries(0..60, 1), &[]).await;
    apply(&*index, 8, Vec::new(), &[5, 6]).await;
    let before = everything(&*index, "amber basil").await;
    drop(index);
    let index = open();
    assert_eq!(index.watermark().await.unwrap(), Sequence(8), "watermark");
    let kept = index.slots().await.unwrap();
    assert_eq!(
        kept,
        (0..60).filter(|slot| ![5, 6].contains(slot)).collect()
    );
    assert_eq!(everything(&*index, "amber basil").await, before, "ranking");
    apply(&*index, 9, vec![entry(60, "", &[], "amber")], &[]).await;
    assert_eq!(
        index.slots().await.unwrap().len(),
        59,
        "still takes batches"
    );
}

async fn starts_empty(index: &dyn LexicalIndex) {
    assert_eq!(index.watermark().await.unwrap(), Sequence::ZERO);
    assert!(index.slots().await.unwrap().is_empty());
    assert!(found(index, "amber").await.is_empty(), "an empty index");
    apply(index, 1, Vec::new(), &[3]).await;
    assert_eq!(
        index.watermark().await.unwrap(),
        Sequence(1),
        "an empty batch moves the watermark"
    );
    assert!(index.slots().await.unwrap().is_empty());
}

async fn finds_title_headings_and_body(index: &dyn LexicalIndex) {
    let entries = vec![
        entry(1, "Amber", &["Basil", "Cedar"], "delta"),
        entry(2, "", &[], "ember"),
    ];
    apply(index, 1, entries, &[]).await;
    for query in ["amber", "basil", "cedar", "delta", "DELTA", "Amber delta"] {
        assert_eq!(found(index, query).await, [1], "{query}");
    }
    assert_eq!(found(index, "ember").await, [2]);
    assert!(found(index, "fjord").await.is_empty(), "no entry says it");
    assert!(
        found(index, "fjord ember").await == [2],
        "one of two words is enough"
    );
}

async fn ranks_by_what_matches(index: &dyn LexicalIndex) {
    let entries = vec![
        entry(1, "", &[], "amber garnet indigo"),
        entry(2, "", &[], "amber basil indigo"),
        entry(3, "", &[], "amber basil cedar"),
        entry(4, "zephyr", &[], "garnet indigo"),
        entry(5, "", &[], "zephyr garnet indigo"),
    ];
    apply(index, 1, entries, &[]).await;
    assert_eq!(
        found(index, "amber basil cedar").await,
        [3, 2, 1],
        "more words, better rank"
    );
    assert_eq!(
        found(index, "zephyr").await,
        [4, 5],
        "a word of the title counts for more"
    );
    let matches = everything(index, "amber basil cedar").await;
    let scores: Vec<f32> = matches
        .candidates
        .iter()
        .map(|candidate| candidate.score)
        .collect();
    assert!(scores.iter().all(|score| *score > 0.0), "{scores:?}");
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    assert_eq!(matches.terms.len(), 3, "{:?}", matches.terms);
}

async fn breaks_ties_by_slot(index: &dyn LexicalIndex) {
    let same = |slot: u32| entry(slot, "amber", &[], "basil cedar");
    apply(index, 1, vec![same(9), same(4)], &[]).await;
    apply(index, 2, (20..40).rev().map(same).collect(), &[]).await;
    apply(index, 3, vec![same(2)], &[25]).await;
    let expected: Vec<u32> = [2, 4, 9]
        .into_iter()
        .chain((20..40).filter(|slot| *slot != 25))
        .collect();
    assert_eq!(found(index, "amber cedar").await, expected);
    let view = index.pin().await.unwrap();
    for depth in [0, 1, 2, 5, 22, 23] {
        let cut = search(&*view, "amber cedar", &Selection::default(), depth).await;
        assert_eq!(
            slots_of(&cut),
            expected[..depth.min(expected.len())],
            "depth {depth}"
        );
    }
}

/// Queries that a query language would choke on.
const HOSTILE: &[&str] = &[
    "",
    " \t\n",
    "\"",
    "(",
    "((((((",
    "AND OR",
    "NOT",
    "*:*",
    "title:",
    "+amber -basil ^2 ~",
    "[a TO z}",
    "/regex(/",
    "\\",
    "\0\u{1}\u{7f}",
    "🚀🔥 👩‍👩‍👧",
    "日本語のテキスト",
    "مرحبا بالعالم",
    "\u{202e}reversed\u{202c}",
    "e\u{301}\u{301}\u{301}",
    "'; DROP TABLE chunks; --",
];

async fn takes_any_text(index: &dyn LexicalIndex) {
    apply(index, 1, random_entries(0..20, 2), &[]).await;
    let view = index.pin().await.unwrap();
    let punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~".repeat(256);
    let words = (0..4000)
        .map(|word| format!("w{word} "))
        .collect::<String>();
    let long = ["amber".repeat(2000), punctuation, words];
    for query in HOSTILE
        .iter()
        .copied()
        .chain(long.iter().map(String::as_str))
    {
        let matches = search(&*view, query, &Selection::default(), 10).await;
        if matches.terms.is_empty() {
            assert!(
                matches.candidates.is_empty(),
                "no terms of {query:?}, yet candidates"
            );
        }
    }
    let quoted = search(&*view, "\"(amber) AND [basil", &Selection::default(), 100).await;
    assert!(
        !quoted.candidates.is_empty(),
        "words between symbols are found"
    );
}

async fn pinned_views_do_not_change(index: &dyn LexicalIndex) {
    apply(index, 1, random_entries(0..30, 3), &[]).await;
    let before = index.pin().await.unwrap();
    let all = Selection::default();
    let expected = search(&*before, "amber basil", &all, 100).await;
    assert!(!expected.candidates.is_empty());
    apply(
        index,
        2,
        random_entries(30..60, 4),
        &(0..20).collect::<Vec<_>>(),
    )
    .await;
    assert_eq!(search(&*before, "amber basil", &all, 100).await, expected);
    let after = slots_of(&everything(index, "amber basil").await);
    assert!(
        after.iter().all(|slot| (20..60).contains(slot)),
        "{after:?}"
    );
    assert!(after.iter().any(|slot| *slot >= 30), "{after:?}");
}

async fn deletes_before_adds(index: &dyn LexicalIndex) {
    apply(
        index,
        1,
        vec![entry(1, "", &[], "amber"), entry(2, "", &[], "amber")],
        &[],
    )
    .await;
    apply(index, 2, vec![entry(1, "", &[], "basil")], &[1, 2, 77]).await;
    assert_eq!(
        found(index, "basil").await,
        [1],
        "the new entry of a deleted slot stays"
    );
    assert!(found(index, "amber").await.is_empty());
    apply(index, 3, vec![entry(1, "", &[], "cedar")], &[]).await;
    assert_eq!(found(index, "cedar").await, [1], "an added slot replaces");
    assert!(found(index, "basil").await.is_empty());
    let twice = vec![entry(3, "", &[], "delta"), entry(3, "", &[], "ember")];
    apply(index, 4, twice, &[]).await;
    assert!(
        found(index, "delta").await.is_empty(),
        "the later of two entries stays"
    );
    assert_eq!(found(index, "ember").await, [3]);
    assert_eq!(index.slots().await.unwrap(), SlotSet::from([1, 3]));
}

async fn batches_can_be_replayed(index: &dyn LexicalIndex) {
    let first = random_entries(0..25, 5);
    let second = random_entries(25..40, 6);
    for _ in 0..2 {
        apply(index, 1, first.clone(), &[]).await;
        apply(index, 2, second.clone(), &[3, 4]).await;
    }
    let kept: SlotSet = (0..40).filter(|slot| ![3, 4].contains(slot)).collect();
    assert_eq!(index.slots().await.unwrap(), kept);
    assert_eq!(index.watermark().await.unwrap(), Sequence(2));
    let mut found = found(index, "amber basil cedar delta ember fjord").await;
    found.sort_unstable();
    assert!(
        found.windows(2).all(|pair| pair[0] < pair[1]),
        "an entry was found twice: {found:?}"
    );
}

async fn many_batches_are_one_index(index: &dyn LexicalIndex) {
    let entries = random_entries(0..90, 7);
    for (chunk, number) in entries.chunks(8).zip(1..) {
        apply(index, number, chunk.to_vec(), &[]).await;
    }
    for word in corpus::WORDS {
        let expected: Vec<u32> = entries
            .iter()
            .filter(|entry| corpus::says(entry, word))
            .map(|entry| entry.slot.0)
            .collect();
        let mut found = found(index, word).await;
        found.sort_unstable();
        assert_eq!(found, expected, "{word}");
    }
}

async fn can_be_emptied_and_filled_again(index: &dyn LexicalIndex) {
    apply(index, 1, random_entries(0..10, 8), &[]).await;
    apply(index, 2, Vec::new(), &(0..10).collect::<Vec<_>>()).await;
    assert!(index.slots().await.unwrap().is_empty());
    assert!(found(index, "amber basil cedar").await.is_empty());
    apply(index, 3, vec![entry(10, "", &[], "amber")], &[]).await;
    assert_eq!(found(index, "amber").await, [10]);
}

async fn apply(index: &dyn LexicalIndex, watermark: u64, add: Vec<LexicalEntry>, delete: &[u32]) {
    let batch = IndexBatch {
        add,
        delete: delete.iter().copied().collect(),
        watermark: Sequence(watermark),
    };
    index.apply(batch).await.unwrap();
    assert_eq!(index.watermark().await.unwrap(), Sequence(watermark));
}

async fn search(
    view: &dyn LexicalView,
    query: &str,
    selection: &Selection,
    depth: usize,
) -> LexicalMatches {
    view.search(query, selection, depth).await.unwrap()
}

/// Everything the index has now that matches `query`.
async fn everything(index: &dyn LexicalIndex, query: &str) -> LexicalMatches {
    let view = index.pin().await.unwrap();
    search(&*view, query, &Selection::default(), 1000).await
}

async fn found(index: &dyn LexicalIndex, query: &str) -> Vec<u32> {
    slots_of(&everything(index, query).await)
}

fn slots_of(matches: &LexicalMatches) -> Vec<u32> {
    let candidates = matches.candidates.iter();
    candidates.map(|candidate| candidate.slot.0).collect()
}
