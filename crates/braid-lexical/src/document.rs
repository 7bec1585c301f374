//! Entries to Tantivy documents.

use braid_core::{LanguageSetting, LexicalEntry, TextField};
use braid_text::{Analyzer, Analyzers, TermKind};
use tantivy::TantivyDocument;
use tantivy::schema::Field;

use crate::schema::{Fields, language_code, position};
use crate::terms::TermList;

/// The terms of `entry`, each under the fields it is found by.
pub(crate) fn document(
    entry: &LexicalEntry,
    fields: &Fields,
    analyzers: &Analyzers,
) -> TantivyDocument {
    let analyzer = analyzers.of_document(entry.language);
    let mut terms = Terms::default();
    terms.add(analyzer, &entry.title, TextField::Title);
    for heading in &entry.headings {
        terms.add(analyzer, heading, TextField::Heading);
    }
    terms.add(analyzer, &entry.body, TextField::Body);
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

fn add(document: &mut TantivyDocument, field: Field, terms: TermList) {
    if !terms.is_empty() {
        document.add_text(field, terms.as_str());
    }
}

/// Terms by field.
#[derive(Default)]
struct Terms {
    content: TermList,
    title: TermList,
    headings: TermList,
    names: TermList,
    /// Words so far.
    words: u32,
}

impl Terms {
    fn add(&mut self, analyzer: &Analyzer, text: &str, field: TextField) {
        let before = self.words;
        analyzer.visit(text, &mut |term| {
            let word = before.saturating_add(term.position);
            self.words = self.words.max(word.saturating_add(1));
            let position = position(word, field);
            if term.kind != TermKind::Word {
                self.names.push(term.text, position);
                return;
            }
            match field {
                TextField::Title => self.title.push(term.text, position),
                TextField::Heading => self.headings.push(term.text, position),
                TextField::Body => {}
            }
            self.content.push(term.text, position);
        });
        // Two headings are no phrase.
        self.words = self.words.saturating_add(1);
    }
}
