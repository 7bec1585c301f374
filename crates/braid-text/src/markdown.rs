//! Markdown structure: the headings of a document.

use std::ops::Range;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag};

/// Longest title kept, in characters: a setext heading can be a whole paragraph, and titles are
/// stored with every chunk below them.
const MAX_TITLE_CHARS: usize = 200;

/// A heading that structures its document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// 1 for the outermost.
    pub level: u8,
    /// Bytes of the heading's lines, markup included.
    pub range: Range<usize>,
    /// Its text without markup, at most 200 characters; may be empty.
    pub title: String,
}

/// The ATX and setext headings of a CommonMark text, in order. Those inside code, quotes and list
/// items structure nothing and are left out.
pub fn headings(text: &str) -> Vec<Heading> {
    let mut headings = Vec::new();
    let mut open: Option<Heading> = None;
    let mut depth = 0_usize;
    for (event, range) in Parser::new_ext(text, options()).into_offset_iter() {
        if let Event::Start(tag) = &event {
            if let (Tag::Heading { level, .. }, 0) = (tag, depth) {
                open = Some(Heading {
                    level: depth_of(*level),
                    range,
                    title: String::new(),
                });
            }
            depth += 1;
        } else if let Event::End(_) = &event {
            depth -= 1;
            if depth == 0
                && let Some(mut heading) = open.take()
            {
                heading.title = normal_title(&heading.title);
                headings.push(heading);
            }
        } else if let Some(heading) = &mut open {
            heading.title.push_str(inline_text(&event));
        }
    }
    headings
}

fn options() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES
}

/// The text an inline event stands for; none for markup.
fn inline_text<'e>(event: &'e Event<'_>) -> &'e str {
    match event {
        Event::Text(text) | Event::Code(text) => text,
        Event::SoftBreak | Event::HardBreak => " ",
        Event::Start(_)
        | Event::End(_)
        | Event::InlineMath(_)
        | Event::DisplayMath(_)
        | Event::Html(_)
        | Event::InlineHtml(_)
        | Event::FootnoteReference(_)
        | Event::Rule
        | Event::TaskListMarker(_) => "",
    }
}

/// One line, single spaces, bounded.
fn normal_title(title: &str) -> String {
    let words: Vec<&str> = title.split_whitespace().collect();
    words.join(" ").chars().take(MAX_TITLE_CHARS).collect()
}

fn depth_of(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_have_level_title_and_place() {
        let text = "a\n\n## B `c` *d* #\n\n> # no\n\nTwo\nlines\n===\n\n```\n# no\n```\n";
        let found: Vec<_> = headings(text)
            .into_iter()
            .map(|it| (it.level, it.title, text[it.range].to_owned()))
            .collect();
        let heading = |level, title: &str, lines: &str| (level, title.to_owned(), lines.to_owned());
        assert_eq!(
            found,
            [
                heading(2, "B c d", "## B `c` *d* #\n"),
                heading(1, "Two lines", "Two\nlines\n===\n"),
            ]
        );
    }
}
