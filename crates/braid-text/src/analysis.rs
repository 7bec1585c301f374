//! Analysis: text to the terms that are indexed and searched.
//!
//! [`Analyzer`] is a pure function of a language and a text, the same for indexing and querying;
//! [`Analyzers`] picks one for each document of a collection.
//! Words are lower-cased, folded and stemmed. Identifiers (`CVE-2024-3094`, `10.0.0.0/8`,
//! `snake_case`, `camelCase`, `C++`, `path/to/file.rs`) give their parts as words and, at the
//! position of the first part, the whole as one unstemmed term, so that both find them. Every
//! term says its [`TermKind`], so that an index can weigh wholes, pieces and stop words apart from
//! words, whose count then stays what a plain word tokenizer would give.
//!
//! Start at [`Analyzer::visit`]; `compound` finds identifiers, `atom` makes words of their atoms.

use braid_core::Language;

mod atom;
mod by_language;
mod compound;
mod memo;
mod normal;
mod scan;
mod stem;
mod stop_words;

use atom::AtomWriter;
pub use by_language::Analyzers;
use compound::CompoundWriter;
use scan::{Compound, Scanner};
use stem::WordForm;
pub(crate) use stop_words::stop_words;

/// Rises whenever the same text may give other terms: an index made with another version must be
/// rebuilt.
pub const ANALYZER_VERSION: u32 = 2;

/// What a term stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TermKind {
    /// A word, or a part of an identifier that stands between separators: lower-cased, folded and
    /// stemmed.
    Word,
    /// A stop word of the language, or a clitic (`l'`, `'s`): lower-cased and folded.
    StopWord,
    /// A whole identifier: lower-cased and folded, never stemmed.
    Whole,
    /// A piece of a word (a hump of `camelCase`, the digits of `RFC1918`, one ideograph) or a
    /// compound written together (`e-mail` as `email`).
    Part,
}

/// One term of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The term's text.
    pub text: String,
    /// What it stands for.
    pub kind: TermKind,
    /// Number of words before it. Terms of one identifier may share a position.
    pub position: u32,
}

/// A term on its way to a visitor; see [`Term`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermRef<'a> {
    /// The term's text.
    pub text: &'a str,
    /// What it stands for.
    pub kind: TermKind,
    /// Number of words before it.
    pub position: u32,
}

/// Makes terms of text, for one language.
#[derive(Clone, Debug)]
pub struct Analyzer {
    language: Language,
    form: WordForm,
}

impl Analyzer {
    /// An analyzer for `language`.
    pub fn new(language: Language) -> Self {
        Self {
            language,
            form: WordForm::new(language),
        }
    }

    /// The language it was made for.
    pub fn language(&self) -> Language {
        self.language
    }

    /// Calls `visitor` with every term of `text`, in order of rising position.
    pub fn visit(&self, text: &str, visitor: &mut dyn FnMut(TermRef<'_>)) {
        let text = normal::normalise(text);
        let mut scanner = Scanner::new(&text);
        let mut compound = Compound::default();
        let mut output = Output {
            visitor,
            position: 0,
        };
        let mut atoms = AtomWriter::new(&self.form);
        let mut compounds = CompoundWriter::new(&self.form, &text);
        while scanner.next_compound(&mut compound) {
            compounds.write(&compound, &mut atoms, &mut output);
        }
    }

    /// Every term of `text`, in order of rising position.
    pub fn terms(&self, text: &str) -> Vec<Term> {
        let mut terms = Vec::new();
        self.visit(text, &mut |term| {
            terms.push(Term {
                text: term.text.to_owned(),
                kind: term.kind,
                position: term.position,
            });
        });
        terms
    }
}

/// Where terms go, and how many words went there already.
struct Output<'v> {
    visitor: &'v mut dyn FnMut(TermRef<'_>),
    position: u32,
}

impl Output<'_> {
    /// Emits a term at `position`, unless it is empty.
    fn term(&mut self, text: &str, kind: TermKind, position: u32) {
        if !text.is_empty() {
            (self.visitor)(TermRef {
                text,
                kind,
                position,
            });
        }
    }

    /// Takes the next word's position.
    fn next_position(&mut self) -> u32 {
        let position = self.position;
        self.position += 1;
        position
    }
}

#[cfg(test)]
mod tests;
