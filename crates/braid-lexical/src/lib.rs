//! The lexical leg: BM25 over title, heading path and body, on Tantivy.
//!
//! [`TantivyIndex`] is braid-core's [`LexicalIndex`](braid_core::LexicalIndex) in one directory.
//! Tantivy keeps terms, postings and slots; Braid's own [`Analyzer`](braid_text::Analyzer) makes
//! the terms of documents and queries, and `scoring` reads the postings itself, so that scores
//! are exact and the same on every run, a selection binds before anything is ranked, and equal
//! scores rank by slot. No text is stored and there is no query syntax: any text is a query.
//!
//! It never reads the ledger, never decides what is live, and is derived data: it can be dropped
//! and rebuilt. Start at [`index`] for writing, at `view` for searching.

mod document;
mod error;
#[cfg(test)]
mod full_disk;
pub mod index;
mod languages;
mod query;
mod schema;
mod scoring;
mod terms;
mod top;
mod view;
mod writer;

pub use index::{LexicalOptions, TantivyIndex};
pub use query::Weights;
