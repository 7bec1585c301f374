//! One document, cut by one rule.

use std::ops::Range;

use braid_core::chunk::embedded_text;
use braid_core::{ChunkingRule, ChunkingStrategy, Markup};

use super::header::{Header, Headers};
use super::overlap;
use super::pack::{Atoms, fill, pack};
use super::sections::{self, Section};
use super::split::{ProgramSizes, Sizes, push_fitting, split, trimmed};
use super::stretches::{StretchSizes, stretches};
use crate::code::{Effort, definitions_within};

/// A chunk before it has an ordinal and a page.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) range: Range<usize>,
    pub(super) heading_path: Vec<String>,
    pub(super) context_header: String,
}

/// One document and how it is cut.
pub(super) struct Cutter<'a> {
    pub(super) text: &'a str,
    pub(super) markup: Markup,
    pub(super) rule: ChunkingRule,
    pub(super) headers: Headers<'a>,
    pub(super) effort: Effort,
}

impl Cutter<'_> {
    /// The chunks in order, by rising start.
    pub(super) fn cut(&self) -> Vec<Cut> {
        match (self.rule.strategy, self.markup) {
            (ChunkingStrategy::Structure, _)
            | (ChunkingStrategy::Headings, Markup::Markdown)
            | (ChunkingStrategy::Code, Markup::Code(_)) => self.along_sections(),
            (ChunkingStrategy::Tokens, _) => self.across_sections(Atoms::Words),
            (ChunkingStrategy::Sentences, _)
            | (ChunkingStrategy::Headings, Markup::Plain | Markup::Code(_))
            | (ChunkingStrategy::Code, Markup::Plain | Markup::Markdown) => {
                self.across_sections(Atoms::Sentences)
            }
            (ChunkingStrategy::Whole, _) => self.whole(),
        }
    }

    /// No chunk crosses a section.
    fn along_sections(&self) -> Vec<Cut> {
        let mut cuts = Vec::new();
        for section in self.sections() {
            let header = self.headers.of(&section.heading_path);
            let sizes = self.sizes(header.room);
            let mut ranges = Vec::new();
            for range in split(self.text, &section, &sizes) {
                push_fitting(self.text, range, &self.fits(&sizes, &header), &mut ranges);
            }
            for range in self.repeat(ranges, &sizes, &header) {
                cuts.push(Cut {
                    range,
                    heading_path: section.heading_path.clone(),
                    context_header: header.text.clone(),
                });
            }
        }
        cuts
    }

    /// Chunks take as many atoms as fit, whatever the sections; a page ends them all the same. A
    /// chunk's heading path is what all of its own text stands under.
    fn across_sections(&self, atoms: Atoms) -> Vec<Cut> {
        let outline = self.outline();
        let sizes = self.sizes(self.headers.least_room());
        let mut cuts = Vec::new();
        for page in self.pages() {
            let mut before: Option<Range<usize>> = None;
            for own in self.packed(page, atoms, &sizes) {
                let heading_path = common_path(&outline, &own);
                let header = self.headers.of(&heading_path);
                let range = self.overlap_start(before.as_ref(), &own, &sizes, &header)..own.end;
                before = Some(range.clone());
                cuts.push(Cut {
                    range,
                    heading_path,
                    context_header: header.text,
                });
            }
        }
        cuts
    }

    /// Ranges of one page, nothing repeated.
    fn packed(&self, page: Range<usize>, atoms: Atoms, sizes: &Sizes<'_>) -> Vec<Range<usize>> {
        // Any header that a chunk may get leaves this much room.
        let header = Header::default();
        let fits = self.fits(sizes, &header);
        let mut ranges = Vec::new();
        let Some(whole) = trimmed(self.text, page.clone(), self.markup) else {
            return ranges;
        };
        if fits(whole.clone()) {
            return vec![whole];
        }
        let stretch_sizes = StretchSizes::of_prose(sizes.own());
        for stretch in stretches(self.text, page, stretch_sizes, sizes.words) {
            for range in pack(self.text, stretch, atoms, sizes.own(), sizes.words) {
                if let Some(range) = trimmed(self.text, range, self.markup) {
                    push_fitting(self.text, range, &fits, &mut ranges);
                }
            }
        }
        ranges
    }

    /// One chunk, or as few as the window allows.
    fn whole(&self) -> Vec<Cut> {
        let header = self.headers.of(&[]);
        let sizes = Sizes {
            most: header.room,
            overlap: 0,
            words: self.headers.words,
            markup: self.markup,
            effort: &self.effort,
        };
        let Some(whole) = trimmed(self.text, 0..self.text.len(), Markup::Plain) else {
            return Vec::new();
        };
        let fits = self.fits(&sizes, &header);
        let mut ranges = Vec::new();
        for range in fill(self.text, whole, sizes.most, sizes.words) {
            if let Some(range) = trimmed(self.text, range, Markup::Plain) {
                push_fitting(self.text, range, &fits, &mut ranges);
            }
        }
        let to_cut = |range| Cut {
            range,
            heading_path: Vec::new(),
            context_header: header.text.clone(),
        };
        ranges.into_iter().map(to_cut).collect()
    }

    /// Sizes of chunks where a header leaves `room` tokens.
    fn sizes(&self, room: usize) -> Sizes<'_> {
        let most = self.rule.target_tokens.min(room).max(1);
        Sizes {
            most,
            overlap: self.rule.overlap_tokens.min(most / 2),
            words: self.headers.words,
            markup: self.markup,
            effort: &self.effort,
        }
    }

    /// Whether the tokenizer itself finds that a range is no larger than asked for and fits into the
    /// window below `header`.
    fn fits(&self, sizes: &Sizes<'_>, header: &Header) -> impl Fn(Range<usize>) -> bool {
        move |range| {
            let body = &self.text[range];
            let words = sizes.words;
            let is_sum = || words.adds_up() || header.text.is_empty();
            words.tokens(body) <= sizes.most
                && (is_sum()
                    || words.tokens(&embedded_text(&header.text, body)) <= self.headers.window)
        }
    }

    /// The ranges with what each repeats of the one before.
    fn repeat(
        &self,
        own: Vec<Range<usize>>,
        sizes: &Sizes<'_>,
        header: &Header,
    ) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = Vec::with_capacity(own.len());
        for own in own {
            let start = self.overlap_start(ranges.last(), &own, sizes, header);
            ranges.push(start..own.end);
        }
        ranges
    }

    fn overlap_start(
        &self,
        before: Option<&Range<usize>>,
        own: &Range<usize>,
        sizes: &Sizes<'_>,
        header: &Header,
    ) -> usize {
        match before {
            Some(before) if sizes.overlap > 0 => {
                let fits = self.fits(sizes, header);
                let stretch = before.start..own.start;
                overlap::start_of(self.text, stretch, own.end, sizes, fits)
            }
            Some(_) | None => own.start,
        }
    }

    fn sections(&self) -> Vec<Section> {
        match self.markup {
            Markup::Markdown => sections::markdown_sections(self.text),
            Markup::Code(language) => {
                let definitions = definitions_within(self.text, language, &self.effort);
                let sizes = ProgramSizes {
                    text: self.text,
                    words: self.headers.words,
                    most: self.rule.target_tokens,
                };
                sections::code_sections(self.text, &definitions, &sizes)
            }
            Markup::Plain => sections::pages(self.text),
        }
    }

    fn pages(&self) -> Vec<Range<usize>> {
        match self.markup {
            Markup::Plain => {
                let pages = sections::pages(self.text).into_iter();
                pages.map(|page| page.range).collect()
            }
            Markup::Markdown | Markup::Code(_) => std::iter::once(0..self.text.len()).collect(),
        }
    }

    /// What stands under which headings; nothing where there are none.
    fn outline(&self) -> Vec<Section> {
        match self.markup {
            Markup::Plain => Vec::new(),
            Markup::Markdown | Markup::Code(_) => self.sections(),
        }
    }
}

/// The headings that all of `range` stands under.
fn common_path(outline: &[Section], range: &Range<usize>) -> Vec<String> {
    let first = outline.partition_point(|section| section.range.end <= range.start);
    let within = outline[first..]
        .iter()
        .take_while(|it| it.range.start < range.end);
    let mut paths = within.map(|section| &section.heading_path[..]);
    let Some(path) = paths.next() else {
        return Vec::new();
    };
    let mut common = path.len();
    for other in paths {
        let same = path.iter().zip(other).take_while(|(a, b)| a == b);
        common = common.min(same.count());
    }
    path[..common].to_vec()
}
