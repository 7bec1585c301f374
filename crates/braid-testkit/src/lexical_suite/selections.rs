//! A selection binds before ranking: what it leaves out never takes a place.

use braid_core::{Candidate, LexicalIndex, Selection};

use super::corpus::{GROUPS, random_entries};
use super::{FreshLexicalIndex, apply, search, select, slots_of};

const ENTRIES: u32 = 300;

pub(super) async fn suite(fresh: FreshLexicalIndex<'_>) {
    let index = fresh();
    apply(&*index, 1, random_entries(0..200, 11), &[]).await;
    apply(&*index, 2, random_entries(200..ENTRIES, 12), &[1, 50, 201]).await;
    equals_filtering_afterwards(&*index).await;
    leaves_depth_to_what_is_selected(&*index).await;
    nothing_selected_is_nothing_found(&*index).await;
}

/// Searching within a selection gives what searching everywhere and filtering would, scores
/// included, at every depth.
async fn equals_filtering_afterwards(index: &dyn LexicalIndex) {
    let view = index.pin().await.unwrap();
    let queries = [
        "amber",
        "zephyr",
        "amber basil zephyr",
        "garnet indigo",
        "Cedar delta ember",
    ];
    let groups: [&[u32]; 5] = [&[0], &[1, 2], &[3, 4, 5, 6], &[0, 1, 2, 3, 4, 5, 6], &[6]];
    for query in queries {
        let everywhere = search(&*view, query, &Selection::default(), 1000).await;
        for groups in groups {
            let expected: Vec<Candidate> = everywhere
                .candidates
                .iter()
                .filter(|candidate| groups.contains(&(candidate.slot.0 % GROUPS)))
                .copied()
                .collect();
            for depth in [1, 3, 10, 50, 1000] {
                let within = search(&*view, query, &select(groups, ENTRIES), depth).await;
                let expected = &expected[..depth.min(expected.len())];
                assert_eq!(
                    within.candidates, expected,
                    "{query:?} in {groups:?}, depth {depth}"
                );
            }
        }
    }
}

/// However many unselected entries rank higher.
async fn leaves_depth_to_what_is_selected(index: &dyn LexicalIndex) {
    let view = index.pin().await.unwrap();
    let best = search(&*view, "amber basil", &Selection::default(), 100).await;
    let worst = slots_of(&best)[99];
    let group = [worst % GROUPS];
    let within = search(&*view, "amber basil", &select(&group, ENTRIES), 5).await;
    assert_eq!(within.candidates.len(), 5, "{within:?}");
    assert!(
        slots_of(&within)
            .iter()
            .all(|slot| slot % GROUPS == group[0])
    );
}

async fn nothing_selected_is_nothing_found(index: &dyn LexicalIndex) {
    let view = index.pin().await.unwrap();
    let none = search(&*view, "amber", &select(&[], ENTRIES), 10).await;
    assert!(none.candidates.is_empty());
}
