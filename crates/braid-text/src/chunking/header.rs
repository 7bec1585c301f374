//! Context headers that leave the body room in the embedder's window.

use braid_core::chunk::{HEADER_SEPARATOR, context_parts};

use super::sizing::WordCounts;

/// Stands for what was left out.
const ELLIPSIS: &str = "…";
/// Tokens that may come of joining header and body.
const JOINED: usize = 4;
/// A header may take this part of the window.
const SHARE: usize = 4;

/// Makes the context headers of one document's chunks.
#[derive(Clone, Copy)]
pub(super) struct Headers<'a> {
    pub(super) title: Option<&'a str>,
    pub(super) words: &'a WordCounts,
    /// Tokens that the embedder reads of a chunk, header and body.
    pub(super) window: usize,
}

/// The line above a chunk's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) text: String,
    /// What it leaves of the window for the body, in tokens.
    pub(super) room: usize,
}

impl Headers<'_> {
    /// Most tokens of a header.
    fn limit(&self) -> usize {
        self.window / SHARE
    }

    /// The least room that a header of this document leaves. A tokenizer that joins words may find a
    /// few tokens more in header and body than in each of them.
    pub(super) fn least_room(&self) -> usize {
        let joined = if self.words.adds_up() { 0 } else { JOINED };
        self.window.saturating_sub(self.limit() + joined)
    }

    /// Title and headings in at most a quarter of the window. Where they are longer, the outer
    /// headings go first, then the ends of the title and of the innermost heading: a chunk is
    /// mostly about the document and about what stands right above it.
    pub(super) fn of(&self, heading_path: &[String]) -> Header {
        let parts = context_parts(self.title, heading_path);
        let text = self.shortened(&parts).unwrap_or_default();
        let taken = if text.is_empty() { 0 } else { self.size(&text) };
        Header {
            room: self.window.saturating_sub(taken),
            text,
        }
    }

    fn shortened(&self, parts: &[&str]) -> Option<String> {
        let whole = parts.join(HEADER_SEPARATOR);
        if self.size(&whole) <= self.limit() {
            return Some(whole);
        }
        let (first, rest) = parts.split_first()?;
        let Some((last, middle)) = rest.split_last() else {
            return self.cut(first, self.limit(), str::to_owned);
        };
        let kept = (1..=middle.len()).map(|dropped| {
            let inner = [&[*first, ELLIPSIS], &rest[dropped..]].concat();
            inner.join(HEADER_SEPARATOR)
        });
        let fitting = kept.into_iter().find(|it| self.size(it) <= self.limit());
        fitting.or_else(|| {
            let last = self.cut(last, self.limit() / 2, str::to_owned)?;
            let gap = if middle.is_empty() {
                None
            } else {
                Some(ELLIPSIS)
            };
            self.cut(first, self.limit(), |first| {
                let parts: Vec<&str> = [first].into_iter().chain(gap).chain([&*last]).collect();
                parts.join(HEADER_SEPARATOR)
            })
        })
    }

    /// `within` of as much of `part` as keeps that to `limit` tokens: whole words, or characters
    /// where not even one word fits.
    fn cut(&self, part: &str, limit: usize, within: impl Fn(&str) -> String) -> Option<String> {
        let whole = within(part);
        if self.size(&whole) <= limit {
            return Some(whole);
        }
        let words = part.char_indices().filter(|(_, c)| c.is_whitespace());
        let characters = part.char_indices().skip(1);
        let longest = |ends: Vec<usize>| {
            let made = |end: &usize| within(&format!("{}{ELLIPSIS}", part[..*end].trim_end()));
            let fitting = ends.partition_point(|end| self.size(&made(end)) <= limit);
            ends[..fitting].last().map(made)
        };
        longest(words.map(|(at, _)| at).collect())
            .or_else(|| longest(characters.map(|(at, _)| at).collect()))
            .filter(|cut| self.size(cut) <= limit)
    }

    /// Tokens of a header and of the line end below it.
    fn size(&self, header: &str) -> usize {
        self.words.tokens(&format!("{header}\n"))
    }
}
