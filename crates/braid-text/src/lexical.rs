//! What a lexical index is made of, whichever engine keeps it: the terms of an entry by field, the
//! clauses of a query, and what a match counts.
//!
//! An entry is a chunk with its title and headings. Its words stand in [`LexicalField::Content`],
//! those of title and headings once more in fields of their own, for their extra weight, and what
//! would distort the length of the content in [`LexicalField::Names`] ([`visit_entry`]). A query is a
//! list of [`Clause`]s: a term in a field, with a weight ([`query_terms`], [`clauses`]). The score of an
//! entry is the sum of weight times rarity times [`saturation`] over the clauses that match
//! ([`bm25`]). What rules of synonyms add to a query is what it has [`Meant`].
//!
//! Pure functions, but for [`SynonymForms`], which keeps the forms that rules had last. An adapter says
//! where terms are kept and how matches are found.

pub mod bm25;
mod entry;
mod languages;
mod phrase;
mod query;
mod synonyms;

pub use bm25::{B, K1, inverse_frequency, length_norm, saturation, stored_length};
pub use entry::{EntryTexts, FieldTerm, LexicalField, STEP, lane, visit_entry};
pub use languages::{Languages, language_code};
pub use phrase::{EntryWords, Forms, Phrase, Place, PlacedTerms, words};
pub use query::{
    Clause, MAX_QUERY_TERMS, QueryTerm, Weights, clauses, distinct_terms, query_terms,
};
pub use synonyms::{MAX_EXPANSIONS, Meant, SynonymForms, told};
