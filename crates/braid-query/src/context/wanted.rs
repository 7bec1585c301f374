//! What a query asks for, in a form that is quickly looked for in sentences.

use braid_core::Language;
use braid_text::analysis::{Analyzer, TermKind};
use rustc_hash::FxHashMap;

/// Most terms that are looked for: the bits of the answer.
const MOST_TERMS: usize = 64;

/// A query without its operators, as the context is cut for it.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) text: String,
    /// The language that its words are looked for in.
    pub(crate) language: Language,
}

/// The words of a query, as its language's analyzer has them; stop words are left out.
#[derive(Debug)]
pub(crate) struct WantedTerms {
    analyzer: Option<Analyzer>,
    places: FxHashMap<String, u32>,
}

impl WantedTerms {
    pub(crate) fn of(question: &Question) -> Self {
        Self::new(&question.text, question.language)
    }

    /// The terms of `query`.
    pub(crate) fn new(query: &str, language: Language) -> Self {
        let analyzer = Analyzer::new(language);
        let mut places = FxHashMap::default();
        analyzer.visit(query, &mut |term| {
            let place = places.len();
            if term.kind != TermKind::StopWord && place < MOST_TERMS {
                places.entry(term.text.to_owned()).or_insert(place as u32);
            }
        });
        Self {
            analyzer: Some(analyzer),
            places,
        }
    }

    /// Nothing is wanted.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self {
            analyzer: None,
            places: FxHashMap::default(),
        }
    }

    /// One bit for each term that is in `text`.
    pub(crate) fn found_in(&self, text: &str) -> u64 {
        let mut found = 0;
        if let Some(analyzer) = &self.analyzer {
            analyzer.visit(text, &mut |term| {
                if let Some(place) = self.places.get(term.text) {
                    found |= 1 << place;
                }
            });
        }
        found
    }
}
