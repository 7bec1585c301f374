//! Index ports: the two derived indexes and where to find them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::collection::{Collection, Language};
use crate::document::Metadata;
use crate::error::Result;
use crate::id::{ChunkId, IndexKey, Sequence, Slot, SlotSet};
use crate::lexical_query::{Expansion, LexicalQuery, Narrowed, TextCondition};
use crate::ports::Embedding;
use crate::ranking::{RankedList, Selection};

/// One atomic step of an index: everything in it becomes durable and visible together with the
/// watermark. Deletes happen before adds. Adding a slot that is there replaces it and deleting one
/// that is not is a no-op, so that a batch can be replayed.
#[derive(Clone, Debug)]
pub struct IndexBatch<E> {
    /// Entries to add.
    pub add: Vec<E>,
    /// Slots to delete.
    pub delete: SlotSet,
    /// The newest operation this batch brings the index up to.
    pub watermark: Sequence,
}

/// A chunk for the lexical index.
#[derive(Clone, Debug, PartialEq)]
pub struct LexicalEntry {
    /// The entry's key.
    pub slot: Slot,
    /// Name of the chunk, for remote payloads.
    pub chunk: ChunkId,
    /// Document title, empty when there is none.
    pub title: String,
    /// Heading path, outermost first.
    pub headings: Vec<String>,
    /// Chunk text.
    pub body: String,
    /// Document metadata, for remote filters.
    pub metadata: Arc<Metadata>,
    /// The language detected in the document, where one was: it decides how the texts are analyzed
    /// where the collection's setting leaves it to detection.
    pub language: Option<Language>,
}

/// A chunk for the vector store.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorEntry {
    /// The entry's key.
    pub slot: Slot,
    /// Name of the chunk, for remote payloads.
    pub chunk: ChunkId,
    /// Its embedding.
    pub embedding: Embedding,
    /// Document metadata, for remote filters.
    pub metadata: Arc<Metadata>,
    /// The language detected in the document, where one was: remote filters see it too.
    pub language: Option<Language>,
}

/// What the lexical leg found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LexicalMatches {
    /// Candidates by BM25, best first, equal scores by rising slot.
    pub candidates: RankedList,
    /// Distinct terms the analyzer made of the query; empty means nothing could match.
    pub terms: Vec<String>,
    /// What else was searched for. It is among the `terms`, after those of the query, and counts less.
    pub expansions: Vec<Expansion>,
    /// What an entry would score whose text says every term of the query over and over: a best score
    /// far below it misses much of what the query weighs. 0 where the index does not know it.
    pub ceiling: f32,
}

/// BM25 over title, heading path and body of one collection generation.
#[async_trait]
pub trait LexicalIndex: Send + Sync + fmt::Debug {
    /// Applies a batch; returns only after the commit is durable and views pinned from now on see it.
    ///
    /// # Errors
    /// [`StorageFull`](crate::ErrorCode::StorageFull) with nothing of the batch visible.
    async fn apply(&self, batch: IndexBatch<LexicalEntry>) -> Result<()>;
    /// The watermark of the last durable batch.
    async fn watermark(&self) -> Result<Sequence>;
    /// Every slot that has an entry.
    async fn slots(&self) -> Result<SlotSet>;
    /// A view of the last durable batch that later batches do not change.
    async fn pin(&self) -> Result<Arc<dyn LexicalView>>;
}

/// A pinned view of a [`LexicalIndex`].
#[async_trait]
pub trait LexicalView: Send + Sync {
    /// The `depth` best entries within `selection`. Any text is a valid query. A query whose words
    /// the index has, without synonyms, is searched for as it stands.
    async fn find(
        &self,
        query: &LexicalQuery,
        selection: &Selection,
        depth: usize,
    ) -> Result<LexicalMatches>;
    /// The entries of `selection` that every condition holds for, whatever their number. The cost is
    /// that of reading the postings of the conditions' words.
    async fn narrow(&self, conditions: &[TextCondition], selection: &Selection)
    -> Result<Narrowed>;
    /// As [`LexicalView::find`], for the words of `query` as they stand.
    async fn search(
        &self,
        query: &str,
        selection: &Selection,
        depth: usize,
    ) -> Result<LexicalMatches> {
        self.find(&LexicalQuery::plain(query), selection, depth)
            .await
    }
}

/// Embeddings of one collection generation, searched by cosine similarity.
#[async_trait]
pub trait VectorStore: Send + Sync + fmt::Debug {
    /// As [`LexicalIndex::apply`].
    ///
    /// # Errors
    /// [`StorageFull`](crate::ErrorCode::StorageFull) with nothing of the batch visible;
    /// [`InvalidRequest`](crate::ErrorCode::InvalidRequest) for a vector of another dimension.
    async fn apply(&self, batch: IndexBatch<VectorEntry>) -> Result<()>;
    /// The watermark of the last durable batch.
    async fn watermark(&self) -> Result<Sequence>;
    /// Every slot that has an entry.
    async fn slots(&self) -> Result<SlotSet>;
    /// A view of the last durable batch that later batches do not change.
    async fn pin(&self) -> Result<Arc<dyn VectorView>>;
}

/// A pinned view of a [`VectorStore`].
#[async_trait]
pub trait VectorView: Send + Sync {
    /// The `depth` nearest entries within `selection`, by falling cosine similarity, equal ones by
    /// rising slot. May be approximate; an empty selection gives an empty list.
    async fn search(
        &self,
        query: &Embedding,
        selection: &Selection,
        depth: usize,
    ) -> Result<RankedList>;
}

/// Opens the indexes of a collection generation, creating them empty where they do not exist.
/// Opening the same key twice gives the same instance.
#[async_trait]
pub trait IndexProvider: Send + Sync + fmt::Debug {
    /// The lexical index of `collection` at `key`'s generation.
    async fn lexical(
        &self,
        collection: &Collection,
        key: IndexKey,
    ) -> Result<Arc<dyn LexicalIndex>>;
    /// The vector store of `collection` at `key`'s generation.
    async fn vector(&self, collection: &Collection, key: IndexKey) -> Result<Arc<dyn VectorStore>>;
    /// Removes both indexes of `key`; a no-op where there are none. Views pinned before stay usable.
    async fn remove(&self, key: IndexKey) -> Result<()>;
    /// Removes every index except those in `keep` (left over from a crash or a switch).
    async fn retain(&self, keep: &[IndexKey]) -> Result<()>;
}
