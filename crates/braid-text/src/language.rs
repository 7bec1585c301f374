//! Which language a text is in, by its script, its letters and trigrams of letters, and its stop
//! words.
//!
//! A wrong language costs more than none: where the evidence is thin, [`detect`] says nothing, and
//! the text is analyzed in the default language. What is detected is fixed with the text, for
//! documents and queries are analyzed alike only as long as it stays what it was:
//! [`DETECTOR_VERSION`] is part of the fingerprint of what depends on it.

use std::borrow::Cow;
use std::collections::HashSet;

use braid_core::Language;
use whatlang::{Info, Lang, Script};

use crate::analysis::stop_words;

/// Rises whenever the same text may be taken for another language, a new version of the library
/// that counts trigrams included.
pub const DETECTOR_VERSION: u32 = 1;

/// Characters looked at: half from the start, half from the middle, where a preface, a licence or
/// a table of contents is over.
const SAMPLE_CHARS: usize = 500;
/// Fewer letters of an alphabet than this tell nothing.
const MIN_LETTERS: usize = 20;
/// Most alphabets other than the Latin one serve few languages, which their letters tell apart.
const MIN_CONFIDENCE: f64 = 0.2;
/// Dozens of languages share the Latin letters.
const MIN_LATIN_CONFIDENCE: f64 = 0.5;
/// Fewer distinct stop words of its language than this, and a text in Latin letters is not told.
const MIN_STOP_WORDS: usize = 2;
/// One word in so many must be a stop word: prose has twice as many at least.
const STOP_WORD_SHARE: usize = 10;

/// The language of `text`: [`Language::None`] for one that the analyzer does not know, `None`
/// where it cannot be told. The languages that the analyzer does not know and that are written in
/// plain Latin letters (Indonesian, say) are not told from programs, and so not told at all.
pub fn detect(text: &str) -> Option<Language> {
    let sample = sample(text);
    let info = whatlang::detect(&sample)?;
    let language = known(info.lang());
    if !is_alphabetic(info.script()) {
        return Some(language);
    }
    let letters = sample.chars().filter(|c| c.is_alphabetic()).count();
    let is_told = letters >= MIN_LETTERS && is_confident(&info);
    (is_told && has_its_words(&info, language, &sample)).then_some(language)
}

fn is_confident(info: &Info) -> bool {
    if info.script() == Script::Latin {
        info.confidence() >= MIN_LATIN_CONFIDENCE
    } else {
        info.confidence() >= MIN_CONFIDENCE
    }
}

/// Whether a script is one of words and spaces whose letters serve several languages. The others
/// name their language by themselves, in a few characters.
fn is_alphabetic(script: Script) -> bool {
    !matches!(
        script,
        Script::Mandarin
            | Script::Hiragana
            | Script::Katakana
            | Script::Hangul
            | Script::Thai
            | Script::Greek
            | Script::Tamil
    )
}

/// Whether a text in Latin letters that is not to be English has the stop words of its language,
/// and more of them than of English ones. A program is taken for anything, but has neither.
fn has_its_words(info: &Info, language: Language, sample: &str) -> bool {
    if info.script() != Script::Latin || language == Language::English {
        return true;
    }
    let (own, english) = (stop_words(language), stop_words(Language::English));
    if own.is_empty() {
        return sample.chars().any(|c| c.is_alphabetic() && !c.is_ascii());
    }
    let (mut words, mut own_words, mut english_words) = (0, 0, 0);
    let mut distinct = HashSet::new();
    for word in sample.split(|c: char| !c.is_alphabetic()) {
        // Single letters are variables as often as words.
        if word.chars().nth(1).is_none() {
            continue;
        }
        let word = word.to_lowercase();
        words += 1;
        english_words += usize::from(english.contains(&&*word));
        if own.contains(&&*word) {
            own_words += 1;
            distinct.insert(word);
        }
    }
    distinct.len() >= MIN_STOP_WORDS
        && own_words * STOP_WORD_SHARE >= words
        && own_words > english_words
}

fn sample(text: &str) -> Cow<'_, str> {
    let chars = |text: &str, count| text.char_indices().nth(count).map(|(offset, _)| offset);
    let Some(end) = chars(text, SAMPLE_CHARS / 2) else {
        return Cow::Borrowed(text);
    };
    let middle = text.floor_char_boundary(text.len() / 2).max(end);
    let rest = &text[middle..];
    let rest = &rest[..chars(rest, SAMPLE_CHARS / 2).unwrap_or(rest.len())];
    // A space, lest two halves of words make one.
    Cow::Owned(format!("{} {rest}", &text[..end]))
}

/// A language as the analyzer calls it.
fn known(language: Lang) -> Language {
    // Every other of the library's languages has no analyzer of its own.
    #[expect(clippy::wildcard_enum_match_arm, reason = "nearly fifty others")]
    match language {
        Lang::Ara => Language::Arabic,
        Lang::Cmn => Language::Chinese,
        Lang::Dan => Language::Danish,
        Lang::Deu => Language::German,
        Lang::Ell => Language::Greek,
        Lang::Eng => Language::English,
        Lang::Fin => Language::Finnish,
        Lang::Fra => Language::French,
        Lang::Hun => Language::Hungarian,
        Lang::Ita => Language::Italian,
        Lang::Jpn => Language::Japanese,
        Lang::Kor => Language::Korean,
        Lang::Nld => Language::Dutch,
        Lang::Nob => Language::Norwegian,
        Lang::Por => Language::Portuguese,
        Lang::Ron => Language::Romanian,
        Lang::Rus => Language::Russian,
        Lang::Spa => Language::Spanish,
        Lang::Swe => Language::Swedish,
        Lang::Tam => Language::Tamil,
        Lang::Tha => Language::Thai,
        Lang::Tur => Language::Turkish,
        Lang::Ukr => Language::Ukrainian,
        _ => Language::None,
    }
}

#[cfg(test)]
mod tests;
