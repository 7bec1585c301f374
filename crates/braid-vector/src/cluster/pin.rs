//! [`ClusterPin`]: what one query sees.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use async_trait::async_trait;
use braid_core::operation::CollectionStats;
use braid_core::{
    ChunkId, ChunkRecord, Collection, DocumentId, Filter, LedgerPin, Passage, Result, Selection,
    Slot,
};
use parking_lot::Mutex;

use super::chunks::ChunkPoint;
use super::shelf::Shelf;
use super::visible::Visible;

/// Not a snapshot: it is of one mind about each document that it was asked about ([`Visible`]).
pub(crate) struct ClusterPin {
    collection: Collection,
    stats: CollectionStats,
    shelf: Arc<Shelf>,
    visible: Arc<Visible>,
    /// Chunks that were read: candidates are named first and read out then.
    read: Mutex<HashMap<Slot, Option<Arc<ChunkPoint>>>>,
}

impl ClusterPin {
    pub(crate) fn new(collection: Collection, stats: CollectionStats, shelf: Arc<Shelf>) -> Self {
        Self {
            collection,
            stats,
            visible: Arc::new(Visible::new(shelf.heads.clone())),
            shelf,
            read: Mutex::default(),
        }
    }

    /// The chunks in these slots, in order; `None` where a slot has none that this query sees.
    async fn points(&self, slots: &[Slot]) -> Result<Vec<Option<Arc<ChunkPoint>>>> {
        let missing: Vec<Slot> = {
            let read = self.read.lock();
            let slots = slots.iter().copied();
            slots.filter(|slot| !read.contains_key(slot)).collect()
        };
        if !missing.is_empty() {
            let found = self.shelf.chunks.fetch(&missing).await?;
            let documents: Vec<&DocumentId> = found
                .iter()
                .flatten()
                .map(|point| &point.record.document)
                .collect();
            let mut versions = self.visible.of(&documents).await?.into_iter();
            let mut seen = Vec::with_capacity(found.len());
            for point in found {
                let version = point.as_ref().and_then(|_| versions.next().flatten());
                seen.push(point.filter(|point| Some(point.record.sequence) == version));
            }
            let mut read = self.read.lock();
            read.extend(
                missing
                    .into_iter()
                    .zip(seen.into_iter().map(|it| it.map(Arc::new))),
            );
        }
        let read = self.read.lock();
        Ok(slots
            .iter()
            .map(|slot| read.get(slot).cloned().flatten())
            .collect())
    }
}

#[async_trait]
impl LedgerPin for ClusterPin {
    fn collection(&self) -> &Collection {
        &self.collection
    }

    fn stats(&self) -> &CollectionStats {
        &self.stats
    }

    /// Without slots: the legs translate the filter, and ask [`Visible`], which is the state.
    async fn select(&self, filter: Option<Arc<Filter>>) -> Result<Selection> {
        if let Some(filter) = &filter {
            filter.check()?;
        }
        let visible = Arc::clone(&self.visible);
        Ok(Selection {
            filter,
            slots: None,
            state: Some(visible),
        })
    }

    async fn chunk_ids(&self, slots: &[Slot]) -> Result<Vec<Option<ChunkId>>> {
        let points = self.points(slots).await?.into_iter();
        Ok(points
            .map(|point| point.map(|point| point.record.id))
            .collect())
    }

    async fn hydrate(&self, slots: &[Slot]) -> Result<Vec<Passage>> {
        let points = self.points(slots).await?.into_iter().flatten();
        let passages = points.map(|point| Passage {
            record: point.record.clone(),
            uri: point.uri.clone(),
            metadata: Arc::clone(&point.metadata),
            duplicate_of: point.duplicate_of.clone(),
        });
        Ok(passages.collect())
    }

    async fn document_chunks(
        &self,
        document: &DocumentId,
        ordinals: RangeInclusive<u32>,
    ) -> Result<Vec<ChunkRecord>> {
        let Some(sequence) = self.visible.of(&[document]).await?[0] else {
            return Ok(Vec::new());
        };
        let points = self
            .shelf
            .chunks
            .of_document(document, sequence, ordinals)
            .await?;
        Ok(points.into_iter().map(|point| point.record).collect())
    }
}
