//! What is asked of a lexical index.

use std::fmt;
use std::sync::Arc;

use crate::ranking::Selection;
use crate::synonyms::Synonyms;

/// A query of the lexical leg.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LexicalQuery {
    /// What to look for: any text, without operators.
    pub text: String,
    /// Whether words that the index does not have are also searched for as words that are written
    /// nearly so.
    pub typos: bool,
    /// What else the words of the text are searched for as.
    pub synonyms: Arc<Synonyms>,
}

impl LexicalQuery {
    /// The words of `text` as they stand.
    pub fn plain(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }
}

/// Why a query is searched for as something that it does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExpansionKind {
    /// A rule of the collection's synonyms.
    Synonym,
    /// The index does not have the word, and has one that so many edits make of it. Two neighbours
    /// exchanged are one edit.
    Typo {
        /// 1 or 2.
        distance: u8,
    },
}

impl ExpansionKind {
    /// The public name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Synonym => "synonym",
            Self::Typo { distance: _ } => "typo",
        }
    }
}

/// Something a query does not say and was searched for all the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Expansion {
    /// The words of the query that it stands for.
    pub term: String,
    /// What was searched for: as the rule says it, or the index's own term.
    pub to: String,
    /// Why.
    pub kind: ExpansionKind,
    /// What a match counts, where a word of the query counts 1.
    pub weight: f32,
}

/// A part of a passage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TextField {
    /// The document's title.
    Title,
    /// The headings that the passage stands under.
    Heading,
    /// The passage's own text.
    Body,
}

impl TextField {
    /// Every field with its public name.
    pub const ALL: [(Self, &'static str); 3] = [
        (Self::Title, "title"),
        (Self::Heading, "heading"),
        (Self::Body, "body"),
    ];

    /// The public name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Heading => "heading",
            Self::Body => "body",
        }
    }
}

/// What a passage must say, or must not, to be returned: words that follow one another, in the forms
/// that the analyzer makes of them. One without any word holds for every passage.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TextCondition {
    /// The words.
    pub text: String,
    /// Where they must stand together; `None` for any one field.
    pub field: Option<TextField>,
    /// Whether passages that say it are left out.
    pub is_excluded: bool,
}

impl fmt::Display for TextCondition {
    /// As it is written in a query.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_excluded {
            f.write_str("-")?;
        }
        if let Some(field) = self.field {
            write!(f, "{}:", field.as_str())?;
        }
        write!(f, "\"{}\"", self.text)
    }
}

/// A selection without the entries that break a condition.
#[derive(Clone, Debug, Default)]
pub struct Narrowed {
    /// Entries of the selection that every condition holds for. Its `slots` are there and say more
    /// than its `filter`.
    pub selection: Selection,
    /// How many entries of the selection say each condition's words, in the conditions' order.
    pub saying: Vec<u64>,
}
