//! Reader port: file formats to extracted text.

use std::fmt;

use crate::document::{CodeLanguage, Format};
use crate::error::Result;

/// How extracted text marks its structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Markup {
    /// None: sentences and paragraphs only.
    Plain,
    /// CommonMark.
    Markdown,
    /// The syntax of a programming language.
    Code(CodeLanguage),
}

/// What a reader made of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtractedText {
    /// The text that is chunked; spans are character offsets in it.
    pub text: String,
    /// How to find its structure.
    pub markup: Markup,
    /// The title the document gives itself (first heading, `<title>`), if any.
    pub title: Option<String>,
}

/// Extracts text from a document's raw form. Pure and deterministic.
pub trait Reader: Send + Sync + fmt::Debug {
    /// Changes whenever the same input may be extracted differently.
    fn version(&self) -> u32;
    /// Extracts `raw`, which is in `format`.
    ///
    /// # Errors
    /// [`UnreadableDocument`](crate::ErrorCode::UnreadableDocument) with the reason.
    fn extract(&self, format: Format, raw: &str) -> Result<ExtractedText>;
}
