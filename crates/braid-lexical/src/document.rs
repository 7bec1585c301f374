//! Entries to Tantivy documents.

use braid_core::{LanguageSetting, LexicalEntry};
use braid_text::{Analyzer, Analyzers, TermKind};
use tantivy::TantivyDocument;
use tantivy::schema::Field;
use tantivy::tokenizer::{PreTokenizedString, Token};

use crate::schema::{Fields, language_code};

/// The terms of `entry`, each under the fields it is found by.
pub(crate) fn document(
    entry: &LexicalEntry,
    fields: &Fields,
    analyzers: &Analyzers,
) -> TantivyDocument {
    let analyzer = analyzers.of_document(entry.language);
    let mut terms = Terms::default();
    terms.add(analyzer, &entry.title, Place::Title);
    for heading in &entry.headings {
        terms.add(analyzer, heading, Place::Headings);
    }
    terms.add(analyzer, &entry.body, Place::Body);
    let mut document = TantivyDocument::new();
    document.add_u64(fields.slot, u64::from(entry.slot.0));
    if analyzers.setting() == LanguageSetting::Auto {
        let code = language_code(analyzer.language());
        document.add_u64(fields.language, u64::from(code));
    }
    add(&mut document, fields.content, terms.content);
    add(&mut document, fields.title, terms.title);
    add(&mut document, fields.headings, terms.headings);
    add(&mut document, fields.names, terms.names);
    document
}

fn add(document: &mut TantivyDocument, field: Field, tokens: Vec<Token>) {
    if !tokens.is_empty() {
        // Only the tokens are indexed, and nothing is stored.
        let text = String::new();
        document.add_pre_tokenized_text(field, PreTokenizedString { text, tokens });
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Title,
    Headings,
    Body,
}

/// Tokens by field.
#[derive(Default)]
struct Terms {
    content: Vec<Token>,
    title: Vec<Token>,
    headings: Vec<Token>,
    names: Vec<Token>,
}

impl Terms {
    fn add(&mut self, analyzer: &Analyzer, text: &str, place: Place) {
        analyzer.visit(text, &mut |term| {
            let token = token(term.text);
            if term.kind != TermKind::Word {
                self.names.push(token);
                return;
            }
            match place {
                Place::Title => self.title.push(token.clone()),
                Place::Headings => self.headings.push(token.clone()),
                Place::Body => {}
            }
            self.content.push(token);
        });
    }
}

/// A token; fields have no positions, so it has none.
fn token(text: &str) -> Token {
    Token {
        text: text.to_owned(),
        position: 0,
        ..Token::default()
    }
}
