//! Settings: defaults < file < environment < flags.
//!
//! [`Settings`] is what the rest of Braid reads; [`keys::KEYS`] is the one table of every key with its
//! description, from which files, environment variables, flags and the documentation are served.
//! Unknown keys and bad values are refused, all at once, each with where it is. This crate opens
//! one file and nothing else; what settings mean is decided where they are used.

pub mod keys;
mod load;
pub mod qdrant;
pub mod settings;
mod value;
pub mod worker;

pub use keys::{KEYS, Key};
pub use load::{Overrides, load, with};
pub use qdrant::{QdrantQuantization, QdrantReads, QdrantSection, QdrantWrites, StorageProfile};
pub use settings::{
    CacheSection, ChunkingSection, DenseSection, DuplicatesSection, IngestSection, LexicalSection,
    LogFormat, LogSection, ModelEndpoints, ModelsSection, RetrieveFusion, RetrieveMode,
    RetrieveSection, RetrieveTrust, RetrieveTypos, ServerSection, Settings, StorageSection,
};
pub use worker::WorkerSection;
