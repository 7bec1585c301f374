//! Long sections, cut into stretches where their own content says so.
//!
//! A stretch ends after a paragraph whose last bytes hash to a small number. So a change moves the
//! boundaries of the stretch that it is in, and those after it stay: without that, one changed
//! paragraph would shift every chunk of the section that follows. A splitter's work also grows with
//! the square of its input where that has many small parts, which stretches bound.

use std::ops::Range;

use super::sizing::{WordCounts, pieces};

/// Most bytes in a stretch, a last short part apart.
const MAX_BYTES: usize = 16 * 1024;
/// Bytes before a boundary that decide whether it is one.
const CONTEXT_BYTES: usize = 64;

/// How long stretches are, in tokens.
#[derive(Clone, Copy, Debug)]
pub(super) struct StretchSizes {
    /// None is shorter than this, except the last.
    pub(super) least: usize,
    /// A boundary comes after so many more, on average.
    pub(super) spacing: usize,
    /// None is longer than this, a last short part apart.
    pub(super) most: usize,
}

impl StretchSizes {
    /// For chunks of at most `tokens`: stretches of two to eight chunks, so that few are half full.
    pub(super) fn of_prose(tokens: usize) -> Self {
        Self {
            least: tokens * 2,
            spacing: tokens * 3,
            most: tokens * 8,
        }
    }

    /// A program's sections are definitions, which are cut with their syntax in view where possible.
    pub(super) fn of_code(tokens: usize) -> Self {
        let prose = Self::of_prose(tokens);
        Self {
            least: prose.least * 4,
            spacing: prose.spacing * 4,
            most: prose.most * 4,
        }
    }
}

/// The stretches of `text[range]` in order; together they are all of it.
pub(super) fn stretches(
    text: &str,
    range: Range<usize>,
    sizes: StretchSizes,
    words: &WordCounts,
) -> Vec<Range<usize>> {
    let mut cutter = Cutter {
        text,
        sizes,
        words,
        start: range.start,
        end: range.start,
        weight: 0,
        found: Vec::new(),
    };
    cutter.add_all(range, Unit::Paragraph);
    cutter.finish()
}

/// What a stretch is made of; a unit that is too long is taken apart.
#[derive(Clone, Copy)]
enum Unit {
    Paragraph,
    Line,
    Piece,
}

struct Cutter<'a> {
    text: &'a str,
    sizes: StretchSizes,
    words: &'a WordCounts,
    /// The stretch so far, and what it weighs.
    start: usize,
    end: usize,
    weight: usize,
    found: Vec<Range<usize>>,
}

impl Cutter<'_> {
    fn add_all(&mut self, range: Range<usize>, unit: Unit) {
        let body = &self.text[range.clone()];
        let mut start = range.start;
        let mut add = |part: &str| {
            self.add(start..start + part.len(), unit);
            start += part.len();
        };
        match unit {
            Unit::Paragraph => paragraphs(body).for_each(&mut add),
            Unit::Line => body.split_inclusive('\n').for_each(&mut add),
            Unit::Piece => pieces(body).for_each(&mut add),
        }
    }

    fn add(&mut self, range: Range<usize>, unit: Unit) {
        let is_long = range.len() > MAX_BYTES;
        let weight = if is_long {
            usize::MAX
        } else {
            self.words.weigh(&self.text[range.clone()])
        };
        let is_long = is_long || weight > self.sizes.most;
        match unit {
            Unit::Paragraph if is_long => self.add_all(range, Unit::Line),
            Unit::Line if is_long => self.add_all(range, Unit::Piece),
            Unit::Paragraph | Unit::Line | Unit::Piece => self.take(range.end, weight),
        }
    }

    /// Adds what ends at `end` to the stretch, or begins another with it.
    fn take(&mut self, end: usize, weight: usize) {
        let is_full = self.weight + weight > self.sizes.most || end - self.start > MAX_BYTES;
        if is_full && self.end > self.start {
            self.cut();
        }
        self.end = end;
        self.weight += weight;
        if self.weight >= self.sizes.least && self.is_anchor(weight) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.found.push(self.start..self.end);
        self.start = self.end;
        self.weight = 0;
    }

    /// Whether the bytes before the end ask for a boundary; the more likely the longer the unit.
    fn is_anchor(&self, weight: usize) -> bool {
        let context = self
            .text
            .ceil_char_boundary(self.end.saturating_sub(CONTEXT_BYTES));
        let hash = blake3::hash(self.text[context..self.end].trim_end().as_bytes());
        let [a, b, c, d, ..] = *hash.as_bytes();
        let share = f64::from(u32::from_le_bytes([a, b, c, d])) / f64::from(u32::MAX);
        share * (self.sizes.spacing as f64) < weight as f64
    }

    /// A last stretch that would be no more than a short chunk goes with the one before.
    fn finish(mut self) -> Vec<Range<usize>> {
        let is_short = self.weight * 4 < self.sizes.least;
        match self.found.last_mut() {
            Some(last) if is_short => last.end = self.end,
            Some(_) | None => self.cut(),
        }
        self.found
    }
}

/// Paragraphs, each with the empty lines after it.
fn paragraphs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (paragraph, after) = rest.split_at(end_of_paragraph(rest));
        rest = after;
        Some(paragraph)
    })
}

fn end_of_paragraph(text: &str) -> usize {
    let (mut end, mut has_text, mut is_over) = (0, false, false);
    for line in text.split_inclusive('\n') {
        let is_blank = line.trim().is_empty();
        if is_over && !is_blank {
            return end;
        }
        has_text |= !is_blank;
        is_over = has_text && is_blank;
        end += line.len();
    }
    end
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::chunking::tests::PieceCounter;

    fn cut(text: &str, tokens: usize) -> Vec<Range<usize>> {
        let words = WordCounts::new(Arc::new(PieceCounter));
        stretches(text, 0..text.len(), StretchSizes::of_prose(tokens), &words)
    }

    #[test]
    fn paragraphs_keep_the_empty_lines_after_them() {
        let text = "\n\na\nb\n\n \nc\r\n\r\nd";
        let found: Vec<&str> = paragraphs(text).collect();
        assert_eq!(found, ["\n\na\nb\n\n \n", "c\r\n\r\n", "d"]);
    }

    #[test]
    fn a_change_moves_the_boundaries_around_it_alone() {
        let paragraph =
            |n: u32| format!("Paragraph {n} says {} and more of it.\n\n", n * 7919 % 1000);
        let before: String = (0..400).map(paragraph).collect();
        let after = before.replace(
            "Paragraph 200 says",
            "The 200th paragraph, now longer, says",
        );
        let parts = |text: &str| -> Vec<String> {
            cut(text, 30)
                .into_iter()
                .map(|it| text[it].to_owned())
                .collect()
        };
        let (before, after) = (parts(&before), parts(&after));
        assert!(before.len() > 30, "{}", before.len());
        let changed = after.iter().filter(|part| !before.contains(part)).count();
        assert!(changed <= 2, "{changed} of {}", after.len());
    }

    proptest! {
        #[test]
        fn stretches_tile_the_text(text in "([a-z]{1,9}[ .\n]|\n\n|é{1,400}){0,200}", tokens in 1..20_usize) {
            let mut end = 0;
            for range in cut(&text, tokens) {
                prop_assert_eq!(range.start, end);
                end = range.end;
            }
            prop_assert_eq!(end, text.len());
        }
    }
}
