//! [`ChunkStore`]: the chunks of one collection generation, in one collection of Qdrant.
//!
//! A point is a chunk of an indexed version: its id is the slot, its vectors are the embedding
//! ([`DENSE`]) and the weights of its terms ([`SPARSE`]), its payload says which version it is of, what
//! filters ask, and everything that an answer says ([`point`]). Points never change, but for the weights
//! ([`weights`]): a version's are written before a head names it, and deleted when no head has named it
//! for a while. So whoever finds a point asks the heads whether it counts.

mod narrowed;
mod point;
mod space;
mod weights;
mod writing;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use ::qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use ::qdrant_client::qdrant::{
    Filter, GetPoints, PointId, QueryBatchPoints, QueryPoints, RetrievedPoint, ScrollPoints,
    WithVectorsSelector,
};
use braid_core::{
    ChunkId, ChunkRecord, Collection, ContentHash, DocumentId, Embedding, LanguageSetting,
    Metadata, Result, Sequence, Slot, SlotSet,
};
use braid_text::Analyzers;
use parking_lot::RwLock;

use super::cas::{all, is_integer, is_text};
use super::points::Points;
use super::rows::signed;
use super::site::Site;
use super::sparse;
use crate::qdrant::collection::only;
pub(crate) use narrowed::Version;
pub(crate) use point::{ANALYZED, DOCUMENT, SEQUENCE, of_versions, read_slot, read_version};
use point::{CHUNK, KEY, ORDINAL};
pub(crate) use writing::Embedded;

/// The vector of a chunk's embedding.
pub(crate) const DENSE: &str = "dense";
/// The vector of the weights of its terms.
pub(crate) const SPARSE: &str = "bm25";

/// Points in one page of a listing that has their payload.
const PAGE: u32 = 256;
/// Points in one page of a listing of ids.
const IDS: u32 = 8192;
/// Most keys or ids in one request.
const NAMED: usize = 256;
/// Most versions in one request.
const VERSIONS: usize = 64;

/// A chunk of an indexed version.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ChunkPoint {
    pub(crate) record: ChunkRecord,
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) uri: Option<String>,
    pub(crate) duplicate_of: Option<DocumentId>,
}

/// What the weights of a generation's chunks are worked out with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bm25Parameters {
    pub(crate) k1: f32,
    pub(crate) b: f32,
    pub(crate) mean_length: f32,
    /// How often the mean was corrected. A chunk says which weights it has.
    pub(crate) revision: u32,
}

impl Bm25Parameters {
    /// What stands beside the frequency of a term, in a content of this length.
    pub(crate) fn norm(self, length: u32) -> f32 {
        let share = length as f32 / self.mean_length.max(1.0);
        self.k1 * (1.0 - self.b + self.b * share)
    }

    /// What a term counts that is there so often, before its rarity.
    pub(crate) fn value(self, frequency: u32, norm: f32) -> f32 {
        let frequency = frequency as f32;
        (self.k1 + 1.0) * (frequency / (frequency + norm))
    }
}

/// The chunks of one collection generation.
pub(crate) struct ChunkStore {
    pub(crate) points: Points,
    pub(crate) dimension: usize,
    pub(crate) analyzers: Arc<Analyzers>,
    /// Fields that have an index, as the server said last.
    indexed: RwLock<Arc<BTreeSet<String>>>,
}

impl ChunkStore {
    pub(crate) fn new(site: Arc<Site>, collection: &Collection) -> Self {
        let name = site.chunks_name(collection.id, collection.generation);
        Self {
            points: Points::new(site, name),
            dimension: collection.dimension,
            analyzers: Arc::new(Analyzers::new(collection.settings.language)),
            indexed: RwLock::default(),
        }
    }

    /// The chunks of these slots, in order.
    pub(crate) async fn fetch(&self, slots: &[Slot]) -> Result<Vec<Option<ChunkPoint>>> {
        let mut found = HashMap::with_capacity(slots.len());
        for slots in slots.chunks(NAMED) {
            let request = GetPoints {
                collection_name: self.points.name.clone(),
                ids: slots.iter().map(|slot| wire_id(*slot)).collect(),
                with_payload: Some(true.into()),
                read_consistency: self.points.site.consistency(),
                ..GetPoints::default()
            };
            let asked = self
                .points
                .ask(|client| async move { client.get_points(request).await });
            for point in asked.await?.result {
                let point = point::read(&point)?;
                found.insert(point.record.slot, point);
            }
        }
        Ok(slots.iter().map(|slot| found.get(slot).cloned()).collect())
    }

