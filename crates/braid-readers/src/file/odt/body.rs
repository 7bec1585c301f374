//! The body of a text document, element by element, to Markdown.

use braid_core::limits::MAX_DOCUMENT_BYTES;

use super::styles::Styles;
use super::xml::{Element, Event};

/// Markdown has six levels of headings.
const HEADING_LEVELS: usize = 6;
/// Most columns that one cell is repeated over.
const MAX_REPEATED: usize = 64;

/// Elements whose content is not the document's text: deleted text, comments, generated indexes,
/// numbers of notes, descriptions of pictures.
const SKIPPED: [&str; 16] = [
    "office:annotation",
    "office:forms",
    "svg:desc",
    "svg:title",
    "text:alphabetical-index",
    "text:bibliography",
    "text:illustration-index",
    "text:note-citation",
    "text:object-index",
    "text:ruby-text",
    "text:sequence-decls",
    "text:table-index",
    "text:table-of-content",
    "text:tracked-changes",
    "text:user-index",
    "text:variable-decls",
];

/// What has been made of the elements so far.
#[derive(Debug, Default)]
pub(super) struct Body {
    markdown: String,
    /// Whether the elements of the text itself have begun.
    is_text: bool,
    /// Elements open within one that is skipped, itself included.
    skipped: usize,
    /// Paragraphs and headings open: one may hold others, in notes and frames.
    blocks: usize,
    /// Level of the outermost of them where it is a heading.
    heading: Option<usize>,
    line: String,
    lists: Vec<List>,
    tables: usize,
    rows: Vec<Vec<String>>,
    cell: String,
    repeated: usize,
    styles: Styles,
}

#[derive(Debug, Default)]
struct List {
    style: Option<String>,
    is_numbered: bool,
    items: usize,
    /// The marker of an item that has no text yet.
    marker: Option<String>,
    /// Width of the markers.
    indent: usize,
}

impl List {
    /// Gives the item that has begun its marker.
    fn mark(&mut self, is_numbered: bool) {
        let marker = match is_numbered {
            true => format!("{}. ", self.items),
            false => "- ".to_owned(),
        };
        self.indent = marker.len();
        self.marker = Some(marker);
    }
}

impl Body {
    /// Takes an element of the styles that documents of a kind share, before the content.
    pub(super) fn take_style(&mut self, element: &Element) {
        self.styles.take(element);
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// When there is more text than a document may have.
    pub(super) fn take(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Open(_) | Event::Close(_) if self.skipped > 0 => {
                self.skipped = match event {
                    Event::Open(_) => self.skipped + 1,
                    Event::Close(_) | Event::Text(_) => self.skipped - 1,
                };
            }
            Event::Open(element) if SKIPPED.contains(&element.name.as_str()) => self.skipped = 1,
            Event::Open(element) => self.open(&element),
            Event::Close(name) => self.close(&name),
            Event::Text(text) if self.skipped == 0 && self.blocks > 0 => self.push(&text),
            Event::Text(_) => {}
        }
        match self.markdown.len() + self.line.len() > MAX_DOCUMENT_BYTES {
            true => Err(format!("has more than {MAX_DOCUMENT_BYTES} bytes of text")),
            false => Ok(()),
        }
    }

    /// The Markdown of everything that was taken.
    pub(super) fn into_text(self) -> String {
        self.markdown
    }

    fn open(&mut self, element: &Element) {
        if !self.is_text {
            self.styles.take(element);
        }
        match element.name.as_str() {
            "office:text" => self.is_text = true,
            "text:h" | "text:p" => self.open_block(element),
            "text:s" | "text:tab" => self.push(" "),
            "text:line-break" if self.is_free() => {
                self.line.truncate(self.line.trim_end().len());
                self.line.push('\n');
            }
            "text:line-break" => self.push(" "),
            "text:note-body" => self.push(" ("),
            "text:list" => self.open_list(element),
            "text:list-item" | "text:list-header" => self.open_item(),
            "table:table" => self.tables += 1,
            "table:table-row" if self.tables == 1 => self.rows.push(Vec::new()),
            "table:table-cell" | "table:covered-table-cell" if self.tables == 1 => {
                let repeated = element.attribute("number-columns-repeated");
                let repeated = repeated.and_then(|times| times.parse().ok()).unwrap_or(1);
                self.repeated = repeated.clamp(1, MAX_REPEATED);
            }
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "office:text" => self.is_text = false,
            "text:h" | "text:p" => self.close_block(),
            "text:note-body" => {
                self.line.truncate(self.line.trim_end().len());
                self.push(") ");
            }
            "text:list" => {
                self.lists.pop();
                if self.lists.is_empty() && self.tables == 0 {
                    self.end_paragraph();
                }
            }
            "table:table-cell" | "table:covered-table-cell" if self.tables == 1 => {
                self.close_cell();
            }
            "table:table" => {
                self.tables = self.tables.saturating_sub(1);
                if self.tables == 0 {
                    self.write_table();
                }
            }
            _ => {}
        }
    }

