//! The reader port.

use braid_core::limits::MAX_TITLE_BYTES;
use braid_core::{ExtractedText, Format, Markup, Reader, Result};

use crate::{html, markdown};

/// Reads every [`Format`]. Plain text, Markdown and source code are kept as they are, front matter
/// apart; of HTML the main content is kept, as Markdown.
#[derive(Clone, Copy, Debug, Default)]
pub struct FormatReader;

impl Reader for FormatReader {
    fn version(&self) -> u32 {
        1
    }

    fn extract(&self, format: Format, raw: &str) -> Result<ExtractedText> {
        let raw = raw.strip_prefix('\u{feff}').unwrap_or(raw);
        let mut extracted = match format {
            Format::Text => ExtractedText {
                text: raw.to_owned(),
                markup: Markup::Plain,
                title: None,
            },
            Format::Markdown => markdown::extract(raw),
            Format::Html => html::extract(raw)?,
            Format::Code(language) => ExtractedText {
                text: raw.to_owned(),
                markup: Markup::Code(language),
                title: None,
            },
        };
        extracted.title = extracted.title.and_then(|title| tidy_title(&title));
        Ok(extracted)
    }
}

/// One line within the limit for titles; `None` for an empty one.
pub(crate) fn tidy_title(title: &str) -> Option<String> {
    let words: Vec<&str> = title.split_whitespace().collect();
    let line = words.join(" ");
    let end = line.floor_char_boundary(MAX_TITLE_BYTES);
    (!line.is_empty()).then(|| line[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_kept_as_it_is() {
        let read = FormatReader
            .extract(Format::Text, "\u{feff}# a\r\n\r\nb ")
            .unwrap();
        assert_eq!(read.text, "# a\r\n\r\nb ");
        assert_eq!((read.markup, read.title), (Markup::Plain, None));
    }

    #[test]
    fn titles_are_one_bounded_line() {
        assert_eq!(tidy_title(" a\n b "), Some("a b".to_owned()));
        assert_eq!(tidy_title(" \n"), None);
        let long = tidy_title(&"é".repeat(5000)).unwrap();
        assert_eq!(long.len(), MAX_TITLE_BYTES);
    }
}
