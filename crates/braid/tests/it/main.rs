//! The real binary with the bundled models, as a user runs it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod admin;
mod cache;
mod cluster;
mod config;
mod deploy;
mod doctor;
mod eval;
mod formats;
mod help;
mod ingest;
mod inspect;
mod jobs;
mod plan;
mod retrieve;
mod run;
mod serve;
mod two_braids;
mod watch;
