//! Words that the index does not have, and those it has that are written nearly so.

use std::collections::HashMap;

use braid_core::{Expansion, ExpansionKind, Result};
use braid_text::lexical::{Languages, Phrase};
use braid_text::{Analyzer, TermKind};
use tantivy::query::FuzzyTermQuery;
use tantivy::{Searcher, Term};

use crate::error::{io_error, lexical_error};
use crate::expansions::Expanded;
use crate::lookup::Lookup;
use crate::schema::Fields;

/// Terms of fewer characters are not corrected: too many words are near them.
const LEAST_CHARS: usize = 4;
/// Terms of so many characters may have two edits.
const TWO_EDITS_CHARS: usize = 8;
/// Longer ones are data.
const MOST_CHARS: usize = 40;
/// Most words of one query that are corrected.
const MAX_CORRECTED: usize = 8;
/// Most terms that one word is corrected to.
const MAX_CORRECTIONS: usize = 3;
/// What a match of a corrected word counts, by edits: less sure the more there are.
const WEIGHTS: [f32; 2] = [0.5, 0.25];

/// The corrections of the words of `text` that no document has, in any language; of the nearest terms
/// those that most documents have. Numbers, identifiers, acronyms and hyphenated words are never
/// corrected, nor what `is_known` otherwise.
pub(crate) fn corrections(
    lookup: &Lookup<'_>,
    fields: &Fields,
    analyzers: &[&Analyzer],
    text: &str,
    is_known: &dyn Fn(&str) -> bool,
) -> Result<Vec<Expanded>> {
    let mut seen: Vec<&str> = Vec::new();
    let mut corrected = 0;
    let mut found = Vec::new();
    for word in text.split_whitespace().filter_map(plain_word) {
        if seen.contains(&word) || is_known(word) {
            continue;
        }
        seen.push(word);
        let Some(terms) = unmatched(lookup, fields, analyzers, word)? else {
            continue;
        };
        let before = found.len();
        for (term, languages) in terms {
            let nearest = nearest(lookup.searcher, fields, &term)?;
            found.extend(nearest.into_iter().map(|(to, distance)| Expanded {
                phrase: Phrase::of_term(&to),
                languages,
                at_most: f32::INFINITY,
                told: Expansion {
                    term: word.to_owned(),
                    to,
                    kind: ExpansionKind::Typo { distance },
                    weight: WEIGHTS[usize::from(distance) - 1],
                },
            }));
        }
        corrected += usize::from(found.len() > before);
        if corrected == MAX_CORRECTED {
            break;
        }
    }
    Ok(found)
}

/// The word within the punctuation around it, if it is made of letters alone and is no acronym.
fn plain_word(token: &str) -> Option<&str> {
    let word = token.trim_matches(|c: char| !c.is_alphanumeric());
    let mut chars = 0;
    let mut has_small = false;
    for c in word.chars() {
        if !c.is_alphabetic() {
            return None;
        }
        chars += 1;
        has_small |= !c.is_uppercase();
    }
    (has_small && (LEAST_CHARS..=MOST_CHARS).contains(&chars)).then_some(word)
}

/// A term with the languages that make it of a word; `None` for all.
type Formed = (String, Option<Languages>);

/// The term that each language makes of a word; `None` where a document has one of them, or the word is
/// more than one term, or a stop word.
fn unmatched(
    lookup: &Lookup<'_>,
    fields: &Fields,
    analyzers: &[&Analyzer],
    word: &str,
) -> Result<Option<Vec<Formed>>> {
    let mut terms: Vec<(String, Languages)> = Vec::new();
    for analyzer in analyzers {
        let mut made = analyzer.terms(word);
        let Some(term) = made.pop().filter(|term| term.kind == TermKind::Word) else {
            return Ok(None);
        };
        if !made.is_empty() {
            return Ok(None);
        }
        match terms.iter_mut().find(|known| known.0 == term.text) {
            Some((_, languages)) => languages.add(analyzer.language()),
            None => terms.push((term.text, Languages::of(analyzer.language()))),
        }
    }
    for (term, _) in &terms {
        for field in [fields.content, fields.names] {
            if lookup.documents(field, term)? > 0 {
                return Ok(None);
            }
        }
    }
    let all: Languages = analyzers
        .iter()
        .map(|analyzer| analyzer.language())
        .collect();
    let limit = |(term, languages)| (term, (languages != all).then_some(languages));
    Ok(Some(terms.into_iter().map(limit).collect()))
}

/// The nearest terms with their distance: those one edit away, else those two edits away.
fn nearest(searcher: &Searcher, fields: &Fields, term: &str) -> Result<Vec<(String, u8)>> {
    let chars = term.chars().count();
    let most = match chars {
        ..LEAST_CHARS => 0,
        LEAST_CHARS..TWO_EDITS_CHARS => 1,
        _ => 2,
    };
    for distance in 1..=most {
        let mut near = near(searcher, fields, term, distance)?;
        if near.is_empty() {
            continue;
        }
        near.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        near.truncate(MAX_CORRECTIONS);
        return Ok(near.into_iter().map(|(term, _)| (term, distance)).collect());
    }
    Ok(Vec::new())
}

/// Words of the index within `distance` edits, with the number of documents that have them. The
/// automaton walks the part of the dictionary that can still match: with two edits that is most of it,
/// so such words begin as the term does (few typing errors are in the first letter).
fn near(
    searcher: &Searcher,
    fields: &Fields,
    term: &str,
    distance: u8,
) -> Result<Vec<(String, u64)>> {
    let doing = "cannot look for terms that are written nearly so";
    let wanted = Term::from_field_text(fields.content, term);
    let automaton = FuzzyTermQuery::new(wanted, distance, true)
        .automaton()
        .map_err(|error| lexical_error(doing, error))?;
    let first = (distance > 1).then(|| beginning(term)).flatten();
    let mut found: HashMap<String, u64> = HashMap::new();
    for segment in searcher.segment_readers() {
        let inverted = segment
            .inverted_index(fields.content)
            .map_err(|error| lexical_error(doing, error))?;
        let within = inverted.terms().search(&automaton);
        let within = match &first {
            Some((first, after)) => within.ge(first).lt(after),
            None => within,
        };
        let mut stream = within
            .into_stream()
            .map_err(|error| io_error(doing, error))?;
        while let Some((key, info)) = stream.next() {
            let is_word = |text: &&str| text.chars().all(char::is_alphabetic);
            if let Some(text) = std::str::from_utf8(key).ok().filter(is_word) {
                *found.entry(text.to_owned()).or_default() += u64::from(info.doc_freq);
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// The first character of a term, and the least text after all that begin with it.
fn beginning(term: &str) -> Option<(String, String)> {
    let first = term.chars().next()?;
    let after = (u32::from(first) + 1..).find_map(char::from_u32)?;
    Some((first.into(), after.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ordinary_words_are_corrected() {
        for word in ["retreival", "(Retreival)?", "\u{fc}bersetzng,"] {
            assert!(plain_word(word).is_some(), "{word}");
        }
        for word in [
            "abc",
            "CVE-2024",
            "v2beta",
            "snake_case",
            "std::vec",
            "NASDAQ",
            "e-mail",
            "it's",
            "",
            "???",
        ] {
            assert_eq!(plain_word(word), None, "{word}");
        }
    }
}
