//! How analysed terms reach Tantivy: as one text, cut again by a tokenizer that does nothing else.
//!
//! Tantivy also takes ready-made tokens, but writes each document's to JSON and reads it back on
//! its way to the indexing thread, which costs more than indexing.

use tantivy::Index;
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

/// Name of the tokenizer in the schema.
pub(crate) const TOKENIZER: &str = "braid_terms";

/// Ends a term. The analyzer makes terms of letters, digits and marks, so none holds it. The distance
/// from the position before follows, see [`TermList::push`].
const END: char = '\0';
/// Bits of a distance in one byte, which is ASCII, as the text must be UTF-8.
const BITS: u32 = 6;
/// Set in the last byte of a distance.
const LAST: u8 = 1 << BITS;

/// Makes `index` know the tokenizer.
pub(crate) fn register(index: &Index) {
    index.tokenizers().register(TOKENIZER, SplitTerms);
}

/// The terms of one field, in order, with their positions.
#[derive(Debug, Default)]
pub(crate) struct TermList {
    text: String,
    position: u32,
}

impl TermList {
    /// Adds a term. Positions never fall.
    pub(crate) fn push(&mut self, term: &str, position: u32) {
        debug_assert!(!term.contains(END), "the analyzer makes no such term");
        debug_assert!(position >= self.position, "positions never fall");
        self.text.push_str(term);
        self.text.push(END);
        let mut distance = position.saturating_sub(self.position);
        self.position = self.position.max(position);
        while distance >> BITS > 0 {
            self.text.push(char::from(distance as u8 & (LAST - 1)));
            distance >>= BITS;
        }
        self.text.push(char::from(distance as u8 | LAST));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

/// The distance at the start of `rest`, and what follows it.
fn take_distance(rest: &str) -> (u32, &str) {
    let mut distance = 0;
    for (place, byte) in rest.bytes().enumerate() {
        let bits = u32::from(byte & (LAST - 1));
        distance |= bits.checked_shl(BITS * place as u32).unwrap_or(0);
        if byte & LAST != 0 {
            return (distance, &rest[place + 1..]);
        }
    }
    (distance, "")
}

#[derive(Clone)]
struct SplitTerms;

impl Tokenizer for SplitTerms {
    type TokenStream<'a> = Terms<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Terms<'a> {
        let token = Token {
            position: 0,
            ..Token::default()
        };
        Terms { rest: text, token }
    }
}

struct Terms<'a> {
    rest: &'a str,
    token: Token,
}

impl TokenStream for Terms<'_> {
    fn advance(&mut self) -> bool {
        let Some((term, rest)) = self.rest.split_once(END) else {
            return false;
        };
        self.token.text.clear();
        self.token.text.push_str(term);
        let (distance, rest) = take_distance(rest);
        self.token.position += distance as usize;
        self.rest = rest;
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_come_back_as_they_were_pushed() {
        let pushed = [
            ("fox", 0),
            ("c++", 0),
            ("\u{6771}\u{4eac}", 63),
            ("fox", 127),
            ("a", 128),
            ("b", 4_000_000),
            ("c", u32::MAX),
        ];
        let mut list = TermList::default();
        for (term, position) in pushed {
            list.push(term, position);
        }
        let mut tokenizer = SplitTerms;
        let mut stream = tokenizer.token_stream(list.as_str());
        let mut found = Vec::new();
        while let Some(token) = stream.next() {
            found.push((token.text.clone(), token.position as u32));
        }
        let pushed = pushed.map(|(term, position)| (term.to_owned(), position));
        assert_eq!(found, pushed);
        assert!(!tokenizer.token_stream("").advance());
    }
}
