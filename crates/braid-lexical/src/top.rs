//! The best candidates of a search.

use std::cmp::Ordering;

use braid_core::{Candidate, RankedList};

/// Best first: by falling score, equal scores by rising slot.
fn rank(a: &Candidate, b: &Candidate) -> Ordering {
    b.score.total_cmp(&a.score).then(a.slot.cmp(&b.slot))
}

/// Keeps the `depth` best candidates of any number.
#[derive(Debug)]
pub(crate) struct TopCandidates {
    depth: usize,
    bar: f32,
    kept: Vec<Candidate>,
}

impl TopCandidates {
    pub(crate) fn new(depth: usize) -> Self {
        Self {
            depth,
            bar: f32::MIN_POSITIVE,
            kept: Vec::new(),
        }
    }

    /// A candidate with a lower score cannot get in; one with this score may, by its slot.
    pub(crate) fn bar(&self) -> f32 {
        self.bar
    }

    /// Offers a candidate whose score reaches the bar.
    pub(crate) fn push(&mut self, candidate: Candidate) {
        self.kept.push(candidate);
        // Cutting only every so often makes a push cheap on average.
        const SLACK: usize = 64;
        if self.kept.len() >= 2 * self.depth + SLACK {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.depth > 0 && self.kept.len() > self.depth {
            let (_, worst, _) = self.kept.select_nth_unstable_by(self.depth - 1, rank);
            self.bar = worst.score;
        }
        self.kept.truncate(self.depth);
    }

    /// What was kept, best first.
    pub(crate) fn into_ranked(mut self) -> RankedList {
        self.cut();
        self.kept.sort_unstable_by(rank);
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use braid_core::Slot;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keeps_what_sorting_everything_would(
            scores in proptest::collection::vec(1_u8..6, 0..400),
            depth in 0_usize..60,
        ) {
            let all: Vec<_> = (0..)
                .zip(&scores)
                .map(|(slot, score)| Candidate { slot: Slot(slot), score: f32::from(*score) })
                .collect();
            let mut top = TopCandidates::new(depth);
            // Rising slots would hide a tie that is broken by order of arrival.
            for candidate in all.iter().rev() {
                if candidate.score >= top.bar() {
                    top.push(*candidate);
                }
            }
            let mut expected = all;
            expected.sort_by(rank);
            expected.truncate(depth);
            prop_assert_eq!(top.into_ranked(), expected);
        }
    }
}
