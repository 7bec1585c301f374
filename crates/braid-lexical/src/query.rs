//! Queries: text to weighted clauses. There is no syntax, so no text is malformed.

use braid_text::{Analyzer, TermKind};

/// Most distinct terms of one query: a pasted page searches by its beginning.
pub(crate) const MAX_QUERY_TERMS: usize = 128;

/// How much a match counts, relative to a word of the content (1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// A word that is also in the title: added to what it counts as a word of the content.
    pub title: f32,
    /// A word that is also in the heading path.
    pub heading: f32,
    /// A whole identifier, added to what its parts count.
    pub whole: f32,
    /// A word of the query that is a piece of a word, or the other way round.
    pub piece: f32,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            title: 0.2,
            heading: 0.2,
            whole: 0.3,
            piece: 0.2,
        }
    }
}

/// A distinct term of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueryTerm {
    pub(crate) text: String,
    pub(crate) kind: TermKind,
}

/// The distinct terms of `text`, in the order they first appear; saying a word twice does not
/// make it count more. Stop words are left out unless there is nothing else.
pub(crate) fn query_terms(analyzer: &Analyzer, text: &str) -> Vec<QueryTerm> {
    let mut terms: Vec<QueryTerm> = Vec::new();
    analyzer.visit(text, &mut |term| {
        let is_same = |known: &QueryTerm| known.kind == term.kind && known.text == term.text;
        if terms.len() < MAX_QUERY_TERMS && !terms.iter().any(is_same) {
            terms.push(QueryTerm {
                text: term.text.to_owned(),
                kind: term.kind,
            });
        }
    });
    if terms.iter().any(|term| term.kind != TermKind::StopWord) {
        terms.retain(|term| term.kind != TermKind::StopWord);
    }
    terms
}
