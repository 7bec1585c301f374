//! A protocol double of Qdrant: the gRPC calls that Braid makes, answered from memory.
//!
//! It listens on a port of the loopback interface on a runtime of its own, so that a real client talks
//! to it, tests may pause their time, and [`QdrantDouble::stop`] cuts connections as a killed process
//! does. Answers are exact. It refuses what a server refuses, with the same codes and words where
//! Braid reads them: unknown collections, other dimensions, names of vectors that there are not, sparse
//! vectors with an index twice, ids that are no UUID or number, points without vectors, limits of zero, filters without an index and batches beyond the limit in
//! [strict mode](Strictness), a missing API key. Calls that Braid does not make are `UNIMPLEMENTED`.
//! [`QdrantDouble::inject`] makes calls fail.
//!
//! A dev-only crate. It never decides whether Braid is right about Qdrant: a real server does, which
//! `BRAID_TEST_QDRANT_URL` names, or whose binary `BRAID_TEST_QDRANT_BIN` names: [`QdrantNodes`] are
//! nodes that a test starts, kills, pauses, slows down and, behind a [`Wire`] or [in a network of its
//! own](in_own_network), cuts off. Start at [`QdrantDouble`].

mod faults;
mod filter;
mod leftovers;
mod path;
mod real;
mod server;
mod services;
mod state;
mod vectors;
mod wire;

pub use faults::{Fault, Kind};
pub use leftovers::Leftovers;
pub use real::{NodeOptions, QdrantNodes, Slowed, in_own_network, poll};
pub use server::QdrantDouble;
pub use state::Strictness;
pub use wire::{Link, Wire};
