//! The pipeline over in-memory doubles.

#![expect(clippy::unwrap_used, reason = "set-up that fails is a failed test")]

mod degraded;
mod fusion;
mod metrics;
mod rank;
mod rerank;
mod retrieve;
mod setup;
