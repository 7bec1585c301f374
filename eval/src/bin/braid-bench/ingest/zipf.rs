//! Text whose words are as unevenly common as those of a language, for any number of documents.

use std::fmt::Write;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Words there are.
const VOCABULARY: f64 = 200_000.0;

/// The `index`th text of `words` words, the same every time. The word of rank `r` is drawn in proportion to
/// `1 / r`, as Zipf's law has it.
pub(super) fn text(index: u64, words: usize) -> String {
    let mut random = StdRng::seed_from_u64(index);
    let mut text = String::new();
    for _ in 0..words {
        let rank = VOCABULARY.powf(random.random::<f64>()) as u64;
        spell(rank, &mut text);
        text.push(' ');
    }
    // No two texts are the same, nor are the vectors of any two.
    let _ = write!(text, "number{index}");
    text
}

/// A query of words that are neither the most common nor the rarest: they stand in some texts.
pub(super) fn query(index: u64) -> String {
    let mut random = StdRng::seed_from_u64(u64::MAX - index);
    let mut query = String::new();
    for _ in 0..6 {
        spell(random.random_range(20..20_000), &mut query);
        query.push(' ');
    }
    query
}

/// Common words are short, as in a language: syllables of a consonant and a vowel.
fn spell(rank: u64, text: &mut String) {
    const CONSONANTS: &[u8] = b"bcdfghjklmnprstvwz";
    const VOWELS: &[u8] = b"aeiou";
    let mut left = rank + 18;
    while left > 0 {
        let (syllable, rest) = (left % 90, left / 90);
        text.push(char::from(CONSONANTS[(syllable / 5) as usize]));
        text.push(char::from(VOWELS[(syllable % 5) as usize]));
        left = rest;
    }
}
