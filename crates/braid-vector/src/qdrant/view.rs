//! Searching a Qdrant collection.

use std::collections::HashSet;
use std::sync::Arc;

use ::qdrant_client::qdrant::{self as wire, QuantizationSearchParams, QueryPoints, SearchParams};
use async_trait::async_trait;
use braid_core::{Embedding, Filter, RankedList, Result, Selection, SlotSet, VectorView};
use futures::{StreamExt, TryStreamExt, stream};

use super::collection::{RemoteCollection, only};
use super::error::{cluttered, gone, is_missing};
use super::filter::{self, Indexed, Others};
use super::options::Quantization;
use super::payload::{self, SLOT};
use crate::cosine::unit;
use crate::nearest::Nearest;

/// Up to this many slots of a selection are named to the server and compared one by one.
const NAMED_EXACTLY: u64 = 1000;

/// Most slots named in one request.
const NAMED: usize = 16_384;

/// Most requests of slots by name: what is live is searched as a whole long before.
const NAMINGS: usize = 256;

/// Requests by name that are under way at once.
const NAMINGS_AT_ONCE: usize = 4;

/// How often more is fetched because what was fetched is not live, and how much more.
const ROUNDS: u32 = 4;
const WIDER: usize = 4;

/// How much farther a quantized search looks before the originals decide.
const OVERSAMPLING: f64 = 3.0;

/// What a collection holds now. Later batches show, but for the slots of a selection.
pub(super) struct QdrantView {
    remote: Arc<RemoteCollection>,
}

/// What is asked, of what, and how far.
struct Question<'a> {
    vector: &'a [f32],
    depth: usize,
    /// What may be answered; everything where `None`.
    slots: Option<&'a SlotSet>,
}

/// What came back.
struct Found {
    nearest: RankedList,
    /// Nothing that was not fetched can belong to it.
    is_settled: bool,
    /// It holds as much as was asked.
    is_full: bool,
}

impl QdrantView {
    pub(super) fn new(remote: Arc<RemoteCollection>) -> Self {
        Self { remote }
    }

    /// Asks with the filter, and for more while too much of the answer is not in the selection or the
    /// last of it is as near as the next may be.
    async fn ask_wider(
        &self,
        question: &Question<'_>,
        filter: Option<wire::Filter>,
    ) -> Result<RankedList> {
        let mut limit = first_limit(question.depth);
        let mut filter = filter;
        for round in 1..=ROUNDS {
            let found = self.ask(question, filter.clone(), limit, false).await?;
            if found.is_settled || (round == ROUNDS && found.is_full) {
                return Ok(found.nearest);
            }
            limit = limit.saturating_mul(WIDER);
            if let (1, Some(slots)) = (round, question.slots) {
                // What is being loaded is beyond what is live. It costs the server something, so it
                // is not said at first.
                filter = Some(filter::within(filter, slots));
            }
        }
        match question.slots {
            Some(slots) => self.ask_by_name(question, slots).await,
            None => Ok(self.ask(question, filter, limit, false).await?.nearest),
        }
    }

    /// Asks for the slots of the selection by name.
    async fn ask_by_name(&self, question: &Question<'_>, slots: &SlotSet) -> Result<RankedList> {
        let exactly = slots.len() <= NAMED_EXACTLY;
        let slots: Vec<u32> = slots.iter().collect();
        if slots.len().div_ceil(NAMED) > NAMINGS {
            return Err(cluttered(&self.remote.name));
        }
        let mut asked = Vec::new();
        for piece in slots.chunks(NAMED) {
            let limit = first_limit(question.depth).min(piece.len());
            asked.push(self.ask(question, Some(filter::any_of(piece)), limit, exactly));
        }
        let asked = stream::iter(asked).buffered(NAMINGS_AT_ONCE);
        let found: Vec<Found> = asked.try_collect().await?;
        let mut nearest = Nearest::new(question.depth);
        for candidate in found.into_iter().flat_map(|found| found.nearest) {
            nearest.offer(candidate.slot.0, candidate.score);
        }
        Ok(nearest.into_ranked())
    }

