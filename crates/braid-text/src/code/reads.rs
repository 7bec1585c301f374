//! What the parser is handed of a text, piece by piece and counted.
//!
//! Where a comment or a string is not closed, a lexer reads to the end of the text to find that out,
//! and begins again at the next place that looks like one. So what it reads can grow with the square
//! of the text, which steps of the parser do not show.

use std::cell::Cell;

/// Bytes handed out at a time.
const PIECE_BYTES: usize = 512;
/// Pieces that any text may take.
const FEWEST_PIECES: usize = 256;
/// How often over a text may be read. Programs that people write are read once to four times (of
/// 6,000 files of published crates); where one comment is not closed, some ten times more.
const MOST_TIMES: usize = 48;

/// A text, and how much more of it may be read.
#[derive(Debug)]
pub(super) struct Reads<'t> {
    text: &'t str,
    /// Pieces left; `None` once one was asked for beyond the last.
    left: Cell<Option<usize>>,
}

impl<'t> Reads<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let most = FEWEST_PIECES + text.len().div_ceil(PIECE_BYTES) * MOST_TIMES;
        Self {
            text,
            left: Cell::new(Some(most)),
        }
    }

    /// The next bytes from `at` on, whole characters; none at the end. When the reads are spent the
    /// text goes on: a parser that is told of an end where there was text before breaks down.
    pub(super) fn read(&self, at: usize) -> &'t [u8] {
        let left = self.left.get().and_then(|left| left.checked_sub(1));
        self.left.set(left);
        let end = self
            .text
            .floor_char_boundary(at.saturating_add(PIECE_BYTES));
        self.text.as_bytes().get(at..end).unwrap_or_default()
    }

    /// Whether more was asked for than may be read.
    pub(super) fn are_spent(&self) -> bool {
        self.left.get().is_none()
    }

    /// How many times over the text was read so far.
    #[cfg(test)]
    pub(super) fn times(&self) -> usize {
        let full = Self::of(self.text).left.get().unwrap_or_default();
        let read = full - self.left.get().unwrap_or_default();
        read / self.text.len().div_ceil(PIECE_BYTES).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_of_the_text_and_end() {
        let text = "x".repeat(PIECE_BYTES + 7);
        let reads = Reads::of(&text);
        assert_eq!(reads.read(0).len(), PIECE_BYTES);
        assert_eq!(reads.read(PIECE_BYTES), b"xxxxxxx");
        assert_eq!(reads.read(PIECE_BYTES + 8), b"");
        let mut handed = 0;
        while !reads.are_spent() {
            handed += reads.read(0).len();
        }
        assert!(handed < (FEWEST_PIECES + 2 * MOST_TIMES) * PIECE_BYTES);
        assert_eq!(reads.read(0).len(), PIECE_BYTES, "the text is what it was");
        let accents = "\u{e9}".repeat(PIECE_BYTES);
        let reads = Reads::of(&accents);
        assert!(str::from_utf8(reads.read(0)).is_ok());
        assert!(
            str::from_utf8(reads.read(1)).is_err(),
            "asked for within one"
        );
        assert_eq!(reads.read(1).len() % 2, 1, "it ends with one all the same");
    }
}
