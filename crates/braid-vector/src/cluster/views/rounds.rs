//! A search, round by round, until all it found counts.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;

use ::qdrant_client::qdrant::condition::ConditionOneOf;
use ::qdrant_client::qdrant::{
    self as wire, AcornSearchParams, HasIdCondition, QuantizationSearchParams, QueryPoints,
    ScoredPoint, SearchParams, VectorInput,
};
use braid_core::{
    Candidate, DocumentId, Error, Filter, RankedList, Result, Selection, Sequence, Slot, SlotSet,
};

use super::Searched;
use super::conditions::{Check, Conditioned};
use crate::cluster::chunks::{
    DENSE, DOCUMENT, SEQUENCE, of_versions, read_slot, read_version, wire_id,
};
use crate::cluster::visible::Visible;
use crate::nearest::Nearest;
use crate::qdrant::collection::only;
use crate::qdrant::filter::{self, Indexed, Others};
use crate::qdrant::options::Quantization;

/// How often a search is repeated: without what does not count, and farther.
const ROUNDS: u32 = 4;
/// How much farther.
const WIDER: usize = 4;
/// How much farther a quantized search looks before the originals decide.
const OVERSAMPLING: f64 = 3.0;
/// Most candidates whose texts are read, where the server cannot tell which meet the conditions; more where
/// more are asked for.
const CHECKED: usize = 4096;
/// Most slots that a selection may name.
const NAMED: u64 = 16_384;

/// What a leg looks for.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// Which vector of the chunks it is compared with.
    pub(super) using: &'static str,
    pub(super) input: VectorInput,
    /// What else chunks must meet, beside the selection.
    pub(super) among: Option<wire::Condition>,
    pub(super) depth: usize,
}

/// Where counters went back, versions of two documents may have the same sequence.
type Version = (DocumentId, Sequence);

/// What a round found.
struct Found {
    nearest: RankedList,
    /// Versions that were found and do not count.
    stale: BTreeSet<Version>,
    /// Nothing that was not fetched can belong to it.
    is_settled: bool,
}

/// The state that was pinned, as a selection has it.
pub(super) type State = Arc<dyn Any + Send + Sync>;

/// Which versions count for a query.
#[derive(Clone)]
pub(super) enum Sight {
    Heads(Arc<Visible>),
    #[cfg(test)]
    Every,
}

/// A state in which every version counts, for tests of what does not depend on versions.
#[cfg(test)]
pub(crate) struct EveryVersion;

impl Sight {
    pub(super) fn of(state: Option<State>) -> Result<Self> {
        let Some(state) = state else {
            return Err(Error::internal(
                "the indexes of the profile cluster were asked without a pinned state",
            ));
        };
        #[cfg(test)]
        if state.is::<EveryVersion>() {
            return Ok(Self::Every);
        }
        let visible = state
            .downcast()
            .map_err(|_| Error::internal("the pinned state is of another ledger than the indexes"));
        visible.map(Self::Heads)
    }

    /// Which version of each document counts, where these were found.
    pub(super) async fn of_documents(
        &self,
        found: &[(&DocumentId, Sequence)],
    ) -> Result<Vec<Option<Sequence>>> {
        match self {
            Self::Heads(visible) => {
                let documents: Vec<&DocumentId> = found.iter().map(|(it, _)| *it).collect();
                visible.of(&documents).await
            }
            #[cfg(test)]
            Self::Every => Ok(found.iter().map(|(_, sequence)| Some(*sequence)).collect()),
        }
    }
}

impl Searched {
    /// The best chunks of the versions that the query sees.
    pub(super) async fn search(
        &self,
        question: &Question,
        selection: &Selection,
    ) -> Result<RankedList> {
        let is_nothing = selection
            .slots
            .as_ref()
            .is_some_and(|slots| slots.is_empty());
        if question.depth == 0 || is_nothing {
            return Ok(RankedList::new());
        }
        let site = &self.chunks.points.site;
        let limit = site.options.search_timeout;
        let search = self.search_rounds(question, selection);
        site.connections.within(limit, "for a search", search).await
    }

    async fn search_rounds(
        &self,
        question: &Question,
        selection: &Selection,
    ) -> Result<RankedList> {
        let conditioned = Conditioned::of(selection);
        let state = match &conditioned {
            Some(conditioned) => conditioned.state.clone(),
            None => selection.state.clone(),
        };
        let sight = Sight::of(state)?;
        let check = conditioned.as_ref().and_then(|it| it.check.as_ref());
        let mut filter = self.filter(selection).await?;
        if let Some(among) = &question.among {
            filter.get_or_insert_default().must.push(among.clone());
        }
        let mut limit = question.depth.saturating_add(question.depth / 4 + 16);
        let most = check.map_or(usize::MAX, |_| limit.max(CHECKED));
        let mut stale = BTreeSet::new();
        let mut nearest = RankedList::new();
        for _ in 0..ROUNDS {
            let mut request = self.request(question, without(filter.as_ref(), &stale), limit);
            if let Some(params) = &mut request.params {
                params.acorn = conditioned.as_ref().map(|_| anywhere());
            }
            let points = self
                .guard
                .call(|| self.batcher.ask(request.clone()))
                .await?;
            let found = self.sift((question.depth, limit), &points, &sight, check);
            let found = found.await?;
            nearest = found.nearest;
            // A version that took the place of a stale one may have come after this search.
            let is_done = found.is_settled || limit == most;
            if found.stale.is_empty() && is_done {
                break;
            }
            stale.extend(found.stale);
            if !found.is_settled {
                limit = limit.saturating_mul(WIDER).min(most);
            }
        }
        Ok(nearest)
    }

