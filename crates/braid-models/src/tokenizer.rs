//! Texts and pairs to token ids, within a model's window.
//!
//! The truncation and padding that `tokenizer.json` may ask for are switched off: truncation is
//! done here (a pair gives up passage before query), padding when a batch is put together. Nothing
//! here uses the tokenizers crate's batch calls, which spread over a global thread pool.

mod words;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use braid_core::{Error, ErrorCode, Result, TokenCounter};
use tokenizers::{Encoding, PostProcessor, Tokenizer, TruncationDirection};

use self::words::Words;

use crate::manifest::TOKENIZER_FILE;

/// Passage tokens kept free when a query alone would fill the window, where the window allows.
const LEAST_PASSAGE_TOKENS: usize = 64;
/// Text beyond this many bytes per token of the window is cut before it is tokenized: what follows
/// so much text cannot be within the window, unless nearly all of it is whitespace.
const BYTES_PER_TOKEN: usize = 64;

/// A model's tokenizer and window. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ModelTokenizer {
    tokenizer: Arc<Tokenizer>,
    max_tokens: usize,
    special_single: usize,
    special_pair: usize,
    pad: u32,
    words: Option<Words>,
}

impl fmt::Debug for ModelTokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelTokenizer")
            .field("max_tokens", &self.max_tokens)
            .finish_non_exhaustive()
    }
}

impl ModelTokenizer {
    /// Reads the tokenizer of a model directory.
    ///
    /// # Errors
    /// [`ModelUnavailable`](ErrorCode::ModelUnavailable) when it is missing or not a tokenizer.
    pub(crate) fn read(dir: &Path, max_tokens: usize) -> Result<Self> {
        let path = dir.join(TOKENIZER_FILE);
        let unavailable = |error: tokenizers::Error| {
            let message = format!("the tokenizer {} cannot be read", path.display());
            Error::new(ErrorCode::ModelUnavailable, message).with_source(error)
        };
        let mut tokenizer = Tokenizer::from_file(&path).map_err(unavailable)?;
        let pad = pad_id(&tokenizer);
        tokenizer.with_truncation(None).map_err(unavailable)?;
        tokenizer.with_padding(None);
        let special = |pair| {
            tokenizer
                .get_post_processor()
                .map_or(0, |p| p.added_tokens(pair))
        };
        let (special_single, special_pair) = (special(false), special(true));
        if max_tokens <= special_pair.max(special_single) + 1 {
            let message = format!("a window of {max_tokens} tokens leaves no room for text");
            return Err(Error::new(ErrorCode::ModelUnavailable, message));
        }
        Ok(Self {
            words: Words::of(&tokenizer),
            tokenizer: Arc::new(tokenizer),
            max_tokens,
            special_single,
            special_pair,
            pad,
        })
    }

    /// The id to pad with.
    pub(crate) fn pad(&self) -> u32 {
        self.pad
    }

    /// The same for texts that have `prefix` put before them: what they may have is so much less.
    pub(crate) fn leaving_room_for(&self, prefix: &str) -> Self {
        let taken = if prefix.is_empty() {
            0
        } else {
            self.count(prefix)
        };
        Self {
            max_tokens: self.max_tokens.saturating_sub(taken),
            ..self.clone()
        }
    }

    /// A text with its special tokens, cut at the window's end.
    pub(crate) fn encode(&self, text: &str) -> Result<Encoding> {
        let encoding = self.pieces(text, self.max_tokens - self.special_single)?;
        self.tokenizer
            .post_process(encoding, None, true)
            .map_err(cannot_tokenize)
    }

    /// A query's pieces for [`ModelTokenizer::encode_pair`], cut only where it would leave a
    /// passage no room.
    pub(crate) fn encode_query(&self, query: &str) -> Result<Encoding> {
        let room = self.max_tokens - self.special_pair;
        self.pieces(query, room - LEAST_PASSAGE_TOKENS.min(room / 2))
    }

    /// A pair with its special tokens; the passage is cut at the window's end.
    pub(crate) fn encode_pair(&self, query: &Encoding, passage: &str) -> Result<Encoding> {
        let room = self.max_tokens - self.special_pair - query.len();
        let passage = self.pieces(passage, room)?;
        self.tokenizer
            .post_process(query.clone(), Some(passage), true)
            .map_err(cannot_tokenize)
    }

    /// Whether a text is within the window at a glance: no token is shorter than a byte.
    pub(crate) fn surely_fits(&self, text: &str) -> bool {
        text.len() <= self.max_tokens - self.special_single
    }

    /// As [`ModelTokenizer::surely_fits`], of a pair.
    pub(crate) fn pair_surely_fits(&self, query: &str, passage: &str) -> bool {
        query.len() + passage.len() <= self.max_tokens - self.special_pair
    }

    /// The start of a text that is within the window.
    pub(crate) fn cut<'t>(&self, text: &'t str) -> Result<&'t str> {
        self.start_of(text, self.max_tokens - self.special_single)
    }

    /// The start of a query that leaves a passage room, and how many tokens of room.
    pub(crate) fn cut_query<'t>(&self, query: &'t str) -> Result<(&'t str, usize)> {
        let room = self.max_tokens - self.special_pair;
        let query = self.start_of(query, room - LEAST_PASSAGE_TOKENS.min(room / 2))?;
        Ok((query, room.saturating_sub(self.count(query))))
    }

    /// The start of `text` that has `most` tokens, all of it where it has no more.
    pub(crate) fn start_of<'t>(&self, text: &'t str, most: usize) -> Result<&'t str> {
        let text = clip(text, self.max_tokens * BYTES_PER_TOKEN);
        if text.len() <= most {
            return Ok(text);
        }
        let encoding = self
            .tokenizer
            .encode(text, false)
            .map_err(cannot_tokenize)?;
        match (most, encoding.get_offsets().get(most)) {
            (0, Some(_)) => Ok(""),
            (_, Some(_)) => Ok(clip(text, encoding.get_offsets()[most - 1].1)),
            (_, None) => Ok(text),
        }
    }

    /// At most `most` tokens of `text`, without special tokens.
    fn pieces(&self, text: &str, most: usize) -> Result<Encoding> {
        let text = clip(text, self.max_tokens * BYTES_PER_TOKEN);
        let mut encoding = self
            .tokenizer
            .encode_fast(text, false)
            .map_err(cannot_tokenize)?;
        encoding.truncate(most, 0, TruncationDirection::Right);
        Ok(encoding)
    }
}

impl TokenCounter for ModelTokenizer {
    fn count(&self, text: &str) -> usize {
        let words = self.words.as_ref();
        if let Some(tokens) = words.and_then(|words| words.count(text, &self.tokenizer)) {
            return tokens;
        }
        match self.tokenizer.encode_fast(text, false) {
            Ok(encoding) => encoding.len(),
            // A tokenizer without an unknown token can fail: words are a fair guess.
            Err(_) => text.split_whitespace().count(),
        }
    }

    fn max_tokens(&self) -> usize {
        self.max_tokens
    }
}

fn pad_id(tokenizer: &Tokenizer) -> u32 {
    let declared = tokenizer.get_padding().map(|padding| padding.pad_id);
    let named = || {
        ["[PAD]", "<pad>"]
            .iter()
            .find_map(|token| tokenizer.token_to_id(token))
    };
    declared.or_else(named).unwrap_or(0)
}

/// The longest start of `text` of at most `most` bytes that ends between characters.
fn clip(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

fn cannot_tokenize(error: tokenizers::Error) -> Error {
    Error::internal("cannot tokenize").with_source(error)
}

#[cfg(test)]
mod tests;
