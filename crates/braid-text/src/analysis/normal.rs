//! Unicode normalisation and folding.

use std::borrow::Cow;

use unicode_normalization::char::decompose_canonical;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

/// NFKC, with invisible characters dropped and look-alike punctuation made ASCII.
pub(super) fn normalise(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let special = text.chars().any(|c| replace(c) != Replacement::Keep);
    if !special && is_nfkc_quick(text.chars()) == IsNormalized::Yes {
        return Cow::Borrowed(text);
    }
    let replaced = text.chars().filter_map(|c| match replace(c) {
        Replacement::Keep => Some(c),
        Replacement::Drop => None,
        Replacement::With(other) => Some(other),
    });
    Cow::Owned(replaced.nfkc().collect())
}

#[derive(PartialEq, Eq)]
enum Replacement {
    Keep,
    Drop,
    With(char),
}

/// Soft hyphens and zero-width characters do not part words; typographic quotes and hyphens join
/// them as the ASCII ones do; trade mark signs would become letters under NFKC. What is replaced
/// here is gone before words are stemmed: every way to write a word has one stem.
fn replace(c: char) -> Replacement {
    match c {
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' => Replacement::Drop,
        '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2bc}' | '\u{ff07}' => Replacement::With('\''),
        '\u{2010}' | '\u{2011}' | '\u{2212}' => Replacement::With('-'),
        '\u{2122}' | '\u{2120}' => Replacement::With(' '),
        // Arabic: vowel signs and the stroke that stretches words are seldom written, alef is typed
        // with and without its hamza, and yeh and teh marbuta with and without their dots. Persian
        // keyboards have another kaf and yeh.
        '\u{640}' | '\u{64b}'..='\u{655}' | '\u{670}' => Replacement::Drop,
        'آ' | 'أ' | 'إ' | 'ٱ' => Replacement::With('ا'),
        'ک' => Replacement::With('ك'),
        'ى' | 'ی' => Replacement::With('ي'),
        'ة' => Replacement::With('ه'),
        _ => Replacement::Keep,
    }
}

/// Appends `c` to `folded` without its diacritics, where it is a Latin or Greek letter, and as it is
/// mostly typed where it is a Cyrillic one.
pub(super) fn fold_into(c: char, folded: &mut String) {
    match c {
        c if c.is_ascii() => folded.push(c),
        'ß' => folded.push_str("ss"),
        'æ' => folded.push_str("ae"),
        'œ' => folded.push_str("oe"),
        'ø' => folded.push('o'),
        'đ' | 'ð' => folded.push('d'),
        'ł' => folded.push('l'),
        'þ' => folded.push_str("th"),
        'ı' => folded.push('i'),
        'ς' => folded.push('σ'),
        'ё' => folded.push('е'),
        'ґ' => folded.push('г'),
        '\u{300}'..='\u{36f}' => {}
        // Greek, Latin Extended-A and -B, Latin-1, Latin Extended Additional, Greek Extended.
        '\u{c0}'..='\u{24f}' | '\u{370}'..='\u{3ff}' | '\u{1e00}'..='\u{1fff}' => {
            let mut base = c;
            decompose_canonical(c, |part| {
                if !is_diacritic(part) {
                    base = part;
                }
            });
            folded.push(base);
        }
        other => folded.push(other),
    }
}

fn is_diacritic(c: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&c)
}
