//! Vector stores: adapters of the [`VectorStore`](braid_core::VectorStore) port.
//!
//! [`FlatVectors`] compares a query with every vector in memory: exact, and the oracle the others
//! are measured against. [`EmbeddedVectors`] keeps vectors and an HNSW graph (hannoy) in an LMDB
//! environment of its own: durable, transactional, approximate above a size. [`QdrantVectors`] keeps
//! them in a collection of a Qdrant server or cluster; [`Resilient`] tries calls of such a store
//! again, and stops asking one that does not answer.
//!
//! All score by cosine similarity and order by falling score, then by rising slot. This crate
//! never decides what is live or matches a filter (that is the `Selection` it is given), never
//! embeds, and is the only one that names hannoy and Qdrant's client. The vectors here are derived data: the ledger can
//! always rebuild them.
//!
//! Start at [`embedded`] for how an apply and a search work.

pub mod cluster;
pub mod embedded;
pub mod flat;
pub mod qdrant;
pub mod resilient;

mod cosine;
mod nearest;

pub use cluster::{Audit, ClusterIndexes, ClusterLedger, Site};
pub use embedded::{EmbeddedVectors, VectorOptions};
pub use flat::FlatVectors;
pub use qdrant::{QdrantOptions, QdrantSite, QdrantVectors};
pub use resilient::{BREAKER, Breaker, Resilient, Retries};
