//! Searching a pinned state.

use std::sync::Arc;

use async_trait::async_trait;
use braid_core::ports::LexicalMatches;
use braid_core::{Error, LanguageSetting, LexicalView, Result, Selection};
use braid_runtime::CpuPool;
use braid_text::{Analyzers, TermKind};
use tantivy::Searcher;

use crate::languages::present;
use crate::query::{QueryTerm, Weights, query_terms};
use crate::schema::Fields;
use crate::scoring::{Clause, ceiling, search};

/// One commit of an index. Its files stay readable until it is dropped, whatever is committed,
/// merged or removed meanwhile.
pub(crate) struct TantivyView {
    pub(crate) searcher: Searcher,
    pub(crate) reading: Arc<Reading>,
}

/// What every view of an index shares.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) analyzers: Arc<Analyzers>,
    pub(crate) fields: Fields,
    pub(crate) weights: Weights,
    pub(crate) pool: Arc<CpuPool>,
}

#[async_trait]
impl LexicalView for TantivyView {
    /// # Cancel safety
    /// A search that is dropped before a thread took it up costs nothing.
    async fn search(
        &self,
        query: &str,
        selection: &Selection,
        depth: usize,
    ) -> Result<LexicalMatches> {
        if selection.filter.is_some() && selection.slots.is_none() {
            return Err(Error::internal(
                "the embedded lexical index was given a filter without the slots that match it",
            ));
        }
        let searcher = self.searcher.clone();
        let reading = Arc::clone(&self.reading);
        let query = query.to_owned();
        let slots = selection.slots.clone();
        self.reading
            .pool
            .run(move || {
                let terms = reading.terms(&searcher, &query)?;
                let clauses = reading.clauses(&terms);
                let candidates = search(&searcher, &clauses, slots.as_deref(), depth)?;
                let ceiling = ceiling(&searcher, &clauses, reading.fields.content)?;
                Ok(LexicalMatches {
                    candidates,
                    terms: distinct(terms),
                    ceiling,
                })
            })
            .await?
    }
}

impl Reading {
    /// The terms of a query in every language that documents are in.
    fn terms(&self, searcher: &Searcher, query: &str) -> Result<Vec<QueryTerm>> {
        let languages = match self.analyzers.setting() {
            LanguageSetting::Fixed(language) => vec![language],
            LanguageSetting::Auto => present(searcher, self.fields.language)?,
        };
        let analyzers = languages
            .iter()
            .map(|language| self.analyzers.of(*language));
        Ok(query_terms(&analyzers.collect::<Vec<_>>(), query))
    }

    /// Where each term is looked for, and what it counts there.
    fn clauses(&self, terms: &[QueryTerm]) -> Vec<Clause> {
        let Fields {
            content,
            title,
            headings,
            names,
            slot: _,
            language: _,
        } = self.fields;
        let Weights {
            title: in_title,
            heading: in_heading,
            whole,
            piece,
        } = self.weights;
        let mut clauses = Vec::with_capacity(4 * terms.len());
        for term in terms {
            let places = match term.kind {
                TermKind::Word => &[
                    (content, 1.0),
                    (title, in_title),
                    (headings, in_heading),
                    (names, piece),
                ][..],
                TermKind::Part => &[(content, piece), (names, piece)],
                TermKind::Whole => &[(names, whole)],
                TermKind::StopWord => &[(names, 1.0)],
            };
            let wanted = places.iter().filter(|(_, weight)| *weight > 0.0);
            clauses.extend(wanted.map(|(field, weight)| Clause {
                field: *field,
                text: term.text.clone(),
                languages: term.languages,
                weight: *weight,
            }));
        }
        clauses
    }
}

/// The terms' texts, each once, in order.
fn distinct(terms: Vec<QueryTerm>) -> Vec<String> {
    let mut texts: Vec<String> = Vec::with_capacity(terms.len());
    for term in terms {
        if !texts.contains(&term.text) {
            texts.push(term.text);
        }
    }
    texts
}
