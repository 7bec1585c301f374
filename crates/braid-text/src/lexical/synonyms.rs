//! The synonyms of a collection in the forms of its analyzers, and which of them a query means.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use braid_core::{Expansion, ExpansionKind, Language, Synonyms};

use super::{Languages, Phrase, Place, words};
use crate::analysis::Analyzer;

/// Most things that one query is searched for as besides.
pub const MAX_EXPANSIONS: usize = 32;
/// What a match of a synonym counts, where a match of the word itself counts 1.
const WEIGHT: f32 = 0.6;

/// Something that a query means and does not say.
#[derive(Clone, Debug, PartialEq)]
pub struct Meant {
    /// What the query says instead: it is never worth more than that.
    pub from: Phrase,
    /// What to look for.
    pub phrase: Phrase,
    /// What to look for where there are no phrases: see [`Phrase::telling_words`].
    pub words: Vec<Place>,
    /// The languages of the documents in which it counts; `None` for every document.
    pub languages: Option<Languages>,
    /// What is told of it; its weight multiplies the score.
    pub told: Expansion,
}

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
    to: Vec<Form>,
}

/// A term of a rule in the form of an analyzer.
#[derive(Clone, Debug)]
struct Form {
    term: String,
    phrase: Phrase,
    words: Vec<Place>,
}

impl Form {
    fn new(analyzer: &Analyzer, term: &str) -> Option<Self> {
        Some(Self {
            term: term.to_owned(),
            phrase: Phrase::new(analyzer, term)?,
            words: Phrase::telling_words(analyzer, term),
        })
    }
}

