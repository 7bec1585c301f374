//! Counts that need no tokenizer.

use braid_core::TokenCounter;

/// A token is a character.
#[derive(Debug)]
pub(crate) struct Characters;

impl TokenCounter for Characters {
    fn count(&self, text: &str) -> usize {
        text.chars().count()
    }

    fn max_tokens(&self) -> usize {
        usize::MAX
    }
}

/// A token is a run between whitespace.
#[derive(Debug)]
pub(crate) struct Words;

impl TokenCounter for Words {
    fn count(&self, text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn max_tokens(&self) -> usize {
        usize::MAX
    }
}
