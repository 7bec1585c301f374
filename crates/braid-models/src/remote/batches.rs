//! Cutting a call into requests.

use std::ops::Range;

/// Cuts `0..lengths.len()` into runs of at most `most_texts` texts and `most_bytes` bytes; a text
/// that is longer than that goes alone.
pub(crate) fn batches(
    lengths: &[usize],
    most_texts: usize,
    most_bytes: usize,
) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (place, length) in lengths.iter().enumerate() {
        let full = place - start >= most_texts.max(1) || bytes + length > most_bytes;
        if full && place > start {
            runs.push(start..place);
            (start, bytes) = (place, 0);
        }
        bytes += length;
    }
    if start < lengths.len() {
        runs.push(start..lengths.len());
    }
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn runs_are_full_but_not_over() {
        assert_eq!(batches(&[1; 5], 2, 100), [0..2, 2..4, 4..5]);
        assert_eq!(
            batches(&[4, 4, 4, 20, 1, 1], 9, 10),
            [0..2, 2..3, 3..4, 4..6]
        );
        assert!(batches(&[], 2, 10).is_empty());
        assert_eq!(batches(&[1, 1], 0, 10), [0..1, 1..2]);
    }

    proptest! {
        #[test]
        fn nothing_is_left_out(lengths in prop::collection::vec(0_usize..50, 0..40), texts in 1_usize..8) {
            let runs = batches(&lengths, texts, 60);
            let covered: Vec<usize> = runs.iter().cloned().flatten().collect();
            prop_assert_eq!(covered, (0..lengths.len()).collect::<Vec<_>>());
            for run in runs {
                let bytes: usize = lengths[run.clone()].iter().sum();
                prop_assert!(run.len() <= texts && (bytes <= 60 || run.len() == 1));
            }
        }
    }
}
