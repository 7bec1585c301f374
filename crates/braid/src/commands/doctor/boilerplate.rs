//! Text that many documents share.

use braid_engine::{BoilerplateReport, SharedKind, SharedText};
use serde::Serialize;

use super::Finding;

/// Texts that are named.
pub(super) const MOST_TEXTS: usize = 5;
/// Part of the text that may be shared before it is a warning.
const MUCH: f64 = 0.05;
/// Characters of a text that are shown on a line.
const SHOWN: usize = 80;

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Boilerplate {
    /// Documents that must share a text for it to count.
    least_documents: u64,
    /// Which part of the collection's text is shared, 0 to 1.
    share: f64,
    /// Whether everything was counted.
    complete: bool,
    /// The largest texts first.
    pub(super) texts: Vec<Text>,
}

/// A text that many documents share.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Text {
    /// `chunk` or `line`.
    kind: &'static str,
    text: String,
    documents: u64,
    occurrences: u64,
    /// Which part of the collection's text it is, 0 to 1.
    share: f64,
    /// The first document that has it.
    example: String,
}

impl Text {
    fn new(text: &SharedText, all: u64) -> Self {
        Self {
            kind: text.kind.as_str(),
            text: text.text.clone(),
            documents: text.documents,
            occurrences: text.occurrences,
            share: text.characters as f64 / all.max(1) as f64,
            example: text.example.as_str().to_owned(),
        }
    }

    /// One line for people.
    pub(super) fn line(&self) -> String {
        let text: String = self.text.chars().take(SHOWN).collect();
        let (kind, documents) = (self.kind, self.documents);
        let (share, example) = (percent(self.share), &self.example);
        format!(
            "{documents} documents share the {kind} {text:?}, {share} of the text (as in {example})"
        )
    }
}

pub(super) fn finding(found: &BoilerplateReport) -> Finding {
    let boilerplate = Boilerplate {
        least_documents: found.least_documents,
        share: found.share(),
        complete: found.is_complete,
        texts: found
            .top
            .iter()
            .map(|text| Text::new(text, found.characters))
            .collect(),
    };
    let at_least = if found.is_complete { "" } else { "at least " };
    let (share, least) = (percent(found.share()), found.least_documents);
    let message = format!("{at_least}{share} of the text stands in {least} documents or more");
    let is_chunk = |text: &SharedText| text.kind == SharedKind::Chunk;
    let finding = if found.share() >= MUCH || found.top.iter().any(is_chunk) {
        Finding::warning("boilerplate", message)
            .remedy("take it out before ingesting: it is found by every query that names it")
    } else {
        Finding::ok("boilerplate", message)
    };
    Finding {
        boilerplate: Some(boilerplate),
        ..finding
    }
}

fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}
