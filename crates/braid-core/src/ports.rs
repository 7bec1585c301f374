//! The ports: what Braid's pipelines need of the outside, stated once per adapter to implement.
//!
//! Ports are async so that remote adapters fit; an embedded adapter moves its blocking work off the
//! async threads itself. Every port has a conformance suite in `braid-testkit`, run against every
//! adapter and every in-memory double. No method has a default body: each adapter chooses.

mod copied;
mod index;
mod job;
mod ledger;
mod model;
mod reader;
mod work;

pub use copied::{Copied, CopyLog, Reached};
pub use index::{
    IndexBatch, IndexProvider, LexicalEntry, LexicalIndex, LexicalMatches, LexicalView,
    VectorEntry, VectorStore, VectorView,
};
pub use job::{
    CancelReceipt, FailedDocument, Job, JobChange, JobCounts, JobItem, JobItemStatus, JobSummary,
    NewJob,
};
pub use ledger::{
    IdempotencyKey, Ledger, LedgerPin, Page, RechunkedDocument, Recorded, StageOutcome,
    StageReceipt, StageRequest, StoredResponse, SwitchGeneration, WriteGuard,
};
pub use model::{Embedder, Embedding, Reranker, TokenCounter};
pub use reader::{ExtractedText, Markup, Reader};
pub use work::{
    Asked, Claim, GiveBack, SUSPECT_AFTER, Settled, WorkDepth, WorkFailure, WorkItem, WorkQueue,
};
