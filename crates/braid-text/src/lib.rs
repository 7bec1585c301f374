//! Text: what is done to it before anything is indexed or embedded.
//!
//! [`analysis`] makes the terms that the lexical leg indexes and searches, [`lexical`] says which of
//! them count what; [`chunking`] cuts
//! extracted text into chunks along its structure, by the embedder's tokens; [`markdown`] and [`code`]
//! find that structure; [`hashing`] names content, [`likeness`] compares it; [`language`] tells what language a text is in, [`script`] what script. All of it is pure and deterministic: the same input gives the same output on every
//! machine, and whatever could change an output is in a fingerprint.
//!
//! No I/O, no engine, no model: tokens are counted through braid-core's
//! [`TokenCounter`](braid_core::TokenCounter). Start at [`Analyzer`] and [`Chunker`].

pub mod analysis;
pub mod chunking;
pub mod code;
pub mod hashing;
pub mod language;
pub mod lexical;
pub mod likeness;
pub mod markdown;
pub mod script;

pub use analysis::{Analyzer, Analyzers, Term, TermKind, TermRef};
pub use chunking::Chunker;
