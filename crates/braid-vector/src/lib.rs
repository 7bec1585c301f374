//! Vector stores: adapters of the [`VectorStore`](braid_core::VectorStore) port.
//!
//! [`FlatVectors`] compares a query with every vector in memory: exact, and the oracle the others
//! are measured against. [`EmbeddedVectors`] keeps vectors and an HNSW graph (hannoy) in an LMDB
//! environment of its own: durable, transactional, approximate above a size.
//!
//! Both score by cosine similarity and order by falling score, then by rising slot. This crate
//! never decides what is live or matches a filter (that is the `Selection` it is given), never
//! embeds, and is the only one that names hannoy. The vectors here are derived data: the ledger can
//! always rebuild them.
//!
//! Start at [`embedded`] for how an apply and a search work.

pub mod embedded;
pub mod flat;

mod cosine;
mod nearest;

pub use embedded::{EmbeddedVectors, VectorOptions};
pub use flat::FlatVectors;
