//! EPUB: its chapters in reading order, as Markdown.

use std::io::Cursor;

use braid_core::Format;
use rbook::Epub;

use super::ParsedFile;
use crate::html;

pub(super) fn parse(bytes: &[u8]) -> Result<ParsedFile, String> {
    let unsound = |error: &dyn std::fmt::Display| format!("not a sound EPUB: {error}");
    let book = Epub::options()
        .skip_toc(true)
        .read(Cursor::new(bytes.to_vec()))
        .map_err(|error| unsound(&error))?;
    let mut text = String::new();
    for chapter in book.reader() {
        let chapter = chapter.map_err(|error| unsound(&error))?;
        // A chapter of pictures alone has no text; that of the others counts.
        if let Ok(read) = html::extract(chapter.content()) {
            text.push_str(read.text.trim_end());
            text.push_str("\n\n");
        }
    }
    let title = book
        .metadata()
        .title()
        .map(|title| title.value().to_owned());
    Ok(ParsedFile {
        text,
        format: Format::Markdown,
        title,
    })
}
