//! Token counts without tokenizing anything twice.
//!
//! A splitter asks for the size of many overlapping slices. Tokenizers of the models we use split at
//! white space before anything else, so the sum over words is the count; words are counted once,
//! remembered, and summed ahead, which makes a slice's size a subtraction. Whether a tokenizer works
//! that way is probed; with one that does not the sum is an estimate, and every finished chunk is
//! counted by the tokenizer itself.

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};

use braid_core::TokenCounter;
use rustc_hash::FxBuildHasher;
use text_splitter::ChunkSizer;

/// Longest stretch that is tokenized as one word, in bytes: bounds the work on a text without spaces.
const MAX_PIECE_BYTES: usize = 256;
/// Bytes that weigh as much as one token however few tokens they are: bounds the length of chunks
/// of what a tokenizer takes as one unknown word, or of white space.
const BYTES_PER_TOKEN: usize = 32;
/// Longest word that is remembered, in bytes.
const MAX_REMEMBERED_BYTES: usize = 32;
/// Most words remembered in one shard; beyond it new words are counted each time.
const SHARD_WORDS: usize = 8192;
const SHARDS: usize = 16;
/// Texts whose count must be the sum over their words. Between them they have every kind of gap,
/// marks side by side, and scripts without spaces.
const PROBES: [&str; 4] = [
    "# Guide > Install\nRun it, then wait.\n\n- notes/a.md\n\tDon't  re-run `make all`; it's slow.\r\n\r\n",
    "Tokenization of uncharacteristically long, hyphen-ated words (and v1.2.3, 10.0.0.0/8) adds up.",
    "Größe, naïve, 東京 タワー, Ελλάδα ไทย עברית \u{a0}x\r\ny \u{c}\nz ",
    "x::y -> z == 1... {a} (b)[c]!? $5 50% #1 @me ~/p C:\\q ^ && || <t/> it''s \"so\"; a_b a--b a**b …",
];

/// A token counter that remembers words. Safe to share; shards keep threads out of each other's way.
pub(super) struct WordCounts {
    counter: Arc<dyn TokenCounter>,
    /// Whether the tokens of a text are those of its words.
    adds_up: bool,
    /// Whether those of a word are those of its parts between ASCII punctuation, and of the marks.
    parts_add_up: bool,
    shards: [Mutex<HashMap<Box<str>, u32, FxBuildHasher>>; SHARDS],
}

impl fmt::Debug for WordCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WordCounts")
            .field("counter", &self.counter)
            .finish_non_exhaustive()
    }
}

impl WordCounts {
    pub(super) fn new(counter: Arc<dyn TokenCounter>) -> Self {
        let is_sum = |text: &str, words: &mut dyn Iterator<Item = &str>| {
            counter.count(text) == words.map(|word| counter.count(word)).sum::<usize>()
        };
        let adds_up = PROBES.iter().all(|text| is_sum(text, &mut words(text)));
        let by_parts = |text| is_sum(text, &mut words(text).flat_map(parts));
        Self {
            parts_add_up: adds_up && PROBES.iter().all(|text| by_parts(text)),
            adds_up,
            counter,
            shards: Default::default(),
        }
    }

    /// Whether the tokens of a text are those of its words.
    pub(super) fn adds_up(&self) -> bool {
        self.adds_up
    }

    /// Tokens in `text`, exactly.
    pub(super) fn tokens(&self, text: &str) -> usize {
        if !self.adds_up {
            return self.counter.count(text);
        }
        let mut sum = 0;
        for word in words(text) {
            if word.len() > MAX_PIECE_BYTES - char::MAX.len_utf8() {
                // It may be part of a longer one.
                return self.counter.count(text);
            }
            sum += self.count_word(word);
        }
        sum
    }

    /// What a stretch weighs: the sum over its pieces, at least its tokens where these add up.
    pub(super) fn weigh(&self, text: &str) -> usize {
        pieces(text).map(|piece| self.weight(piece)).sum()
    }

    /// Weight of a piece: its tokens, or more where it is long for so few.
    pub(super) fn weight(&self, piece: &str) -> usize {
        let least = piece.len() / BYTES_PER_TOKEN;
        if piece.starts_with(is_gap) {
            return least;
        }
        self.count_word(piece).max(least)
    }

