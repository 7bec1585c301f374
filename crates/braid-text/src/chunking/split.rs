//! Splitting one section along its own structure into ranges that fit.

use std::ops::Range;

use braid_core::Markup;
use text_splitter::{ChunkCapacity, ChunkConfig, CodeSplitter, MarkdownSplitter, TextSplitter};

use super::sections::{CodeSizes, Section};
use super::sizing::{BlockSizer, WordCounts};
use super::stretches::{StretchSizes, stretches};
use crate::code::{Effort, grammar, is_shallow};

/// Most bytes that are split at once.
const MAX_BLOCK_BYTES: usize = 16 * 1024;
/// Deepest syntax that is split along: the splitter looks at every level for every chunk. Programs
/// that people write stay far below.
const MAX_SYNTAX_DEPTH: usize = 100;
/// A stretch of a program is short when this many of its size fit into a chunk.
const SHORT: usize = 4;

/// How large chunks may be, and how to measure them.
#[derive(Clone, Copy)]
pub(super) struct Sizes<'a> {
    pub(super) words: &'a WordCounts,
    /// Most tokens of a chunk's body.
    pub(super) most: usize,
    /// Most of them that a chunk repeats from the one before, where there is one.
    pub(super) overlap: usize,
    pub(super) markup: Markup,
    /// What is left for the syntax of the document.
    pub(super) effort: &'a Effort,
}

impl Sizes<'_> {
    /// Most tokens that a chunk has of its own where others precede it.
    pub(super) fn own(&self) -> usize {
        (self.most - self.overlap).max(1)
    }
}

/// Sizes of stretches of one program.
pub(super) struct ProgramSizes<'a> {
    pub(super) text: &'a str,
    pub(super) words: &'a WordCounts,
    pub(super) most: usize,
}

impl ProgramSizes<'_> {
    fn is_within(&self, range: Range<usize>, tokens: usize) -> bool {
        range.len() <= MAX_BLOCK_BYTES && self.words.weigh(&self.text[range]) <= tokens
    }
}

impl CodeSizes for ProgramSizes<'_> {
    fn fits(&self, range: Range<usize>) -> bool {
        self.is_within(range, self.most)
    }

    fn is_short(&self, range: Range<usize>) -> bool {
        self.is_within(range, self.most / SHORT)
    }
}

/// Byte ranges of the chunks of `section`, by rising start, nothing repeated. They fit if the sizes of
/// their words say all.
pub(super) fn split(text: &str, section: &Section, sizes: &Sizes<'_>) -> Vec<Range<usize>> {
    let Some(whole) = trimmed(text, section.range.clone(), sizes.markup) else {
        return Vec::new();
    };
    if whole.len() <= MAX_BLOCK_BYTES && sizes.words.weigh(&text[whole.clone()]) <= sizes.most {
        return vec![whole];
    }
    // A long section would leave its heading alone in a chunk where the first paragraph fills one.
    // So the heading is set aside, room is left for it, and the first chunk begins with it.
    let most = sizes.own();
    let heading_size = sizes.words.weigh(&text[section.range.start..section.body]);
    if heading_size == 0 || heading_size > most / 4 {
        return split_stretches(text, section.range.clone(), most, sizes);
    }
    let body = section.body..section.range.end;
    let mut ranges = split_stretches(text, body, most - heading_size, sizes);
    match ranges.first_mut() {
        Some(first) => first.start = whole.start,
        None => ranges.push(whole),
    }
    ranges
}

fn split_stretches(
    text: &str,
    range: Range<usize>,
    most: usize,
    sizes: &Sizes<'_>,
) -> Vec<Range<usize>> {
    let stretch_sizes = match sizes.markup {
        Markup::Plain | Markup::Markdown => StretchSizes::of_prose(most),
        Markup::Code(_) => StretchSizes::of_code(most),
    };
    let is_short = range.len() <= MAX_BLOCK_BYTES
        && sizes.words.weigh(&text[range.clone()]) <= stretch_sizes.most;
    let found = if is_short {
        vec![range]
    } else {
        stretches(text, range, stretch_sizes, sizes.words)
    };
    let split = |stretch| split_stretch(text, stretch, most, sizes);
    found.into_iter().flat_map(split).collect()
}

fn split_stretch(
    text: &str,
    stretch: Range<usize>,
    most: usize,
    sizes: &Sizes<'_>,
) -> Vec<Range<usize>> {
    let Some(range) = trimmed(text, stretch, sizes.markup) else {
        return Vec::new();
    };
    let body = &text[range.clone()];
    let sizer = BlockSizer::new(sizes.words, body);
    if sizer.total() <= most {
        return vec![range];
    }
    let config = || config(&sizer, most);
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
        Markup::Code(language) if !is_shallow(body, language, MAX_SYNTAX_DEPTH, sizes.effort) => {
            as_text()
        }
        Markup::Code(language) => match CodeSplitter::new(grammar(language), config()) {
            Ok(splitter) => splitter.chunk_indices(body).map(to_range).collect(),
            // A grammar of another version than the library's, which a test rules out.
            Err(_) => as_text(),
        },
    }
}

/// Asks for chunks of about equal size: filling each to the limit would leave a last one of a few
/// words, which both legs rank badly.
fn config<'a>(sizer: &'a BlockSizer<'a>, most: usize) -> ChunkConfig<&'a BlockSizer<'a>> {
    let count = sizer.total().div_ceil(most).max(1);
    let desired = sizer.total().div_ceil(count).min(most);
    let capacity = ChunkCapacity::new(desired)
        .with_max(most)
        .unwrap_or_else(|_| ChunkCapacity::new(most));
    ChunkConfig::new(capacity).with_sizer(sizer)
}

/// Adds `range`, or, where it does not fit because its tokens are more than the sizes of its words let
/// expect, its halves.
pub(super) fn push_fitting(
    text: &str,
    range: Range<usize>,
    fits: &impl Fn(Range<usize>) -> bool,
    ranges: &mut Vec<Range<usize>>,
) {
    let middle = range.start + middle(&text[range.clone()]);
    if fits(range.clone()) || middle == range.start {
        ranges.push(range);
        return;
    }
    for half in [range.start..middle, middle..range.end] {
        if let Some(half) = trimmed(text, half, Markup::Plain) {
            push_fitting(text, half, fits, ranges);
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
