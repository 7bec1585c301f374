//! Which inputs share a run, and the tensors of one run.

use std::ops::Range;

use tokenizers::Encoding;

use crate::manifest::Batching;

/// The input tensors of one run: `rows` inputs padded to `columns` tokens, row by row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) ids: Vec<i64>,
    pub(crate) mask: Vec<i64>,
    pub(crate) types: Vec<i64>,
}

impl Batch {
    /// Puts encodings together, padding the shorter ones with `pad`.
    pub(crate) fn new<'e>(encodings: impl IntoIterator<Item = &'e Encoding>, pad: u32) -> Self {
        let encodings: Vec<&Encoding> = encodings.into_iter().collect();
        let columns = encodings
            .iter()
            .map(|encoding| encoding.len())
            .max()
            .unwrap_or(0);
        let mut batch = Self {
            rows: encodings.len(),
            columns,
            ..Self::default()
        };
        for encoding in encodings {
            extend(&mut batch.ids, encoding.get_ids(), columns, pad);
            extend(&mut batch.mask, encoding.get_attention_mask(), columns, 0);
            extend(&mut batch.types, encoding.get_type_ids(), columns, 0);
        }
        batch
    }
}

fn extend(row: &mut Vec<i64>, values: &[u32], columns: usize, fill: u32) {
    row.extend(values.iter().map(|value| i64::from(*value)));
    row.extend(std::iter::repeat_n(i64::from(fill), columns - values.len()));
}

/// How inputs are put together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchPlan {
    pub(crate) batching: Batching,
    /// Padded tokens in one batch; a single longer input is a batch of its own.
    pub(crate) tokens: usize,
}

impl BatchPlan {
    /// Cuts inputs, whose token counts rise, into the runs to make.
    pub(crate) fn runs(self, lengths: &[usize]) -> Vec<Range<usize>> {
        debug_assert!(
            lengths.is_sorted(),
            "short inputs must not be padded to long ones"
        );
        let mut runs = Vec::new();
        let mut start = 0;
        for end in 1..=lengths.len() {
            let full = match self.batching {
                Batching::Single => true,
                Batching::Tokens => lengths
                    .get(end)
                    .is_none_or(|next| next * (end + 1 - start) > self.tokens),
            };
            if full {
                runs.push(start..end);
                start = end;
            }
        }
        runs
    }
}

/// Indices of `items` by rising `length`, equal ones in their order.
pub(crate) fn by_length<T>(items: &[T], length: impl Fn(&T) -> usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|index| length(&items[*index]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_lengths_share_a_run_within_the_budget() {
        let plan = BatchPlan {
            batching: Batching::Tokens,
            tokens: 100,
        };
        let lengths = [10, 10, 30, 30, 40, 90, 200];
        assert_eq!(plan.runs(&lengths), [0..3, 3..5, 5..6, 6..7]);
        assert!(plan.runs(&[]).is_empty());
        let padded = plan
            .runs(&lengths)
            .iter()
            .all(|run| run.len() == 1 || lengths[run.end - 1] * run.len() <= 100);
        assert!(padded);
    }

    #[test]
    fn a_model_that_depends_on_its_batch_gets_one_input_a_run() {
        let plan = BatchPlan {
            batching: Batching::Single,
            tokens: 100,
        };
        assert_eq!(plan.runs(&[1, 1, 1]), [0..1, 1..2, 2..3]);
    }

    #[test]
    fn rows_are_padded_to_the_longest() {
        let encoding = |ids: &[u32], types: &[u32]| {
            Encoding::new(
                ids.to_vec(),
                types.to_vec(),
                Vec::new(),
                Vec::new(),
                Vec::new(),
                Vec::new(),
                vec![1; ids.len()],
                Vec::new(),
                Default::default(),
            )
        };
        let (long, short) = (encoding(&[5, 6, 7], &[0, 0, 1]), encoding(&[8], &[1]));
        let batch = Batch::new([&long, &short], 9);
        let expected = Batch {
            rows: 2,
            columns: 3,
            ids: vec![5, 6, 7, 8, 9, 9],
            mask: vec![1, 1, 1, 1, 0, 0],
            types: vec![0, 0, 1, 1, 0, 0],
        };
        assert_eq!(batch, expected);
    }

    #[test]
    fn equal_lengths_keep_their_order() {
        assert_eq!(
            by_length(&["bb", "a", "cc", "d"], |text| text.len()),
            [1, 3, 0, 2]
        );
    }
}
