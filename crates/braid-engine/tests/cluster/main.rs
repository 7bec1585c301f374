//! The storage profile `cluster`, end to end: engines that share a Qdrant, as processes do.
//!
//! Against the double, and where `BRAID_TEST_QDRANT_URL` names one against a real server instead. What
//! breaks nodes ([`nodes`], [`network`], [`disk`]) runs where `BRAID_TEST_QDRANT_BIN` names the binary of
//! one. Servers run outside of these tests' control, so the clock of the tests runs; every wait is for
//! something that is told or, of a node, looked for until a deadline.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conditions;
mod disk;
mod flows;
mod migrating;
mod network;
mod nodes;
mod processes;
mod refusals;
mod stories;
mod synonyms;
#[path = "../support/traffic.rs"]
mod traffic;
mod words;
mod world;
