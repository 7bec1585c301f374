//! Writing chunks. A slot is one chunk's: it is written where nothing is, or the same version's chunk.
//! Counters see to that ([`counters`](crate::cluster::counters)), as long as Qdrant keeps what it
//! acknowledged; where it did not, two processes may have the same numbers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::mem;
use std::sync::Arc;

use ::qdrant_client::qdrant::condition::ConditionOneOf;
use ::qdrant_client::qdrant::{
    Condition, Filter, GetPoints, HasIdCondition, PointStruct, UpdateMode, UpsertPoints,
};
use braid_core::{DocumentId, Embedding, Error, ErrorCode, Result, Sequence, Slot};
use futures::{StreamExt, TryStreamExt, stream};

use super::point::{self, DOCUMENT, SEQUENCE, WEIGHED, read_slot, read_version};
use super::{Bm25Parameters, ChunkPoint, ChunkStore, NAMED, of_versions, wire_id};
use crate::cluster::cas::less_than;
use crate::qdrant::collection::only;

/// Most bytes of points in one request, a point alone excepted.
const REQUEST_BYTES: usize = 4 << 20;

/// A chunk with its embedding.
pub(crate) type Embedded = (ChunkPoint, Embedding);

type Version = (DocumentId, Sequence);

impl ChunkStore {
    /// Writes chunks with their embeddings, and returns when all are applied: the chunks that were not
    /// written, because another version's are in their slots. What was written before a failure stays,
    /// and is replaced when it is written again.
    ///
    /// # Errors
    /// [`InvalidRequest`](ErrorCode::InvalidRequest) for a bad vector, before anything is sent.
    pub(crate) async fn put(
        &self,
        chunks: Vec<Embedded>,
        bm25: Bm25Parameters,
    ) -> Result<Vec<Embedded>> {
        let (analyzers, dimension) = (Arc::clone(&self.analyzers), self.dimension);
        let made = self.points.site.pool.run(move || {
            let made = chunks.iter().map(|(chunk, embedding)| {
                point::write(chunk, embedding, dimension, &analyzers, bm25)
            });
            let made = made.collect::<Result<Vec<_>>>();
            made.map(|made| (chunks, made))
        });
        let (mut chunks, points) = made.await??;
        self.index_fields(&points).await?;
        let options = &self.points.site.options;
        let requests = requests(points, options.upload_points);
        let uploads = stream::iter(requests.into_iter().map(|it| self.write(it)));
        let uploads = uploads.buffer_unordered(options.upload_concurrency);
        let taken: HashSet<Slot> = uploads
            .try_collect::<Vec<_>>()
            .await?
            .concat()
            .into_iter()
            .collect();
        chunks.retain(|(chunk, _)| taken.contains(&chunk.record.slot));
        Ok(chunks)
    }

    /// Replaces points that are still there, and of an older revision than they have here. Makes none.
    pub(crate) async fn replace(&self, points: Vec<PointStruct>, revision: u32) -> Result<()> {
        let options = &self.points.site.options;
        for points in requests(points, options.upload_points) {
            let wanted = by_version(&points)?;
            let mut request = upsert(points, &wanted, UpdateMode::UpdateOnly);
            let filter = request.update_filter.get_or_insert_default();
            filter.must.push(less_than(WEIGHED, revision.into()));
            self.points.upsert(request).await?;
        }
        Ok(())
    }

    /// Writes points, and gives the slots that other versions have.
    async fn write(&self, points: Vec<PointStruct>) -> Result<Vec<Slot>> {
        let wanted = by_version(&points)?;
        let mode = UpdateMode::Upsert;
        self.points.upsert(upsert(points, &wanted, mode)).await?;
        // The answer does not say which were written.
        let slots: Vec<Slot> = wanted.values().flatten().copied().collect();
        let found = self.versions_in(&slots).await?;
        let mut taken = Vec::new();
        for (version, slots) in &wanted {
            for slot in slots {
                match found.get(slot) {
                    Some(found) if found == version => {}
                    Some(_) => taken.push(*slot),
                    None => return Err(self.lost()),
                }
            }
        }
        Ok(taken)
    }

    /// The version that has each of these slots.
    async fn versions_in(&self, slots: &[Slot]) -> Result<HashMap<Slot, Version>> {
        let mut found = HashMap::with_capacity(slots.len());
        for slots in slots.chunks(NAMED) {
            let request = GetPoints {
                collection_name: self.points.name.clone(),
                ids: slots.iter().map(|slot| wire_id(*slot)).collect(),
                with_payload: Some(only(&[DOCUMENT, SEQUENCE])),
                read_consistency: self.points.site.agreement(),
                ..GetPoints::default()
            };
            let asked = self
                .points
                .ask(|client| async move { client.get_points(request).await });
            for point in asked.await?.result {
                if let Some(slot) = read_slot(point.id.as_ref()) {
                    found.insert(slot, read_version(&point.payload)?);
                }
            }
        }
        Ok(found)
    }

    fn lost(&self) -> Error {
        let name = &self.points.name;
        Error::new(
            ErrorCode::Unavailable,
            format!("a chunk that was written is not in {name}"),
        )
        .with_help("try again")
    }
}

fn by_version(points: &[PointStruct]) -> Result<BTreeMap<Version, Vec<Slot>>> {
    let mut slots: BTreeMap<Version, Vec<Slot>> = BTreeMap::new();
    for point in points {
        let slot = read_slot(point.id.as_ref());
        let slot = slot.ok_or_else(|| Error::internal("a chunk has no slot"))?;
        let version = read_version(&point.payload)?;
        slots.entry(version).or_default().push(slot);
    }
    Ok(slots)
}

/// A write that leaves alone what other versions have in these slots.
fn upsert(
    points: Vec<PointStruct>,
    wanted: &BTreeMap<Version, Vec<Slot>>,
    mode: UpdateMode,
) -> UpsertPoints {
    UpsertPoints {
        points,
        update_filter: Some(Filter {
            should: wanted.iter().map(own_slots).collect(),
            ..Filter::default()
        }),
        update_mode: Some(mode.into()),
        ..UpsertPoints::default()
    }
}

/// The chunks of a version in these slots. Not only of the version: the request has other points too.
fn own_slots((version, slots): (&Version, &Vec<Slot>)) -> Condition {
    let has_id = slots.iter().map(|slot| wire_id(*slot)).collect();
    let mut must = of_versions(std::iter::once(version));
    must.push(Condition {
        condition_one_of: Some(ConditionOneOf::HasId(HasIdCondition { has_id })),
    });
    Condition::from(Filter {
        must,
        ..Filter::default()
    })
}

/// Points by request.
fn requests(points: Vec<PointStruct>, most: usize) -> Vec<Vec<PointStruct>> {
    let mut requests = Vec::new();
    let (mut request, mut bytes) = (Vec::new(), 0);
    for point in points {
        let size = point::size(&point);
        if request.len() == most || (!request.is_empty() && bytes + size > REQUEST_BYTES) {
            requests.push(mem::take(&mut request));
            bytes = 0;
        }
        bytes += size;
        request.push(point);
    }
    if !request.is_empty() {
        requests.push(request);
    }
    requests
}
