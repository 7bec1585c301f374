//! Copy port: what a store that processes share was given out of another one.

use async_trait::async_trait;

use crate::chunk::ChunkRecord;
use crate::error::Result;
use crate::id::{CollectionId, DocumentId, Sequence};

/// How far copies of a collection from a source came. What was copied once is not copied again: it may
/// have been changed or deleted since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// One for each copy, but for those that a later one came as far as.
    pub copies: Vec<Reached>,
}

/// How far one copy came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The newest operation of the source that the copy was of.
    pub operations: Sequence,
    /// The last document, in the order of ids, that it came to; `None` once it came to the end.
    pub through: Option<DocumentId>,
}

impl Copied {
    /// Whether a copy came to this document as the source has it.
    pub fn includes(&self, document: &DocumentId, sequence: Sequence) -> bool {
        self.copies.iter().any(|copy| {
            let through = copy.through.as_ref();
            let came_to = through.is_none_or(|through| document <= through);
            came_to && sequence <= copy.operations
        })
    }

    /// A copy came so far.
    pub fn come_to(&mut self, reached: Reached) {
        self.copies.retain(|copy| !copy.is_within(&reached));
        self.copies.push(reached);
    }
}

impl Reached {
    fn is_within(&self, other: &Self) -> bool {
        let came_to = match (&self.through, &other.through) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(own), Some(other)) => own <= other,
        };
        came_to && self.operations <= other.operations
    }
}

/// Where it is recorded how far collections were copied. Records go with their collection.
#[async_trait]
pub trait CopyLog: Send + Sync + std::fmt::Debug {
    /// How far a collection was copied from the source of that name; `None` where no copy came to anything.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn id(id: &str) -> DocumentId {
        DocumentId::new(id).unwrap()
    }

    fn reached(operations: u64, through: Option<&str>) -> Reached {
        Reached {
            operations: Sequence(operations),
            through: through.map(id),
        }
    }

    #[test]
    fn what_any_copy_came_to_is_included() {
        let mut copied = Copied::default();
        copied.come_to(reached(5, Some("b")));
        copied.come_to(reached(5, None));
        assert_eq!(copied.copies, [reached(5, None)]);
        // A later one that was broken off, twice.
        copied.come_to(reached(9, Some("m")));
        copied.come_to(reached(12, Some("c")));
        let held = |document: &str, sequence| copied.includes(&id(document), Sequence(sequence));
        assert!(held("z", 5) && held("m", 9) && held("c", 12));
        assert!(!held("z", 6) && !held("m", 10) && !held("d", 12) && !held("a", 13));
        // One that came as far takes their place.
        copied.come_to(reached(12, Some("m")));
        assert_eq!(copied.copies, [reached(5, None), reached(12, Some("m"))]);
        copied.come_to(reached(12, None));
        assert_eq!(copied.copies, [reached(12, None)]);
    }
}
