//! Which terms of a query count in which chunks, where chunks are in several languages.
//!
//! Every language makes terms of its own of a query, and a chunk is searched for those that its own makes
//! ([`query_terms`](braid_text::lexical::query_terms)). A search knows one set of terms, so that each set is searched for by
//! itself among the chunks that it is of, all in one round trip. Rarities are those of all chunks alike.

use ::qdrant_client::qdrant as wire;
use braid_core::Language;
use braid_text::lexical::Clause;

use super::Census;
use super::conditions::analyzed_in;

/// Most languages that have their own terms, the most frequent ones.
const OWN: usize = 4;
/// Of so many chunks one must be in a language that has its own. The others are searched for what any of
/// them makes of the query.
const FREQUENT: u64 = 50;

/// A search for some of the clauses among some of the chunks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) clauses: Vec<Clause>,
    among: Among,
}

/// The chunks of a part, by the language that they were analyzed in.
#[derive(Clone, Debug, PartialEq)]
enum Among {
    In(Vec<Language>),
    /// All others; all there are where it names none.
    NotIn(Vec<Language>),
}

impl Part {
    /// What chunks of the part meet; `None` for all chunks.
    pub(super) fn condition(&self) -> Option<wire::Condition> {
        match &self.among {
            Among::In(languages) => Some(analyzed_in(languages.iter())),
            Among::NotIn(languages) if languages.is_empty() => None,
            Among::NotIn(languages) => {
                let without = [analyzed_in(languages.iter())];
                Some(wire::Filter::must_not(without).into())
            }
        }
    }
}

/// The searches for these clauses; no chunk is in two of them. One in a language that the census has not
/// heard of yet is searched for what counts in every language.
pub(super) fn parts(clauses: &[Clause], census: &Census) -> Vec<Part> {
    let own = census.counts.iter().take(OWN);
    let own = own.take_while(|count| count.saturating_mul(FREQUENT) >= census.chunks);
    let (own, others) = census.languages.split_at(own.count());
    let mut parts: Vec<(Vec<Clause>, Vec<Language>)> = Vec::new();
    for language in own {
        let clauses = counting(clauses, &[*language]);
        match parts.iter_mut().find(|(known, _)| *known == clauses) {
            Some((_, languages)) => languages.push(*language),
            None => parts.push((clauses, vec![*language])),
        }
    }
    let rest = counting(clauses, others);
    // Languages that make the same of it as the rest are searched with it.
    parts.retain(|(clauses, _)| *clauses != rest);
    let apart = parts.iter().flat_map(|(_, languages)| languages.clone());
    let rest = Part {
        among: Among::NotIn(apart.collect()),
        clauses: rest,
    };
    let parts = parts.into_iter().map(|(clauses, languages)| Part {
        clauses,
        among: Among::In(languages),
    });
    let parts = parts.chain(std::iter::once(rest));
    parts.filter(|part| !part.clauses.is_empty()).collect()
}

/// The clauses that count in chunks of any of these languages.
fn counting(clauses: &[Clause], languages: &[Language]) -> Vec<Clause> {
    let counts = |clause: &&Clause| {
        let within = clause.languages.as_ref();
        within.is_none_or(|within| languages.iter().any(|it| within.has(*it)))
    };
    clauses.iter().filter(counts).cloned().collect()
}

#[cfg(test)]
mod tests {
    use braid_text::lexical::{Languages, LexicalField};

    use super::Among::{In, NotIn};
    use super::*;

    fn clause(text: &str, languages: &[Language]) -> Clause {
        let within: Languages = languages.iter().copied().collect();
        Clause {
            field: LexicalField::Content,
            text: text.to_owned(),
            weight: 1.0,
            languages: (!languages.is_empty()).then_some(within),
        }
    }

    fn census(counted: &[(Language, u64)]) -> Census {
        Census {
            languages: counted.iter().map(|(language, _)| *language).collect(),
            counts: counted.iter().map(|(_, count)| *count).collect(),
            chunks: counted.iter().map(|(_, count)| count).sum(),
        }
    }

    fn said(parts: &[Part]) -> Vec<(Vec<&str>, Among)> {
        let parts = parts.iter().map(|part| {
            let texts = part.clauses.iter().map(|clause| clause.text.as_str());
            (texts.collect(), part.among.clone())
        });
        parts.collect()
    }

    #[test]
    fn what_counts_everywhere_is_one_search() {
        let census = census(&[(Language::English, 90), (Language::German, 10)]);
        let clauses = [clause("index", &[]), clause("term", &[])];
        let parts = parts(&clauses, &census);
        assert_eq!(said(&parts), [(vec!["index", "term"], NotIn(vec![]))]);
        assert_eq!(parts[0].condition(), None);
    }

    #[test]
    fn each_language_has_its_own_terms_and_rare_ones_share() {
        use Language::{Danish, English, French, German};
        let counted = [(English, 900), (German, 90), (French, 9), (Danish, 1)];
        let clauses = [
            clause("mother", &[English]),
            clause("moth", &[German, French]),
            clause("mothe", &[Danish]),
            clause("index", &[]),
        ];
        let found = parts(&clauses, &census(&counted));
        let wanted = [
            (vec!["mother", "index"], In(vec![English])),
            (vec!["moth", "index"], In(vec![German])),
            (vec!["moth", "mothe", "index"], NotIn(vec![English, German])),
        ];
        assert_eq!(said(&found), wanted);
        // Languages that make the same of it are searched together.
        let found = parts(&clauses[1..2], &census(&counted[..3]));
        assert_eq!(said(&found), [(vec!["moth"], NotIn(vec![English]))]);
    }

    /// One that came since the census was taken.
    #[test]
    fn a_new_language_is_searched_for_what_counts_everywhere() {
        use Language::{English, German};
        let clauses = [clause("mother", &[English]), clause("index", &[])];
        let found = parts(&clauses, &census(&[(English, 90), (German, 90)]));
        let wanted = [
            (vec!["mother", "index"], In(vec![English])),
            (vec!["index"], NotIn(vec![English])),
        ];
        assert_eq!(said(&found), wanted);
    }
}
