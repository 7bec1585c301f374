//! What a chunk says, as a field of its point that the server searches as text ([`SAID`]), and conditions on
//! it.
//!
//! The field is a row of tokens. The first character of one says where the term stands (`t`itle, `h`eading,
//! `b`ody), the rest is the term. For each position of a text there is one token, its *main* term, so that
//! words which follow one another are tokens which do; what else stands at a position (an identifier beside
//! its first part, a piece of a word) comes at the end, with a capital: an *other*. [`BREAK`] stands between
//! what does not follow one another.
//!
//! Whether a chunk says one word is told exactly. Of two or more in a row it is told which chunks may say
//! them: those that have each pair of neighbours as tokens in a row, or have one of them as an other. So
//! these are looked through ([`EntryWords`]); there are few, because others are. Terms are written as they
//! are, not as hashes: an index of texts keeps each once.

use std::collections::BTreeSet;

use ::qdrant_client::qdrant::r#match::MatchValue;
use ::qdrant_client::qdrant::{Condition, FieldCondition, Filter, Match};
use braid_core::TextField;
use braid_text::TermKind;
use braid_text::lexical::{EntryWords, Phrase, Place};

/// The field.
pub(crate) const SAID: &str = "said";

/// Stands where a row of words ends. No other token is without a letter for its place.
const BREAK: &str = "|";
/// A longer term, in bytes, is written as its hash.
const LONGEST: usize = 64;
/// Bytes of such a hash.
const HASH: usize = 16;

/// The field of an entry.
pub(crate) fn of_entry(words: &EntryWords) -> String {
    let mut row = String::new();
    let mut others = BTreeSet::new();
    for (field, words) in words.texts() {
        let mut next = None;
        for (position, terms) in words {
            if next.is_some_and(|next| next != *position) {
                push(&mut row, BREAK);
            }
            next = Some(position + 1);
            let Some(main) = main(terms) else {
                continue;
            };
            push(&mut row, &token(mains(field), main));
            let rest = terms.iter().filter(|(term, _)| term != main);
            others.extend(rest.map(|(term, _)| token(other(field), term)));
        }
        if next.is_some() {
            push(&mut row, BREAK);
        }
    }
    for other in others {
        push(&mut row, &other);
    }
    row
}

fn push(row: &mut String, token: &str) {
    if !row.is_empty() {
        row.push(' ');
    }
    row.push_str(token);
}

/// The term of a position that stands in the row.
fn main(terms: &[(String, TermKind)]) -> Option<&str> {
    let is_word = |kind| matches!(kind, TermKind::Word | TermKind::StopWord);
    let word = terms.iter().find(|(_, kind)| is_word(*kind));
    word.or(terms.first()).map(|(term, _)| term.as_str())
}

fn mains(field: TextField) -> char {
    match field {
        TextField::Title => 't',
        TextField::Heading => 'h',
        TextField::Body => 'b',
    }
}

fn other(field: TextField) -> char {
    mains(field).to_ascii_uppercase()
}

fn token(place: char, term: &str) -> String {
    let is_plain = term.len() <= LONGEST && !term.contains(char::is_whitespace);
    if is_plain {
        return format!("{place}{term}");
    }
    let hash = blake3::hash(term.as_bytes()).to_hex();
    format!("{place}#{}", &hash[..2 * HASH])
}

/// Which entries say a phrase, as far as the server can tell.
#[derive(Clone, Debug)]
pub(crate) struct Saying {
    /// Every entry that says it meets this.
    pub(crate) may: Condition,
    /// No entry that does not say it meets this; `None` where there is no such condition.
    pub(crate) does: Option<Condition>,
    /// Whether both are one: the server can tell.
    pub(crate) is_exact: bool,
}

impl Saying {
    /// Where `phrase` is said, in `field` or anywhere. At most `pairs` of its neighbours are asked for.
    pub(crate) fn new(phrase: &Phrase, field: Option<TextField>, pairs: usize) -> Self {
        let fields: Vec<TextField> = match field {
            Some(field) => vec![field],
            None => TextField::ALL.map(|(field, _)| field).to_vec(),
        };
        if let [place] = phrase.places() {
            let may = any(everywhere(&fields, place));
            return Self {
                does: Some(may.clone()),
                may,
                is_exact: true,
            };
        }
        let pairs = phrase.places().windows(2).take(pairs);
        let pairs = pairs.map(|pair| Condition::from(may_follow(&fields, &pair[0], &pair[1])));
        Self {
            may: Filter::must(pairs).into(),
            does: in_a_row(&fields, phrase).map(Condition::from),
            is_exact: false,
        }
    }
}

