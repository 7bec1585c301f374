//! The profile `cluster`: everything is in Qdrant, and any number of processes share it.
//!
//! [`ClusterLedger`] is the ledger and the queue. Each document has one point, its **head**
//! ([`heads`]): its newest version, the version that queries see, and its place in the queue. A head
//! changes by compare-and-set ([`cas`]), so that a task, its lease and the version pointer cannot
//! disagree, and no process has to own anything. Versions ([`versions`]) and chunks ([`chunks`]) are
//! written before a head names them, never change, and are removed ([`sweep`]) a while after no head
//! does.
//!
//! Weaker than a ledger in one process: no transaction over several documents, listings in the order of
//! hashed ids, and counts that may be a second old.
//!
//! Start at [`heads`] for the life of a document and at [`cas`] for what the server must keep.

mod audit;
mod batcher;
mod cas;
mod chunks;
mod counters;
mod heads;
mod ledger;
mod lengths;
mod pin;
mod points;
mod provider;
mod queue;
mod rarity;
mod registry;
mod rows;
mod said;
mod shared;
mod shelf;
mod site;
mod slots;
mod sparse;
mod sweep;
#[cfg(test)]
mod tests;
mod tried;
mod unnamed;
mod versions;
mod views;
mod visible;

pub use audit::Audit;
pub use ledger::ClusterLedger;
pub use provider::ClusterIndexes;
pub use site::Site;
