//! Work port: documents that wait to be indexed, shared out among processes.
//!
//! Where several processes serve one store, none of them owns it: whoever stages a document leaves it
//! waiting, and any worker may take it. What every queue keeps:
//! - A document waits from the moment that it is staged until its newest version is published or has
//!   failed; nothing that waits is forgotten, whoever dies.
//! - A claim is exclusive while its lease lasts. After that any worker may claim the document, and what
//!   the first one does with its claim is [`Settled::Lost`].
//! - A claim counts against its document only where it ended without a word, as when its worker died,
//!   or with a [failure](WorkQueue::fail) that may be the document's. What is
//!   [given back](WorkQueue::give_back) is not counted, however often.
//! - Publishing is compare-and-set, as in [`Ledger::publish`](crate::Ledger::publish): a version that is
//!   no longer its document's newest is never published.

use std::time::Duration;

use async_trait::async_trait;

use crate::collection::Collection;
use crate::error::Result;
use crate::hash::Fingerprint;
use crate::id::{CollectionId, DocumentId, Sequence};
use crate::operation::IndexableChunk;
use crate::ports::Embedding;

/// The right to index one version of a document, until its lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The collection.
    pub collection: CollectionId,
    /// The document.
    pub document: DocumentId,
    /// The operation that staged the version.
    pub sequence: Sequence,
    /// Names this claim: another one of the same version has another.
    pub token: u128,
    /// How often the version was claimed and not given back, this time included.
    pub attempt: u32,
    /// How often it was given back for what was in the way.
    pub returned: u32,
}

/// After so many claims that ended without a word a version is suspected of ending its workers.
pub const SUSPECT_AFTER: u32 = 2;

impl Claim {
    /// Whether what it is of may be what ends workers, and is tried alone.
    pub fn is_suspect(&self) -> bool {
        self.attempt > SUSPECT_AFTER
    }
}

/// A claimed version with what is needed to index it.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkItem {
    /// The claim.
    pub claim: Claim,
    /// The collection as it is now.
    pub collection: Collection,
    /// The version's chunks, in ordinal order; none for an empty document.
    pub chunks: Vec<IndexableChunk>,
}

/// What is given of a document that is asked for by name.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// It waited, and is claimed.
    Claimed(Box<WorkItem>),
    /// It waits, and cannot be had now: another one has it, or it is not to be tried yet.
    Waits,
    /// It does not wait: there is no such document, or its newest version is published or has failed.
    Idle,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Settled {
    /// Done as asked.
    Done,
    /// The document has a newer version, or was deleted: there was nothing left to do.
    Superseded,
    /// The lease ended and another worker has, or had, the document.
    Lost,
}

/// Why a version was not indexed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkFailure {
    /// The reason, for people.
    pub reason: String,
    /// After how long it is tried again; `None` makes it a dead letter.
    pub retry_after: Option<Duration>,
}

/// Why claims are given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GiveBack {
    /// Nobody worked on them: they can be claimed at once, as if they had not been.
    Untouched,
    /// Something was in the way that is not the documents' fault: they can be claimed after `wait`, and
    /// [`Claim::returned`] counts it.
    Hindered {
        /// What it was, for people.
        reason: String,
        /// How long they wait.
        wait: Duration,
    },
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkDepth {
    /// Documents that wait, claimed ones included.
    pub waiting: u64,
    /// Those of them that are claimed.
    pub claimed: u64,
    /// Dead letters.
    pub failed: u64,
}

/// Documents that wait to be indexed. See the module documentation for the invariants.
#[async_trait]
pub trait WorkQueue: Send + Sync + std::fmt::Debug {
    /// Claims up to `limit` waiting documents, of any collection whose embedder is `embedder`, for
    /// `lease`, the longest waiting first as far as that is known. None where nothing waits. A
    /// [suspect](Claim::is_suspect) is claimed alone: whatever ends its worker then, it is not counted
    /// against others.
    async fn claim(
        &self,
        embedder: &Fingerprint,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<WorkItem>>;
    /// Claims these documents of a collection, as far as they wait and are free. In order: what became
    /// of each. Free ones may stay [`Asked::Waits`] where they are too much at once; never all of them.
    async fn claim_documents(
        &self,
        collection: CollectionId,
        documents: &[DocumentId],
        lease: Duration,
    ) -> Result<Vec<Asked>>;
    /// Makes leases last `lease` from now. In order: whether each claim is still good.
    async fn renew(&self, claims: &[Claim], lease: Duration) -> Result<Vec<bool>>;
    /// Indexes the chunks with their embeddings, one a chunk, in order, and publishes the versions.
    /// Each document becomes retrievable by itself, whole, and is no longer claimed.
    ///
    /// # Errors
    /// [`InvalidRequest`](crate::ErrorCode::InvalidRequest) for another number of embeddings, or of
    /// another dimension. Claims stay good after an error: publishing again is a no-op for what was
    /// published.
    async fn publish(&self, work: Vec<(WorkItem, Vec<Embedding>)>) -> Result<Vec<Settled>>;
    /// Gives claims back uncounted. In order: [`Settled::Done`], or what had become of the claim before.
    async fn give_back(&self, claims: &[Claim], why: GiveBack) -> Result<Vec<Settled>>;
    /// Ends a claim that its document may be to blame for: it is tried again later, which counts, or is
    /// a dead letter.
    async fn fail(&self, claim: &Claim, failure: WorkFailure) -> Result<Settled>;
    /// Removes what was replaced, deleted or left over at least `grace` ago, which must be longer than
    /// any query takes. Returns how many entries went.
    async fn sweep(&self, grace: Duration) -> Result<u64>;
    /// Does a piece of what can wait: stored entries are brought to what is known of all of them by now.
    /// Whether there may be more to do.
    async fn tend(&self) -> Result<bool>;
    /// How many documents wait, claimed ones included, in collections whose embedder is `embedder`.
    async fn waiting(&self, embedder: &Fingerprint) -> Result<u64>;
    /// How much waits, over all collections.
    async fn depth(&self) -> Result<WorkDepth>;
}
