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
    /// `None` for all chunks.
    languages: Option<Vec<Language>>,
}

impl Part {
    /// What chunks of the part meet.
    pub(super) fn condition(&self) -> Option<wire::Condition> {
        let languages = self.languages.as_ref()?;
        Some(analyzed_in(languages.iter()))
    }
}

/// The searches for these clauses; no chunk is in two of them.
pub(super) fn parts(clauses: &[Clause], census: &Census) -> Vec<Part> {
    let own = census.counts.iter().take(OWN);
    let own = own.take_while(|count| count.saturating_mul(FREQUENT) >= census.chunks);
    let (own, others) = census.languages.split_at(own.count());
    let mut parts: Vec<Part> = Vec::new();
    let each = own.chunks(1).chain((!others.is_empty()).then_some(others));
    for languages in each {
        let counts = |clause: &&Clause| {
            let within = clause.languages.as_ref();
            within.is_none_or(|within| languages.iter().any(|it| within.has(*it)))
        };
        let clauses: Vec<Clause> = clauses.iter().filter(counts).cloned().collect();
        let same = parts.iter_mut().find(|part| part.clauses == clauses);
        match same.and_then(|part| part.languages.as_mut()) {
            Some(known) => known.extend(languages),
            None => parts.push(Part {
                clauses,
                languages: Some(languages.to_vec()),
            }),
        }
    }
    if let [only] = &mut parts[..] {
        only.languages = None;
    }
    parts.retain(|part| !part.clauses.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use braid_text::lexical::{Languages, LexicalField};

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

    type Said<'p> = (Vec<&'p str>, Option<Vec<Language>>);

    fn said(parts: &[Part]) -> Vec<Said<'_>> {
        let parts = parts.iter().map(|part| {
            let texts = part.clauses.iter().map(|clause| clause.text.as_str());
            (texts.collect(), part.languages.clone())
        });
        parts.collect()
    }

    #[test]
    fn what_counts_everywhere_is_one_search() {
        let census = census(&[(Language::English, 90), (Language::German, 10)]);
        let clauses = [clause("index", &[]), clause("term", &[])];
        let parts = parts(&clauses, &census);
        assert_eq!(said(&parts), [(vec!["index", "term"], None)]);
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
            (vec!["mother", "index"], Some(vec![English])),
            (vec!["moth", "index"], Some(vec![German])),
            (vec!["moth", "mothe", "index"], Some(vec![French, Danish])),
        ];
        assert_eq!(said(&found), wanted);
        // Languages that make the same of it are searched together.
        let found = parts(&clauses[1..2], &census(&counted[..3]));
        assert_eq!(said(&found), [(vec!["moth"], Some(vec![German, French]))]);
    }
}
