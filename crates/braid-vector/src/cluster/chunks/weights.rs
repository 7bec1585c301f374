//! Weights that are worked out again: those of a chunk depend on the mean length, which is corrected while
//! a collection grows.

use std::sync::Arc;

use ::qdrant_client::qdrant::{Filter, PointId, PointStruct, ScrollPoints, WithVectorsSelector};
use braid_core::Result;

use super::point::{self, WEIGHED};
use super::{Bm25Parameters, ChunkStore, DENSE, PAGE};
use crate::cluster::cas::is_integer;

impl ChunkStore {
    /// Works the weights of chunks out that have those of another revision, `most` of them or a few more.
    /// How many it were.
    ///
    /// # Errors
    /// [`Corrupt`](braid_core::ErrorCode::Corrupt) for a chunk that cannot be read, and what the server
    /// reports.
    pub(crate) async fn reweigh(&self, bm25: Bm25Parameters, most: u64) -> Result<u64> {
        let (mut done, mut from) = (0, None);
        loop {
            let (points, next) = self.reweighed(bm25, from).await?;
            done += points.len() as u64;
            self.replace(points).await?;
            from = next;
            if from.is_none() || done >= most {
                return Ok(done);
            }
        }
    }

    /// A page of the points that have weights of another revision, as they should be, and where the next
    /// page starts.
    pub(crate) async fn reweighed(
        &self,
        bm25: Bm25Parameters,
        offset: Option<PointId>,
    ) -> Result<(Vec<PointStruct>, Option<PointId>)> {
        let revision = i64::from(bm25.revision);
        let request = ScrollPoints {
            collection_name: self.points.name.clone(),
            filter: Some(Filter::must_not([is_integer(WEIGHED, revision)])),
            offset,
            limit: Some(PAGE),
            with_payload: Some(true.into()),
            with_vectors: Some(WithVectorsSelector::from(vec![DENSE])),
            read_consistency: self.points.site.consistency(),
            ..ScrollPoints::default()
        };
        let asked = self
            .points
            .ask(|client| async move { client.scroll(request).await });
        let answer = asked.await?;
        let analyzers = Arc::clone(&self.analyzers);
        let reweighed = self.points.site.pool.run(move || {
            let points = answer.result.into_iter();
            let points = points.map(|it| point::reweighed(it, &analyzers, bm25));
            points.collect::<Result<Vec<_>>>()
        });
        Ok((reweighed.await??, answer.next_page_offset))
    }

    /// The weights of all chunks, by slot: what tests compare.
    #[cfg(test)]
    pub(crate) async fn weights(&self) -> Vec<(u32, Vec<(u32, f32)>)> {
        use ::qdrant_client::qdrant::vector_output::Vector;
        let request = ScrollPoints {
            collection_name: self.points.name.clone(),
            limit: Some(PAGE),
            with_vectors: Some(WithVectorsSelector::from(vec![super::SPARSE])),
            ..ScrollPoints::default()
        };
        let asked = self
            .points
            .ask(|client| async move { client.scroll(request).await });
        let points = asked.await.unwrap().result.into_iter();
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
