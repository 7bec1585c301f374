//! What the guard sees of a question.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use braid_core::Language;
use braid_text::{Analyzer, TermKind};

use super::words::{
    DIRECTIONS, FILLERS, LIGHT, NEGATIONS, NUMBERS, NamedPairs, OPPOSITES, PREFIXES, QUESTIONS,
    SYNONYMS,
};
use crate::trust::is_name;

/// Words longer than this are compared as they are written: no language has them.
const LONGEST_WORD: usize = 64;
/// Most words that are read. Questions beyond are compared up to here.
const MOST_WORDS: usize = 512;
/// Words after the first from which on a question in capitals is a title.
const SHORTEST_TITLE: usize = 3;
/// Letters that must follow a prefix for it to be one.
const LEAST_AFTER_PREFIX: usize = 4;

static ENGLISH: LazyLock<Analyzer> = LazyLock::new(|| Analyzer::new(Language::English));
static OPPOSITE: LazyLock<NamedPairs> = LazyLock::new(|| NamedPairs::new(OPPOSITES, stem));
static SYNONYM: LazyLock<NamedPairs> = LazyLock::new(|| NamedPairs::new(SYNONYMS, stem));

/// A question, read for what would turn an answer to it into a wrong one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    words: Vec<Word>,
    negations: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    /// In lower case.
    lower: String,
    /// Stemmed, or in lower case where it is a name.
    text: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A number, version, path, identifier, abbreviation or proper noun.
    Name,
    /// A word that questions are about.
    Content,
    /// A word that holds them together.
    Function,
}

impl Word {
    fn is_content(&self) -> bool {
        self.kind != Kind::Function
    }
}

/// The form in which words are compared, and whether it is a function word.
fn term(word: &str) -> Option<(String, bool)> {
    let mut first = None;
    ENGLISH.visit(word, &mut |term| {
        if first.is_none() && matches!(term.kind, TermKind::Word | TermKind::StopWord) {
            first = Some((term.text.to_owned(), term.kind == TermKind::StopWord));
        }
    });
    first
}

fn stem(word: &str) -> String {
    term(word).map_or_else(|| word.to_owned(), |(text, _)| text)
}

impl Reading {
    /// Reads a question.
    pub fn of(question: &str) -> Self {
        let mut reading = Self::default();
        let question = question.replace(['’', '‘', 'ʼ'], "'");
        let written: Vec<&str> = question.split_whitespace().take(MOST_WORDS).collect();
        let capitals = capitals_tell(&written);
        let mut begins = true;
        for word in written {
            let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
            if !bare.is_empty() {
                reading.read(word, bare, capitals && !begins);
            }
            begins = word.ends_with(['.', '?', '!', ':']);
        }
        reading
    }

    fn read(&mut self, written: &str, bare: &str, capitals: bool) {
        let lower = bare.to_lowercase();
        let flag = written.trim_start_matches(['"', '\'', '`', '(']);
        let is_flag = flag.starts_with("--") || flag.starts_with('-') && bare.len() <= 2;
        let plain = lower.trim_end_matches("'s");
        let is_contraction = NEGATIONS.contains(&plain) || plain.ends_with("n't");
        if let Some(number) = NUMBERS.iter().position(|word| *word == plain) {
            return self.push(plain, number.to_string(), Kind::Name);
        }
        if is_flag || !is_contraction && is_name(bare) || is_abbreviation(bare) && capitals {
            // 1,000 and 1000 are one number.
            return self.push(plain, plain.replace(',', ""), Kind::Name);
        }
        if plain.len() > LONGEST_WORD {
            return self.push(plain, plain.to_owned(), Kind::Content);
        }
        self.negations += usize::from(is_contraction);
        let proper = capitals && bare.starts_with(char::is_uppercase) && plain != "i";
        for part in plain.split(['-', '\'']).filter(|part| !part.is_empty()) {
            let (text, is_stop_word) = term(part).unwrap_or_else(|| (part.to_owned(), false));
            let holds = [DIRECTIONS, FILLERS]
                .iter()
                .any(|words| words.contains(&part));
            let kind = match (is_stop_word || is_contraction || holds, proper) {
                (true, _) => Kind::Function,
                (false, true) => Kind::Name,
                (false, false) => Kind::Content,
            };
            self.push(part, text, kind);
        }
    }

    fn push(&mut self, lower: &str, text: String, kind: Kind) {
        let lower = lower.to_owned();
        self.words.push(Word { lower, text, kind });
    }

    fn has(&self, text: &str) -> bool {
        self.words.iter().any(|word| word.text == text)
    }

    /// Words that `other` has not.
    fn beyond<'w>(&'w self, other: &'w Self) -> impl Iterator<Item = &'w Word> + Clone {
        self.words.iter().filter(|word| !other.has(&word.text))
    }

