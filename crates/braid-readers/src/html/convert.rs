//! HTML to Markdown for search rather than for display.

use std::sync::LazyLock;

use htmd::element_handler::{HandlerResult, Handlers};
use htmd::options::{BulletListMarker, Options};
use htmd::{Element, HtmlToMarkdown};

/// Elements that say nothing of the document's subject.
const SKIPPED: [&str; 16] = [
    "button", "canvas", "datalist", "footer", "head", "iframe", "math", "nav", "noscript",
    "object", "script", "select", "style", "svg", "template", "title",
];

/// Parts of running text whose markup is dropped.
const PLAIN: [&str; 12] = [
    "a", "abbr", "b", "cite", "em", "font", "i", "mark", "span", "strong", "u", "dfn",
];

/// Separates the cells of a table row while it is put together.
const CELL: char = '\u{1f}';

/// Characters that Markdown converters escape, and the noncharacters that stand for them meanwhile,
/// so that `snake_case` stays one identifier.
const PROTECTED: [(&str, char, char); 9] = [
    ("_", '\u{fdd0}', '_'),
    ("*", '\u{fdd1}', '*'),
    ("[", '\u{fdd2}', '['),
    ("]", '\u{fdd3}', ']'),
    ("\\", '\u{fdd4}', '\\'),
    ("`", '\u{fdd5}', '`'),
    ("&lt;", '\u{fdd6}', '<'),
    ("&gt;", '\u{fdd7}', '>'),
    ("&amp;", '\u{fdd8}', '&'),
];

static CONVERTER: LazyLock<HtmlToMarkdown> = LazyLock::new(|| {
    let options = Options {
        bullet_list_marker: BulletListMarker::Dash,
        ul_bullet_spacing: 1,
        ol_number_spacing: 1,
        ..Options::default()
    };
    HtmlToMarkdown::builder()
        .options(options)
        .skip_tags(SKIPPED.to_vec())
        .add_handler(PLAIN.to_vec(), content)
        .add_handler(vec!["img"], image)
        .add_handler(vec!["td", "th"], cell)
        .add_handler(vec!["tr"], row)
        .add_handler(vec!["thead", "tbody", "tfoot"], content)
        .add_handler(vec!["table"], table)
        .build()
});

pub(super) fn to_markdown(html: &str) -> String {
    let converted = CONVERTER.convert(&protect(html)).unwrap_or_default();
    restore(&converted).trim().to_owned()
}

fn protect(html: &str) -> String {
    PROTECTED
        .iter()
        .fold(html.to_owned(), |html, (text, stand_in, _)| {
            html.replace(text, stand_in.encode_utf8(&mut [0; 4]))
        })
}

fn restore(markdown: &str) -> String {
    let original = |c: char| {
        PROTECTED
            .iter()
            .find(|(_, stand_in, _)| *stand_in == c)
            .map_or(c, |(_, _, original)| *original)
    };
    markdown.chars().map(original).collect()
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature of a tag handler"
)]
fn content(handlers: &dyn Handlers, element: Element<'_>) -> Option<HandlerResult> {
    Some(handlers.walk_children(element.node))
}

/// An image is worth its description.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature of a tag handler"
)]
fn image(_: &dyn Handlers, element: Element<'_>) -> Option<HandlerResult> {
    let description = element
        .attrs
        .iter()
        .find(|attribute| &*attribute.name.local == "alt")?;
    Some(description.value.trim().into())
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature of a tag handler"
)]
fn cell(handlers: &dyn Handlers, element: Element<'_>) -> Option<HandlerResult> {
    let content = handlers.walk_children(element.node).content;
    Some(format!("{CELL}{}", content.trim()).into())
}

/// One line per row. Cells are not padded to the width of their column: padding is noise, and one
/// long cell would multiply a table's size. A row whose cells hold paragraphs or tables lays out a
/// page; its cells become blocks.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature of a tag handler"
)]
fn row(handlers: &dyn Handlers, element: Element<'_>) -> Option<HandlerResult> {
    let content = handlers.walk_children(element.node).content;
    let cells: Vec<&str> = content.split(CELL).skip(1).map(str::trim).collect();
    if cells.iter().all(|cell| cell.is_empty()) {
        return None;
    }
    // A table within a cell stays one: as text of a row, each level would double its size.
    let is_block = |cell: &&str| cell.contains("\n\n") || cell.starts_with("| ");
    if cells.iter().any(is_block) {
        return Some(format!("\n\n{}\n\n", cells.join("\n\n")).into());
    }
    let line = format!("\n| {} |", cells.join(" | ")).replace('\n', " ");
    Some(format!("\n{}\n", line.trim()).into())
}

/// Marks the first row as the header, which Markdown wants of every table.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature of a tag handler"
)]
fn table(handlers: &dyn Handlers, element: Element<'_>) -> Option<HandlerResult> {
    let content = handlers.walk_children(element.node).content;
    let mut lines = content
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty());
    let is_table = content
        .lines()
        .all(|line| line.is_empty() || line.starts_with("| "));
    let Some(header) = lines.next().filter(|_| is_table) else {
        return Some(format!("\n\n{}\n\n", content.trim()).into());
    };
    let rule = format!("|{}", " --- |".repeat(header.matches(" | ").count() + 1));
    let rows: Vec<&str> = lines.collect();
    Some(format!("\n\n{header}\n{rule}\n{}\n\n", rows.join("\n")).into())
}
