//! Word: Markdown with headings, lists and tables.

use braid_core::Format;
use undoc::render::{RenderOptions, to_markdown};

use super::ParsedFile;

/// Word has nine levels of headings, Markdown six.
const HEADING_LEVELS: u8 = 6;

pub(super) fn parse(bytes: &[u8]) -> Result<ParsedFile, String> {
    let unsound = |error: undoc::Error| format!("not a sound Word document: {error}");
    let mut parser = undoc::docx::DocxParser::from_bytes(bytes.to_vec()).map_err(unsound)?;
    let document = parser.parse().map_err(unsound)?;
    let options = RenderOptions::new()
        .with_images(false)
        .with_max_heading(HEADING_LEVELS);
    let text = to_markdown(&document, &options).map_err(unsound)?;
    Ok(ParsedFile {
        text,
        format: Format::Markdown,
        title: document.metadata.title,
    })
}
