//! The harness over a small corpus of its own, against `ir_measures`, and on real data.

// Test code: a failed unwrap is a failed check.
#![allow(clippy::unwrap_used)]

mod bad_input;
mod collections;
mod harness;
mod identifiers;
mod losses;
mod paraphrases;
mod parity;
mod partly;
mod real;
mod reranker;
mod scripts;
mod tries;
mod tune;
mod world;
