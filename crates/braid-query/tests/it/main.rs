//! The pipeline over in-memory doubles.

#![expect(clippy::unwrap_used, reason = "set-up that fails is a failed test")]

mod batch;
mod cache;
mod degraded;
mod explain;
mod explain_remedies;
mod fusion;
mod metrics;
mod pages;
mod phrasings;
mod rank;
mod replay;
mod rerank;
mod retrieve;
mod semantic;
mod setup;
mod syntax;
mod thresholds;
