//! Text whose words are as unevenly common as those of a language, for any number of documents.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

/// Words there are.
const VOCABULARY: f64 = 40_000.0;

/// Words by rank: those that a tokenizer knows whole, which come about as often as they stand there early,
/// and made-up ones after them.
pub(super) struct Words(Vec<String>);

impl Words {
    /// The words of the `tokenizer.json` of a model.
    pub(super) fn of(model: &Path) -> Result<Self> {
        let path = model.join("tokenizer.json");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let tokenizer: Value = serde_json::from_str(&text)?;
        let vocabulary = tokenizer["model"]["vocab"].as_object();
        let vocabulary = vocabulary.context("the tokenizer has no vocabulary")?;
        let is_word =
            |word: &str| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_lowercase());
        let mut words: Vec<(u64, &String)> = vocabulary
            .iter()
            .filter(|(word, _)| is_word(word))
            .filter_map(|(word, number)| Some((number.as_u64()?, word)))
            .collect();
        words.sort_unstable();
        anyhow::ensure!(!words.is_empty(), "the tokenizer knows no word");
        Ok(Self(
            words.into_iter().map(|(_, word)| word.clone()).collect(),
        ))
    }

    /// The `index`th text of `words` words, the same every time. The word of rank `r` is drawn in
    /// proportion to `1 / r`, as Zipf's law has it.
    pub(super) fn text(&self, index: u64, words: usize) -> String {
        let mut random = StdRng::seed_from_u64(index);
        let mut text = String::new();
        for _ in 0..words {
            self.spell(
                VOCABULARY.powf(random.random::<f64>()) as u64 - 1,
                &mut text,
            );
            text.push(' ');
        }
        // No two texts are the same, nor are the vectors of any two.
        let _ = write!(text, "{index}");
        text
    }

    /// A query of words that are neither the most common nor the rarest.
    pub(super) fn query(&self, index: u64) -> String {
        let mut random = StdRng::seed_from_u64(u64::MAX - index);
        let mut query = String::new();
        for _ in 0..6 {
            self.spell(random.random_range(20..20_000), &mut query);
            query.push(' ');
        }
        query
    }

    /// Beyond the words that are known, syllables of a consonant and a vowel.
    fn spell(&self, rank: u64, text: &mut String) {
        const CONSONANTS: &[u8] = b"bcdfghjklmnprstvwz";
        const VOWELS: &[u8] = b"aeiou";
        if let Some(word) = self.0.get(rank as usize) {
            text.push_str(word);
            return;
        }
        let mut left = rank;
        while left > 0 {
            let (syllable, rest) = (left % 90, left / 90);
            text.push(char::from(CONSONANTS[(syllable / 5) as usize]));
            text.push(char::from(VOWELS[(syllable % 5) as usize]));
            left = rest;
        }
    }
}
