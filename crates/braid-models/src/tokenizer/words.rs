//! Counting tokens word by word, without the tokenizer.
//!
//! A BERT tokenizer does little with ASCII text: it cuts it at white space and around every
//! punctuation mark, makes it lower case, and looks the words up. Done here, that is some thirty
//! times faster than through the tokenizer, which follows every character's origin; chunking
//! counts every chunk. Words of anything else go to the tokenizer one by one.

use tokenizers::models::wordpiece::WordPiece;
use tokenizers::{Model, ModelWrapper, NormalizerWrapper, PreTokenizerWrapper, Tokenizer};

/// White space that ends a word, whatever the tokenizer's options.
const WHITE_SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// How a BERT tokenizer takes words of ASCII.
#[derive(Clone, Debug)]
pub(super) struct Words {
    lowercase: bool,
    /// First characters of the tokens that are taken out of a text as they stand (`[MASK]`).
    added: Vec<u8>,
}

impl Words {
    /// `None` where it is not known that nothing else is done.
    pub(super) fn of(tokenizer: &Tokenizer) -> Option<Self> {
        let (
            Some(NormalizerWrapper::BertNormalizer(normalizer)),
            Some(PreTokenizerWrapper::BertPreTokenizer(_)),
            ModelWrapper::WordPiece(_),
        ) = (
            tokenizer.get_normalizer(),
            tokenizer.get_pre_tokenizer(),
            tokenizer.get_model(),
        )
        else {
            return None;
        };
        let tokens = tokenizer.get_added_tokens_decoder();
        let added = tokens.values().map(|token| first_mark(&token.content));
        Some(Self {
            lowercase: normalizer.lowercase,
            added: added.collect::<Option<_>>()?,
        })
    }

    /// Tokens of `text`; `None` where the tokenizer fails.
    pub(super) fn count(&self, text: &str, tokenizer: &Tokenizer) -> Option<usize> {
        let ModelWrapper::WordPiece(model) = tokenizer.get_model() else {
            return None;
        };
        let mut scratch = String::new();
        let mut tokens = 0;
        for word in text.split(WHITE_SPACE).filter(|word| !word.is_empty()) {
            tokens += if self.is_plain(word) {
                self.count_plain(word, model, &mut scratch)
            } else {
                tokenizer.encode_fast(word, false).ok()?.len()
            };
        }
        Some(tokens)
    }

    fn is_plain(&self, word: &str) -> bool {
        word.bytes()
            .all(|byte| byte.is_ascii_graphic() && !self.added.contains(&byte))
    }

    /// Every punctuation mark is a token; what stands between them is looked up.
    fn count_plain(&self, word: &str, model: &WordPiece, scratch: &mut String) -> usize {
        let parts = word.split(|c: char| c.is_ascii_punctuation());
        let mut marks = 0;
        let mut tokens = 0;
        for part in parts {
            marks += 1;
            if !part.is_empty() {
                tokens += self.count_part(part, model, scratch);
            }
        }
        tokens + marks - 1
    }

    /// Pieces of a word, the longest first that the vocabulary has; one unknown token where it has
    /// none.
    fn count_part(&self, word: &str, model: &WordPiece, scratch: &mut String) -> usize {
        if word.len() > model.max_input_chars_per_word {
            return 1;
        }
        let prefix = model.continuing_subword_prefix.as_str();
        scratch.clear();
        scratch.push_str(prefix);
        scratch.push_str(word);
        if self.lowercase {
            scratch.make_ascii_lowercase();
            scratch.replace_range(..prefix.len(), prefix);
        }
        let mut tokens = 0;
        while scratch.len() > prefix.len() {
            // The first piece has no prefix.
            let from = if tokens == 0 { prefix.len() } else { 0 };
            let ends = (prefix.len() + 1..=scratch.len()).rev();
            let known = |end: &usize| model.token_to_id(&scratch[from..*end]).is_some();
            let Some(end) = ends.into_iter().find(known) else {
                return 1;
            };
            scratch.drain(prefix.len()..end);
            tokens += 1;
        }
        tokens
    }
}

/// The first character of a token that words never begin with; `None` for another token.
fn first_mark(token: &str) -> Option<u8> {
    let first = token.bytes().next()?;
    let is_one_word = !token.contains(char::is_whitespace);
    (first.is_ascii_punctuation() && is_one_word).then_some(first)
}