    async fn ask(
        &self,
        question: &Question<'_>,
        filter: Option<wire::Filter>,
        limit: usize,
        exactly: bool,
    ) -> Result<Found> {
        let request = self.request(question.vector, filter, limit, exactly);
        match self.remote.client().query(request).await {
            Ok(answer) => Ok(sift(question, &answer.result, limit)),
            Err(error) if is_missing(&error) => {
                let nearest = self.nothing_of(question)?;
                Ok(Found {
                    nearest,
                    is_settled: true,
                    is_full: false,
                })
            }
            Err(error) => Err(self.remote.failed(&error)),
        }
    }

    fn request(
        &self,
        vector: &[f32],
        filter: Option<wire::Filter>,
        limit: usize,
        exactly: bool,
    ) -> QueryPoints {
        let options = &self.remote.options;
        let quantization = match options.collection.quantization {
            Quantization::None => None,
            Quantization::Scalar | Quantization::Binary => Some(QuantizationSearchParams {
                ignore: Some(exactly),
                rescore: Some(true),
                oversampling: Some(OVERSAMPLING),
            }),
        };
        QueryPoints {
            collection_name: self.remote.name.clone(),
            query: Some(wire::Query::new_nearest(vector.to_vec())),
            filter,
            params: Some(SearchParams {
                hnsw_ef: Some(options.ef_search as u64),
                exact: Some(exactly),
                quantization,
                ..SearchParams::default()
            }),
            limit: Some(limit as u64),
            with_payload: Some(only(&[SLOT])),
            read_consistency: options.consistency(),
            ..QueryPoints::default()
        }
    }
}

#[async_trait]
impl VectorView for QdrantView {
    async fn search(
        &self,
        query: &Embedding,
        selection: &Selection,
        depth: usize,
    ) -> Result<RankedList> {
        let vector = unit(query, self.remote.dimension)?;
        let slots = selection.slots.as_deref();
        if depth == 0 || slots.is_some_and(SlotSet::is_empty) {
            return Ok(RankedList::new());
        }
        let question = Question {
            vector: &vector,
            depth,
            slots,
        };
        let limit = self.remote.options.search_timeout;
        let answer = self.answer(&question, selection.filter.as_deref());
        let connections = &self.remote.connections;
        connections.within(limit, "for a search", answer).await
    }
}

impl QdrantView {
    /// The answer of a collection that is not there: nothing, unless something must be.
    fn nothing_of(&self, question: &Question<'_>) -> Result<RankedList> {
        match question.slots {
            Some(_) => Err(gone(&self.remote.name)),
            None => Ok(RankedList::new()),
        }
    }

    async fn answer(&self, question: &Question<'_>, filter: Option<&Filter>) -> Result<RankedList> {
        let slots = question.slots;
        if let Some(slots) = slots.filter(|slots| slots.len() <= NAMED_EXACTLY) {
            return self.ask_by_name(question, slots).await;
        }
        let Some(filter) = filter else {
            return self.ask_wider(question, None).await;
        };
        let Some(fields) = self.remote.indexed().await? else {
            return self.nothing_of(question);
        };
        let others = match slots {
            Some(_) => Others::LeaveOut,
            None if self.remote.indexes_every_field(&fields) => Others::Absent,
            None => Others::Ask,
        };
        let indexed = Indexed {
            fields: &fields,
            others,
        };
        let filter = filter::translate(filter, indexed);
        self.ask_wider(question, Some(filter)).await
    }
}

/// Some more than is asked: for what is not live, and for ties at the end.
fn first_limit(depth: usize) -> usize {
    depth.saturating_add(depth / 4).saturating_add(16)
}

/// The best of `points` that belong to the selection. A slot counts once.
fn sift(question: &Question<'_>, points: &[wire::ScoredPoint], limit: usize) -> Found {
    let mut seen = HashSet::new();
    let mut nearest = Nearest::new(question.depth);
    for point in points {
        let Some(slot) = payload::read_slot(&point.payload) else {
            continue;
        };
        let is_asked = question.slots.is_none_or(|slots| slots.contains(slot));
        if is_asked && seen.insert(slot) {
            nearest.offer(slot, point.score.clamp(-1.0, 1.0));
        }
    }
    let nearest = nearest.into_ranked();
    let last = points.last().map_or(f32::MIN, |point| point.score);
    let is_full = nearest.len() == question.depth;
    let is_beyond_ties = is_full && nearest.last().is_none_or(|worst| worst.score > last);
    Found {
        is_settled: points.len() < limit || is_beyond_ties,
        is_full,
        nearest,
    }
}