    fn count_word(&self, word: &str) -> usize {
        if word.len() > MAX_REMEMBERED_BYTES {
            // A tokenizer takes longer for one address than this does for a hundred words.
            let is_one = !self.parts_add_up || !word.contains(|c: char| c.is_ascii_punctuation());
            return if is_one {
                self.counter.count(word)
            } else {
                parts(word).map(|part| self.count_word(part)).sum()
            };
        }
        let shard = (FxBuildHasher.hash_one(word) >> 32) as usize % SHARDS;
        // A poisoned shard only means that a count panicked elsewhere; its entries are whole.
        let lock = || {
            self.shards[shard]
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(count) = lock().get(word) {
            return *count as usize;
        }
        let count = self.counter.count(word);
        let mut words = lock();
        if words.len() < SHARD_WORDS {
            words.insert(word.into(), u32::try_from(count).unwrap_or(u32::MAX));
        }
        count
    }
}

/// The summed weights of one block of text.
pub(super) struct BlockSizer<'a> {
    words: &'a WordCounts,
    block: &'a str,
    /// End of each piece, in bytes, and the weight up to there.
    ends: Vec<(usize, usize)>,
}

impl<'a> BlockSizer<'a> {
    pub(super) fn new(words: &'a WordCounts, block: &'a str) -> Self {
        let mut ends = Vec::with_capacity(block.len() / 3);
        let (mut end, mut weight) = (0, 0);
        for piece in pieces(block) {
            end += piece.len();
            weight += words.weight(piece);
            ends.push((end, weight));
        }
        Self { words, block, ends }
    }

    /// Weight of the whole block.
    pub(super) fn total(&self) -> usize {
        self.ends.last().map_or(0, |(_, weight)| *weight)
    }

    /// Weight of a slice of the block: whole pieces are summed, a piece cut at either end is
    /// weighed as far as it goes.
    fn weight_between(&self, start: usize, end: usize) -> usize {
        let first = self
            .ends
            .partition_point(|(piece_end, _)| *piece_end <= start);
        let (first_start, before) = self.end_of(first);
        if start == first_start {
            return self.weight_from(first, end) - before;
        }
        let (first_end, before) = self.end_of(first + 1);
        let head = self.words.weight(&self.block[start..end.min(first_end)]);
        if end <= first_end {
            return head;
        }
        head + self.weight_from(first + 1, end) - before
    }

    /// Weight of everything before `end`, which is at or after the start of piece `first`.
    fn weight_from(&self, first: usize, end: usize) -> usize {
        let whole = first + self.ends[first..].partition_point(|(piece_end, _)| *piece_end <= end);
        let (start, before) = self.end_of(whole);
        if start == end {
            return before;
        }
        before + self.words.weight(&self.block[start..end])
    }

    /// Bytes and weight of the first `count` pieces.
    fn end_of(&self, count: usize) -> (usize, usize) {
        match count {
            0 => (0, 0),
            count => self.ends[count - 1],
        }
    }

    /// Where `slice` begins in the block, if it is a slice of it.
    fn offset_of(&self, slice: &str) -> Option<usize> {
        let start = (slice.as_ptr() as usize).checked_sub(self.block.as_ptr() as usize)?;
        (start + slice.len() <= self.block.len()).then_some(start)
    }
}

impl ChunkSizer for BlockSizer<'_> {
    fn size(&self, chunk: &str) -> usize {
        let Some(start) = self.offset_of(chunk) else {
            return self.words.weigh(chunk);
        };
        self.weight_between(start, start + chunk.len())
    }
}

/// What stands between words for every tokenizer. They disagree on other white space, which counts
/// as part of a word here.
fn is_gap(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// Cuts text into gaps and words, none longer than [`MAX_PIECE_BYTES`].
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let starts_gap = is_gap(rest.chars().next()?);
        let within = &rest.as_bytes()[..rest.len().min(MAX_PIECE_BYTES)];
        let end = within
            .iter()
            .position(|byte| is_gap(char::from(*byte)) != starts_gap)
            .unwrap_or_else(|| rest.floor_char_boundary(MAX_PIECE_BYTES));
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).filter(|piece| !piece.starts_with(is_gap))
}

/// Cuts a word at ASCII punctuation; each mark is a part.
fn parts(word: &str) -> impl Iterator<Item = &str> {
    let runs = word.split_inclusive(|c: char| c.is_ascii_punctuation());
    runs.flat_map(|run| {
        let ends_in_mark = run.ends_with(|c: char| c.is_ascii_punctuation());
        let (part, mark) = run.split_at(run.len() - usize::from(ends_in_mark));
        [part, mark].into_iter().filter(|it| !it.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_tile_the_text_and_are_bounded() {
        let long = "é".repeat(MAX_PIECE_BYTES);
        let text = format!("a  b\n{long} c");
        let found: Vec<&str> = pieces(&text).collect();
        assert_eq!(found.concat(), text);
        assert_eq!(&found[..4], ["a", "  ", "b", "\n"]);
        assert!(found.iter().all(|piece| piece.len() <= MAX_PIECE_BYTES));
    }
}
