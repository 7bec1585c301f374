//! Entries to Tantivy documents.

use braid_core::{LanguageSetting, LexicalEntry};
use braid_text::{Analyzer, Analyzers, TermKind};
use tantivy::TantivyDocument;
use tantivy::schema::Field;

use crate::schema::{Fields, language_code};
use crate::terms::TermList;

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

fn add(document: &mut TantivyDocument, field: Field, terms: TermList) {
    if !terms.is_empty() {
        document.add_text(field, terms.as_str());
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Title,
    Headings,
    Body,
}

/// Terms by field.
#[derive(Default)]
struct Terms {
    content: TermList,
    title: TermList,
    headings: TermList,
    names: TermList,
}

impl Terms {
    fn add(&mut self, analyzer: &Analyzer, text: &str, place: Place) {
        analyzer.visit(text, &mut |term| {
            if term.kind != TermKind::Word {
                self.names.push(term.text);
                return;
            }
            match place {
                Place::Title => self.title.push(term.text),
                Place::Headings => self.headings.push(term.text),
                Place::Body => {}
            }
            self.content.push(term.text);
        });
    }
}
