//! Word forms: lower-casing, stop words, stemming, in the order the language needs.

use std::borrow::Cow;
use std::fmt;

use braid_core::Language;
use frostem::{Algorithm, Stemmer};
use rustc_hash::FxHashSet;

use super::memo::stem_into;
use super::normal::{fold_into, normalise};
use super::stop_words::stop_words;

/// How a language makes terms of words.
#[derive(Clone)]
pub(super) struct WordForm {
    stemmer: Option<Stemmer>,
    /// As they are after [`normalise`].
    stop_words: FxHashSet<Cow<'static, str>>,
    /// Snowball stemmers of other languages know their diacritics and must see them.
    folds_before_stemming: bool,
    has_dotless_i: bool,
}

impl WordForm {
    pub(super) fn new(language: Language) -> Self {
        Self {
            stemmer: algorithm(language).map(Stemmer::new),
            stop_words: stop_words(language)
                .iter()
                .map(|word| normalise(word))
                .collect(),
            folds_before_stemming: language == Language::English || algorithm(language).is_none(),
            has_dotless_i: language == Language::Turkish,
        }
    }

    /// Puts `raw` into `lowered`, lower-cased, and folded where stemming wants it so.
    pub(super) fn lower_into(&self, raw: &str, lowered: &mut String) {
        lowered.clear();
        if raw.is_ascii() && !self.has_dotless_i {
            lowered.push_str(raw);
            lowered.make_ascii_lowercase();
            return;
        }
        let fold = self.folds_before_stemming;
        let mut push = |c: char| {
            if fold {
                fold_into(c, lowered)
            } else {
                lowered.push(c)
            }
        };
        for c in raw.chars() {
            match c {
                'I' if self.has_dotless_i => push('ı'),
                'İ' => push('i'),
                c => c.to_lowercase().for_each(&mut push),
            }
        }
    }

    /// Whether this lower-cased word is a stop word.
    pub(super) fn is_stop_word(&self, lowered: &str) -> bool {
        self.stop_words.contains(lowered)
    }

    /// Puts the term of a lower-cased word into `term`.
    pub(super) fn term_into(&self, lowered: &str, term: &mut String) {
        term.clear();
        match self.stemmer {
            Some(stemmer) if is_stemmable(lowered) => stem_into(stemmer, lowered, term),
            _ => term.push_str(lowered),
        }
        self.fold(term);
    }

    /// Puts the unstemmed term of a lower-cased word into `term`.
    pub(super) fn plain_into(&self, lowered: &str, term: &mut String) {
        term.clear();
        term.push_str(lowered);
        self.fold(term);
    }

    /// Folds what was not folded when it was lower-cased.
    fn fold(&self, term: &mut String) {
        if !self.folds_before_stemming && !term.is_ascii() {
            let unfolded = std::mem::take(term);
            unfolded.chars().for_each(|c| fold_into(c, term));
        }
    }
}

impl fmt::Debug for WordForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithm = self.stemmer.map(Stemmer::algorithm);
        f.debug_struct("WordForm")
            .field("algorithm", &algorithm)
            .field("stop_words", &self.stop_words.len())
            .finish_non_exhaustive()
    }
}

/// Words with digits are names, and very long runs are not words.
fn is_stemmable(word: &str) -> bool {
    const MAX_WORD_BYTES: usize = 64;
    word.len() <= MAX_WORD_BYTES && !word.bytes().any(|byte| byte.is_ascii_digit())
}

fn algorithm(language: Language) -> Option<Algorithm> {
    Some(match language {
        Language::None
        | Language::Chinese
        | Language::Japanese
        | Language::Korean
        | Language::Thai
        | Language::Ukrainian => return None,
        Language::Arabic => Algorithm::Arabic,
        Language::Danish => Algorithm::Danish,
        Language::Dutch => Algorithm::Dutch,
        Language::English => Algorithm::English,
        Language::Finnish => Algorithm::Finnish,
        Language::French => Algorithm::French,
        Language::German => Algorithm::German,
        Language::Greek => Algorithm::Greek,
        Language::Hungarian => Algorithm::Hungarian,
        Language::Italian => Algorithm::Italian,
        Language::Norwegian => Algorithm::Norwegian,
        Language::Portuguese => Algorithm::Portuguese,
        Language::Romanian => Algorithm::Romanian,
        Language::Russian => Algorithm::Russian,
        Language::Spanish => Algorithm::Spanish,
        Language::Swedish => Algorithm::Swedish,
        Language::Tamil => Algorithm::Tamil,
        Language::Turkish => Algorithm::Turkish,
    })
}
