//! Queries: text to terms, terms to clauses. No text is malformed: operators were read before.

use std::collections::HashSet;

use super::entry::LexicalField;
use super::languages::Languages;
use crate::analysis::{Analyzer, TermKind};

/// Most distinct terms of one query: a pasted page searches by its beginning.
pub const MAX_QUERY_TERMS: usize = 128;

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
pub struct QueryTerm {
    /// The term.
    pub text: String,
    /// What it stands for.
    pub kind: TermKind,
    /// Which word of the query it is first, in the first of its languages.
    pub position: u32,
    /// The languages in which it is a term of the query; `None` for all that documents are in.
    pub languages: Option<Languages>,
}

/// The distinct terms of `text`, in the order they first appear; saying a word twice does not
/// make it count more. Stop words are left out unless there is nothing else.
///
/// With several analyzers, one a language, each makes its own terms, and a document is searched
/// for those that its own language makes: as if every language had an index of its own, with
/// statistics in common. A stop word of the language that the query is likely in would pass for a
/// rare word in the others: there it counts as little as a piece of a word.
pub fn query_terms(analyzers: &[&Analyzer], text: &str) -> Vec<QueryTerm> {
    let demoted = match analyzers {
        [] | [_] => HashSet::new(),
        several => stop_positions(several, text),
    };
    let mut terms: Vec<(QueryTerm, Languages)> = Vec::new();
    for analyzer in analyzers {
        for term in terms_of(analyzer, text, &demoted) {
            let mut known = terms.iter_mut();
            let known = known.find(|(known, _)| known.kind == term.kind && known.text == term.text);
            match known {
                Some((_, languages)) => languages.add(analyzer.language()),
                None => terms.push((term, Languages::of(analyzer.language()))),
            }
        }
    }
    let all = analyzers.iter().map(|analyzer| analyzer.language());
    let all: Languages = all.collect();
    let limit = |(term, languages)| QueryTerm {
        languages: (languages != all).then_some(languages),
        ..term
    };
    terms.into_iter().map(limit).collect()
}

/// The distinct terms of one analyzer, without stop words unless there is nothing else. Words at
/// `demoted` positions are pieces.
fn terms_of(analyzer: &Analyzer, text: &str, demoted: &HashSet<u32>) -> Vec<QueryTerm> {
    let mut found: Vec<QueryTerm> = Vec::new();
    analyzer.visit(text, &mut |term| {
        let is_demoted = term.kind == TermKind::Word && demoted.contains(&term.position);
        let kind = if is_demoted {
            TermKind::Part
        } else {
            term.kind
        };
        let is_known = |known: &QueryTerm| known.kind == kind && known.text == term.text;
        if found.len() < MAX_QUERY_TERMS && !found.iter().any(is_known) {
            found.push(QueryTerm {
                text: term.text.to_owned(),
                kind,
                position: term.position,
                languages: None,
            });
        }
    });
    if found.iter().any(|term| term.kind != TermKind::StopWord) {
        found.retain(|term| term.kind != TermKind::StopWord);
    }
    found
}

/// Where there is nothing but a stop word in every language that the query is likely in: those
/// with the most such positions. A word has the same position in every language.
fn stop_positions(analyzers: &[&Analyzer], text: &str) -> HashSet<u32> {
    let by_language: Vec<HashSet<u32>> = analyzers
        .iter()
        .map(|analyzer| {
            let (mut stops, mut others) = (HashSet::new(), HashSet::new());
            analyzer.visit(text, &mut |term| {
                let of_kind = match term.kind {
                    TermKind::StopWord => &mut stops,
                    TermKind::Word | TermKind::Whole | TermKind::Part => &mut others,
                };
                of_kind.insert(term.position);
            });
            stops.retain(|position| !others.contains(position));
            stops
        })
        .collect();
    let most = by_language.iter().map(HashSet::len).max().unwrap_or(0);
    let likely = by_language.into_iter().filter(|stops| stops.len() == most);
    likely
        .reduce(|common, stops| &common & &stops)
        .unwrap_or_default()
}

/// A term to be looked for in one field.
#[derive(Clone, Debug, PartialEq)]
pub struct Clause {
    /// The field.
    pub field: LexicalField,
    /// The term.
    pub text: String,
    /// What its BM25 score is multiplied by; more than 0.
    pub weight: f32,
    /// The languages of the documents in which it counts; `None` for every document.
    pub languages: Option<Languages>,
}

/// Where each term is looked for, and what it counts there.
pub fn clauses(terms: &[QueryTerm], weights: Weights) -> Vec<Clause> {
    use LexicalField::{Content, Headings, Names, Title};
    let Weights {
        title,
        heading,
        whole,
        piece,
    } = weights;
    let mut clauses = Vec::with_capacity(4 * terms.len());
    for term in terms {
        let places = match term.kind {
            TermKind::Word => &[
                (Content, 1.0),
                (Title, title),
                (Headings, heading),
                (Names, piece),
            ][..],
            TermKind::Part => &[(Content, piece), (Names, piece)],
            TermKind::Whole => &[(Names, whole)],
            TermKind::StopWord => &[(Names, 1.0)],
        };
        let wanted = places.iter().filter(|(_, weight)| *weight > 0.0);
        clauses.extend(wanted.map(|(field, weight)| Clause {
            field: *field,
            text: term.text.clone(),
            weight: *weight,
            languages: term.languages,
        }));
    }
    clauses
}

/// The texts of terms, each once, in order.
pub fn distinct_terms(terms: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for text in terms {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts
}
