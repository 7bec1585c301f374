//! What a query means by synonyms, as clauses of a sparse vector.
//!
//! The server multiplies a clause by the rarity of its dimension, which is therefore asked for before the
//! search: a synonym is not to count more than what it stands for, however rare it is. Where the embedded
//! index looks for one word, so does this, with the same score. A sparse vector has no phrases: several
//! words are looked for one by one, and together count no more than the phrase would.

use braid_text::lexical::{Clause, LexicalField, Meant, Phrase, Place};

use super::{Census, Searched};
use crate::cluster::rarity::Rarity;
use crate::cluster::sparse::dimension;

/// Where a synonym is looked for, the words of title and headings included; their extra weight is for
/// what the query says.
const FIELDS: [LexicalField; 2] = [LexicalField::Content, LexicalField::Names];
/// Most rarities that are asked for before a search: one batch. Without those of more, the last
/// expansions of a query have no limit until they are known.
const ASKED: usize = 128;

impl Searched {
    /// Where what a query means is looked for.
    pub(super) async fn expand(&self, meant: &[Meant], census: &Census) -> Vec<Clause> {
        if meant.is_empty() {
            return Vec::new();
        }
        self.learn(meant.iter().flat_map(needed), ASKED).await;
        let index = Index {
            rarity: &|dimension| self.rarities.of(dimension),
            chunks: census.chunks,
        };
        index.clauses(meant)
    }
}

/// The dimensions whose rarities say what a synonym counts.
fn needed(meant: &Meant) -> impl Iterator<Item = u32> {
    let from = meant.from.places().iter();
    let from = from.flat_map(|place| dimensions(place, &FIELDS[..1]));
    let to = meant.words.iter();
    from.chain(to.flat_map(|place| dimensions(place, &FIELDS)))
}

/// The dimensions of a word.
fn dimensions(place: &Place, fields: &'static [LexicalField]) -> impl Iterator<Item = u32> {
    let terms = place.terms.iter();
    terms.flat_map(|term| fields.iter().map(move |field| dimension(*field, term)))
}

/// What is known of the chunks.
struct Index<'r> {
    rarity: &'r dyn Fn(u32) -> Rarity,
    chunks: u64,
}

impl Index<'_> {
    /// Where all that is meant is looked for.
    fn clauses(&self, meant: &[Meant]) -> Vec<Clause> {
        let mut clauses: Vec<Clause> = Vec::new();
        for clause in meant.iter().flat_map(|one| self.clauses_of(one)) {
            let is_same = |known: &&mut Clause| {
                let of_known = (known.field, &known.text, known.languages);
                of_known == (clause.field, &clause.text, clause.languages)
            };
            // Phrases that have a word in common: it is no more than a word of one of them.
            match clauses.iter_mut().find(is_same) {
                Some(known) => known.weight = known.weight.max(clause.weight),
                None => clauses.push(clause),
            }
        }
        clauses
    }

    /// None where no chunk can say it.
    fn clauses_of(&self, meant: &Meant) -> Vec<Clause> {
        let several = meant.words.len() > 1;
        if several && meant.words.iter().any(|place| self.is_absent(place)) {
            return Vec::new();
        }
        let weight = meant.told.weight * self.share(meant);
        let mut clauses = Vec::new();
        for place in &meant.words {
            let worth = self.worth(place, &FIELDS);
            for (term, field) in place.terms.iter().flat_map(|it| FIELDS.map(|of| (it, of))) {
                let own = (self.rarity)(dimension(field, term)).worth(self.chunks);
                clauses.push(Clause {
                    field,
                    text: term.clone(),
                    weight: weight * at_most(worth, own),
                    languages: meant.languages,
                });
            }
        }
        clauses
    }

    /// Whether no chunk has a word in any form.
    fn is_absent(&self, place: &Place) -> bool {
        dimensions(place, &FIELDS).all(|it| (self.rarity)(it) == Rarity::Absent)
    }

    /// How much of what it is worth a synonym counts: no more than the words that it stands for.
    fn share(&self, meant: &Meant) -> f32 {
        at_most(self.said(&meant.from), self.sum(&meant.words, &FIELDS))
    }

    /// What the words of a query are worth.
    fn said(&self, phrase: &Phrase) -> Option<f32> {
        self.sum(phrase.places(), &FIELDS[..1])
    }

    fn sum(&self, places: &[Place], fields: &'static [LexicalField]) -> Option<f32> {
        let worth = places.iter().map(|place| self.worth(place, fields));
        worth.sum()
    }

    /// What a word is worth: as much as its most frequent form.
    fn worth(&self, place: &Place, fields: &'static [LexicalField]) -> Option<f32> {
        let mut worth = dimensions(place, fields).map(|it| (self.rarity)(it).worth(self.chunks));
        worth.try_fold(f32::INFINITY, |least, it| Some(least.min(it?)))
    }
}

