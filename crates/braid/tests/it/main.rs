//! The real binary with the bundled models, as a user runs it.

mod admin;
mod config;
mod help;
mod ingest;
mod retrieve;
mod run;
mod serve;
