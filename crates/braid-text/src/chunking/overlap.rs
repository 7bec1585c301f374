//! What a chunk repeats from the one before.

use std::ops::Range;

use super::pack::push_words;
use super::sizing::WordCounts;
use super::split::Sizes;

/// Bytes looked at for each token of overlap.
const BYTES_PER_TOKEN: usize = 32;

/// Where a chunk begins whose own text follows `before`, the chunk before it, and ends at `end`: at a
/// line or sentence where that costs no more than half of the overlap, else at a word. `fits` is asked
/// of the whole chunk. `before.end` where nothing can be repeated.
pub(super) fn start_of(
    text: &str,
    before: Range<usize>,
    end: usize,
    sizes: &Sizes<'_>,
    fits: impl Fn(Range<usize>) -> bool,
) -> usize {
    let own = before.end;
    let starts = starts(text, before, sizes.overlap, sizes.words);
    let Some(first) = starts.first() else {
        return own;
    };
    let middle = own - (own - first) / 2;
    let better = starts
        .iter()
        .find(|start| **start <= middle && begins_unit(&text[..**start]));
    let fitting = |start: &&usize| {
        let repeated = text[**start..own].trim_end();
        sizes.words.tokens(repeated) <= sizes.overlap && fits(**start..end)
    };
    let mut in_order = better.into_iter().chain(&starts);
    in_order.find(fitting).copied().unwrap_or(own)
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
