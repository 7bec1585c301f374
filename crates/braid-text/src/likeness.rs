//! What of a text is compared to find duplicates.

use std::collections::HashSet;

use braid_core::ContentHash;
use braid_core::duplicate::{Likeness, SKETCH_VALUES};
use unicode_segmentation::UnicodeSegmentation;

/// Words that make one element of the set that two documents are compared by.
const SHINGLE: usize = 3;

/// The likeness of an extracted text; its sketch only where `near` duplicates are looked for.
pub fn likeness(text: &str, near: bool) -> Likeness {
    let mut words = blake3::Hasher::new();
    for word in text.split_whitespace() {
        words.update(word.as_bytes());
        words.update(b" ");
    }
    Likeness {
        words: ContentHash(*words.finalize().as_bytes()),
        sketch: near.then(|| sketch(text)).flatten(),
    }
}

/// For each of [`SKETCH_VALUES`] hash functions the least value over the text's word triples; none
/// for a text without words, which is like nothing but itself.
fn sketch(text: &str) -> Option<Box<[u32; SKETCH_VALUES]>> {
    let shingles = shingles(text);
    if shingles.is_empty() {
        return None;
    }
    let mut least = Box::new([u32::MAX; SKETCH_VALUES]);
    for shingle in shingles {
        let mut state = shingle;
        for least in least.iter_mut() {
            state = next(state);
            *least = (*least).min((state >> 32) as u32);
        }
    }
    Some(least)
}

/// Hashes of the text's word triples, case apart. A text of fewer words is one element.
fn shingles(text: &str) -> HashSet<u64> {
    let words: Vec<String> = text.unicode_words().map(str::to_lowercase).collect();
    if words.is_empty() {
        return HashSet::new();
    }
    let size = SHINGLE.min(words.len());
    words.windows(size).map(hash).collect()
}

fn hash(words: &[String]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for word in words {
        hasher.update(word.as_bytes());
        hasher.update(b" ");
    }
    let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// One step of SplitMix64 (Steele, Lea and Flood, 2014): the hash functions are its successive
/// values from a shingle's own hash.
fn next(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_same_words_are_the_same_whatever_stands_between() {
        let one = likeness("One  fish,\ntwo fish.\n", true);
        assert_eq!(one.percent(&likeness("One fish, two fish.", true)), 100);
        assert!(one.percent(&likeness("One fish, two cats.", true)) < 100);
        assert_eq!(likeness("x", false).sketch, None);
        assert_eq!(likeness("!!!", true).percent(&likeness("???", true)), 0);
    }

    #[test]
    fn a_scarcely_changed_text_shares_a_band() {
        let text: Vec<String> = (0..400)
            .map(|n| format!("word{}", n * 7919 % 1009))
            .collect();
        let mut changed = text.clone();
        changed[200] = "other".to_owned();
        let (a, b) = (text.join(" "), changed.join(" "));
        let (one, other) = (likeness(&a, true), likeness(&b, true));
        assert!(one.percent(&other) >= 95, "{}", one.percent(&other));
        let keys = other.keys();
        assert!(one.keys().iter().any(|key| keys.contains(key)));
    }

    proptest! {
        /// Six standard errors of 128 values: a wrong estimator would be far outside.
        #[test]
        fn the_estimate_is_near_the_truth(
            common in vec("[a-z]{3,8}", 60..200),
            own in vec("[a-z]{3,8}", 0..60),
        ) {
            let a = common.join(" ");
            let b = [common, own].concat().join(" ");
            let (one, other) = (shingles(&a), shingles(&b));
            let common = one.intersection(&other).count();
            let all = one.union(&other).count();
            let truth = (common * 100 / all) as f64 / 100.0;
            let estimate = f64::from(likeness(&a, true).percent(&likeness(&b, true))) / 100.0;
            let error = (truth * (1.0 - truth) / SKETCH_VALUES as f64).sqrt();
            prop_assert!((estimate - truth).abs() <= 6.0 * error + 0.02, "{estimate} {truth}");
        }
    }
}
