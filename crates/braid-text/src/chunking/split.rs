//! Splitting one section into ranges that fit.

use std::ops::Range;

use braid_core::{ChunkingSettings, Markup};
use text_splitter::{ChunkCapacity, ChunkConfig, CodeSplitter, MarkdownSplitter, TextSplitter};

use super::sections::{CodeSizes, Section};
use super::sizing::{BlockSizer, WordCounts};
use crate::code::{grammar, is_shallow};

/// Most bytes that are split at once. The splitter's work grows with the square of its input where
/// that has many small parts, so a long section is cut into blocks first.
const MAX_BLOCK_BYTES: usize = 16 * 1024;

/// How large chunks may be, and how to measure them.
#[derive(Clone, Copy)]
pub(super) struct Sizes<'a> {
    pub(super) words: &'a WordCounts,
    pub(super) settings: ChunkingSettings,
    pub(super) markup: Markup,
}

/// Deepest syntax that is split along: the splitter looks at every level for every chunk. Programs
/// that people write stay far below.
const MAX_SYNTAX_DEPTH: usize = 100;

/// A stretch is short when this many of its size fit into a chunk.
const SHORT: usize = 4;

/// Sizes of stretches of one text.
pub(super) struct TextSizes<'a> {
    pub(super) text: &'a str,
    pub(super) sizes: Sizes<'a>,
}

impl TextSizes<'_> {
    fn is_within(&self, range: Range<usize>, tokens: usize) -> bool {
        range.len() <= MAX_BLOCK_BYTES
            && BlockSizer::new(self.sizes.words, &self.text[range]).total() <= tokens
    }
}

impl CodeSizes for TextSizes<'_> {
    fn fits(&self, range: Range<usize>) -> bool {
        self.is_within(range, self.sizes.settings.target_tokens)
    }

    fn is_short(&self, range: Range<usize>) -> bool {
        self.is_within(range, self.sizes.settings.target_tokens / SHORT)
    }
}

/// Byte ranges of the chunks of `section`, by rising start.
pub(super) fn split(text: &str, section: &Section, sizes: &Sizes<'_>) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    for range in split_unchecked(text, section, sizes) {
        push_fitting(text, range, sizes, &mut ranges);
    }
    ranges
}

/// Ranges that fit if the sizes of their words say all.
fn split_unchecked(text: &str, section: &Section, sizes: &Sizes<'_>) -> Vec<Range<usize>> {
    let Some(whole) = trimmed(text, section.range.clone(), sizes.markup) else {
        return Vec::new();
    };
    let target = sizes.settings.target_tokens;
    if whole.len() <= MAX_BLOCK_BYTES {
        let sizer = BlockSizer::new(sizes.words, &text[whole.clone()]);
        if sizer.total() <= target {
            return vec![whole];
        }
    }
    // A long section would leave its heading alone in a chunk where the first paragraph fills one.
    // So the heading is set aside, room is left for it, and the first chunk begins with it.
    let heading = &text[section.range.start..section.body];
    let heading_size = BlockSizer::new(sizes.words, heading).total();
    if heading_size == 0 || heading_size > target / 4 {
        return split_blocks(text, section.range.clone(), sizes);
    }
    let mut smaller = *sizes;
    smaller.settings.target_tokens = target - heading_size;
    let mut ranges = split_blocks(text, section.body..section.range.end, &smaller);
    match ranges.first_mut() {
        Some(first) => first.start = whole.start,
        None => ranges.push(whole),
    }
    ranges
}

fn split_blocks(text: &str, range: Range<usize>, sizes: &Sizes<'_>) -> Vec<Range<usize>> {
    blocks(text, range)
        .into_iter()
        .flat_map(|block| split_block(text, block, sizes))
        .collect()
}

/// Cuts a section where that hurts least: after an empty line, else after a line, else at white
/// space, else anywhere.
fn blocks(text: &str, section: Range<usize>) -> Vec<Range<usize>> {
    let mut blocks = Vec::new();
    let Range { mut start, end } = section;
    while end - start > MAX_BLOCK_BYTES {
        let window_end = text.floor_char_boundary(start + MAX_BLOCK_BYTES);
        let half = text.floor_char_boundary(start + MAX_BLOCK_BYTES / 2);
        let window = &text[half..window_end];
        let cut = ["\n\n", "\n"]
            .iter()
            .find_map(|mark| window.rfind(mark).map(|at| at + mark.len()))
            .or_else(|| window.rfind(char::is_whitespace))
            .unwrap_or(window.len());
        blocks.push(start..half + cut);
        start = half + cut;
    }
    blocks.push(start..end);
    blocks
}

