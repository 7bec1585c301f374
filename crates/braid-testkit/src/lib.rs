//! Conformance suites, in-memory doubles and fault injection for Braid's ports.
//!
//! A dev-dependency only: it imports braid-core and never an adapter. Suites (`*_suite`) state what
//! every adapter of a port must do and take a closure that makes a fresh instance; doubles (`Ram*`,
//! [`HashEmbedder`], [`OverlapReranker`]) are the smallest implementations that pass them.
//! [`Faulty`] wraps any port and fails or holds scripted calls, so that crashes and interleavings
//! are tested without sleeps. [`ModelServer`] speaks the protocols of model servers on loopback.
//! Everything is deterministic.

pub mod embedder_suite;
pub mod faulty;
pub mod fixture;
pub mod hash_embedder;
pub mod ledger_suite;
pub mod lexical_suite;
pub mod model_server;
pub mod overlap_reranker;
pub mod ram_ledger;
pub mod ram_lexical;
pub mod ram_provider;
pub mod ram_vector;
pub mod reranker_suite;
pub mod scripts;
pub mod vector_suite;
pub mod work_suite;

pub use embedder_suite::embedder_suite;
pub use faulty::{Call, Fault, Faulty, Gate};
pub use fixture::MiniCorpus;
pub use hash_embedder::{HashEmbedder, WhitespaceTokens};
pub use ledger_suite::{LedgerSubject, ledger_durability_suite, ledger_suite, shared_ledger_suite};
pub use lexical_suite::{lexical_durability_suite, lexical_suite, remote_lexical_suite};
pub use model_server::{ModelServer, SeenRequest, ServedModels, ServerFault};
pub use overlap_reranker::OverlapReranker;
pub use ram_ledger::RamLedger;
pub use ram_lexical::RamLexicalIndex;
pub use ram_provider::RamIndexProvider;
pub use ram_vector::RamVectorStore;
pub use reranker_suite::reranker_suite;
pub use vector_suite::{
    RecallCase, remote_vector_store_suite, vector_durability_suite, vector_recall_suite,
    vector_store_suite,
};
pub use work_suite::{WorkSubject, work_suite};