    pub(super) fn has_name_beyond(&self, other: &Self) -> bool {
        let mut names = self.beyond(other).filter(|word| word.kind == Kind::Name);
        // What one writes with a capital and stemmed as a name may be a word of the other.
        names.any(|name| !other.has(&stem(&name.text)))
    }

    /// An even number of negations takes itself back.
    pub(super) fn is_negated(&self) -> bool {
        self.negations % 2 == 1
    }

    pub(super) fn has_opposite_in(&self, other: &Self) -> bool {
        self.beyond(other).any(|one| {
            let mut others = other.beyond(self);
            others.any(|other| are_opposite(&one.text, &other.text))
        })
    }

    pub(super) fn asks_otherwise(&self, other: &Self) -> bool {
        let (one, other) = (self.asked(), other.asked());
        !one.is_empty() && !other.is_empty() && one.is_disjoint(&other)
    }

    /// What is asked for, where a question word says it.
    fn asked(&self) -> BTreeSet<usize> {
        let words = self.words.iter().map(|word| word.lower.as_str());
        let class = |word: &str| QUESTIONS.iter().position(|class| class.contains(&word));
        words.filter_map(class).collect()
    }

    /// The same words in another order, but for a part that moved from one end to the other; or a word of
    /// direction that points elsewhere.
    pub(super) fn is_reordered(&self, other: &Self) -> bool {
        let texts = |reading: &Self| -> Vec<String> {
            reading.words.iter().map(|word| word.text.clone()).collect()
        };
        let sorted = |mut words: Vec<String>| {
            words.sort();
            words
        };
        let (one, two) = (texts(self), texts(other));
        let permuted = !is_rotation(&one, &two) && sorted(one) == sorted(two);
        permuted
            || DIRECTIONS
                .iter()
                .any(|direction| self.points_elsewhere(direction, other))
    }

    /// Whether both use this word of direction, each before words that the other has elsewhere.
    fn points_elsewhere(&self, direction: &str, other: &Self) -> bool {
        let (here, there) = (self.after(direction), other.after(direction));
        !here.is_empty()
            && !there.is_empty()
            && here.is_disjoint(&there)
            && here.iter().all(|word| other.has(word))
            && there.iter().all(|word| self.has(word))
    }

    /// The content words that follow a word of direction.
    fn after(&self, direction: &str) -> BTreeSet<&str> {
        let places = self.words.iter().enumerate();
        let places = places.filter(|(_, word)| word.lower == direction);
        let next = |at: usize| self.words[at + 1..].iter().find(|word| word.is_content());
        places
            .filter_map(|(at, _)| next(at).map(|word| word.text.as_str()))
            .collect()
    }

    /// The one content word that `other` has not, where it is one.
    fn only_beyond<'w>(&'w self, other: &'w Self) -> Option<&'w Word> {
        let mut beyond = self.beyond(other).filter(|word| word.is_content());
        let first = beyond.next();
        first.filter(|_| beyond.next().is_none())
    }

    pub(super) fn differs_in_one_word(&self, other: &Self) -> bool {
        // A question that is all one word, as in scripts that do not part words, is another altogether.
        let shares = self
            .words
            .iter()
            .any(|word| word.is_content() && other.has(&word.text));
        match (self.only_beyond(other), other.only_beyond(self)) {
            (Some(one), Some(two)) => {
                let is_light = [one, two].iter().any(|word| LIGHT.contains(&&*word.lower));
                shares && !is_light && !SYNONYM.has(&one.text, &two.text)
            }
            (Some(_) | None, _) => false,
        }
    }
}

/// Whether one is the other with its beginning moved to its end: "on Debian, how do I install it".
fn is_rotation(one: &[String], other: &[String]) -> bool {
    let at = |shift: usize| one.iter().cycle().skip(shift).take(one.len());
    one.len() == other.len() && (0..one.len().max(1)).any(|shift| at(shift).eq(other))
}

fn are_opposite(one: &str, other: &str) -> bool {
    let prefixed = |long: &str, short: &str| {
        let bare = PREFIXES
            .iter()
            .filter_map(|prefix| long.strip_prefix(prefix));
        short.len() >= LEAST_AFTER_PREFIX && bare.into_iter().any(|bare| bare == short)
    };
    OPPOSITE.has(one, other) || prefixed(one, other) || prefixed(other, one)
}

/// Whether capitals say anything: not in a title, and not in a text without small letters.
fn capitals_tell(words: &[&str]) -> bool {
    let has_small = words.iter().any(|word| word.contains(char::is_lowercase));
    // The first word has one anyway.
    let rest = words.iter().skip(1).filter(|word| **word != "I");
    let capitals = rest
        .clone()
        .filter(|word| word.starts_with(char::is_uppercase));
    let (capitals, rest) = (capitals.count(), rest.count());
    has_small && (rest < SHORTEST_TITLE || 2 * capitals <= rest)
}

fn is_abbreviation(word: &str) -> bool {
    word.chars().count() > 1 && word.chars().all(char::is_uppercase)
}
