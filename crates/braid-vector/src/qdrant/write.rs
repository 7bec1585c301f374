//! Writing a batch: deletes, then points, then the watermark, each acknowledged as applied.

use std::collections::HashMap;
use std::mem;

use ::qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use ::qdrant_client::qdrant::vectors::VectorsOptions;
use ::qdrant_client::qdrant::{
    DeletePoints, NamedVectors, PointId, PointStruct, PointsIdsList, PointsSelector, UpsertPoints,
    Vectors, WriteOrdering as WireOrdering, WriteOrderingType,
};
use braid_core::{IndexBatch, IndexKey, Result, Sequence, Slot, SlotSet, VectorEntry};
use futures::{StreamExt, TryStreamExt, stream};

use super::collection::{CURRENT_FORMAT, RemoteCollection};
use super::options::WriteOrdering;
use super::payload::{self, FORMAT, WATERMARK, integer};
use crate::cosine::unit;

/// Most bytes of points in one request, a point alone excepted.
const REQUEST_BYTES: usize = 4 << 20;

/// Most points deleted by one request.
const DELETES: usize = 4096;

/// What a field of the payload costs beside its key and value.
const FIELD_BYTES: usize = 16;

/// Writes `batch`. What was written before a failure stays, and is written again with the batch.
pub(super) async fn apply(remote: &RemoteCollection, batch: IndexBatch<VectorEntry>) -> Result<()> {
    let IndexBatch {
        add,
        delete,
        watermark,
    } = batch;
    let (key, dimension, most) = (remote.key, remote.dimension, remote.options.upload_points);
    let (add, requests) = remote
        .pool
        .run(move || {
            let requests = requests(key, dimension, most, &add);
            (add, requests)
        })
        .await?;
    let requests = requests?;
    remote.ensure().await?;
    remote.index_fields(&add).await?;
    drop(add);
    delete_slots(remote, &delete).await?;
    let uploads = stream::iter(requests.into_iter().map(|points| upsert(remote, points)));
    uploads
        .buffer_unordered(remote.options.upload_concurrency)
        .try_collect::<()>()
        .await?;
    upsert(remote, vec![watermark_point(key, watermark)]).await
}

/// The points of `entries`, by request.
///
/// # Errors
/// [`InvalidRequest`](braid_core::ErrorCode::InvalidRequest) for a bad vector, before anything is sent.
fn requests(
    key: IndexKey,
    dimension: usize,
    most: usize,
    entries: &[VectorEntry],
) -> Result<Vec<Vec<PointStruct>>> {
    let mut requests = Vec::new();
    let (mut points, mut bytes) = (Vec::new(), 0);
    for entry in entries {
        let vector = unit(&entry.embedding, dimension)?;
        let size = size_of_val(vector.as_slice()) + entry.metadata.bytes() + FIELD_BYTES;
        if points.len() == most || (!points.is_empty() && bytes + size > REQUEST_BYTES) {
            requests.push(mem::take(&mut points));
            bytes = 0;
        }
        bytes += size;
        points.push(PointStruct {
            id: Some(PointId::from(payload::point_id(key, entry.slot))),
            payload: payload::payload(entry),
            vectors: Some(Vectors::from(vector)),
        });
    }
    if !points.is_empty() {
        requests.push(points);
    }
    Ok(requests)
}

/// It has no vector, so that no search finds it.
fn watermark_point(key: IndexKey, watermark: Sequence) -> PointStruct {
    let number = i64::try_from(watermark.0).unwrap_or(i64::MAX);
    let payload = HashMap::from([
        (WATERMARK.to_owned(), integer(number)),
        (FORMAT.to_owned(), integer(CURRENT_FORMAT)),
    ]);
    PointStruct {
        id: Some(PointId::from(payload::watermark_id(key))),
        payload,
        vectors: Some(Vectors {
            vectors_options: Some(VectorsOptions::Vectors(NamedVectors::default())),
        }),
    }
}

async fn upsert(remote: &RemoteCollection, points: Vec<PointStruct>) -> Result<()> {
    let request = UpsertPoints {
        collection_name: remote.name.clone(),
        wait: Some(true),
        points,
        ordering: ordering(remote),
        ..UpsertPoints::default()
    };
    let written = remote.client().upsert_points(request).await;
    let written = written.map_err(|error| remote.failed(&error))?;
    completed(remote, written.result.map(|result| result.status))
}

async fn delete_slots(remote: &RemoteCollection, slots: &SlotSet) -> Result<()> {
    let slots: Vec<u32> = slots.iter().collect();
    for slots in slots.chunks(DELETES) {
        let id = |slot: &u32| PointId::from(payload::point_id(remote.key, Slot(*slot)));
        let ids = slots.iter().map(id).collect();
        let request = DeletePoints {
            collection_name: remote.name.clone(),
            wait: Some(true),
            points: Some(PointsSelector {
                points_selector_one_of: Some(PointsSelectorOneOf::Points(PointsIdsList { ids })),
            }),
            ordering: ordering(remote),
            ..DeletePoints::default()
        };
        let deleted = remote.client().delete_points(request).await;
        let deleted = deleted.map_err(|error| remote.failed(&error))?;
        completed(remote, deleted.result.map(|result| result.status))?;
    }
    Ok(())
}

/// An answer that comes before the write is applied, as when the server gave up waiting, is none.
fn completed(remote: &RemoteCollection, status: Option<i32>) -> Result<()> {
    use ::qdrant_client::qdrant::UpdateStatus::Completed;
    if status == Some(Completed.into()) {
        return Ok(());
    }
    let name = &remote.name;
    Err(braid_core::Error::new(
        braid_core::ErrorCode::Timeout,
        format!("Qdrant took a write to {name} and has not applied it in time"),
    )
    .with_help("look at its load, or raise qdrant.timeout_ms"))
}

fn ordering(remote: &RemoteCollection) -> Option<WireOrdering> {
    let kind = match remote.options.write_ordering {
        WriteOrdering::Weak => WriteOrderingType::Weak,
        WriteOrdering::Medium => WriteOrderingType::Medium,
        WriteOrdering::Strong => WriteOrderingType::Strong,
    };
    Some(WireOrdering {
        r#type: kind.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use braid_core::{ChunkId, CollectionId, Generation, Metadata, MetadataValue};

    use super::*;

    #[test]
    fn requests_are_bounded_by_points_and_by_bytes() {
        let key = IndexKey {
            collection: CollectionId(1),
            generation: Generation(1),
        };
        let entry = |slot: u32, bytes: usize| VectorEntry {
            slot: Slot(slot),
            chunk: ChunkId(uuid::Uuid::nil()),
            embedding: vec![1.0; 4].into(),
            metadata: Arc::new(Metadata::stored(
                [("a".to_owned(), MetadataValue::String("x".repeat(bytes)))].into(),
            )),
            language: None,
        };
        let sizes = |entries: Vec<VectorEntry>| -> Vec<usize> {
            let requests = requests(key, 4, 3, &entries).unwrap();
            requests.iter().map(Vec::len).collect()
        };
        assert!(sizes(Vec::new()).is_empty());
        assert_eq!(
            sizes((0..7).map(|slot| entry(slot, 0)).collect()),
            [3, 3, 1]
        );
        let half = REQUEST_BYTES / 2;
        let large = [half, half, 2 * REQUEST_BYTES, 0, 0];
        let large = (0..).zip(large).map(|(slot, bytes)| entry(slot, bytes));
        assert_eq!(sizes(large.collect()), [1, 1, 1, 2]);
    }
}