    /// Chunks of one version, in the order of their ordinals.
    pub(crate) async fn of_document(
        &self,
        document: &DocumentId,
        sequence: Sequence,
        ordinals: RangeInclusive<u32>,
    ) -> Result<Vec<ChunkPoint>> {
        let mut filter = all(vec![
            is_text(DOCUMENT, document.as_str()),
            is_integer(SEQUENCE, signed(sequence.0)),
        ]);
        filter.must.push(point::within(ORDINAL, &ordinals));
        let found = self.list(filter, ScrollPoints::default()).await?;
        let points: Result<Vec<ChunkPoint>> = found.iter().map(point::read).collect();
        let mut points = points?;
        points.sort_by_key(|point| point.record.chunk.ordinal);
        Ok(points)
    }

    /// Every chunk of that name: the server looks through all of them.
    pub(crate) async fn named(&self, id: ChunkId) -> Result<Vec<ChunkPoint>> {
        let filter = all(vec![is_text(CHUNK, id.to_string())]);
        let found = self.list(filter, ScrollPoints::default()).await?;
        found.iter().map(point::read).collect()
    }

    /// Every point that passes, with its whole payload.
    async fn list(&self, filter: Filter, rest: ScrollPoints) -> Result<Vec<RetrievedPoint>> {
        let mut found = Vec::new();
        let mut offset = None;
        loop {
            let request = ScrollPoints {
                filter: Some(filter.clone()),
                offset,
                limit: Some(PAGE),
                with_payload: Some(true.into()),
                ..rest.clone()
            };
            let (page, next) = self.points.scroll(request).await?;
            found.extend(page);
            offset = next;
            if offset.is_none() {
                return Ok(found);
            }
        }
    }

    /// The embeddings of chunks with these keys, in order, each of any chunk that has it. They are of
    /// length 1.
    pub(crate) async fn embeddings(&self, keys: &[ContentHash]) -> Result<Vec<Option<Embedding>>> {
        let mut embeddings = Vec::with_capacity(keys.len());
        for keys in keys.chunks(NAMED) {
            // Any one point: thousands may have the key of a common paragraph.
            let first = |key: &ContentHash| QueryPoints {
                collection_name: self.points.name.clone(),
                filter: Some(all(vec![is_text(KEY, key.to_string())])),
                limit: Some(1),
                with_payload: Some(false.into()),
                with_vectors: Some(WithVectorsSelector::from(vec![DENSE])),
                ..QueryPoints::default()
            };
            let request = QueryBatchPoints {
                collection_name: self.points.name.clone(),
                query_points: keys.iter().map(first).collect(),
                read_consistency: self.points.site.consistency(),
                ..QueryBatchPoints::default()
            };
            let asked = self
                .points
                .ask(|client| async move { client.query_batch(request).await });
            let answer = asked.await?;
            let found = answer.result.into_iter();
            embeddings.extend(found.map(|it| point::embedding(it.result.into_iter().next())));
        }
        embeddings.resize(keys.len(), None);
        Ok(embeddings)
    }

    /// Deletes the chunks of versions; returns how many there were.
    pub(crate) async fn delete_versions(&self, versions: &[(DocumentId, Sequence)]) -> Result<u64> {
        let mut gone = 0;
        for versions in versions.chunks(VERSIONS) {
            let filter = Filter {
                should: of_versions(versions.iter()),
                ..Filter::default()
            };
            let there = self.points.count(Some(filter.clone())).await?;
            if there > 0 {
                let selected = PointsSelectorOneOf::Filter(filter);
                self.points.delete(selected).await?;
            }
            gone += there;
        }
        Ok(gone)
    }

    /// How many chunks there are, those of replaced versions included.
    pub(crate) async fn count(&self) -> Result<u64> {
        self.points.count(None).await
    }

    /// The slots of every chunk, those of replaced versions included.
    pub(crate) async fn slots(&self) -> Result<SlotSet> {
        let mut slots = SlotSet::new();
        let mut offset = None;
        loop {
            let request = ScrollPoints {
                offset,
                limit: Some(IDS),
                with_payload: Some(only(&[])),
                ..ScrollPoints::default()
            };
            let (page, next) = self.points.scroll(request).await?;
            let ids = page.iter().map(|point| point.id.as_ref());
            slots.extend(ids.filter_map(read_slot).map(|slot| slot.0));
            offset = next;
            if offset.is_none() {
                return Ok(slots);
            }
        }
    }
}

impl fmt::Debug for ChunkStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkStore")
            .field("name", &self.points.name)
            .finish_non_exhaustive()
    }
}

/// The mean length of the content of chunks, in terms.
pub(crate) fn mean_length<'a>(
    chunks: impl Iterator<Item = &'a ChunkRecord>,
    setting: LanguageSetting,
) -> f32 {
    let analyzers = Analyzers::new(setting);
    let (mut terms, mut counted) = (0_u64, 0_u64);
    for record in chunks {
        let analyzer = analyzers.of_document(record.language);
        terms += u64::from(sparse::content_length(sparse::texts(record), analyzer));
        counted += 1;
    }
    terms as f32 / counted.max(1) as f32
}

pub(crate) fn wire_id(slot: Slot) -> PointId {
    PointId::from(u64::from(slot.0))
}
