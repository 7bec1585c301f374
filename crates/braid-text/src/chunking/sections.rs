//! Sections: what stands between one heading of a Markdown text and the next, or one definition of a
//! program.

use std::ops::Range;

use super::PAGE_END;
use crate::code::Definition;
use crate::markdown::headings;

/// A stretch of text under one heading.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Section {
    /// Byte range in the text, its own heading line included.
    pub(super) range: Range<usize>,
    /// Where the heading lines end and the rest begins.
    pub(super) body: usize,
    /// Titles of the headings above and its own, outermost first.
    pub(super) heading_path: Vec<String>,
}

impl Section {
    pub(super) fn untitled(range: Range<usize>) -> Self {
        Self {
            body: range.start,
            range,
            heading_path: Vec::new(),
        }
    }
}

/// The pages of a plain text in order, each with its end; together they are the whole text.
pub(super) fn pages(text: &str) -> Vec<Section> {
    let mut end = 0;
    let mut page = |part: &str| {
        let start = end;
        end += part.len();
        Section::untitled(start..end)
    };
    text.split_inclusive(PAGE_END).map(&mut page).collect()
}

/// The sections of `text` in order; together they are the whole text. A heading with nothing of
/// its own before a deeper heading is part of the deeper one's section: alone it would be a chunk
/// that says nothing.
pub(super) fn markdown_sections(text: &str) -> Vec<Section> {
    let headings = headings(text);
    let first = headings.first().map_or(text.len(), |it| it.range.start);
    let mut sections = vec![Section::untitled(0..first)];
    let mut path: Vec<(u8, &str)> = Vec::new();
    let mut start = first;
    for (index, heading) in headings.iter().enumerate() {
        while path
            .last()
            .is_some_and(|(level, _)| *level >= heading.level)
        {
            path.pop();
        }
        path.push((heading.level, &heading.title));
        let next = headings.get(index + 1);
        let end = next.map_or(text.len(), |it| it.range.start);
        let is_bare = text[heading.range.end..end].trim().is_empty();
        if is_bare && next.is_some_and(|next| next.level > heading.level) {
            continue;
        }
        sections.push(Section {
            range: start..end,
            body: heading.range.end,
            heading_path: titles(&path),
        });
        start = end;
    }
    sections
}

/// How large a stretch of a program is.
pub(super) trait CodeSizes {
    /// Whether it fits into one chunk.
    fn fits(&self, range: Range<usize>) -> bool;
    /// Whether it is so short that it should not be a chunk of its own.
    fn is_short(&self, range: Range<usize>) -> bool;
}

/// The sections of a program in order; together they are the whole text. Each definition that fits
/// is one; of a larger one its members are. What stands between definitions is a section of the
/// definition around it (its opening line goes with the first member), and so are short neighbours
/// together.
pub(super) fn code_sections(
    text: &str,
    definitions: &[Definition],
    sizes: &impl CodeSizes,
) -> Vec<Section> {
    let mut outline = Outline {
        text,
        sizes,
        parts: Vec::new(),
    };
    outline.cover(0..text.len(), definitions, &mut Vec::new());
    merge_short(outline.parts, sizes)
}

struct Outline<'a, S> {
    text: &'a str,
    sizes: &'a S,
    parts: Vec<Part>,
}

/// A section, and how many names of its path are those of what it stands in.
struct Part {
    section: Section,
    parent: usize,
}

impl<S: CodeSizes> Outline<'_, S> {
    fn cover(&mut self, range: Range<usize>, definitions: &[Definition], path: &mut Vec<String>) {
        let mut at = range.start;
        let first = self.parts.len();
        for definition in definitions {
            let between = at..definition.range.start;
            let is_own = !self.opens(&between, definition, range.start, path);
            let start = if is_own { definition.range.start } else { at };
            if is_own {
                self.push_between(between, path, first);
            }
            let whole = start..definition.range.end;
            path.push(definition.name.clone());
            if definition.members.is_empty() || self.sizes.fits(whole.clone()) {
                self.push(whole, path, path.len() - 1);
            } else {
                self.cover(whole, &definition.members, path);
            }
            path.pop();
            at = definition.range.end;
        }
        self.push_between(at..range.end, path, first);
    }

    /// Adds what stands between definitions. Where it says nothing, as a closing bracket, it goes
    /// with the part before it, if one was added since `first`.
    fn push_between(&mut self, range: Range<usize>, path: &[String], first: usize) {
        let says_something = self.text[range.clone()].contains(char::is_alphanumeric);
        match self.parts[first..].last_mut() {
            Some(last) if !says_something => last.section.range.end = range.end,
            Some(_) | None => self.push(range, path, path.len()),
        }
    }

    /// Whether what stands before a definition is shown with it: white space, and the opening line
    /// of what it is the first member of, which says too little to be a chunk.
    fn opens(
        &self,
        between: &Range<usize>,
        definition: &Definition,
        start: usize,
        path: &[String],
    ) -> bool {
        let is_blank = self.text[between.clone()].trim().is_empty();
        let is_first_member = between.start == start && !path.is_empty();
        let fits = || {
            self.sizes.is_short(between.clone())
                && self.sizes.fits(between.start..definition.range.end)
        };
        is_blank || (is_first_member && fits())
    }

    fn push(&mut self, range: Range<usize>, path: &[String], parent: usize) {
        self.parts.push(Part {
            section: Section {
                body: range.start,
                range,
                heading_path: path.to_vec(),
            },
            parent,
        });
    }
}

/// Joins neighbours in one definition while they are short together.
fn merge_short(parts: Vec<Part>, sizes: &impl CodeSizes) -> Vec<Section> {
    let mut merged: Vec<Part> = Vec::new();
    for part in parts {
        if let Some(last) = merged.last_mut() {
            let around = |part: &Part| part.section.heading_path[..part.parent].to_vec();
            let whole = last.section.range.start..part.section.range.end;
            if around(last) == around(&part) && sizes.is_short(whole.clone()) {
                last.section.heading_path.truncate(last.parent);
                last.section.range = whole;
                continue;
            }
        }
        merged.push(part);
    }
    merged.into_iter().map(|part| part.section).collect()
}

fn titles(path: &[(u8, &str)]) -> Vec<String> {
    path.iter()
        .filter(|(_, title)| !title.is_empty())
        .map(|(_, title)| (*title).to_owned())
        .collect()
}
