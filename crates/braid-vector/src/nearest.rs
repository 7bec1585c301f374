//! The `depth` best candidates seen so far.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use braid_core::{Candidate, RankedList, Slot};

/// Keeps the best `depth` candidates: by falling score, equal scores by rising slot.
#[derive(Debug)]
pub(crate) struct Nearest {
    depth: usize,
    /// The worst kept candidate is on top.
    kept: BinaryHeap<Ranked>,
}

impl Nearest {
    pub(crate) fn new(depth: usize) -> Self {
        Self {
            depth,
            kept: BinaryHeap::new(),
        }
    }

    pub(crate) fn offer(&mut self, slot: u32, score: f32) {
        let candidate = Ranked { slot, score };
        if self.kept.len() < self.depth {
            self.kept.push(candidate);
        } else if let Some(mut worst) = self.kept.peek_mut()
            && candidate < *worst
        {
            *worst = candidate;
        }
    }

    pub(crate) fn into_ranked(self) -> RankedList {
        let sorted = self.kept.into_sorted_vec().into_iter();
        sorted
            .map(|Ranked { slot, score }| Candidate {
                slot: Slot(slot),
                score,
            })
            .collect()
    }
}

/// Orders candidates by rank: the better one is less.
#[derive(Debug)]
struct Ranked {
    slot: u32,
    score: f32,
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_score = other.score.total_cmp(&self.score);
        by_score.then(self.slot.cmp(&other.slot))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keeps_what_a_full_sort_would_keep(scores in prop::collection::vec(-3_i8..3, 0..40), depth in 0_usize..12) {
            let mut nearest = Nearest::new(depth);
            let mut all = Vec::new();
            for (slot, score) in (0_u32..).zip(&scores) {
                nearest.offer(slot, f32::from(*score));
                all.push(Candidate { slot: Slot(slot), score: f32::from(*score) });
            }
            all.sort_by(|a, b| b.score.total_cmp(&a.score));
            all.truncate(depth);
            prop_assert_eq!(nearest.into_ranked(), all);
        }
    }
}
