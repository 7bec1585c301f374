//! Entries: texts to terms by field.

use braid_core::{LexicalEntry, TextField};

use crate::analysis::{Analyzer, TermKind};

/// Where a term of an entry is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LexicalField {
    /// Words of title, headings and body together; the only field whose length counts.
    Content,
    /// Words of the title once more, for their extra weight.
    Title,
    /// Words of the headings once more.
    Headings,
    /// Whole identifiers and pieces of words, which would distort the length of the content, and stop
    /// words, which are only searched when a query has nothing else.
    Names,
}

/// The texts of an entry.
#[derive(Clone, Copy, Debug)]
pub struct EntryTexts<'a> {
    /// Document title, empty when there is none.
    pub title: &'a str,
    /// Heading path, outermost first.
    pub headings: &'a [String],
    /// Chunk text.
    pub body: &'a str,
}

impl<'a> From<&'a LexicalEntry> for EntryTexts<'a> {
    fn from(entry: &'a LexicalEntry) -> Self {
        Self {
            title: &entry.title,
            headings: &entry.headings,
            body: &entry.body,
        }
    }
}

/// A term of an entry, under one of the fields it is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldTerm<'a> {
    /// The field.
    pub field: LexicalField,
    /// The term.
    pub text: &'a str,
    /// Where it stands: rising in each field, and never next to one of another [`TextField`]; see
    /// [`STEP`].
    pub position: u32,
}

/// How far apart two neighbours of one text stand: each place has room for every [`TextField`], so that
/// positions say in which of them a word is, and words of two fields are never neighbours.
pub const STEP: u32 = 4;

/// The position of the `word`th word of an entry, which is in `field`.
fn position(word: u32, field: TextField) -> u32 {
    word.saturating_mul(STEP).saturating_add(lane(field))
}

/// What positions of words in `field` leave when divided by [`STEP`].
pub fn lane(field: TextField) -> u32 {
    match field {
        TextField::Title => 0,
        TextField::Heading => 1,
        TextField::Body => 2,
    }
}

/// Calls `visitor` with every term of an entry, once for each field that has it.
pub fn visit_entry(
    texts: EntryTexts<'_>,
    analyzer: &Analyzer,
    visitor: &mut dyn FnMut(FieldTerm<'_>),
) {
    let mut entry = Entry { visitor, words: 0 };
    entry.add(analyzer, texts.title, TextField::Title);
    for heading in texts.headings {
        entry.add(analyzer, heading, TextField::Heading);
    }
    entry.add(analyzer, texts.body, TextField::Body);
}

struct Entry<'v> {
    visitor: &'v mut dyn FnMut(FieldTerm<'_>),
    /// Words so far.
    words: u32,
}

impl Entry<'_> {
    fn add(&mut self, analyzer: &Analyzer, text: &str, of: TextField) {
        let before = self.words;
        analyzer.visit(text, &mut |term| {
            let word = before.saturating_add(term.position);
            self.words = self.words.max(word.saturating_add(1));
            let position = position(word, of);
            let text = term.text;
            let mut visit = |field| {
                (self.visitor)(FieldTerm {
                    field,
                    text,
                    position,
                });
            };
            if term.kind != TermKind::Word {
                visit(LexicalField::Names);
                return;
            }
            match of {
                TextField::Title => visit(LexicalField::Title),
                TextField::Heading => visit(LexicalField::Headings),
                TextField::Body => {}
            }
            visit(LexicalField::Content);
        });
        // Two headings are no phrase.
        self.words = self.words.saturating_add(1);
    }
}
