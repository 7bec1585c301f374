//! Reciprocal Rank Fusion, and in [`scores`] fusion by scores: the only place where ranked lists
//! become one.

pub mod scores;

/// A key of the fused list with its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fused<K> {
    /// The key.
    pub key: K,
    /// By ranks the sum of `weight / (k + rank)` over the lists that rank the key, by scores the
    /// weighted mean of its scaled scores.
    pub score: f64,
}

/// Fuses ranked lists, best first, by Reciprocal Rank Fusion: a key scores the sum of
/// `weight / (k + rank)` over the lists that hold it, with ranks from 1. Equal scores are ordered
/// by rising key, so the result is a total order whatever the order of the lists. A list of weight
/// 0 votes for nothing: keys it alone holds are left out. No key may stand twice in one list.
///
/// With `k` = 60, both weights 1, lexical `[a, b, c]` and dense `[b, d]`:
///
/// | key | lexical rank | dense rank | score                       |
/// |-----|--------------|------------|-----------------------------|
/// | b   | 2            | 1          | 1/62 + 1/61 = 0.0325224749  |
/// | a   | 1            |            | 1/61        = 0.0163934426  |
/// | d   |              | 2          | 1/62        = 0.0161290323  |
/// | c   | 3            |            | 1/63        = 0.0158730159  |
pub fn fuse<K: Copy + Ord>(lists: &[(f64, &[K])], k: f64) -> Vec<Fused<K>> {
    let mut votes: Vec<Fused<K>> = lists
        .iter()
        .filter(|(weight, _)| *weight > 0.0)
        .flat_map(|(weight, keys)| votes(*weight, keys, k))
        .collect();
    // Floating-point addition is not associative: adding each key's votes by rising size makes the
    // sum independent of the order of the lists.
    votes.sort_by(|a, b| a.key.cmp(&b.key).then(a.score.total_cmp(&b.score)));
    let mut fused = sum_by_key(&votes);
    fused.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.key.cmp(&b.key)));
    fused
}

fn votes<K: Copy>(weight: f64, keys: &[K], k: f64) -> impl Iterator<Item = Fused<K>> {
    (1_u32..).zip(keys).map(move |(rank, key)| Fused {
        key: *key,
        score: weight / (k + f64::from(rank)),
    })
}

fn sum_by_key<K: Copy + Ord>(sorted: &[Fused<K>]) -> Vec<Fused<K>> {
    sorted
        .chunk_by(|a, b| a.key == b.key)
        .map(|votes| Fused {
            key: votes[0].key,
            score: votes.iter().map(|vote| vote.score).sum(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::collection::{hash_set, vec};
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    type List = (f64, Vec<u8>);

    fn fuse_lists(lists: &[List], k: f64) -> Vec<Fused<u8>> {
        let borrowed: Vec<(f64, &[u8])> = lists
            .iter()
            .map(|(weight, keys)| (*weight, keys.as_slice()))
            .collect();
        fuse(&borrowed, k)
    }

    fn any_list() -> impl Strategy<Value = List> {
        let keys = hash_set(any::<u8>(), 0..12).prop_map(|keys| keys.into_iter().collect());
        (0.25..4.0_f64, keys)
    }

    fn score_of(fused: &[Fused<u8>], key: u8) -> f64 {
        let found = fused.iter().find(|entry| entry.key == key);
        found.map_or(0.0, |entry| entry.score)
    }

    #[test]
    fn golden_table() {
        let fused = fuse(&[(1.0, &['a', 'b', 'c'][..]), (1.0, &['b', 'd'])], 60.0);
        let shown: Vec<String> = fused
            .iter()
            .map(|entry| format!("{} {:.10}", entry.key, entry.score))
            .collect();
        let expected = [
            "b 0.0325224749",
            "a 0.0163934426",
            "d 0.0161290323",
            "c 0.0158730159",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn equal_scores_are_ordered_by_key() {
        let fused = fuse(&[(1.0, &['z', 'b'][..]), (1.0, &['a', 'y'])], 60.0);
        let keys: String = fused.iter().map(|entry| entry.key).collect();
        assert_eq!(keys, "azby");
    }

    #[test]
    fn a_silenced_list_votes_for_nothing() {
        let fused = fuse(&[(1.0, &['a'][..]), (0.0, &['b', 'a'])], 60.0);
        assert_eq!(fused, fuse(&[(1.0, &['a'][..])], 60.0));
    }

    proptest! {
        #[test]
        fn the_order_of_the_lists_does_not_matter(
            lists in vec(any_list(), 1..5), turn in any::<Index>(), k in 0.0..100.0_f64,
        ) {
            let mut turned = lists.clone();
            turned.rotate_left(turn.index(lists.len()));
            turned.reverse();
            prop_assert_eq!(fuse_lists(&lists, k), fuse_lists(&turned, k));
        }

        #[test]
        fn a_better_rank_never_lowers_a_score(
            lists in vec(any_list(), 1..4), at in any::<Index>(), k in 0.0..100.0_f64,
        ) {
            prop_assume!(lists[0].1.len() >= 2);
            let place = 1 + at.index(lists[0].1.len() - 1);
            let key = lists[0].1[place];
            let mut raised = lists.clone();
            raised[0].1.swap(place - 1, place);
            prop_assert!(
                score_of(&fuse_lists(&raised, k), key) > score_of(&fuse_lists(&lists, k), key)
            );
        }

        #[test]
        fn a_list_without_a_key_adds_exactly_nothing_to_it(
            lists in vec(any_list(), 1..4), other in any_list(), k in 0.0..100.0_f64,
        ) {
            let before = fuse_lists(&lists, k);
            let mut more = lists.clone();
            more.push(other.clone());
            let after = fuse_lists(&more, k);
            for entry in before.iter().filter(|entry| !other.1.contains(&entry.key)) {
                prop_assert_eq!(score_of(&after, entry.key).to_bits(), entry.score.to_bits());
            }
        }

        #[test]
        fn the_result_is_a_total_order_of_every_key(
            lists in vec(any_list(), 0..4), k in 0.0..100.0_f64,
        ) {
            let fused = fuse_lists(&lists, k);
            for pair in fused.windows(2) {
                let falls = pair[0].score > pair[1].score;
                let tied = pair[0].score == pair[1].score && pair[0].key < pair[1].key;
                prop_assert!(falls || tied);
            }
            let mut keys: Vec<u8> = lists.iter().flat_map(|(_, keys)| keys.clone()).collect();
            keys.sort_unstable();
            keys.dedup();
            let mut ranked: Vec<u8> = fused.iter().map(|entry| entry.key).collect();
            ranked.sort_unstable();
            prop_assert_eq!(keys, ranked);
        }

        #[test]
        fn one_list_alone_keeps_its_order(list in any_list(), k in 0.0..100.0_f64) {
            let ranked: Vec<u8> = fuse_lists(std::slice::from_ref(&list), k)
                .iter().map(|entry| entry.key).collect();
            prop_assert_eq!(ranked, list.1);
        }
    }
}
