//! Copy port: what a store that processes share was given out of another one.

use async_trait::async_trait;

use crate::chunk::ChunkRecord;
use crate::error::Result;
use crate::id::{CollectionId, DocumentId, Sequence};

/// How far a collection was copied from a source. What was copied once is not copied again: it may have
/// been changed or deleted since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The newest operation of the source that the copy was of.
    pub operations: Sequence,
    /// The last document, in the order of ids, that it came to; `None` once it came to the end.
    pub through: Option<DocumentId>,
}

impl Copied {
    /// Whether the copy came to this document as the source has it.
    pub fn includes(&self, document: &DocumentId, sequence: Sequence) -> bool {
        let came_to = self
            .through
            .as_ref()
            .is_none_or(|through| document <= through);
        came_to && sequence <= self.operations
    }
}

/// Where it is recorded how far collections were copied. Records go with their collection.
#[async_trait]
pub trait CopyLog: Send + Sync + std::fmt::Debug {
    /// How far a collection was copied from the source of that name.
    async fn copied(&self, collection: CollectionId, source: &str) -> Result<Option<Copied>>;
    /// Says what is about to be copied into a collection, before its first document: chunks drawn evenly
    /// from all `chunks` of them, which the store may set itself up by. Saying it again changes nothing.
    async fn expect(
        &self,
        collection: CollectionId,
        sample: &[ChunkRecord],
        chunks: u64,
    ) -> Result<()>;
    /// Records how far it is.
    async fn record_copied(
        &self,
        collection: CollectionId,
        source: &str,
        copied: &Copied,
    ) -> Result<()>;
}
