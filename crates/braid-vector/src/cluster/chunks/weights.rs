//! Weights that are worked out again: those of a chunk depend on the mean length, which is corrected while
//! a collection grows.

use std::sync::Arc;

use ::qdrant_client::qdrant::{
    Direction, Filter, OrderBy, PointId, PointStruct, Query, QueryPoints, RetrievedPoint, Sample,
    ScrollPoints, WithVectorsSelector,
};
use braid_core::{ChunkRecord, Result, Slot};
use futures::future::try_join_all;

use super::point::{self, WEIGHED};
use super::{Bm25Parameters, ChunkStore, DENSE, PAGE, wire_id};
use crate::cluster::cas::{all, less_than};
use crate::cluster::queue::readable;
use crate::cluster::rows::read_integer;
use crate::qdrant::collection::only;

/// Points of one page of a sample.
const DRAWN: u32 = 256;

impl ChunkStore {
    /// Works the weights of chunks out that have those of an older revision, from a slot on, `most` of
    /// them or a few more. How many it were.
    ///
    /// # Errors
    /// What the server reports.
    pub(crate) async fn reweigh(&self, bm25: Bm25Parameters, from: Slot, most: u64) -> Result<u64> {
        let (mut done, mut from) = (0, Some(wire_id(from)));
        loop {
            let (points, next) = self.reweighed(bm25, from).await?;
            done += points.len() as u64;
            self.replace(points, bm25.revision).await?;
            from = next;
            if from.is_none() || done >= most {
                return Ok(done);
            }
        }
    }

    /// A page of the points that have weights of an older revision, as they should be, and where the next
    /// page starts. Those that cannot be read are left out.
    pub(crate) async fn reweighed(
        &self,
        bm25: Bm25Parameters,
        offset: Option<PointId>,
    ) -> Result<(Vec<PointStruct>, Option<PointId>)> {
        let request = ScrollPoints {
            filter: Some(all(vec![less_than(WEIGHED, bm25.revision.into())])),
            offset,
            limit: Some(PAGE),
            with_payload: Some(true.into()),
            with_vectors: Some(WithVectorsSelector::from(vec![DENSE])),
            ..ScrollPoints::default()
        };
        let (page, next) = self.points.scroll(request).await?;
        let analyzers = Arc::clone(&self.analyzers);
        let reweighed = self.points.site.pool.run(move || {
            let points = page.into_iter();
            readable(points.map(|it| point::reweighed(it, &analyzers, bm25)))
        });
        Ok((reweighed.await?, next))
    }

    /// The newest revision that any chunk has weights of; `None` where there are none.
    pub(crate) async fn newest_revision(&self) -> Result<Option<u32>> {
        let request = ScrollPoints {
            limit: Some(1),
            with_payload: Some(only(&[WEIGHED])),
            order_by: Some(OrderBy {
                key: WEIGHED.to_owned(),
                direction: Some(Direction::Desc.into()),
                start_from: None,
            }),
            ..ScrollPoints::default()
        };
        let (page, _) = self.points.scroll(request).await?;
        let newest = page
            .first()
            .and_then(|it| read_integer(&it.payload, WEIGHED));
        Ok(newest.and_then(|it| u32::try_from(it).ok()))
    }

    /// So many chunks, drawn by chance; all of them where there are no more. Those that cannot be read are
    /// left out.
    pub(crate) async fn drawn(&self, most: u64) -> Result<Vec<ChunkRecord>> {
        let points = if self.count().await? <= most {
            self.list(Filter::default(), ScrollPoints::default())
                .await?
        } else {
            let draws = (0..most.div_ceil(DRAWN.into())).map(|_| self.draw());
            try_join_all(draws).await?.concat()
        };
        let read = move || readable(points.iter().map(point::read));
        let read = self.points.site.pool.run(read).await?;
        Ok(read.into_iter().map(|chunk| chunk.record).collect())
    }

    async fn draw(&self) -> Result<Vec<RetrievedPoint>> {
        let request = QueryPoints {
            collection_name: self.points.name.clone(),
            query: Some(Query::new_sample(Sample::Random)),
            limit: Some(DRAWN.into()),
            with_payload: Some(true.into()),
            read_consistency: self.points.site.consistency(),
            ..QueryPoints::default()
        };
        let asked = self
            .points
            .ask(|client| async move { client.query(request).await });
        let found = asked.await?.result.into_iter();
        let retrieved = found.map(|point| RetrievedPoint {
            id: point.id,
            payload: point.payload,
            ..RetrievedPoint::default()
        });
        Ok(retrieved.collect())
    }

    /// The weights of all chunks, by slot: what tests compare.
    #[cfg(test)]
    pub(crate) async fn weights(&self) -> Vec<(u32, Vec<(u32, f32)>)> {
        use ::qdrant_client::qdrant::vector_output::Vector;
        let request = ScrollPoints {
            limit: Some(PAGE),
            with_vectors: Some(WithVectorsSelector::from(vec![super::SPARSE])),
            ..ScrollPoints::default()
        };
        let points = self.points.scroll(request).await.unwrap().0.into_iter();
        let weights = points.map(|point| {
            let slot = super::read_slot(point.id.as_ref()).unwrap().0;
            let vectors = point.vectors.unwrap();
            let Some(Vector::Sparse(sparse)) = vectors.get_vector_by_name(super::SPARSE) else {
                panic!("{slot} has no weights");
            };
            (
                slot,
                sparse.indices.into_iter().zip(sparse.values).collect(),
            )
        });
        weights.collect()
    }
}