/// Entries in which one word may follow the other.
fn may_follow(fields: &[TextField], first: &Place, second: &Place) -> Filter {
    if second.offset != first.offset + 1 {
        return Filter::must([first, second].map(|place| any(everywhere(fields, place))));
    }
    let mut ways: Vec<Condition> = Vec::new();
    for (place, a, b) in each_pair(fields, first, second) {
        ways.push(row([token(place, a), token(place, b)]));
    }
    let aside = |one: &Place, two: &Place| {
        let one = any(tokens(fields, other, one));
        Condition::from(Filter::must([one, any(everywhere(fields, two))]))
    };
    ways.push(aside(first, second));
    ways.push(aside(second, first));
    Filter::should(ways)
}

fn each_pair<'a>(
    fields: &'a [TextField],
    first: &'a Place,
    second: &'a Place,
) -> impl Iterator<Item = (char, &'a str, &'a str)> {
    fields.iter().flat_map(move |field| {
        let firsts = first.terms.iter();
        firsts.flat_map(move |a| {
            let seconds = second.terms.iter();
            seconds.map(move |b| (mains(*field), a.as_str(), b.as_str()))
        })
    })
}

/// Entries that say the phrase in main terms; `None` where a word of it is any of several terms.
fn in_a_row(fields: &[TextField], phrase: &Phrase) -> Option<Filter> {
    let mut terms = Vec::with_capacity(phrase.places().len());
    for (place, offset) in phrase.places().iter().zip(0..) {
        let [term] = &place.terms[..] else {
            return None;
        };
        if place.offset != offset {
            return None;
        }
        terms.push(term);
    }
    let rows = fields.iter().map(|field| {
        let tokens = terms.iter().map(|term| token(mains(*field), term));
        row(tokens)
    });
    Some(Filter::should(rows))
}

/// The tokens that a word is in an entry, in the row and aside.
fn everywhere(fields: &[TextField], place: &Place) -> Vec<String> {
    let mut all = tokens(fields, mains, place);
    all.extend(tokens(fields, other, place));
    all
}

fn tokens(fields: &[TextField], kind: fn(TextField) -> char, place: &Place) -> Vec<String> {
    let terms = fields.iter().flat_map(|field| {
        let terms = place.terms.iter();
        terms.map(move |term| token(kind(*field), term))
    });
    terms.collect()
}

fn any(tokens: Vec<String>) -> Condition {
    on_said(MatchValue::TextAny(tokens.join(" ")))
}

fn row(tokens: impl IntoIterator<Item = String>) -> Condition {
    let tokens: Vec<String> = tokens.into_iter().collect();
    on_said(MatchValue::Phrase(tokens.join(" ")))
}

fn on_said(value: MatchValue) -> Condition {
    FieldCondition {
        key: SAID.to_owned(),
        r#match: Some(Match {
            match_value: Some(value),
        }),
        ..FieldCondition::default()
    }
    .into()
}

#[cfg(test)]
mod tests {
    use braid_core::Language;
    use braid_text::Analyzer;
    use braid_text::lexical::EntryTexts;

    use super::*;

    fn said(title: &str, headings: &[&str], body: &str) -> String {
        let headings: Vec<String> = headings.iter().map(|it| (*it).to_owned()).collect();
        let texts = EntryTexts {
            title,
            headings: &headings,
            body,
        };
        of_entry(&EntryWords::new(texts, &Analyzer::new(Language::English)))
    }

    #[test]
    fn words_that_follow_one_another_are_tokens_that_do() {
        assert_eq!(
            said("The foxes", &["A", "Red den"], "use max_count, RFC 1918"),
            "tthe tfox | ha | hred hden | buse bmax bcount brfc b1918 | Bmax_count Brfc-1918"
        );
        assert_eq!(said("", &[], ""), "");
        assert_eq!(said("", &[], "東京都"), "b東京 b京都 b都 | B京 B東");
    }

    #[test]
    fn odd_terms_are_hashes() {
        assert_eq!(token('b', "c++"), "bc++");
        let long = token('b', &"x".repeat(LONGEST + 1));
        assert_eq!(long.len(), 2 + 2 * HASH);
        assert!(!token('b', "a b").contains(' '));
        assert_ne!(token('b', "a b"), token('b', "a\u{a0}b"));
    }
}
