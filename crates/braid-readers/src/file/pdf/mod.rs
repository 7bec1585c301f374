//! PDF: text with pages.

mod guard;

use std::panic::{AssertUnwindSafe, catch_unwind};

use braid_core::Format;
use pdf_extract::{Document, PlainTextOutput, decode_text_string, output_doc_page};

use self::guard::Guard;
use super::ParsedFile;

/// Ends a page, as other PDF readers have it.
const PAGE_END: char = '\u{c}';

pub(super) fn parse(bytes: &[u8]) -> Result<ParsedFile, String> {
    let mut document =
        Document::load_mem(bytes).map_err(|error| format!("not a sound PDF: {error}"))?;
    // Many are encrypted under the empty password, which only asks readers not to print or copy.
    if document.is_encrypted() && document.decrypt("").is_err() {
        return Err(super::ENCRYPTED.to_owned());
    }
    let pages = document.get_pages();
    let mut text = String::new();
    let mut guard = Guard::new(&document);
    let (mut unread, mut count) = (0, 0);
    for (number, id) in &pages {
        count += 1;
        let is_sound = guard.admits(*id);
        match is_sound.then(|| page(&document, *number)).flatten() {
            Some(page) => text.push_str(&tidy(&page)),
            None => unread += 1,
        }
        text.push(PAGE_END);
    }
    if count == 0 || unread == count {
        return Err(format!(
            "not a sound PDF: none of its {count} pages can be read"
        ));
    }
    if text.trim().is_empty() && unread > 0 {
        return Err(format!(
            "{unread} of its {count} pages cannot be read, and the others have no text"
        ));
    }
    if text.trim().is_empty() {
        return Err(format!(
            "a scan: there is no text on its {count} pages; recognise its characters (OCR) first"
        ));
    }
    Ok(ParsedFile {
        text,
        format: Format::Text,
        title: title(&document),
    })
}

/// The text of one page; none where it is so damaged that reading it fails.
fn page(document: &Document, number: u32) -> Option<String> {
    let read = || {
        let mut text = String::new();
        let mut output = PlainTextOutput::new(&mut text);
        output_doc_page(document, &mut output, number).ok()?;
        Some(text)
    };
    catch_unwind(AssertUnwindSafe(read)).ok().flatten()
}

/// Lines without white space at their ends, at most one empty line at a time.
fn tidy(page: &str) -> String {
    let mut tidied = String::with_capacity(page.len());
    let mut empty = 0;
    for line in page.lines() {
        let line = line.trim_end().replace(PAGE_END, " ");
        empty = if line.is_empty() { empty + 1 } else { 0 };
        if empty <= 1 && !(line.is_empty() && tidied.is_empty()) {
            tidied.push_str(&line);
            tidied.push('\n');
        }
    }
    tidied
}

fn title(document: &Document) -> Option<String> {
    let info = document.trailer.get(b"Info").ok()?;
    let info = match info.as_reference() {
        Ok(id) => document.get_dictionary(id).ok()?,
        Err(_) => info.as_dict().ok()?,
    };
    decode_text_string(info.get(b"Title").ok()?).ok()
}
