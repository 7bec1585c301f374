//! Packing words or sentences into ranges that fit, without regard to other structure.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::sizing::{WordCounts, pieces};

/// What is never cut if it fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Atoms {
    Words,
    Sentences,
}

/// Where a unit ends, in bytes of the text, and what it weighs.
type Unit = (usize, usize);

/// Ranges of about equal weight, at most `most` each, that together are `text[range]`.
pub(super) fn pack(
    text: &str,
    range: Range<usize>,
    atoms: Atoms,
    most: usize,
    words: &WordCounts,
) -> Vec<Range<usize>> {
    let mut units = Vec::new();
    match atoms {
        Atoms::Words => push_words(text, range.clone(), most, words, &mut units),
        Atoms::Sentences => push_sentences(text, range.clone(), most, words, &mut units),
    }
    pack_evenly(range, &units, most)
}

/// As few ranges as possible of at most `most`, cut at words: each takes what it can hold.
pub(super) fn fill(
    text: &str,
    range: Range<usize>,
    most: usize,
    words: &WordCounts,
) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let (mut start, mut end, mut weight) = (range.start, range.start, 0);
    let mut units = Vec::new();
    for piece in pieces(&text[range]) {
        units.clear();
        push_words(text, end..end + piece.len(), most, words, &mut units);
        for (unit_end, unit) in &units {
            if weight + unit > most && end > start {
                found.push(start..end);
                (start, weight) = (end, 0);
            }
            end = *unit_end;
            weight += unit;
        }
    }
    found.push(start..end);
    found
}

/// Cuts so that the first n ranges hold n times the even share, a unit more or less: filling each to
/// the limit would leave a last one of a few words, which both legs rank badly.
fn pack_evenly(range: Range<usize>, units: &[Unit], most: usize) -> Vec<Range<usize>> {
    let total: usize = units.iter().map(|(_, weight)| weight).sum();
    let count = total.div_ceil(most.max(1)).max(1);
    let mut found: Vec<Range<usize>> = Vec::new();
    let (mut start, mut end) = (range.start, range.start);
    let (mut weight, mut before) = (0, 0);
    for (unit_end, unit) in units {
        let share = total * (found.len() + 1) / count;
        let is_done = before + weight >= share || weight + unit > most;
        if is_done && weight > 0 && *unit > 0 {
            found.push(start..end);
            before += weight;
            (start, weight) = (end, 0);
        }
        end = *unit_end;
        weight += unit;
    }
    found.push(start..range.end);
    found
}

/// Words and gaps. A run without spaces that is long for a chunk of `most`, as in Chinese or
/// Japanese, is taken apart at the bounds that Unicode gives words.
pub(super) fn push_words(
    text: &str,
    range: Range<usize>,
    most: usize,
    words: &WordCounts,
    units: &mut Vec<Unit>,
) {
    let mut end = range.start;
    for piece in pieces(&text[range]) {
        let weight = words.weight(piece);
        if weight * 2 <= most {
            end += piece.len();
            units.push((end, weight));
            continue;
        }
        for word in piece.split_word_bounds() {
            end += word.len();
            units.push((end, words.weight(word)));
        }
    }
}

/// Sentences; one that does not fit is taken apart into words.
fn push_sentences(
    text: &str,
    range: Range<usize>,
    most: usize,
    words: &WordCounts,
    units: &mut Vec<Unit>,
) {
    let mut start = range.start;
    for sentence in sentences(&text[range]) {
        let end = start + sentence.len();
        let weight = words.weigh(sentence);
        if weight <= most {
            units.push((end, weight));
        } else {
            push_words(text, start..end, most, words, units);
        }
        start = end;
    }
}

/// Sentences by Unicode's rules, which end one at every line. Where a line was only wrapped (the next
/// goes on with a letter that is no capital), the sentence goes on with it.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut bounds = text.split_sentence_bounds().peekable();
    let mut start = 0;
    std::iter::from_fn(move || {
        let mut end = start + bounds.next()?.len();
        while let Some(next) = bounds.peek()
            && is_wrapped(&text[start..end], next)
        {
            end += next.len();
            bounds.next();
        }
        let sentence = &text[start..end];
        start = end;
        Some(sentence)
    })
}

fn is_wrapped(before: &str, next: &str) -> bool {
    let line = before.trim_end();
    let ends_line = before[line.len()..].matches('\n').count() == 1;
    let ends_sentence = line.ends_with(['.', '!', '?', '。', '！', '？', '…', ':', '|']);
    let goes_on = next.starts_with(|c: char| c.is_alphabetic() && !c.is_uppercase());
    ends_line && !ends_sentence && goes_on
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::chunking::tests::PieceCounter;

    #[test]
    fn sentences_end_at_marks_and_empty_lines_but_not_where_lines_wrap() {
        let text = "One goes\non here. Two.\n\nthree\n- four\n- five! 六は短い。七も。";
        let found: Vec<&str> = sentences(text).collect();
        assert_eq!(
            found,
            [
                "One goes\non here. ",
                "Two.\n",
                "\nthree\n",
                "- four\n",
                "- five! ",
                "六は短い。",
                "七も。"
            ]
        );
    }

    #[test]
    fn packing_is_even_and_filling_is_not() {
        let words = WordCounts::new(Arc::new(PieceCounter));
        let text = "aaaa ".repeat(25);
        let sizes = |ranges: Vec<Range<usize>>| -> Vec<usize> {
            ranges.into_iter().map(|it| it.len() / 5).collect()
        };
        let packed = pack(&text, 0..text.len(), Atoms::Words, 10, &words);
        assert_eq!(sizes(packed), [8, 8, 9]);
        assert_eq!(sizes(fill(&text, 0..text.len(), 10, &words)), [10, 10, 5]);
    }
}
