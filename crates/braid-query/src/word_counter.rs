//! [`WordCounter`]: counting tokens without tokenizing the same words for every query.

use std::sync::{Arc, PoisonError, RwLock};

use braid_core::TokenCounter;
use rustc_hash::FxHashMap;

/// Most words remembered: what some ten megabytes hold.
const MOST_WORDS: usize = 1 << 17;
/// Longer words are counted anew each time: there are many and each is rare.
const LONGEST_WORD: usize = 64;
/// Texts on which the sum over words must equal the count of the whole. Between them they have
/// every kind of gap that a context has.
const PROBES: [&str; 4] = [
    "[1] Guide > Install\nRun it, then wait.\n\n[2] notes/a.md\n\tDon't  re-run `make all`; it's slow.",
    "Tokenization of uncharacteristically long, hyphen-ated words (and v1.2.3, 10.0.0.0/8) adds up.",
    "Größe, naïve, 東京 タワー, Ελλάδα \u{a0}x\r\ny",
    "a b  c\n\n\nd",
];

/// A [`TokenCounter`] that adds up the tokens of a text's words and remembers each word's count.
///
/// A tokenizer costs milliseconds for a context; the words of one collection are few, so nearly all
/// counts are looked up. This is exact for tokenizers that never make a token across or out of
/// whitespace (BERT's and most sentence-piece ones), which is probed when the counter is made; with
/// any other tokenizer every text is tokenized whole.
#[derive(Debug)]
pub(crate) struct WordCounter {
    tokenizer: Arc<dyn TokenCounter>,
    is_additive: bool,
    words: RwLock<FxHashMap<Box<str>, usize>>,
}

impl WordCounter {
    pub(crate) fn new(tokenizer: Arc<dyn TokenCounter>) -> Self {
        let adds_up = |text: &&str| {
            let counts = words(text).map(|word| tokenizer.count(word));
            counts.sum::<usize>() == tokenizer.count(text)
        };
        let is_additive = PROBES.iter().all(adds_up);
        Self {
            tokenizer,
            is_additive,
            words: RwLock::default(),
        }
    }

    /// Sums what is known of the words of `text`; lists the words that are not.
    fn look_up<'a>(&self, text: &'a str) -> (usize, Vec<&'a str>) {
        let known = self.words.read().unwrap_or_else(PoisonError::into_inner);
        let mut sum = 0;
        let mut unknown = Vec::new();
        for word in words(text) {
            match known.get(word) {
                Some(tokens) => sum += tokens,
                None => unknown.push(word),
            }
        }
        (sum, unknown)
    }

    fn remember(&self, counted: &[(&str, usize)]) {
        let mut known = self.words.write().unwrap_or_else(PoisonError::into_inner);
        for (word, tokens) in counted {
            if known.len() < MOST_WORDS && word.len() <= LONGEST_WORD {
                known.insert((*word).into(), *tokens);
            }
        }
    }
}

impl TokenCounter for WordCounter {
    fn count(&self, text: &str) -> usize {
        if !self.is_additive {
            return self.tokenizer.count(text);
        }
        let (known, unknown) = self.look_up(text);
        if unknown.is_empty() {
            return known;
        }
        let counted: Vec<(&str, usize)> = unknown
            .into_iter()
            .map(|word| (word, self.tokenizer.count(word)))
            .collect();
        self.remember(&counted);
        known + counted.iter().map(|(_, tokens)| tokens).sum::<usize>()
    }

    fn max_tokens(&self) -> usize {
        self.tokenizer.max_tokens()
    }
}

/// The runs between spaces, tabs and line ends. Tokenizers disagree on every other whitespace (BERT's
/// drops a form feed, say), so that counts as part of a word.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', '\t', '\n', '\r'])
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts characters, of which `whitespace` ones may or may not count, and its own calls.
    #[derive(Debug, Default)]
    struct Characters {
        counts_whitespace: bool,
        calls: AtomicUsize,
    }

    impl TokenCounter for Characters {
        fn count(&self, text: &str) -> usize {
            self.calls.fetch_add(1, Ordering::SeqCst);
            let counts = |c: &char| self.counts_whitespace || !c.is_whitespace();
            text.chars().filter(counts).count()
        }

        fn max_tokens(&self) -> usize {
            512
        }
    }

    #[test]
    fn each_word_is_tokenized_once() {
        let tokenizer = Arc::new(Characters::default());
        let counter = WordCounter::new(Arc::clone(&tokenizer) as Arc<dyn TokenCounter>);
        assert_eq!(counter.count("red fox\nred  hen"), 12);
        let calls = tokenizer.calls.load(Ordering::SeqCst);
        assert_eq!(counter.count(" hen fox red red"), 12);
        assert_eq!(tokenizer.calls.load(Ordering::SeqCst), calls);
        assert_eq!(counter.count(&"x".repeat(100)), 100);
        assert_eq!(counter.words.read().unwrap().len(), 3);
    }

    #[test]
    fn a_tokenizer_that_counts_gaps_sees_every_text_whole() {
        let counter = WordCounter::new(Arc::new(Characters {
            counts_whitespace: true,
            ..Characters::default()
        }));
        assert_eq!(counter.count("red fox\nhen"), 11);
        assert!(counter.words.read().unwrap().is_empty());
    }
}
