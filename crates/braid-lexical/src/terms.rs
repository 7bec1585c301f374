//! How analysed terms reach Tantivy: as one text, cut again by a tokenizer that does nothing else.
//!
//! Tantivy also takes ready-made tokens, but writes each document's to JSON and reads it back on
//! its way to the indexing thread, which costs more than indexing.

use tantivy::Index;
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

/// Name of the tokenizer in the schema.
pub(crate) const TOKENIZER: &str = "braid_terms";

/// Ends a term. The analyzer makes terms of letters, digits and marks, so none holds it.
const END: char = '\0';

/// Makes `index` know the tokenizer.
pub(crate) fn register(index: &Index) {
    index.tokenizers().register(TOKENIZER, SplitTerms);
}

/// The terms of one field, in order.
#[derive(Debug, Default)]
pub(crate) struct TermList(String);

impl TermList {
    pub(crate) fn push(&mut self, term: &str) {
        debug_assert!(!term.contains(END), "the analyzer makes no such term");
        self.0.push_str(term);
        self.0.push(END);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Clone)]
struct SplitTerms;

impl Tokenizer for SplitTerms {
    type TokenStream<'a> = Terms<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Terms<'a> {
        // Fields have no positions, so every token's is 0.
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
        let pushed = ["fox", "c++", "\u{6771}\u{4eac}", "fox"];
        let mut list = TermList::default();
        pushed.iter().for_each(|term| list.push(term));
        let mut tokenizer = SplitTerms;
        let mut stream = tokenizer.token_stream(list.as_str());
        let mut found = Vec::new();
        while let Some(token) = stream.next() {
            found.push(token.text.clone());
        }
        assert_eq!(found, pushed);
        assert!(!tokenizer.token_stream("").advance());
    }
}
