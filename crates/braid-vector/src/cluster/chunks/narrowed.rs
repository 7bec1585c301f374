//! Which chunks there are, and of which versions, without what they say.

use std::collections::HashMap;

use ::qdrant_client::qdrant::{Filter, GetPoints, PointId, RetrievedPoint, ScrollPoints};
use braid_core::{DocumentId, Result, Sequence, Slot};

use super::point::{DOCUMENT, ORDINAL, SEQUENCE, of_versions, read_slot, read_version};
use super::{ChunkStore, NAMED, VERSIONS, only, wire_id};
use crate::cluster::rows::read_integer;

/// Points in one page of a listing with their versions: a payload that is on disk is read as a whole.
const VERSIONED: u32 = 1024;

/// A version of a document.
pub(crate) type Version = (DocumentId, Sequence);
/// A chunk with its version.
pub(crate) type Placed = (Slot, DocumentId, Sequence);

impl ChunkStore {
    /// The first chunks that pass, `most` of them at most, each with its version.
    pub(crate) async fn first(&self, filter: &Filter, most: usize) -> Result<Vec<Placed>> {
        let limit = u32::try_from(most).unwrap_or(u32::MAX);
        let (found, _) = self.page_of(Some(filter.clone()), None, limit).await?;
        found.iter().map(placed).collect()
    }

    /// How many chunks pass.
    pub(crate) async fn count_of(&self, filter: &Filter) -> Result<u64> {
        self.points.count(Some(filter.clone())).await
    }

    /// Whether a version has any chunk.
    pub(crate) async fn has_any(&self, version: &Version) -> Result<bool> {
        let filter = Filter::must(of_versions(std::iter::once(version)));
        Ok(self.count_of(&filter).await? > 0)
    }

    /// A page of all chunks, each with its version or why that cannot be read, and where the next page
    /// starts.
    pub(crate) async fn page(
        &self,
        from: Option<PointId>,
    ) -> Result<(Vec<Result<Placed>>, Option<PointId>)> {
        let (found, next) = self.page_of(None, from, VERSIONED).await?;
        Ok((found.iter().map(placed).collect(), next))
    }

    /// The ordinals and slots of the chunks of these versions, without chunks that cannot be read.
    pub(crate) async fn ordinals_of(
        &self,
        versions: &[Version],
    ) -> Result<HashMap<Version, Vec<(u32, Slot)>>> {
        let mut ordinals: HashMap<Version, Vec<(u32, Slot)>> = HashMap::new();
        for versions in versions.chunks(VERSIONS) {
            let filter = Filter::should(of_versions(versions.iter()));
            let mut from = None;
            loop {
                let (found, next) = self.page_of(Some(filter.clone()), from, VERSIONED).await?;
                for point in &found {
                    let Ok((slot, document, sequence)) = placed(point) else {
                        continue;
                    };
                    let ordinal = read_integer(&point.payload, ORDINAL);
                    // One that is none is of no place.
                    let ordinal = ordinal.and_then(|it| u32::try_from(it).ok());
                    let chunks = ordinals.entry((document, sequence)).or_default();
                    chunks.push((ordinal.unwrap_or(u32::MAX), slot));
                }
                from = next;
                if from.is_none() {
                    break;
                }
            }
        }
        Ok(ordinals)
    }

    /// Those of these slots that have a chunk.
    pub(crate) async fn there(&self, slots: &[Slot]) -> Result<Vec<Slot>> {
        let mut there = Vec::new();
        for slots in slots.chunks(NAMED) {
            let request = GetPoints {
                collection_name: self.points.name.clone(),
                ids: slots.iter().map(|slot| wire_id(*slot)).collect(),
                with_payload: Some(only(&[])),
                read_consistency: self.points.site.consistency(),
                ..GetPoints::default()
            };
            let asked = self
                .points
                .ask(|client| async move { client.get_points(request).await });
            let found = asked.await?.result;
            let slots = found.iter().map(|point| read_slot(point.id.as_ref()));
            there.extend(slots.flatten());
        }
        Ok(there)
    }

    /// Deletes single chunks: drift for tests.
    #[cfg(test)]
    pub(crate) async fn delete_slots(&self, slots: &[Slot]) -> Result<()> {
        use ::qdrant_client::qdrant::PointsIdsList;
        use ::qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
        let ids = slots.iter().map(|slot| wire_id(*slot)).collect();
        let selected = PointsSelectorOneOf::Points(PointsIdsList { ids });
        self.points.delete(selected).await
    }

    async fn page_of(
        &self,
        filter: Option<Filter>,
        offset: Option<PointId>,
        limit: u32,
    ) -> Result<(Vec<RetrievedPoint>, Option<PointId>)> {
        let request = ScrollPoints {
            filter,
            offset,
            limit: Some(limit),
            with_payload: Some(only(&[DOCUMENT, SEQUENCE, ORDINAL])),
            ..ScrollPoints::default()
        };
        self.points.scroll(request).await
    }
}

/// Every point must have a slot and a version.
fn placed(point: &RetrievedPoint) -> Result<Placed> {
    let slot = read_slot(point.id.as_ref());
    let slot = slot.ok_or_else(|| crate::cluster::rows::damaged("has an id that is no slot"))?;
    let version = read_version(&point.payload);
    let (document, sequence) = version.map_err(|it| it.context(format_args!("chunk {slot}")))?;
    Ok((slot, document, sequence))
}
