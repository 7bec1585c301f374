//! The pipeline over in-memory doubles: what it promises, and that it keeps it through crashes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod boilerplate;
mod crash;
mod failures;
mod incremental;
mod ingest;
mod jobs;
mod languages;
mod migrating;
mod model;
mod outages;
mod poison;
mod rebuild;
mod upkeep;
mod verify;
mod worker;
mod world;
mod writes;
