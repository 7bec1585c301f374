//! [`WordCounter`]: counting tokens without tokenizing the same words for every query.

use std::sync::{Arc, PoisonError, RwLock};

use braid_core::TokenCounter;
use rustc_hash::FxHashMap;

/// Most words remembered: what some ten megabytes hold.
const MOST_WORDS: usize = 1 << 17;
/// Longer words are counted anew each time: there are many and each is rare.
const LONGEST_WORD: usize = 64;
/// Texts on which the sum over words must equal the count of the whole. Between them they have
/// every kind of gap that a context has, and marks side by side.
const PROBES: [&str; 5] = [
    "[1] Guide > Install\nRun it, then wait.\n\n[2] notes/a.md\n\tDon't  re-run `make all`; it's slow.",
    "Tokenization of uncharacteristically long, hyphen-ated words (and v1.2.3, 10.0.0.0/8) adds up.",
    "Größe, naïve, 東京 タワー, Ελλάδα \u{a0}x\r\ny",
    "a b  c\n\n\nd",
    "x::y -> z == 1... {a} (b)[c]!? $5 50% #1 @me ~/p C:\\q ^ && || <t/> it''s \"so\"; a_b a--b a**b",
];

/// A [`TokenCounter`] that adds up the tokens of a text's words and remembers each word's count.
///
/// A tokenizer costs milliseconds for a context; the words of one collection are few, so nearly all
/// counts are looked up. This is exact for tokenizers that never make a token across the ends of
/// what counts as a word, which is probed when the counter is made: BERT's split at punctuation,
/// most sentence-piece ones at whitespace alone. With any other tokenizer every text is tokenized
/// whole.
#[derive(Debug)]
pub(crate) struct WordCounter {
    tokenizer: Arc<dyn TokenCounter>,
    /// `None` where no way of splitting adds up.
    split: Option<Split>,
    words: RwLock<FxHashMap<Box<str>, usize>>,
}

/// What a word is. Tokenizers disagree on every whitespace but spaces, tabs and line ends (BERT's
/// drops a form feed, say), so any other counts as part of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Split {
    /// A run between whitespace or ASCII punctuation, and each such mark. The finer, the more often
    /// the same word comes again.
    Punctuation,
    /// A run between whitespace.
    Whitespace,
}

impl WordCounter {
    pub(crate) fn new(tokenizer: Arc<dyn TokenCounter>) -> Self {
        let adds_up = |split: &Split| {
            PROBES.iter().all(|text| {
                let counts = split.words(text).map(|word| tokenizer.count(word));
                counts.sum::<usize>() == tokenizer.count(text)
            })
        };
        let split = [Split::Punctuation, Split::Whitespace]
            .into_iter()
            .find(adds_up);
        Self {
            tokenizer,
            split,
            words: RwLock::default(),
        }
    }

    /// Sums what is known of the words of `text`; lists the words that are not.
    fn look_up<'a>(&self, text: &'a str, split: Split) -> (usize, Vec<&'a str>) {
        let known = self.words.read().unwrap_or_else(PoisonError::into_inner);
        let mut sum = 0;
        let mut unknown = Vec::new();
        for word in split.words(text) {
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
        let Some(split) = self.split else {
            return self.tokenizer.count(text);
        };
        let (known, unknown) = self.look_up(text, split);
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

impl Split {
    fn words(self, text: &str) -> impl Iterator<Item = &str> {
        let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
        let is_mark = move |c: char| self == Self::Punctuation && c.is_ascii_punctuation();
        let words = text.split_inclusive(move |c| is_space(c) || is_mark(c));
        words.flat_map(move |run| {
            let run = run.trim_end_matches(is_space);
            let mark = run.char_indices().next_back().filter(|(_, c)| is_mark(*c));
            let (word, mark) = run.split_at(mark.map_or(run.len(), |(start, _)| start));
            [word, mark].into_iter().filter(|word| !word.is_empty())
        })
    }
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

    /// One token for each word between whitespace, marks included.
    #[derive(Debug)]
    struct Words;

    impl TokenCounter for Words {
        fn count(&self, text: &str) -> usize {
            text.split_ascii_whitespace().count()
        }

        fn max_tokens(&self) -> usize {
            512
        }
    }

    #[test]
    fn words_end_where_tokens_do() {
        let words = |split: Split| split.words(" a,b  (c)\n").collect::<Vec<_>>();
        assert_eq!(words(Split::Punctuation), ["a", ",", "b", "(", "c", ")"]);
        assert_eq!(words(Split::Whitespace), ["a,b", "(c)"]);
        assert_eq!(
            WordCounter::new(Arc::new(Characters::default())).split,
            Some(Split::Punctuation)
        );
        let counter = WordCounter::new(Arc::new(Words));
        // Form feeds, no-break spaces and the like are within words here.
        assert_eq!(counter.split, Some(Split::Whitespace));
        assert_eq!(counter.count("red, fox (hen)"), 3);
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
