//! HTML: the main content as Markdown.
//!
//! Link targets, images without a description, emphasis and the escapes Markdown would need are
//! left out: they are noise to both search legs. Headings, lists, tables and code stay.

mod convert;
mod guard;
#[cfg(test)]
mod tests;

use std::thread;

use braid_core::{Error, ErrorCode, ExtractedText, Markup, Result};
use braid_text::markdown::headings;
use dom_smoothie::{Config, Readability};

/// Stack of the parsing thread. The parsers recurse once per element level; [`guard`] bounds those.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// Documents with more elements than this are taken whole: finding the main content takes time
/// that grows faster than their number.
const MAX_SCORED_ELEMENTS: usize = 100_000;

/// Main content shorter than this is doubted, and the whole body is taken if that has more to say.
const SHORT_CHARS: usize = 250;

/// Extracts a document.
///
/// # Errors
/// [`UnreadableDocument`](ErrorCode::UnreadableDocument) when elements nest too deeply or a parser
/// fails.
pub(crate) fn extract(raw: &str) -> Result<ExtractedText> {
    guard::check(raw)?;
    // A thread of its own has the stack that nesting needs, and turns a parser's panic into an error.
    let outcome = thread::scope(|scope| {
        let builder = thread::Builder::new()
            .name("braid-html".to_owned())
            .stack_size(STACK_BYTES);
        builder
            .spawn_scoped(scope, || extract_here(raw))
            .map(|running| running.join())
    });
    match outcome {
        Ok(Ok(extracted)) => Ok(extracted),
        Ok(Err(_panic)) => Err(unreadable("the HTML parser failed on this document")),
        Err(error) => Err(Error::internal("cannot start the HTML parser").with_source(error)),
    }
}

fn unreadable(reason: &str) -> Error {
    Error::new(ErrorCode::UnreadableDocument, reason)
}

fn extract_here(raw: &str) -> ExtractedText {
    let (title, main) = main_content(raw);
    let mut text = main.map_or_else(String::new, |html| convert::to_markdown(&html));
    if text.chars().count() < SHORT_CHARS {
        let whole = convert::to_markdown(raw);
        if whole.len() > text.len() {
            text = whole;
        }
    }
    let title = Some(title)
        .filter(|title| !title.trim().is_empty())
        .or_else(|| first_heading(&text));
    ExtractedText {
        text,
        markup: Markup::Markdown,
        title,
    }
}

/// The main content's outermost heading may have become a second-level one.
fn first_heading(text: &str) -> Option<String> {
    headings(text)
        .into_iter()
        .find(|heading| heading.level <= 2 && !heading.title.is_empty())
        .map(|heading| heading.title)
}

/// The document's title and the HTML of its main content, if there is one.
fn main_content(raw: &str) -> (String, Option<String>) {
    let config = Config {
        max_elements_to_parse: MAX_SCORED_ELEMENTS,
        ..Config::default()
    };
    let Ok(mut readability) = Readability::new(raw, None, Some(config)) else {
        return (String::new(), None);
    };
    let title = readability.get_article_title().to_string();
    match readability.parse() {
        Ok(article) if article.title.trim().is_empty() => {
            (title, Some(article.content.to_string()))
        }
        Ok(article) => (article.title, Some(article.content.to_string())),
        Err(_nothing_found) => (title, None),
    }
}
