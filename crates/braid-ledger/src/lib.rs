//! The durable truth of Braid: collections, documents, chunks, the operation log, embeddings, jobs
//! and idempotency records in one LMDB environment.
//!
//! [`LmdbLedger`] implements [`braid_core::Ledger`]; the port's documentation states the invariants
//! and `braid-testkit` holds the suite that checks them. Every mutation is one LMDB write
//! transaction, synced to disk before the call returns: no sync-weakening flag is ever set. Every
//! query reads one LMDB snapshot through a pin. This crate never embeds, chunks or searches, and it
//! never touches an index.
//!
//! Start at `table` for what is stored under which key, at `draft` for how a collection is changed,
//! and at `stage` and `publish` for the life of a write.

mod bitmap;
mod cancel;
mod check;
mod collections;
mod documents;
mod draft;
mod duplicates;
mod embeddings;
mod error;
mod filters;
mod jobs;
mod keys;
mod ledger;
mod lineage;
mod pending;
mod pin;
mod pins;
mod publish;
mod rebuild;
mod rows;
mod stage;
mod store;
mod sweep;
mod synonyms;
mod table;
mod upgrade;

pub use ledger::LmdbLedger;
pub use store::LedgerOptions;
pub use table::FORMAT_VERSION;
