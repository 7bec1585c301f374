//! The synonyms of a collection in the forms of its analyzers.

use std::collections::HashMap;
use std::sync::Arc;

use braid_core::{Expansion, ExpansionKind, Language, Result, Synonyms};
use braid_text::Analyzer;
use braid_text::lexical::{Languages, Phrase, inverse_frequency, words};
use parking_lot::Mutex;

use crate::expansions::{Expanded, MAX_EXPANSIONS};
use crate::lookup::Lookup;
use crate::schema::Fields;
use crate::statistics::Statistics;

/// What a match of a synonym counts, where a match of the word itself counts 1.
const WEIGHT: f32 = 0.6;

/// Rules as one language has them.
#[derive(Debug, Default)]
struct Analyzed {
    rules: Vec<AnalyzedRule>,
    /// Places in `rules` by each form of the first word of what a query says.
    by_first: HashMap<String, Vec<usize>>,
}

/// One term of a rule, and what it is searched for as.
#[derive(Debug)]
struct AnalyzedRule {
    said: String,
    from: Phrase,
    to: Vec<(String, Phrase)>,
}

impl Analyzed {
    fn new(synonyms: &Synonyms, analyzer: &Analyzer) -> Self {
        let mut analyzed = Self::default();
        for rule in synonyms.rules() {
            let forms = |terms: &[String]| -> Vec<(String, Phrase)> {
                let formed = |term: &String| Some((term.clone(), Phrase::new(analyzer, term)?));
                terms.iter().filter_map(formed).collect()
            };
            let to = forms(&rule.to);
            for (said, from) in forms(&rule.from) {
                let others = to.iter().filter(|(_, to)| *to != from).cloned();
                let place = analyzed.rules.len();
                for first in &from.places()[0].terms {
                    let rules = analyzed.by_first.entry(first.clone()).or_default();
                    rules.push(place);
                }
                analyzed.rules.push(AnalyzedRule {
                    to: others.collect(),
                    said,
                    from,
                });
            }
        }
        analyzed
    }

    /// The rules that apply to a text.
    fn matching(&self, analyzer: &Analyzer, text: &str) -> Vec<&AnalyzedRule> {
        let words = words(analyzer, text);
        let has = |position: u32, terms: &[String]| {
            let at = words.binary_search_by_key(&position, |(position, _)| *position);
            at.is_ok_and(|at| words[at].1.iter().any(|(said, _)| terms.contains(said)))
        };
        let mut places: Vec<usize> = Vec::new();
        for (position, said) in &words {
            let first = said.iter().filter_map(|(term, _)| self.by_first.get(term));
            for place in first.flatten() {
                let from = &self.rules[*place].from;
                let mut rest = from.places().iter();
                let is_said = rest.all(|word| has(position + word.offset, &word.terms));
                if is_said && !places.contains(place) {
                    places.push(*place);
                }
            }
        }
        places.iter().map(|place| &self.rules[*place]).collect()
    }
}

/// The rules that were used last: making their forms takes longer than a search.
#[derive(Debug, Default)]
pub(crate) struct SynonymForms(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    synonyms: Arc<Synonyms>,
    by_language: HashMap<Language, Arc<Analyzed>>,
}

impl SynonymForms {
    fn of(&self, synonyms: &Arc<Synonyms>, analyzer: &Analyzer) -> Arc<Analyzed> {
        let mut kept = self.0.lock();
        if !Arc::ptr_eq(&kept.synonyms, synonyms) && kept.synonyms != *synonyms {
            *kept = Kept::default();
        }
        kept.synonyms = Arc::clone(synonyms);
        let made = kept.by_language.entry(analyzer.language());
        let made = made.or_insert_with(|| Arc::new(Analyzed::new(synonyms, analyzer)));
        Arc::clone(made)
    }

    /// What the rules add to `text`.
    pub(crate) fn expand(
        &self,
        lookup: &Lookup<'_>,
        (fields, statistics): (&Fields, &Statistics),
        analyzers: &[&Analyzer],
        synonyms: &Arc<Synonyms>,
        text: &str,
    ) -> Result<Vec<Expanded>> {
        let mut found: Vec<(Expanded, Languages)> = Vec::new();
        for analyzer in analyzers {
            let forms = self.of(synonyms, analyzer);
            for rule in forms.matching(analyzer, text) {
                for (to, phrase) in &rule.to {
                    let mut known = found.iter_mut();
                    let known = known.find(|(known, _)| known.phrase == *phrase);
                    if let Some((_, languages)) = known {
                        languages.add(analyzer.language());
                    } else if found.len() < MAX_EXPANSIONS {
                        let expanded = Expanded {
                            phrase: phrase.clone(),
                            languages: None,
                            at_most: rarity(lookup, (fields, statistics), &rule.from)?,
                            told: Expansion {
                                term: rule.said.clone(),
                                to: to.clone(),
                                kind: ExpansionKind::Synonym,
                                weight: WEIGHT,
                            },
                        };
                        found.push((expanded, Languages::of(analyzer.language())));
                    }
                }
            }
        }
        let all = analyzers.iter().map(|analyzer| analyzer.language());
        let all: Languages = all.collect();
        let limit = |(expanded, languages)| Expanded {
            languages: (languages != all).then_some(languages),
            ..expanded
        };
        Ok(found.into_iter().map(limit).collect())
    }
}

/// What the words of a phrase are worth together.
fn rarity(
    lookup: &Lookup<'_>,
    (fields, statistics): (&Fields, &Statistics),
    phrase: &Phrase,
) -> Result<f32> {
    let mut sum = 0.0;
    for place in phrase.places() {
        let mut most = 0;
        for text in &place.terms {
            most = most.max(lookup.documents(fields.content, text)?);
        }
        sum += inverse_frequency(most, statistics.documents);
    }
    Ok(sum)
}