/// What `worth` is multiplied by to be no more than `limit`; 1 where one is not known.
fn at_most(limit: Option<f32>, worth: Option<f32>) -> f32 {
    match (limit, worth) {
        (Some(limit), Some(worth)) if limit < worth => limit / worth,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use braid_core::{Language, Synonyms};
    use braid_text::Analyzer;
    use braid_text::lexical::SynonymForms;

    use super::*;

    const WEIGHT: f32 = 0.6;
    /// Worth 4.
    const CHUNKS: u64 = 26;

    fn meant(rules: &[&str], text: &str) -> Vec<Meant> {
        let synonyms = Arc::new(Synonyms::parse(rules).unwrap());
        let analyzer = Analyzer::new(Language::English);
        SynonymForms::default().meant(&[&analyzer], &synonyms, text)
    }

    /// By field and term, where words of the content are as rare as given.
    fn weights(
        rules: &[&str],
        text: &str,
        rarities: &[(LexicalField, &str, Rarity)],
    ) -> Vec<((LexicalField, String), f32)> {
        let known = rarities.iter();
        let known: HashMap<u32, Rarity> = known
            .map(|(field, term, rarity)| (dimension(*field, term), *rarity))
            .collect();
        let index = Index {
            rarity: &|dimension| known.get(&dimension).copied().unwrap_or(Rarity::Absent),
            chunks: CHUNKS,
        };
        let clauses = index.clauses(&meant(rules, text)).into_iter();
        clauses.map(|it| ((it.field, it.text), it.weight)).collect()
    }

    fn of(found: &[((LexicalField, String), f32)], field: LexicalField, term: &str) -> f32 {
        let mut found = found
            .iter()
            .filter(|(key, _)| *key == (field, term.to_owned()));
        found.next().map_or(0.0, |(_, weight)| *weight)
    }

    const CONTENT: LexicalField = LexicalField::Content;
    const NAMES: LexicalField = LexicalField::Names;

    #[test]
    fn a_synonym_counts_no_more_than_what_was_asked() {
        let rarities = [
            (CONTENT, "amber", Rarity::Of(1.0)),
            (CONTENT, "basil", Rarity::Of(3.0)),
        ];
        let rare = weights(&["amber, basil"], "amber", &rarities);
        assert!((of(&rare, CONTENT, "basil") * 3.0 - WEIGHT).abs() < 1e-6);
        let frequent = weights(&["amber, basil"], "basil", &rarities);
        assert_eq!(of(&frequent, CONTENT, "amber"), WEIGHT);
        // Several words together.
        let rules = ["amber => basil cedar"];
        let cedar = (CONTENT, "cedar", Rarity::Of(1.0));
        let known = [rarities[0], rarities[1], cedar];
        let both = weights(&rules, "amber", &known);
        let sum = of(&both, CONTENT, "basil") * 3.0 + of(&both, CONTENT, "cedar");
        assert!((sum - WEIGHT).abs() < 1e-6, "{both:?}");
        // What was asked is in no chunk: the rarest there is.
        let back = weights(&["delta, basil"], "delta", &rarities);
        assert_eq!(of(&back, CONTENT, "basil"), WEIGHT);
    }

    #[test]
    fn what_is_not_known_has_no_limit() {
        for unknown in ["amber", "basil"] {
            let all = [("amber", 1.0), ("basil", 3.0)];
            let known = all.map(|(term, rarity)| {
                let is_known = term != unknown;
                let rarity = if is_known {
                    Rarity::Of(rarity)
                } else {
                    Rarity::Unknown
                };
                (CONTENT, term, rarity)
            });
            let found = weights(&["amber, basil"], "amber", &known);
            assert_eq!(of(&found, CONTENT, "basil"), WEIGHT, "{unknown}");
        }
    }

    #[test]
    fn a_phrase_with_a_word_that_no_chunk_has_is_not_looked_for() {
        let amber = (CONTENT, "amber", Rarity::Of(1.0));
        let basil = (CONTENT, "basil", Rarity::Of(1.0));
        assert!(weights(&["amber => basil cedar"], "amber", &[amber, basil]).is_empty());
        let in_names = (NAMES, "cedar", Rarity::Of(1.0));
        let found = weights(
            &["amber => basil cedar"],
            "amber",
            &[amber, basil, in_names],
        );
        assert!(of(&found, NAMES, "cedar") > 0.0, "{found:?}");
        // A word by itself costs nothing, and some chunk may have it by now.
        let found = weights(&["amber => cedar"], "amber", &[amber]);
        assert!(of(&found, CONTENT, "cedar") > 0.0, "{found:?}");
    }

    #[test]
    fn all_forms_of_a_word_count_as_the_most_frequent() {
        let rarities = [
            (CONTENT, "amber", Rarity::Of(9.0)),
            (CONTENT, "basil", Rarity::Of(1.0)),
            (NAMES, "basil", Rarity::Of(2.0)),
        ];
        let found = weights(&["amber, basil"], "amber", &rarities);
        assert_eq!(of(&found, CONTENT, "basil"), WEIGHT);
        assert_eq!(of(&found, NAMES, "basil"), WEIGHT / 2.0);
    }

    #[test]
    fn a_word_of_two_phrases_counts_once() {
        let terms = ["amber", "basil", "cedar", "delta"];
        let rarities = terms.map(|it| {
            (
                CONTENT,
                it,
                Rarity::Of(if it == "amber" { 9.0 } else { 1.0 }),
            )
        });
        let rules = ["amber => basil cedar, basil delta"];
        let found = weights(&rules, "amber", &rarities);
        for term in &terms[1..] {
            assert_eq!(of(&found, CONTENT, term), WEIGHT, "{term}");
        }
        let of_content = found.iter().filter(|((field, _), _)| *field == CONTENT);
        assert_eq!(of_content.count(), 3, "{found:?}");
    }
}
