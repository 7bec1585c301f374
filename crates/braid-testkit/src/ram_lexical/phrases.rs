//! Phrases, conditions and expansions, by looking through every entry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use braid_core::{
    Expansion, ExpansionKind, LexicalEntry, LexicalQuery, Narrowed, Selection, SlotSet,
    TextCondition, TextField,
};

use super::{State, selects, terms};

const SYNONYM_WEIGHT: f32 = 0.6;
const TYPO_WEIGHTS: [f32; 2] = [0.5, 0.25];
const MAX_CORRECTIONS: usize = 3;

/// How often an entry says `words` in a row, within one title, heading or body.
pub(super) fn count(entry: &LexicalEntry, words: &[String], field: Option<TextField>) -> usize {
    let headings = entry.headings.iter().map(|text| (TextField::Heading, text));
    let texts = [
        (TextField::Title, &entry.title),
        (TextField::Body, &entry.body),
    ];
    let texts = texts.into_iter().chain(headings);
    let wanted = texts.filter(|(of, _)| field.is_none_or(|field| field == *of));
    let counts = wanted.map(|(_, text)| {
        let said: Vec<String> = terms(text).collect();
        let rows = said.windows(words.len().max(1));
        rows.filter(|row| *row == words).count()
    });
    counts.sum()
}

/// As [`braid_core::LexicalView::narrow`].
pub(super) fn narrow(
    state: &State,
    conditions: &[TextCondition],
    selection: &Selection,
) -> Narrowed {
    let entries = state.entries.values();
    let all: Vec<_> = entries.filter(|entry| selects(selection, entry)).collect();
    let says = |entry: &LexicalEntry, condition: &TextCondition| {
        let words: Vec<String> = terms(&condition.text).collect();
        let is_vacuous = words.is_empty() && !condition.is_excluded;
        is_vacuous || (!words.is_empty() && count(entry, &words, condition.field) > 0)
    };
    let holds = |entry: &LexicalEntry| {
        let mut conditions = conditions.iter();
        conditions.all(|condition| says(entry, condition) != condition.is_excluded)
    };
    let saying = conditions.iter().map(|condition| {
        let said = all.iter().filter(|entry| says(entry, condition));
        said.count() as u64
    });
    let kept: SlotSet = all
        .iter()
        .filter(|entry| holds(entry))
        .map(|entry| entry.slot.0)
        .collect();
    Narrowed {
        saying: saying.collect(),
        selection: Selection {
            filter: selection.filter.clone(),
            slots: Some(Arc::new(kept)),
            ..Selection::default()
        },
    }
}

/// What a query is searched for as besides, each with its words.
pub(super) fn expansions(state: &State, query: &LexicalQuery) -> Vec<(Vec<String>, Expansion)> {
    let said: Vec<String> = terms(&query.text).collect();
    let mut found: Vec<(Vec<String>, Expansion)> = Vec::new();
    let mut known: BTreeSet<String> = BTreeSet::new();
    for rule in query.synonyms.rules() {
        for from in &rule.from {
            let words: Vec<String> = terms(from).collect();
            if words.is_empty() || !said.windows(words.len()).any(|row| *row == words) {
                continue;
            }
            for to in &rule.to {
                let other: Vec<String> = terms(to).collect();
                let is_new = other != words && found.iter().all(|(known, _)| *known != other);
                if is_new {
                    known.extend(words.iter().cloned());
                    let told = Expansion {
                        term: from.clone(),
                        to: to.clone(),
                        kind: ExpansionKind::Synonym,
                        weight: SYNONYM_WEIGHT,
                    };
                    found.push((other, told));
                }
            }
        }
    }
    if query.typos {
        let frequencies = frequencies(state);
        let mut seen = known;
        for word in said {
            if !frequencies.contains_key(&word) && seen.insert(word.clone()) {
                found.extend(corrections(&frequencies, &word));
            }
        }
    }
    found
}

/// In how many entries each term is.
fn frequencies(state: &State) -> BTreeMap<String, usize> {
    let mut frequencies: BTreeMap<String, usize> = BTreeMap::new();
    for entry in state.entries.values() {
        let texts = entry.headings.iter().chain([&entry.title, &entry.body]);
        let said: BTreeSet<String> = texts.flat_map(|text| terms(text)).collect();
        for term in said {
            *frequencies.entry(term).or_default() += 1;
        }
    }
    frequencies
}

fn corrections(frequencies: &BTreeMap<String, usize>, word: &str) -> Vec<(Vec<String>, Expansion)> {
    let most = match word.chars().count() {
        _ if !word.chars().all(char::is_alphabetic) => 0,
        0..4 => 0,
        4..8 => 1,
        _ => 2,
    };
    for distance in 1..=most {
        let near = frequencies.iter().filter(|(term, _)| {
            term.chars().all(char::is_alphabetic) && edits(word, term) == distance
        });
        let mut near: Vec<_> = near.collect();
        if near.is_empty() {
            continue;
        }
        near.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        near.truncate(MAX_CORRECTIONS);
        let told = near.into_iter().map(|(to, _)| {
            let told = Expansion {
                term: word.to_owned(),
                to: to.clone(),
                kind: ExpansionKind::Typo {
                    distance: distance as u8,
                },
                weight: TYPO_WEIGHTS[distance - 1],
            };
            (vec![to.clone()], told)
        });
        return told.collect();
    }
    Vec::new()
}

/// Characters to insert, delete, replace, or exchange with their neighbour.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            if i == 0 || j == 0 {
                rows[i][j] = i + j;
                continue;
            }
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        let pairs = [
            ("amber", "amber", 0),
            ("amber", "ember", 1),
            ("ambre", "amber", 1),
            ("amber", "ambers", 1),
            ("retreival", "retrieval", 1),
            ("amber", "basil", 5),
        ];
        for (a, b, wanted) in pairs {
            assert_eq!(edits(a, b), wanted, "{a} {b}");
            assert_eq!(edits(b, a), wanted, "{b} {a}");
        }
    }
}
