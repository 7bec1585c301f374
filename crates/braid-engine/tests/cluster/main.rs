//! The storage profile `cluster`, end to end: engines that share a Qdrant, as processes do.
//!
//! Against the double, and where `BRAID_TEST_QDRANT_URL` names one against a real server instead. Both
//! run outside of these tests' control, so the clock of the tests runs; nothing sleeps, and every wait
//! is for something that is told.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conditions;
mod flows;
mod migrating;
mod refusals;
mod world;
