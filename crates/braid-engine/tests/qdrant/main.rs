//! The storage profile `qdrant`, end to end over a double of the server: outages, losses, drift.
//!
//! The double runs on a thread of its own, so the clock of these tests runs; nothing sleeps, and every
//! wait is for something that is told.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod drift;
mod outage;
mod parity;
mod world;
