//! Entries to Tantivy documents.

use braid_core::{LanguageSetting, LexicalEntry};
use braid_text::Analyzers;
use braid_text::lexical::{FieldTerm, LexicalField, language_code, visit_entry};
use tantivy::TantivyDocument;
use tantivy::schema::Field;

use crate::schema::Fields;
use crate::terms::TermList;

/// The terms of `entry`, each under the fields it is found by.
pub(crate) fn document(
    entry: &LexicalEntry,
    fields: &Fields,
    analyzers: &Analyzers,
) -> TantivyDocument {
    let analyzer = analyzers.of_document(entry.language);
    let mut terms = Terms::default();
    visit_entry(entry.into(), analyzer, &mut |term| terms.push(term));
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
}

impl Terms {
    fn push(&mut self, term: FieldTerm<'_>) {
        let list = match term.field {
            LexicalField::Content => &mut self.content,
            LexicalField::Title => &mut self.title,
            LexicalField::Headings => &mut self.headings,
            LexicalField::Names => &mut self.names,
        };
        list.push(term.text, term.position);
    }
}