    /// The selection as a filter of the server.
    pub(super) async fn filter(&self, selection: &Selection) -> Result<Option<wire::Filter>> {
        if let Some(conditioned) = Conditioned::of(selection) {
            return Ok(Some(conditioned.filter.clone()));
        }
        let mut translated = match selection.filter.as_deref() {
            Some(filter) => Some(self.translate(filter).await?),
            None => None,
        };
        if let Some(slots) = selection.slots.as_deref() {
            let named = translated.get_or_insert_default();
            named.must.push(any_slot(slots)?);
        }
        Ok(translated)
    }

    async fn translate(&self, filter: &Filter) -> Result<wire::Filter> {
        let fields = self.chunks.indexed_for(filter).await?;
        let others = if self.chunks.indexes_every_field(&fields) {
            Others::Absent
        } else {
            Others::Ask
        };
        let indexed = Indexed {
            fields: &fields,
            others,
        };
        Ok(filter::translate(filter, indexed))
    }

    fn request(
        &self,
        question: &Question,
        filter: Option<wire::Filter>,
        limit: usize,
    ) -> QueryPoints {
        QueryPoints {
            collection_name: self.chunks.points.name.clone(),
            query: Some(wire::Query::new_nearest(question.input.clone())),
            using: Some(question.using.to_owned()),
            filter,
            params: (question.using == DENSE).then(|| self.params()),
            limit: Some(limit as u64),
            with_payload: Some(only(&[DOCUMENT, SEQUENCE])),
            ..QueryPoints::default()
        }
    }

    /// How the graph of embeddings is walked.
    fn params(&self) -> SearchParams {
        let options = &self.chunks.points.site.options;
        let quantization = match options.collection.quantization {
            Quantization::None => None,
            Quantization::Scalar | Quantization::Binary => Some(QuantizationSearchParams {
                rescore: Some(true),
                oversampling: Some(OVERSAMPLING),
                ..QuantizationSearchParams::default()
            }),
        };
        SearchParams {
            hnsw_ef: Some(options.ef_search as u64),
            quantization,
            ..SearchParams::default()
        }
    }
}

/// How the graph is walked where conditions filter it: what they let pass has no links of its own.
fn anywhere() -> AcornSearchParams {
    AcornSearchParams {
        enable: Some(true),
        ..AcornSearchParams::default()
    }
}

/// `filter` without these versions.
fn without(filter: Option<&wire::Filter>, stale: &BTreeSet<Version>) -> Option<wire::Filter> {
    let mut filter = filter.cloned();
    if !stale.is_empty() {
        let filter = filter.get_or_insert_default();
        filter.must_not.extend(of_versions(stale.iter()));
    }
    filter
}

fn any_slot(slots: &SlotSet) -> Result<wire::Condition> {
    if slots.len() > NAMED {
        return Err(Error::internal(
            "the indexes of the profile cluster were given too many slots to name",
        ));
    }
    let has_id = slots.iter().map(|slot| wire_id(Slot(slot))).collect();
    Ok(wire::Condition {
        condition_one_of: Some(ConditionOneOf::HasId(HasIdCondition { has_id })),
    })
}

impl Searched {
    /// The best of `points` that are of versions that count and pass the check. They are `limit` at most,
    /// and `depth` of them are wanted.
    async fn sift(
        &self,
        (depth, limit): (usize, usize),
        points: &[ScoredPoint],
        sight: &Sight,
        check: Option<&Arc<Check>>,
    ) -> Result<Found> {
        let (mut found, stale) = current(points, sight).await?;
        if let Some(check) = check {
            found = self.checked(check, found, depth).await?;
        }
        let mut nearest = Nearest::new(depth);
        let mut seen = SlotSet::new();
        for candidate in found {
            if seen.insert(candidate.slot.0) {
                nearest.offer(candidate.slot.0, candidate.score);
            }
        }
        let nearest = nearest.into_ranked();
        let last = points.last().map_or(f32::MIN, |point| point.score);
        let is_full = nearest.len() == depth;
        let is_beyond_ties = is_full && nearest.last().is_none_or(|worst| worst.score > last);
        Ok(Found {
            is_settled: points.len() < limit || is_beyond_ties,
            nearest,
            stale,
        })
    }
}

/// Those of `points` that are of versions that count, and the versions that do not.
async fn current(
    points: &[ScoredPoint],
    sight: &Sight,
) -> Result<(Vec<Candidate>, BTreeSet<Version>)> {
    let mut versions: BTreeSet<Version> = BTreeSet::new();
    let mut found = Vec::with_capacity(points.len());
    for point in points {
        let version = read_version(&point.payload)?;
        versions.insert(version.clone());
        if let Some(slot) = read_slot(point.id.as_ref()) {
            let score = point.score;
            found.push((version, Candidate { slot, score }));
        }
    }
    let asked: Vec<(&DocumentId, Sequence)> = versions.iter().map(|(it, at)| (it, *at)).collect();
    let visible = sight.of_documents(&asked).await?;
    let stale: BTreeSet<Version> = versions
        .iter()
        .zip(visible)
        .filter(|((_, sequence), visible)| *visible != Some(*sequence))
        .map(|(version, _)| version.clone())
        .collect();
    let found = found.into_iter();
    let found = found.filter(|(version, _)| !stale.contains(version));
    Ok((found.map(|(_, candidate)| candidate).collect(), stale))
}
