//! Token counts without tokenizing anything twice.
//!
//! A splitter asks for the size of many overlapping slices. Tokenizers of the models we use split at
//! white space before anything else, so the sum over words is the count; words are counted once,
//! remembered, and summed ahead, which makes a slice's size a subtraction. For a tokenizer that
//! does not work that way the sum is an estimate, which is why the splitter checks every finished
//! chunk against the tokenizer itself.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};

use braid_core::TokenCounter;
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

/// A token counter that remembers words. Safe to share; shards keep threads out of each other's way.
pub(super) struct WordCounts {
    counter: Arc<dyn TokenCounter>,
    shards: [Mutex<HashMap<Box<str>, u32>>; SHARDS],
    hasher: RandomState,
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
        Self {
            counter,
            shards: Default::default(),
            hasher: RandomState::new(),
        }
    }

    /// Tokens in `text`, by the tokenizer itself.
    pub(super) fn exact(&self, text: &str) -> usize {
        self.counter.count(text)
    }

    /// Weight of a piece: its tokens, or more where it is long for so few.
    fn weight(&self, piece: &str) -> usize {
        let least = piece.len() / BYTES_PER_TOKEN;
        if piece.starts_with(char::is_whitespace) {
            return least;
        }
        self.count_word(piece).max(least)
    }

    fn count_word(&self, word: &str) -> usize {
        if word.len() > MAX_REMEMBERED_BYTES {
            return self.counter.count(word);
        }
        let shard = self.hasher.hash_one(word) as usize % SHARDS;
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
        let mut ends = Vec::new();
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
            return pieces(chunk).map(|piece| self.words.weight(piece)).sum();
        };
        self.weight_between(start, start + chunk.len())
    }
}

/// Cuts text into runs of white space and of anything else, none longer than [`MAX_PIECE_BYTES`].
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let is_space = rest.chars().next()?.is_whitespace();
        let end = rest
            .find(|c: char| c.is_whitespace() != is_space)
            .unwrap_or(rest.len())
            .min(rest.floor_char_boundary(MAX_PIECE_BYTES));
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
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
