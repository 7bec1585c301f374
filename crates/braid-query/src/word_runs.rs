//! How much of what two passages say is the same: the runs of words that they have in common.

use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashSet, FxHasher};
use unicode_segmentation::UnicodeSegmentation;

/// Words that make one element of the sets by which near-duplicates are told.
pub(crate) const SHINGLE: usize = 3;

/// The runs of words of one text, case apart.
#[derive(Clone, Debug)]
pub(crate) struct WordRuns(FxHashSet<u64>);

impl WordRuns {
    /// Those of `length` words of `text`; of a text of fewer words, all of it.
    pub(crate) fn of(text: &str, length: usize) -> Self {
        let words: Vec<u64> = text
            .unicode_words()
            .map(|word| hash(&word.to_lowercase()))
            .collect();
        if words.is_empty() {
            return Self(FxHashSet::default());
        }
        Self(words.windows(length.min(words.len())).map(hash).collect())
    }

    /// The share that two texts have in common (Jaccard); 0 where neither has a word: nothing is known
    /// of them then.
    pub(crate) fn similarity(&self, other: &Self) -> f64 {
        let (common, all) = self.common_of_all(other);
        match all {
            0 => 0.0,
            _ => common as f64 / all as f64,
        }
    }

    /// The same in percent, rounded down.
    pub(crate) fn similarity_percent(&self, other: &Self) -> u8 {
        let (common, all) = self.common_of_all(other);
        let percent = (common * 100).checked_div(all).unwrap_or(0);
        u8::try_from(percent).unwrap_or(100)
    }

    fn common_of_all(&self, other: &Self) -> (usize, usize) {
        let common = self.0.intersection(&other.0).count();
        (common, self.0.len() + other.0.len() - common)
    }
}

fn hash<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = FxHasher::default();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_runs_count_whatever_stands_between() {
        let percent = |a: &str, b: &str| {
            WordRuns::of(a, SHINGLE).similarity_percent(&WordRuns::of(b, SHINGLE))
        };
        assert_eq!(percent("a b c d", "A b c d"), 100);
        assert_eq!(percent("a b c d", "b c d e"), 33);
        assert_eq!(percent("{}", "};"), 0);
        assert_eq!(percent("a", "b"), 0);
    }
}
