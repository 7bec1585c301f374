//! Chunking: extracted text to chunks.
//!
//! A collection chooses a strategy and sizes, and may choose others for a family of formats. By
//! [`ChunkingStrategy::Structure`] Markdown is cut at its headings first, a program at its definitions,
//! plain text at its pages, and a chunk never crosses such a section; inside, boundaries are sought at
//! the largest unit that fits (blocks or statements, lines, sentences, words). Invariants, each a
//! property test for every strategy: a chunk's text is exactly its span, every character that is not
//! white space is in some chunk, no body has more than `target_tokens` tokens, header and body fit into
//! the embedder's window, what is repeated has at most `overlap_tokens`, ordinals count from 0.
//!
//! Start at [`Chunker`]; [`cutter`] has what each strategy does.

#[cfg(test)]
mod code_tests;
mod cutter;
mod header;
mod overlap;
mod pack;
mod sections;
mod sizing;
mod split;
#[cfg(test)]
mod strategy_tests;
mod stretches;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use braid_core::{
    Chunk, ChunkingRule, ChunkingSettings, ChunkingStrategy, Error, ExtractedText, Fingerprint,
    FormatFamily, Markup, Result, Span, TokenCounter,
};

use self::cutter::{Cut, Cutter};
use self::header::Headers;
use self::sizing::WordCounts;
use crate::code::Effort;

/// Part of the fingerprint: rises whenever the same text may be chunked differently.
const VERSION: u32 = 2;

/// A form feed ends a page of plain text. A chunk is of one page, so that citing it is exact.
const PAGE_END: char = '\u{c}';
/// Most bytes of white space that two chunks are one run of characters across.
const MOST_GAP: usize = 64;

/// Tokens a model adds around a text of its own; they count towards its maximum.
const SPECIAL_TOKENS: usize = 2;

/// Makes chunks of documents. Cheap to share between threads; word counts are remembered across
/// documents.
#[derive(Debug)]
pub struct Chunker {
    words: WordCounts,
    settings: ChunkingSettings,
    /// Tokens that the embedder reads of a chunk, header and body.
    window: usize,
    fingerprint: Fingerprint,
}

impl Chunker {
    /// A chunker that counts with `counter`, the tokenizer of the collection's embedder.
    ///
    /// # Errors
    /// [`InvalidRequest`](braid_core::ErrorCode::InvalidRequest) when the settings contradict each
    /// other or ask for chunks that the embedder would truncate.
    pub fn new(counter: Arc<dyn TokenCounter>, settings: ChunkingSettings) -> Result<Self> {
        let window = counter.max_tokens().saturating_sub(SPECIAL_TOKENS);
        for family in FormatFamily::ALL {
            check(settings.rule(family), window).map_err(|(field, problem)| {
                let is_its_own = !settings.formats.of(family).is_empty();
                let of = if is_its_own {
                    format!(" of {}", family.as_str())
                } else {
                    String::new()
                };
                Error::invalid(format!("chunking {field}{of} {problem}"))
            })?;
        }
        Ok(Self {
            words: WordCounts::new(counter),
            settings,
            window,
            fingerprint: fingerprint(&settings),
        })
    }

    /// Identifies version and settings; the tokenizer is part of the embedder's own fingerprint.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The chunks of a text that came in a format of `family`, in order, under the document's `title`.
    /// None when it holds nothing but white space.
    pub fn chunk(
        &self,
        extracted: &ExtractedText,
        family: FormatFamily,
        title: Option<&str>,
    ) -> Vec<Chunk> {
        let cutter = Cutter {
            text: &extracted.text,
            markup: extracted.markup,
            rule: self.settings.rule(family),
            headers: Headers {
                title,
                words: &self.words,
                window: self.window,
            },
            effort: Effort::of(extracted.text.len()),
        };
        let mut chunks = ChunkList::new(&extracted.text, extracted.markup);
        for cut in cutter.cut() {
            chunks.push(cut);
        }
        chunks.chunks
    }
}