fn split_block(text: &str, block: Range<usize>, sizes: &Sizes<'_>) -> Vec<Range<usize>> {
    let Some(range) = trimmed(text, block, sizes.markup) else {
        return Vec::new();
    };
    let body = &text[range.clone()];
    let sizer = BlockSizer::new(sizes.words, body);
    if sizer.total() <= sizes.settings.target_tokens {
        return vec![range];
    }
    let config = || config(&sizer, sizes.settings);
    let to_range = |(at, chunk): (usize, &str)| range.start + at..range.start + at + chunk.len();
    let as_text = || {
        let splitter = TextSplitter::new(config());
        splitter.chunk_indices(body).map(to_range).collect()
    };
    match sizes.markup {
        Markup::Plain => as_text(),
        Markup::Markdown => {
            let splitter = MarkdownSplitter::new(config());
            splitter.chunk_indices(body).map(to_range).collect()
        }
        Markup::Code(language) if !is_shallow(body, language, MAX_SYNTAX_DEPTH) => as_text(),
        Markup::Code(language) => match CodeSplitter::new(grammar(language), config()) {
            Ok(splitter) => splitter.chunk_indices(body).map(to_range).collect(),
            // A grammar of another version than the library's, which a test rules out.
            Err(_) => as_text(),
        },
    }
}

/// Asks for chunks of about equal size: filling each to the limit would leave a last one of a few
/// words, which both legs rank badly.
fn config<'a>(
    sizer: &'a BlockSizer<'a>,
    settings: ChunkingSettings,
) -> ChunkConfig<&'a BlockSizer<'a>> {
    let target = settings.target_tokens;
    let count = sizer.total().div_ceil(target).max(1);
    let desired = sizer.total().div_ceil(count).min(target);
    let capacity = ChunkCapacity::new(desired)
        .with_max(target)
        .unwrap_or_else(|_| ChunkCapacity::new(target));
    let overlap = settings.overlap_tokens.min(desired.saturating_sub(1));
    ChunkConfig::new(capacity)
        .with_sizer(sizer)
        .with_overlap(overlap)
        .expect("the overlap is less than the desired size")
}

/// Adds `range`, or, where the tokenizer finds more tokens in it than the sizes of its words let
/// expect, its halves.
fn push_fitting(
    text: &str,
    range: Range<usize>,
    sizes: &Sizes<'_>,
    ranges: &mut Vec<Range<usize>>,
) {
    let body = &text[range.clone()];
    let fits = sizes.words.exact(body) <= sizes.settings.target_tokens;
    let middle = range.start + middle(body);
    if fits || middle == range.start {
        ranges.push(range);
        return;
    }
    for half in [range.start..middle, middle..range.end] {
        if let Some(half) = trimmed(text, half, Markup::Plain) {
            push_fitting(text, half, sizes, ranges);
        }
    }
}

/// Where to halve: at the white space nearest before the middle, else at the middle; 0 for a text
/// of one character.
fn middle(body: &str) -> usize {
    let half = body.floor_char_boundary(body.len() / 2);
    let first = body.chars().next().map_or(0, char::len_utf8);
    let half = if half == 0 && body.len() > first {
        first
    } else {
        half
    };
    match body[..half].rfind(char::is_whitespace) {
        Some(space) if space > 0 => space,
        Some(_) | None => half,
    }
}

/// The range without white space around it; `None` when nothing is left. The first line of
/// Markdown and of code keeps its indentation, which means something there.
pub(super) fn trimmed(text: &str, range: Range<usize>, markup: Markup) -> Option<Range<usize>> {
    let body = &text[range.clone()];
    let lead = body.len() - body.trim_start().len();
    if lead == body.len() {
        return None;
    }
    let lead = match markup {
        Markup::Plain => lead,
        Markup::Markdown | Markup::Code(_) => {
            body[..lead].rfind('\n').map_or(0, |newline| newline + 1)
        }
    };
    Some(range.start + lead..range.start + body.trim_end().len())
}
