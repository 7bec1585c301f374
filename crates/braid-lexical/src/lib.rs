//! The lexical leg: BM25 over title, heading path and body, on Tantivy.
//!
//! [`TantivyIndex`] is braid-core's [`LexicalIndex`](braid_core::LexicalIndex) in one directory.
//! Tantivy keeps terms, postings and slots; Braid's own [`Analyzer`](braid_text::Analyzer) makes
//! the terms of documents and queries, and `scoring` reads the postings itself, so that scores
//! are exact and the same on every run, a selection binds before anything is ranked, and equal
//! scores rank by slot. No text is stored, and any text is a query: operators are read by whoever asks, who
//! hands them over as conditions (`conditions`, `phrase`). What a query does not say and is searched
//! for all the same (`synonyms`, `typos`) is scored with it (`expansions`).
//!
//! It never reads the ledger, never decides what is live, and is derived data: it can be dropped
//! and rebuilt. Start at [`index`] for writing, at `view` for searching.

mod conditions;
mod document;
mod error;
mod expansions;
#[cfg(test)]
mod full_disk;
pub mod index;
mod languages;
mod lookup;
mod phrase;
mod schema;
mod scoring;
mod statistics;
mod synonyms;
mod terms;
mod top;
mod typos;
mod view;
mod writer;

pub use braid_text::lexical::Weights;
pub use index::{LexicalOptions, TantivyIndex};
