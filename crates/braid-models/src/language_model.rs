//! [`LanguageModelTokens`]: tokens as language models count them, to measure a context by.

use std::fmt;
use std::sync::OnceLock;

use braid_core::TokenCounter;
use tiktoken_rs::CoreBPE;

/// The tokenizer of a family of language models. Its table is compiled in, and read when it is first
/// asked: that takes a tenth of a second and some ten megabytes.
pub struct LanguageModelTokens {
    name: &'static str,
    read: fn() -> Option<CoreBPE>,
    /// `None` where the table cannot be read, which its tests rule out.
    bpe: OnceLock<Option<CoreBPE>>,
}

impl LanguageModelTokens {
    /// `cl100k_base`: GPT-4, GPT-3.5, text-embedding-3.
    pub fn cl100k() -> Self {
        Self::new("cl100k", || tiktoken_rs::cl100k_base().ok())
    }

    /// `o200k_base`: GPT-4o and later.
    pub fn o200k() -> Self {
        Self::new("o200k", || tiktoken_rs::o200k_base().ok())
    }

    fn new(name: &'static str, read: fn() -> Option<CoreBPE>) -> Self {
        Self {
            name,
            read,
            bpe: OnceLock::new(),
        }
    }
}

impl fmt::Debug for LanguageModelTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("LanguageModelTokens");
        shown.field("name", &self.name).finish_non_exhaustive()
    }
}

impl TokenCounter for LanguageModelTokens {
    /// Special tokens in the text count as the text they are.
    fn count(&self, text: &str) -> usize {
        match self.bpe.get_or_init(self.read) {
            Some(bpe) => bpe.encode_ordinary(text).len(),
            // No text has more tokens than bytes.
            None => text.len(),
        }
    }

    fn max_tokens(&self) -> usize {
        usize::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts of the reference implementation, as the OpenAI Cookbook and its own tests state them.
    #[test]
    fn counts_are_those_of_the_reference() {
        let (cl100k, o200k) = (LanguageModelTokens::cl100k(), LanguageModelTokens::o200k());
        for (text, by_cl100k, by_o200k) in [
            ("", 0, 0),
            ("hello world", 2, 2),
            ("tiktoken is great!", 6, 6),
            ("antidisestablishmentarianism", 6, 6),
            ("2 + 2 = 4", 7, 7),
            ("お誕生日おめでとう", 9, 8),
        ] {
            let counts = (cl100k.count(text), o200k.count(text));
            assert_eq!(counts, (by_cl100k, by_o200k), "{text}");
        }
    }
}