fn check(rule: ChunkingRule, window: usize) -> Result<(), (&'static str, String)> {
    if let Some((field, rule)) = rule.problem() {
        return Err((field, rule));
    }
    let target = rule.target_tokens;
    if rule.strategy != ChunkingStrategy::Whole && target > window {
        let problem = format!("is {target}, the embedder reads {window} and would ignore the rest");
        return Err(("target_tokens", problem));
    }
    Ok(())
}

/// Names what holds for each family; said once where it is the same for all.
fn fingerprint(settings: &ChunkingSettings) -> Fingerprint {
    let rules = FormatFamily::ALL.map(|family| (family, describe(settings.rule(family))));
    let (_, first) = &rules[0];
    let described = if rules.iter().all(|(_, rule)| rule == first) {
        first.clone()
    } else {
        let named = rules
            .iter()
            .map(|(family, rule)| format!("{}={rule}", family.as_str()));
        named.collect::<Vec<_>>().join(",")
    };
    Fingerprint::new(format!("chunker-{VERSION}/{described}"))
}

fn describe(rule: ChunkingRule) -> String {
    let name = rule.strategy.as_str();
    match rule.strategy {
        ChunkingStrategy::Whole => name.to_owned(),
        ChunkingStrategy::Structure
        | ChunkingStrategy::Tokens
        | ChunkingStrategy::Sentences
        | ChunkingStrategy::Headings
        | ChunkingStrategy::Code => {
            format!("{name}/{}/{}", rule.target_tokens, rule.overlap_tokens)
        }
    }
}

/// Turns byte ranges into chunks, counting the text's characters once.
struct ChunkList<'t> {
    text: &'t str,
    chunks: Vec<Chunk>,
    /// Bytes and characters before the last chunk's start.
    bytes: usize,
    chars: usize,
    /// The byte that the last chunk ends at.
    end: usize,
    /// The page of the last chunk's start, where the text has pages.
    page: Option<u32>,
}

impl<'t> ChunkList<'t> {
    fn new(text: &'t str, markup: Markup) -> Self {
        let has_pages = markup == Markup::Plain && text.contains(PAGE_END);
        Self {
            page: has_pages.then_some(1),
            text,
            chunks: Vec::new(),
            bytes: 0,
            chars: 0,
            end: 0,
        }
    }

    /// Adds a chunk. Ranges come by rising start.
    fn push(&mut self, cut: Cut) {
        let range: Range<usize> = cut.range;
        debug_assert!(self.bytes <= range.start, "chunks come by rising start");
        let between = &self.text[self.bytes..range.start];
        self.chars += between.chars().count();
        if let Some(page) = &mut self.page {
            *page += to_u32(between.matches(PAGE_END).count());
        }
        if let Some(last) = self.chunks.last_mut() {
            last.gap = gap(self.text, self.end..range.start).to_owned();
        }
        (self.bytes, self.end) = (range.start, range.end);
        let text = &self.text[range];
        self.chunks.push(Chunk {
            ordinal: to_u32(self.chunks.len()),
            span: Span {
                start: to_u32(self.chars),
                end: to_u32(self.chars + text.chars().count()),
            },
            page: self.page,
            heading_path: cut.heading_path,
            context_header: cut.context_header,
            text: text.to_owned(),
            gap: String::new(),
        });
    }
}

/// What stands in `between`, where that is a little white space of one page.
fn gap(text: &str, between: Range<usize>) -> &str {
    let gap = text.get(between).unwrap_or("");
    let is_gap = gap.len() <= MOST_GAP
        && gap
            .chars()
            .all(|character| character.is_whitespace() && character != PAGE_END);
    if is_gap { gap } else { "" }
}

/// Documents are limited to 64 MiB, so counts of their characters and chunks fit.
fn to_u32(count: usize) -> u32 {
    u32::try_from(count).expect("a document has fewer than 2^32 characters")
}
