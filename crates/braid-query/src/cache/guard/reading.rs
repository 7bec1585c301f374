//! What the guard sees of a question.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use braid_core::Language;
use braid_text::{Analyzer, TermKind};

use super::words::{
    DIRECTIONS, FILLERS, NEGATIONS, NUMBERS, NamedPairs, OPPOSITES, PREFIXES, QUESTIONS, SYNONYMS,
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
            let holds = [DIRECTIONS, FILLERS].iter().any(|words| words.contains(&part));
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

    fn content(&self) -> Vec<&str> {
        let words = self.words.iter().filter(|word| word.is_content());
        words.map(|word| word.text.as_str()).collect()
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

    pub(super) fn is_reordered(&self, other: &Self) -> bool {
        let (one, two) = (self.content(), other.content());
        if one == two {
            return false;
        }
        let sorted = |words: &[&str]| {
            let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            words.sort();
            words
        };
        sorted(&one) == sorted(&two) || self.has_swapped(other) || other.has_swapped(self)
    }

    /// Whether two words that stand around a word of direction here stand around one the other way
    /// round there.
    fn has_swapped(&self, other: &Self) -> bool {
        let there = other.directed();
        let mut here = self.directed();
        here.any(|(left, right)| left != right && there.clone().any(|pair| pair == (right, left)))
    }

    /// The content words next to each word of direction, before and after it.
    fn directed(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        let directions = self.words.iter().enumerate();
        let directions = directions.filter(|(_, word)| DIRECTIONS.contains(&word.lower.as_str()));
        directions.filter_map(|(at, _)| {
            let before = self.words[..at].iter().rfind(|word| word.is_content())?;
            let after = self.words[at + 1..].iter().find(|word| word.is_content())?;
            Some((before.text.as_str(), after.text.as_str()))
        })
    }

    pub(super) fn differs_in_one_word(&self, other: &Self) -> bool {
        let alone = |words: &Self, others: &Self| {
            let mut beyond = words.beyond(others).filter(|word| word.is_content());
            let first = beyond.next().map(|word| word.text.clone());
            first.filter(|_| beyond.next().is_none())
        };
        // A question that is all one word, as in scripts that do not part words, is another altogether.
        let shares = self.words.iter().any(|word| word.is_content() && other.has(&word.text));
        match (alone(self, other), alone(other, self)) {
            (Some(one), Some(two)) => shares && !SYNONYM.has(&one, &two),
            (Some(_) | None, _) => false,
        }
    }
}

fn are_opposite(one: &str, other: &str) -> bool {
    let prefixed = |long: &str, short: &str| {
        let bare = PREFIXES.iter().filter_map(|prefix| long.strip_prefix(prefix));
        short.len() >= LEAST_AFTER_PREFIX && bare.into_iter().any(|bare| bare == short)
    };
    OPPOSITE.has(one, other) || prefixed(one, other) || prefixed(other, one)
}

/// Whether capitals say anything: not in a title, and not in a text without small letters.
fn capitals_tell(words: &[&str]) -> bool {
    let has_small = words.iter().any(|word| word.contains(char::is_lowercase));
    // The first word has one anyway.
    let rest = words.iter().skip(1).filter(|word| **word != "I");
    let capitals = rest.clone().filter(|word| word.starts_with(char::is_uppercase));
    let (capitals, rest) = (capitals.count(), rest.count());
    has_small && (rest < SHORTEST_TITLE || 2 * capitals <= rest)
}

fn is_abbreviation(word: &str) -> bool {
    word.chars().count() > 1 && word.chars().all(char::is_uppercase)
}
