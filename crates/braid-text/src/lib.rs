//! braid-text.

pub mod analysis;
pub mod chunking;
pub mod hashing;
pub mod markdown;

pub use analysis::{Analyzer, Term, TermKind, TermRef};
pub use chunking::Chunker;