impl Analyzed {
    fn new(synonyms: &Synonyms, analyzer: &Analyzer) -> Self {
        let mut analyzed = Self::default();
        for rule in synonyms.rules() {
            let forms = |terms: &[String]| -> Vec<Form> {
                let formed = |term: &String| Form::new(analyzer, term);
                terms.iter().filter_map(formed).collect()
            };
            let to = forms(&rule.to);
            for from in forms(&rule.from) {
                let others = to.iter().filter(|to| to.phrase != from.phrase).cloned();
                let place = analyzed.rules.len();
                for first in &from.phrase.places()[0].terms {
                    let rules = analyzed.by_first.entry(first.clone()).or_default();
                    rules.push(place);
                }
                analyzed.rules.push(AnalyzedRule {
                    to: others.collect(),
                    said: from.term,
                    from: from.phrase,
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
pub struct SynonymForms(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    synonyms: Arc<Synonyms>,
    by_language: HashMap<Language, Arc<Analyzed>>,
}

impl SynonymForms {
    fn of(&self, synonyms: &Arc<Synonyms>, analyzer: &Analyzer) -> Arc<Analyzed> {
        // What a thread that panicked left is whole: forms are inserted once they are made.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&kept.synonyms, synonyms) && kept.synonyms != *synonyms {
            *kept = Kept::default();
        }
        kept.synonyms = Arc::clone(synonyms);
        let made = kept.by_language.entry(analyzer.language());
        let made = made.or_insert_with(|| Arc::new(Analyzed::new(synonyms, analyzer)));
        Arc::clone(made)
    }

    /// What the rules add to `text`, each phrase once, [`MAX_EXPANSIONS`] at most. Each language has
    /// rules in its own forms.
    pub fn meant(
        &self,
        analyzers: &[&Analyzer],
        synonyms: &Arc<Synonyms>,
        text: &str,
    ) -> Vec<Meant> {
        if synonyms.is_empty() {
            return Vec::new();
        }
        let mut found: Vec<(Meant, Languages)> = Vec::new();
        for analyzer in analyzers {
            let forms = self.of(synonyms, analyzer);
            for rule in forms.matching(analyzer, text) {
                for to in &rule.to {
                    let mut known = found.iter_mut();
                    let known = known.find(|(known, _)| known.phrase == to.phrase);
                    if let Some((_, languages)) = known {
                        languages.add(analyzer.language());
                    } else if found.len() < MAX_EXPANSIONS {
                        found.push((rule.meant(to), Languages::of(analyzer.language())));
                    }
                }
            }
        }
        let all = analyzers.iter().map(|analyzer| analyzer.language());
        let all: Languages = all.collect();
        let limit = |(meant, languages)| Meant {
            languages: (languages != all).then_some(languages),
            ..meant
        };
        found.into_iter().map(limit).collect()
    }
}

impl AnalyzedRule {
    /// In every language.
    fn meant(&self, to: &Form) -> Meant {
        Meant {
            from: self.from.clone(),
            phrase: to.phrase.clone(),
            words: to.words.clone(),
            languages: None,
            told: Expansion {
                term: self.said.clone(),
                to: to.term.clone(),
                kind: ExpansionKind::Synonym,
                weight: WEIGHT,
            },
        }
    }
}

/// What is told of expansions, each once: languages have different forms of the same.
pub fn told(expansions: impl IntoIterator<Item = Expansion>) -> Vec<Expansion> {
    let mut told: Vec<Expansion> = Vec::new();
    for expansion in expansions {
        if !told.contains(&expansion) {
            told.push(expansion);
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(lines: &[&str]) -> Arc<Synonyms> {
        Arc::new(Synonyms::parse(lines).unwrap())
    }

    fn to(meant: &[Meant]) -> Vec<&str> {
        meant.iter().map(|it| it.told.to.as_str()).collect()
    }

    #[test]
    fn rules_apply_in_the_forms_of_the_analyzer() {
        let english = Analyzer::new(Language::English);
        let forms = SynonymForms::default();
        let synonyms = rules(&["car, automobile", "ml => machine learning, automobile"]);
        let meant = |text: &str| forms.meant(&[&english], &synonyms, text);
        let cars = meant("old cars");
        assert_eq!(to(&cars), ["automobile"]);
        assert_eq!(cars[0].told.term, "car");
        assert_eq!(Some(&cars[0].from), Phrase::new(&english, "car").as_ref());
        assert_eq!(cars[0].languages, None);
        assert_eq!(to(&meant("ML")), ["machine learning", "automobile"]);
        assert_eq!(to(&meant("learning machines")), [""; 0]);
        // Each phrase once, for what is said first.
        let both = meant("car ml");
        assert_eq!(to(&both), ["automobile", "machine learning"]);
        assert_eq!(both[0].told.term, "car");
    }

    #[test]
    fn other_rules_take_the_place_of_those_that_are_kept() {
        let english = Analyzer::new(Language::English);
        let forms = SynonymForms::default();
        let meant = |lines: &[&str]| forms.meant(&[&english], &rules(lines), "car");
        assert_eq!(to(&meant(&["car, automobile"])), ["automobile"]);
        assert_eq!(to(&meant(&["car, vehicle"])), ["vehicle"]);
        assert_eq!(to(&meant(&["truck, vehicle"])), [""; 0]);
        assert_eq!(to(&meant(&[])), [""; 0]);
    }

    #[test]
    fn a_language_has_its_own_forms_and_equal_ones_are_one() {
        let [english, german] = [Language::English, Language::German].map(Analyzer::new);
        let forms = SynonymForms::default();
        let synonyms = rules(&["server, mothers", "server, quorum"]);
        let meant = forms.meant(&[&english, &german], &synonyms, "server");
        let languages = |to: &str| -> Vec<Option<Languages>> {
            let of = meant.iter().filter(|it| it.told.to == to);
            of.map(|it| it.languages).collect()
        };
        assert_eq!(languages("quorum"), [None]);
        let own = [Language::English, Language::German].map(|it| Some(Languages::of(it)));
        assert_eq!(languages("mothers"), own);
        let told = told(meant.iter().map(|it| it.told.clone()));
        assert_eq!(told.len(), 2, "{told:?}");
    }

    #[test]
    fn no_more_is_meant_than_the_limit() {
        let english = Analyzer::new(Language::English);
        let lines: Vec<String> = (0..40).map(|it| format!("car => word{it}x")).collect();
        let synonyms = Arc::new(Synonyms::parse(&lines).unwrap());
        let meant = SynonymForms::default().meant(&[&english], &synonyms, "car");
        assert_eq!(meant.len(), MAX_EXPANSIONS);
    }

    #[test]
    fn stop_words_do_not_tell_a_phrase() {
        let english = Analyzer::new(Language::English);
        let forms = SynonymForms::default();
        let synonyms = rules(&["sota, state of the art", "sota, to be"]);
        let meant = forms.meant(&[&english], &synonyms, "sota");
        let words = |meant: &Meant| -> Vec<String> {
            let terms = meant.words.iter().map(|it| it.terms.join("/"));
            terms.collect()
        };
        assert_eq!(words(&meant[0]), ["state", "art"]);
        assert_eq!(meant[0].phrase.places().len(), 4);
        assert_eq!(words(&meant[1]), ["to", "be"], "there is nothing else");
    }
}
