//! Searching a pinned state.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use braid_core::ports::LexicalMatches;
use braid_core::{
    Error, LanguageSetting, LexicalQuery, LexicalView, Narrowed, Result, Selection, TextCondition,
};
use braid_runtime::CpuPool;
use braid_text::lexical::{
    MAX_EXPANSIONS, QueryTerm, SynonymForms, Weights, clauses, distinct_terms, query_terms, told,
};
use braid_text::{Analyzer, Analyzers, TermKind};
use tantivy::Searcher;

use crate::conditions::narrow;
use crate::expansions::Expanded;
use crate::lookup::Lookup;
use crate::schema::Fields;
use crate::scoring::{Clause, Wanted, ceiling, search};
use crate::statistics::{LatestStatistics, Statistics};
use crate::synonyms;
use crate::typos::corrections;

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
    pub(crate) synonyms: SynonymForms,
    pub(crate) statistics: LatestStatistics,
    pub(crate) pool: Arc<CpuPool>,
}

#[async_trait]
impl LexicalView for TantivyView {
    /// # Cancel safety
    /// A search that is dropped before a thread took it up costs nothing.
    async fn find(
        &self,
        query: &LexicalQuery,
        selection: &Selection,
        depth: usize,
    ) -> Result<LexicalMatches> {
        check_slots(selection)?;
        let searcher = self.searcher.clone();
        let reading = Arc::clone(&self.reading);
        let query = query.clone();
        let slots = selection.slots.clone();
        self.reading
            .pool
            .run(move || {
                let statistics = reading.statistics.of(&searcher, &reading.fields)?;
                let lookup = Lookup::new(&searcher);
                let analyzers = reading.analyzers(&statistics);
                let terms = query_terms(&analyzers, &query.text);
                let clauses = reading.clauses(&terms);
                let known = (&lookup, &*statistics);
                let expansions = reading.expansions(known, &analyzers, &query, &terms)?;
                let wanted = Wanted {
                    clauses: &clauses,
                    expansions: &expansions,
                    fields: &reading.fields,
                    statistics: &statistics,
                };
                let candidates = search(&lookup, wanted, slots.as_deref(), depth)?;
                let ceiling = ceiling(&lookup, wanted, reading.fields.content)?;
                Ok(LexicalMatches {
                    candidates,
                    terms: distinct(terms, &expansions),
                    expansions: told(expansions.into_iter().map(|one| one.told)),
                    ceiling,
                })
            })
            .await?
    }

    /// # Cancel safety
    /// As [`LexicalView::find`].
    async fn narrow(
        &self,
        conditions: &[TextCondition],
        selection: &Selection,
    ) -> Result<Narrowed> {
        check_slots(selection)?;
        let searcher = self.searcher.clone();
        let reading = Arc::clone(&self.reading);
        let conditions = conditions.to_vec();
        let selection = selection.clone();
        self.reading
            .pool
            .run(move || {
                let statistics = reading.statistics.of(&searcher, &reading.fields)?;
                let analyzers = reading.analyzers(&statistics);
                narrow(
                    &searcher,
                    &reading.fields,
                    &analyzers,
                    &conditions,
                    &selection,
                )
            })
            .await?
    }
}

/// This index knows no metadata.
fn check_slots(selection: &Selection) -> Result<()> {
    if selection.filter.is_some() && selection.slots.is_none() {
        return Err(Error::internal(
            "the embedded lexical index was given a filter without the slots that match it",
        ));
    }
    Ok(())
}

impl Reading {
    /// The analyzers of every language that documents are in.
    fn analyzers(&self, statistics: &Statistics) -> Vec<&Analyzer> {
        let fixed;
        let languages = match self.analyzers.setting() {
            LanguageSetting::Fixed(language) => {
                fixed = [language];
                &fixed[..]
            }
            LanguageSetting::Auto => &statistics.languages,
        };
        let analyzers = languages
            .iter()
            .map(|language| self.analyzers.of(*language));
        analyzers.collect()
    }

    /// What a query is searched for as besides. Nothing, at the cost of looking up its words once more,
    /// where there are no synonyms and the index has every word.
    fn expansions(
        &self,
        (lookup, statistics): (&Lookup<'_>, &Statistics),
        analyzers: &[&Analyzer],
        query: &LexicalQuery,
        terms: &[QueryTerm],
    ) -> Result<Vec<Expanded>> {
        let text = &query.text;
        let meant = self.synonyms.meant(analyzers, &query.synonyms, text);
        let mut expansions = synonyms::expand(lookup, (&self.fields, statistics), meant)?;
        if query.typos && self.lacks_a_word(lookup, terms)? {
            let said: Vec<String> = expansions
                .iter()
                .flat_map(|one| one.told.term.split_whitespace())
                .map(str::to_lowercase)
                .collect();
            let is_known = |word: &str| said.contains(&word.to_lowercase());
            let found = corrections(lookup, &self.fields, analyzers, text, &is_known)?;
            expansions.extend(found);
            expansions.truncate(MAX_EXPANSIONS);
        }
        Ok(expansions)
    }

    /// Whether no document has some word of a query in any form. It may err on this side where two words
    /// have a form in common.
    fn lacks_a_word(&self, lookup: &Lookup<'_>, terms: &[QueryTerm]) -> Result<bool> {
        let mut is_there: BTreeMap<u32, bool> = BTreeMap::new();
        for term in terms.iter().filter(|term| term.kind == TermKind::Word) {
            let found = lookup.documents(self.fields.content, &term.text)? > 0;
            *is_there.entry(term.position).or_default() |= found;
        }
        Ok(is_there.values().any(|is_there| !is_there))
    }

    /// Where each term is looked for, and what it counts there.
    fn clauses(&self, terms: &[QueryTerm]) -> Vec<Clause> {
        let clauses = clauses(terms, self.weights).into_iter();
        let clauses = clauses.map(|clause| Clause {
            field: self.fields.of(clause.field),
            text: clause.text,
            weight: clause.weight,
            languages: clause.languages,
        });
        clauses.collect()
    }
}

/// The terms' texts, each once, in order, then those of the expansions.
fn distinct(terms: Vec<QueryTerm>, expansions: &[Expanded]) -> Vec<String> {
    let added = expansions.iter().flat_map(|one| one.phrase.first_terms());
    distinct_terms(terms.into_iter().map(|term| term.text).chain(added))
}
