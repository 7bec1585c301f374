//! Which chunks pass a filter, without what they say.

use ::qdrant_client::qdrant::{Filter, ScrollPoints};
use braid_core::{DocumentId, Result, Sequence, Slot};

use super::point::{DOCUMENT, SEQUENCE, read_slot, read_version};
use super::{ChunkStore, only};

impl ChunkStore {
    /// The first chunks that pass, `most` of them at most, each with its version.
    pub(crate) async fn first(
        &self,
        filter: &Filter,
        most: usize,
    ) -> Result<Vec<(Slot, DocumentId, Sequence)>> {
        let request = ScrollPoints {
            collection_name: self.points.name.clone(),
            filter: Some(filter.clone()),
            limit: Some(u32::try_from(most).unwrap_or(u32::MAX)),
            with_payload: Some(only(&[DOCUMENT, SEQUENCE])),
            read_consistency: self.points.site.consistency(),
            ..ScrollPoints::default()
        };
        let asked = self
            .points
            .ask(|client| async move { client.scroll(request).await });
        let points = asked.await?.result;
        let found = points.iter().filter_map(|point| {
            let slot = read_slot(point.id.as_ref())?;
            let version = read_version(&point.payload);
            Some(version.map(|(document, sequence)| (slot, document, sequence)))
        });
        found.collect()
    }

    /// How many chunks pass.
    pub(crate) async fn count_of(&self, filter: &Filter) -> Result<u64> {
        self.points.count(Some(filter.clone())).await
    }
}