    fn open_block(&mut self, element: &Element) {
        if self.blocks > 0 {
            if !self.line.ends_with('(') {
                self.push(" ");
            }
        } else {
            self.number_by_paragraph(element);
            let level = element.attribute("outline-level");
            let level = level.and_then(|level| level.parse().ok()).unwrap_or(1);
            let is_title = element
                .attribute("style-name")
                .is_some_and(|style| self.styles.is_title(style));
            self.heading = match element.name.as_str() {
                "text:h" => Some(level.clamp(1, HEADING_LEVELS)),
                _ => is_title.then_some(1),
            };
        }
        self.blocks += 1;
    }

    fn close_block(&mut self) {
        self.blocks = self.blocks.saturating_sub(1);
        if self.blocks > 0 {
            self.push(" ");
            return;
        }
        let line = std::mem::take(&mut self.line);
        let heading = self.heading.take();
        let line = line.trim();
        if line.is_empty() {
            return;
        }
        if self.tables > 0 {
            if !self.cell.is_empty() {
                self.cell.push(' ');
            }
            self.cell.push_str(line);
        } else if let Some(level) = heading {
            self.end_paragraph();
            self.markdown.push_str(&"#".repeat(level));
            self.markdown.push(' ');
            self.markdown.push_str(line);
            self.end_paragraph();
        } else if self.lists.is_empty() {
            self.markdown.push_str(line);
            self.end_paragraph();
        } else {
            self.write_item(line);
        }
    }

    /// Whether the open block is a paragraph by itself, so that its lines are its own.
    fn is_free(&self) -> bool {
        self.blocks == 1 && self.heading.is_none() && self.lists.is_empty() && self.tables == 0
    }

    /// Adds running text: white space collapses, as in the format.
    fn push(&mut self, text: &str) {
        for c in text.chars() {
            if !c.is_whitespace() {
                self.line.push(c);
            } else if !self.line.is_empty() && !self.line.ends_with([' ', '\n']) {
                self.line.push(' ');
            }
        }
    }

    fn open_list(&mut self, element: &Element) {
        let given = element.attribute("style-name").map(str::to_owned);
        let style = given.or_else(|| self.lists.last().and_then(|list| list.style.clone()));
        let level = self.lists.len() + 1;
        let is_numbered = style
            .as_deref()
            .is_some_and(|style| self.styles.is_numbered(style, level));
        self.lists.push(List {
            style,
            is_numbered,
            ..List::default()
        });
    }

    fn open_item(&mut self) {
        if let Some(list) = self.lists.last_mut() {
            list.items += 1;
            list.mark(list.is_numbered);
        }
    }

    /// In a list without a style, each paragraph's own style may name one (OpenDocument 1.3, part 3,
    /// 19.880.8).
    fn number_by_paragraph(&mut self, paragraph: &Element) {
        let level = self.lists.len();
        let Some(list) = self.lists.last_mut() else {
            return;
        };
        let is_styled = list.style.is_some() || list.marker.is_none();
        let style = paragraph.attribute("style-name");
        let style = style.and_then(|style| self.styles.list_of(style));
        if !is_styled && style.is_some_and(|style| self.styles.is_numbered(style, level)) {
            list.mark(true);
        }
    }

    /// A paragraph of the innermost item. An item without text of its own, which only holds a list,
    /// gets no marker.
    fn write_item(&mut self, line: &str) {
        let Some((list, outer)) = self.lists.split_last_mut() else {
            return;
        };
        let is_nested = |list: &&List| list.marker.is_none() && list.items > 0;
        let indent: usize = outer.iter().filter(is_nested).map(|list| list.indent).sum();
        let lead = list.marker.take();
        let lead = lead.unwrap_or_else(|| " ".repeat(list.indent));
        self.markdown.push_str(&" ".repeat(indent));
        self.markdown.push_str(&lead);
        self.markdown.push_str(line);
        self.markdown.push('\n');
    }

    fn close_cell(&mut self) {
        let cell = std::mem::take(&mut self.cell).replace('|', "\\|");
        if let Some(row) = self.rows.last_mut() {
            row.push(cell);
            // Of a cell that stands for several the first has the text.
            row.extend(std::iter::repeat_n(
                String::new(),
                self.repeated.saturating_sub(1),
            ));
        }
    }

    fn write_table(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        let filled = |row: &Vec<String>| row.iter().rposition(|cell| !cell.is_empty());
        let width = rows.iter().filter_map(filled).max();
        let Some(width) = width.map(|last| last + 1) else {
            return;
        };
        self.end_paragraph();
        for (at, row) in rows.iter().filter(|row| filled(row).is_some()).enumerate() {
            let cells = row.iter().map(String::as_str).chain(std::iter::repeat(""));
            self.write_row(cells.take(width));
            if at == 0 {
                self.write_row(std::iter::repeat_n("---", width));
            }
        }
        self.end_paragraph();
    }

    fn write_row<'a>(&mut self, cells: impl Iterator<Item = &'a str>) {
        self.markdown.push('|');
        for cell in cells {
            self.markdown.push(' ');
            self.markdown.push_str(cell);
            self.markdown.push_str(" |");
        }
        self.markdown.push('\n');
    }

    /// An empty line, unless there is one or nothing before.
    fn end_paragraph(&mut self) {
        self.markdown
            .truncate(self.markdown.trim_end_matches('\n').len());
        if !self.markdown.is_empty() {
            self.markdown.push_str("\n\n");
        }
    }
}
