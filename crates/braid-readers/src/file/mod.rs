//! Files that are not text: PDF, Word, OpenDocument and EPUB.
//!
//! Their parsers are large and meet hostile input: a page of nonsense makes one panic, a small archive
//! unpacks to gigabytes. So each file is parsed by a process of its own ([`isolated`]) that is bounded
//! in memory, output and time, and that fails alone. [`parse`] is what that process does; a parser's
//! panic is a reason there, as any other.

mod docx;
mod epub;
pub mod isolated;
mod odt;
mod pdf;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};

use braid_core::Format;

use crate::reader::tidy_title;

/// A kind of file that is parsed into text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Portable Document Format.
    Pdf,
    /// Office Open XML text.
    Docx,
    /// OpenDocument text.
    Odt,
    /// An electronic book.
    Epub,
}

impl FileKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Pdf, Self::Docx, Self::Odt, Self::Epub];

    /// The kind's name, which is its file extension.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Docx => "docx",
            Self::Odt => "odt",
            Self::Epub => "epub",
        }
    }

    /// Name and version of what reads it. The part after `+` counts what this crate makes of the
    /// library's output: raise it when the same file may give another text.
    pub fn parser(self) -> &'static str {
        match self {
            Self::Pdf => "pdf-extract 0.12.1+1",
            Self::Docx => "undoc 0.27.1+1",
            Self::Odt => "quick-xml 0.42.0+3",
            Self::Epub => "rbook 0.7.12+1",
        }
    }

    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The kind that the first bytes of a file tell, whatever its name says: some KiB are enough.
    pub fn of(head: &[u8]) -> Option<Self> {
        let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
        if text.trim_ascii_start().starts_with(b"%PDF-") {
            return Some(Self::Pdf);
        }
        if !head.starts_with(b"PK\x03\x04") {
            return None;
        }
        if contains(head, b"mimetypeapplication/epub+zip") {
            return Some(Self::Epub);
        }
        if contains(head, b"mimetypeapplication/vnd.oasis.opendocument.text") {
            return Some(Self::Odt);
        }
        let is_word = contains(head, b"[Content_Types].xml") && contains(head, b"word/");
        is_word.then_some(Self::Docx)
    }
}

/// What is said of a file that takes a password.
const ENCRYPTED: &str = "encrypted: it takes a password to read";

/// A media type that a document can be sent as, beside JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// A file that is parsed.
    File(FileKind),
    /// Text that is read as it is.
    Text(Format),
}

impl MediaType {
    /// Every media type.
    pub const ALL: [Self; 7] = [
        Self::File(FileKind::Pdf),
        Self::File(FileKind::Docx),
        Self::File(FileKind::Odt),
        Self::File(FileKind::Epub),
        Self::Text(Format::Html),
        Self::Text(Format::Markdown),
        Self::Text(Format::Text),
    ];

    /// Its registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File(FileKind::Pdf) => "application/pdf",
            Self::File(FileKind::Docx) => {
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
            }
            Self::File(FileKind::Odt) => "application/vnd.oasis.opendocument.text",
            Self::File(FileKind::Epub) => "application/epub+zip",
            Self::Text(Format::Html) => "text/html",
            Self::Text(Format::Markdown) => "text/markdown",
            Self::Text(Format::Text | Format::Code(_)) => "text/plain",
        }
    }

    /// The media type of that name, without parameters, in any case.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|known| known.as_str().eq_ignore_ascii_case(name))
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// What is in a file, as text that Braid reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedFile {
    /// The text; a form feed ends each page of a PDF.
    pub text: String,
    /// How to read it: plain text or Markdown.
    pub format: Format,
    /// The title the file states.
    pub title: Option<String>,
}

/// Parses a file's bytes. Unbounded in time and memory: call it through [`isolated::Parser`].
///
/// # Errors
/// The reason, for a person: damaged, encrypted, scanned.
pub fn parse(kind: FileKind, bytes: &[u8]) -> Result<ParsedFile, String> {
    let read = || match kind {
        FileKind::Pdf => pdf::parse(bytes),
        FileKind::Docx => docx::parse(bytes),
        FileKind::Odt => odt::parse(bytes),
        FileKind::Epub => epub::parse(bytes),
    };
    // The libraries' own panics; whatever they left half done is dropped with what they were given.
    let read = catch_unwind(AssertUnwindSafe(read));
    let mut parsed = read.unwrap_or_else(|_| {
        let kind = kind.as_str();
        Err(format!("damaged: reading it as {kind} failed unexpectedly"))
    })?;
    if parsed.text.trim().is_empty() {
        return Err("there is no text in it".to_owned());
    }
    parsed.title = parsed.title.and_then(|title| tidy_title(&title));
    Ok(parsed)
}
