//! Vocabulary and ports of Braid.
//!
//! This crate holds the words every other crate speaks (documents, chunks, slots, filters, ranked
//! lists) and the traits behind which engines hide ([`Ledger`], [`LexicalIndex`], [`VectorStore`],
//! [`Embedder`], [`Reranker`], [`Reader`], [`TokenCounter`]). It does no I/O and knows no engine.
//! Its types are not `Serialize`: wire DTOs and stored rows belong to the crate that speaks them.
//!
//! Start at [`ports`] for what an adapter must promise, and at [`document`] for the data model.

pub mod calibration;
pub mod chunk;
pub mod chunking;
pub mod collection;
pub mod document;
pub mod duplicate;
pub mod error;
pub mod filter;
pub mod hash;
pub mod id;
pub mod lexical_query;
pub mod limits;
pub mod lineage;
pub mod operation;
pub mod ports;
pub mod ranking;
pub mod script;
pub mod synonyms;

pub use calibration::Calibration;
pub use chunk::{Chunk, ChunkRecord, Passage, Span};
pub use chunking::{
    ChunkingOverride, ChunkingRule, ChunkingSettings, ChunkingStrategy, FormatFamily,
    FormatOverrides,
};
pub use collection::{
    Collection, CollectionSettings, Language, LanguageSetting, NewCollection, PipelineFingerprint,
};
pub use document::{
    CodeLanguage, Document, DocumentStatus, DocumentSummary, Format, Metadata, MetadataValue,
    NewDocument, Origin,
};
pub use duplicate::{Duplicate, DuplicateAction, DuplicateSettings, Likeness};
pub use error::{Error, ErrorCode, FieldError, Result};
pub use filter::{Condition, Filter, LANGUAGE_KEY, Predicate, Range};
pub use hash::{ContentHash, Fingerprint};
pub use id::{
    ChunkId, CollectionId, CollectionName, DocumentId, Generation, IndexKey, JobId, Sequence, Slot,
    SlotSet,
};
pub use lexical_query::{
    Expansion, ExpansionKind, LexicalQuery, Narrowed, TextCondition, TextField,
};
pub use lineage::{ChunkLineage, ChunkStatus, StorageUse};
pub use operation::{Operation, OperationKind};
pub use ports::{
    Embedder, Embedding, ExtractedText, IndexBatch, IndexProvider, Ledger, LedgerPin, LexicalEntry,
    LexicalIndex, LexicalView, Markup, Reader, Reranker, TokenCounter, VectorEntry, VectorStore,
    VectorView, WorkQueue,
};
pub use ranking::{Candidate, Hit, Leg, RankedList, Selection};
pub use script::Script;
pub use synonyms::{SynonymRule, Synonyms};
