//! Sections of a Markdown text: what stands between one heading and the next.

use std::ops::Range;

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

fn titles(path: &[(u8, &str)]) -> Vec<String> {
    path.iter()
        .filter(|(_, title)| !title.is_empty())
        .map(|(_, title)| (*title).to_owned())
        .collect()
}
