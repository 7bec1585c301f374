use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

#[derive(Clone, Debug)]
struct List {
    weight: f64,
    hits: Vec<(u8, f64)>,
    floor: Option<f64>,
}

fn fuse(lists: &[List], scale: Scale) -> Vec<Fused<u8>> {
    let borrowed: Vec<ScoredList<'_, u8>> = lists
        .iter()
        .map(|list| ScoredList {
            weight: list.weight,
            hits: &list.hits,
            floor: list.floor,
        })
        .collect();
    fuse_scores(&borrowed, scale)
}

fn list(weight: f64, hits: &[(u8, f64)], floor: Option<f64>) -> List {
    let hits = hits.to_vec();
    List {
        weight,
        hits,
        floor,
    }
}

fn shown(fused: &[Fused<u8>]) -> String {
    let shown = fused
        .iter()
        .map(|one| format!("{} {:.6}", char::from(one.key), one.score));
    shown.collect::<Vec<_>>().join(", ")
}

fn score_of(fused: &[Fused<u8>], key: u8) -> Option<f64> {
    let found = fused.iter().find(|entry| entry.key == key);
    found.map(|entry| entry.score)
}

/// Scores from few values, so that equal ones are common.
fn any_list() -> impl Strategy<Value = List> {
    let hits = btree_map(any::<u8>(), 0..6_u8, 0..12).prop_map(|scores| {
        let mut hits: Vec<(u8, f64)> = scores
            .into_iter()
            .map(|(key, score)| (key, f64::from(score) / 7.0 + 0.1))
            .collect();
        hits.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        hits
    });
    (0.25..4.0_f64, hits, proptest::option::of(Just(0.0))).prop_map(|(weight, hits, floor)| List {
        weight,
        hits,
        floor,
    })
}

fn any_scale() -> impl Strategy<Value = Scale> {
    prop_oneof![Just(Scale::MinMax), Just(Scale::Deviations)]
}

#[test]
fn golden_tables() {
    let lists = [
        list(1.0, &[(b'a', 9.0), (b'b', 6.0), (b'c', 3.0)], None),
        list(1.0, &[(b'b', 0.8), (b'd', 0.4)], None),
    ];
    assert_eq!(
        shown(&fuse(&lists, Scale::MinMax)),
        "b 0.750000, a 0.500000, c 0.000000, d 0.000000"
    );
    assert_eq!(
        shown(&fuse(&lists, Scale::Deviations)),
        "b 1.016781, a 0.465103, c -0.740942, d -0.740942"
    );
    let weighed = [
        List {
            weight: 3.0,
            ..lists[0].clone()
        },
        lists[1].clone(),
    ];
    assert_eq!(
        shown(&fuse(&weighed, Scale::MinMax)),
        "a 0.750000, b 0.625000, c 0.000000, d 0.000000"
    );
}

#[test]
fn a_floor_says_how_far_what_is_missing_lies_below() {
    let dense = list(1.0, &[(b'a', 0.9), (b'b', 0.8), (b'c', 0.1)], None);
    let alone = |floor| [list(1.0, &[(b'c', 7.0)], floor), dense.clone()];
    // The list was cut: what it lacks may be as good as what it has.
    assert_eq!(
        shown(&fuse(&alone(None), Scale::Deviations)),
        "a 0.421464, b 0.280976, c -0.702439"
    );
    // It was not: what it lacks does not match at all.
    assert_eq!(
        shown(&fuse(&alone(Some(0.0)), Scale::Deviations)),
        "a 0.067910, c 0.004667, b -0.072578"
    );
    for floor in [None, Some(0.0)] {
        assert_eq!(
            shown(&fuse(&alone(floor), Scale::MinMax)),
            "a 0.500000, c 0.500000, b 0.437500"
        );
    }
}

#[test]
fn equal_scores_rank_by_key_and_a_silenced_list_has_no_say() {
    for scale in [Scale::MinMax, Scale::Deviations] {
        let equal = [list(1.0, &[(b'b', 0.1), (b'a', 0.1), (b'z', 0.1)], None)];
        let keys: Vec<u8> = fuse(&equal, scale).iter().map(|one| one.key).collect();
        assert_eq!(keys, b"abz");
        let silenced = [
            equal[0].clone(),
            list(0.0, &[(b'q', 5.0), (b'z', 1.0)], None),
        ];
        assert_eq!(fuse(&silenced, scale), fuse(&equal, scale));
        assert_eq!(fuse(&[], scale), []);
    }
}

proptest! {
    #[test]
    fn the_order_of_the_lists_does_not_matter(
        lists in vec(any_list(), 1..5), turn in any::<Index>(), scale in any_scale(),
    ) {
        let mut turned = lists.clone();
        turned.rotate_left(turn.index(lists.len()));
        turned.reverse();
        prop_assert_eq!(fuse(&lists, scale), fuse(&turned, scale));
    }

    #[test]
    fn every_key_once_in_a_total_order_with_finite_scores(
        lists in vec(any_list(), 0..4), scale in any_scale(),
    ) {
        let fused = fuse(&lists, scale);
        prop_assert!(fused.iter().all(|one| one.score.is_finite()));
        for pair in fused.windows(2) {
            let falls = pair[0].score > pair[1].score;
            prop_assert!(falls || (pair[0].score == pair[1].score && pair[0].key < pair[1].key));
        }
        let hits = lists.iter().flat_map(|list| &list.hits);
        let mut keys: Vec<u8> = hits.map(|(key, _)| *key).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut ranked: Vec<u8> = fused.iter().map(|one| one.key).collect();
        ranked.sort_unstable();
        prop_assert_eq!(keys, ranked);
    }

    /// What is at least as good in every list is at least as good in the end.
    #[test]
    fn fusion_is_monotone(lists in vec(any_list(), 1..4), scale in any_scale()) {
        let fused = fuse(&lists, scale);
        let of = |list: &List, key: u8| {
            let found = list.hits.iter().find(|hit| hit.0 == key);
            found.map_or(f64::NEG_INFINITY, |hit| hit.1)
        };
        for a in &fused {
            for b in &fused {
                if lists.iter().all(|list| of(list, a.key) >= of(list, b.key)) {
                    prop_assert!(a.score >= b.score);
                }
            }
        }
    }

    #[test]
    fn one_list_alone_keeps_its_order(list in any_list(), scale in any_scale()) {
        let ranked: Vec<u8> = fuse(std::slice::from_ref(&list), scale)
            .iter().map(|one| one.key).collect();
        let own: Vec<u8> = list.hits.iter().map(|(key, _)| *key).collect();
        prop_assert_eq!(ranked, own);
    }

    #[test]
    fn a_list_that_lacks_everything_changes_nothing(
        lists in vec(any_list(), 1..4), weight in 0.25..4.0_f64, scale in any_scale(),
    ) {
        let mut more = lists.clone();
        more.push(List { weight, hits: Vec::new(), floor: Some(0.0) });
        let (before, after) = (fuse(&lists, scale), fuse(&more, scale));
        for one in &before {
            prop_assert_eq!(Some(one.score), score_of(&after, one.key));
        }
    }
}
