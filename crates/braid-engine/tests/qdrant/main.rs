//! The storage profile `qdrant`, end to end: outages, losses, drift.
//!
//! Over a double of the server, and over real nodes where `BRAID_TEST_QDRANT_BIN` names the binary of
//! one: then all but planned faults runs against it, and what takes several nodes, or a network that
//! can be cut, runs too ([`cluster`], [`network`], [`disk`]). Double and nodes run beside the test, so its clock runs; every
//! wait is for something that is told or, of a node, looked for until a deadline.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cluster;
mod disk;
mod drift;
mod flow;
mod network;
mod outage;
mod parity;
mod server;
#[path = "../support/traffic.rs"]
mod traffic;
mod world;
