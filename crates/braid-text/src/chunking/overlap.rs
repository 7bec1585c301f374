//! What a chunk repeats from the one before.

use std::ops::Range;

use super::pack::push_words;
use super::sizing::WordCounts;

/// Bytes looked at for each token of overlap.
const BYTES_PER_TOKEN: usize = 32;

/// Where a chunk of its `own` range begins when it repeats at most `tokens` of the range `before`:
/// at a line or sentence where that costs no more than half of the overlap, else at a word. `fits` is
/// asked of the whole range. `own.start` where nothing can be repeated.
pub(super) fn start_of(
    text: &str,
    before: Range<usize>,
    own: &Range<usize>,
    tokens: usize,
    words: &WordCounts,
    fits: impl Fn(Range<usize>) -> bool,
) -> usize {
    let starts = starts(text, before.start..own.start, tokens, words);
    let Some(first) = starts.first() else {
        return own.start;
    };
    let middle = own.start - (own.start - first) / 2;
    let better = starts
        .iter()
        .find(|it| **it <= middle && begins_unit(&text[..**it]));
    let fitting = |it: &&usize| {
        let repeated = text[**it..own.start].trim_end();
        words.tokens(repeated) <= tokens && fits(**it..own.end)
    };
    let in_order = better.into_iter().chain(&starts);
    in_order
        .into_iter()
        .find(fitting)
        .copied()
        .unwrap_or(own.start)
}

/// Starts of words in `range`, not its own, from which no more than `tokens` follow.
fn starts(text: &str, range: Range<usize>, tokens: usize, words: &WordCounts) -> Vec<usize> {
    let far = range
        .end
        .saturating_sub(tokens.saturating_mul(BYTES_PER_TOKEN));
    let start = text.ceil_char_boundary(far.max(range.start));
    let mut units = Vec::new();
    push_words(text, start..range.end, tokens, words, &mut units);
    // Where the first unit ends is the first start: the unit itself may be the rest of a word.
    let mut left = tokens;
    let mut found: Vec<usize> = Vec::new();
    for pair in units.windows(2).rev() {
        let [(begins, _), (ends, weight)] = *pair else {
            continue;
        };
        if weight > left {
            break;
        }
        left -= weight;
        if !text[begins..ends].starts_with(char::is_whitespace) {
            found.push(begins);
        }
    }
    found.reverse();
    found
}

/// Whether a line or sentence begins after `before`.
fn begins_unit(before: &str) -> bool {
    let line = before.trim_end_matches([' ', '\t']);
    let is_spaced = line.len() < before.len() && line.ends_with(['.', '!', '?']);
    is_spaced || line.ends_with(['\n', '。', '！', '？'])
}
