//! Chunking: extracted text to chunks.
//!
//! Markdown is cut at its headings first, a program at its definitions, plain text at its pages, and a
//! chunk never crosses such a section; inside, boundaries are sought at the largest unit that fits
//! (blocks or statements, lines, sentences, words). Invariants, each a property test: a chunk's text is
//! exactly its span, every character that is not white space is in some chunk, no chunk has more than
//! `target_tokens` tokens ([`ChunkingStrategy::Whole`] excepted), ordinals count from 0.

#[cfg(test)]
mod code_tests;
mod sections;
mod sizing;
mod split;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use braid_core::{
    Chunk, ChunkingSettings, ChunkingStrategy, Error, ExtractedText, Fingerprint, Markup, Result,
    Span, TokenCounter,
};

use self::sections::Section;
use self::sizing::WordCounts;
use crate::code::definitions;

/// Part of the fingerprint: rises whenever the same text may be chunked differently.
const VERSION: u32 = 1;

/// A form feed ends a page of plain text. A chunk is of one page, so that citing it is exact.
const PAGE_END: char = '\u{c}';

/// Tokens a model adds around a text of its own; they count towards its maximum.
const SPECIAL_TOKENS: usize = 2;

/// Makes chunks of documents. Cheap to share between threads; word counts are remembered across
/// documents.
#[derive(Debug)]
pub struct Chunker {
    words: WordCounts,
    settings: ChunkingSettings,
    fingerprint: Fingerprint,
}

impl Chunker {
    /// A chunker that counts with `counter`, the tokenizer of the collection's embedder.
    ///
    /// # Errors
    /// [`InvalidRequest`](braid_core::ErrorCode::InvalidRequest) when the settings contradict each
    /// other or ask for chunks that the embedder would truncate.
    pub fn new(counter: Arc<dyn TokenCounter>, settings: ChunkingSettings) -> Result<Self> {
        check(settings, counter.max_tokens())?;
        Ok(Self {
            words: WordCounts::new(counter),
            settings,
            fingerprint: fingerprint(settings),
        })
    }

    /// Identifies version and settings; the tokenizer is part of the embedder's own fingerprint.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The chunks of a text, in order. None when it holds nothing but white space.
    pub fn chunk(&self, extracted: &ExtractedText) -> Vec<Chunk> {
        let text = extracted.text.as_str();
        let mut chunks = ChunkList::new(text, extracted.markup);
        for section in self.sections(extracted) {
            for range in self.split_section(text, &section, extracted.markup) {
                chunks.push(range, &section.heading_path);
            }
        }
        chunks.chunks
    }

    fn sections(&self, extracted: &ExtractedText) -> Vec<Section> {
        match (self.settings.strategy, extracted.markup) {
            (ChunkingStrategy::Structure, Markup::Markdown) => {
                sections::markdown_sections(&extracted.text)
            }
            (ChunkingStrategy::Structure, Markup::Code(language)) => {
                let definitions = definitions(&extracted.text, language);
                let sizes = split::TextSizes {
                    text: &extracted.text,
                    sizes: self.sizes(extracted.markup),
                };
                sections::code_sections(&extracted.text, &definitions, &sizes)
            }
            (ChunkingStrategy::Structure, Markup::Plain) => sections::pages(&extracted.text),
            (ChunkingStrategy::Whole, _) => vec![Section::untitled(0..extracted.text.len())],
        }
    }

    /// Byte ranges of the chunks of one section, by rising start.
    fn split_section(&self, text: &str, section: &Section, markup: Markup) -> Vec<Range<usize>> {
        match self.settings.strategy {
            ChunkingStrategy::Whole => split::trimmed(text, section.range.clone(), Markup::Plain)
                .into_iter()
                .collect(),
            ChunkingStrategy::Structure => split::split(text, section, &self.sizes(markup)),
        }
    }

    fn sizes(&self, markup: Markup) -> split::Sizes<'_> {
        split::Sizes {
            words: &self.words,
            settings: self.settings,
            markup,
        }
    }
}

fn check(settings: ChunkingSettings, max_tokens: usize) -> Result<()> {
    if settings.strategy == ChunkingStrategy::Whole {
        return Ok(());
    }
    let target = settings.target_tokens;
    if target == 0 {
        return Err(Error::invalid("chunking target_tokens must be at least 1"));
    }
    if settings.overlap_tokens >= target {
        return Err(Error::invalid(format!(
            "chunking overlap_tokens is {}, it must be less than target_tokens, which is {target}",
            settings.overlap_tokens
        )));
    }
    let most = max_tokens.saturating_sub(SPECIAL_TOKENS);
    if target > most {
        return Err(Error::invalid(format!(
            "chunking target_tokens is {target}, the embedder reads {most} and would ignore the rest"
        )));
    }
    Ok(())
}

fn fingerprint(settings: ChunkingSettings) -> Fingerprint {
    Fingerprint::new(match settings.strategy {
        ChunkingStrategy::Whole => format!("chunker-{VERSION}/whole"),
        ChunkingStrategy::Structure => format!(
            "chunker-{VERSION}/structure/{}/{}",
            settings.target_tokens, settings.overlap_tokens
        ),
    })
}

/// Turns byte ranges into chunks, counting the text's characters once.
struct ChunkList<'t> {
    text: &'t str,
    chunks: Vec<Chunk>,
    /// Bytes and characters before the last chunk's start.
    bytes: usize,
    chars: usize,
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
        }
    }

    /// Adds a chunk. Ranges come by rising start.
    fn push(&mut self, range: Range<usize>, heading_path: &[String]) {
        debug_assert!(self.bytes <= range.start, "chunks come by rising start");
        let between = &self.text[self.bytes..range.start];
        self.chars += between.chars().count();
        if let Some(page) = &mut self.page {
            *page += to_u32(between.matches(PAGE_END).count());
        }
        self.bytes = range.start;
        let text = &self.text[range];
        self.chunks.push(Chunk {
            ordinal: to_u32(self.chunks.len()),
            span: Span {
                start: to_u32(self.chars),
                end: to_u32(self.chars + text.chars().count()),
            },
            page: self.page,
            heading_path: heading_path.to_vec(),
            text: text.to_owned(),
        });
    }
}

/// Documents are limited to 64 MiB, so counts of their characters and chunks fit.
fn to_u32(count: usize) -> u32 {
    u32::try_from(count).expect("a document has fewer than 2^32 characters")
}
