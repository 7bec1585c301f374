//! One run of the pipeline with a document watched through every stage.

use std::collections::BTreeMap;
use std::sync::Arc;

use braid_core::{ChunkId, LedgerPin, Leg, Result};

use super::answer::{Cut, RerankTrace};
use super::target::Target;
use crate::context::left_out;
use crate::distinct::{Standing, best_distinct, standings};
use crate::request::RetrieveRequest;
use crate::response::{Citation, Degradation, RetrievedHit, StageScore};
use crate::retriever::{Found, Reading, Retriever};

/// Where a document came to, stage by stage.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    /// Its chunk that came furthest.
    pub(super) chunk: Option<ChunkId>,
    /// Its best chunk in the list that the legs make.
    pub(super) base: Option<StageScore>,
    /// Its best place in the list of each phrasing that finds it, where there are several.
    pub(super) places: BTreeMap<usize, StageScore>,
    /// Its rank in that list among passages that say different things.
    base_distinct: Option<usize>,
    /// What the re-ranker made of its best chunk.
    pub(super) rerank: Option<RerankTrace>,
    /// Whether a leg's threshold cut it.
    below: Option<Leg>,
    /// Whether the re-ranker's threshold cut all of it that the legs found.
    below_rerank: bool,
    /// The best relevance of its chunks.
    pub(super) relevance: Option<f64>,
    /// Its best standing at the end.
    standing: Option<Standing>,
    /// Its rank at the end, however many are returned.
    pub(super) rank: Option<usize>,
    /// Whether that is among those returned.
    pub(super) is_hit: bool,
    /// Whether it stands in the context; `None` where it is no hit or there is no context.
    pub(super) in_context: Option<bool>,
    /// All hits, where the context has none of its own.
    uncited: Vec<RetrievedHit>,
    /// Whether each of its hits is left out of the context whatever room there is: see
    /// [`Trace::see_limits`].
    is_left_out: bool,
    pub(super) lag: u64,
    pub(super) degraded: Vec<Degradation>,
}

/// Runs `request` in the pinned state and watches `target`.
pub(super) async fn trace(
    retriever: &Retriever,
    pin: &Arc<dyn LedgerPin>,
    target: &Target,
    request: &RetrieveRequest,
) -> Result<Trace> {
    let mut found = retriever.find(request, Reading::Everything(pin)).await?;
    let mut trace = Trace {
        lag: found.lag,
        below: found.cut.leg_that_cut(&target.chunks),
        ..Trace::default()
    };
    trace.see_base(&found, target);
    let ordered = retriever.order_hits(request, &mut found).await;
    let is_target = |hit: &&RetrievedHit| target.chunks.contains(&hit.passage.record.id);
    let scored = ordered.hits.iter().chain(&ordered.below).filter(is_target);
    trace.relevance = scored
        .clone()
        .filter_map(|hit| hit.relevance)
        .reduce(f64::max);
    trace.rerank = scored
        .filter_map(rerank_trace)
        .min_by_key(|seen| seen.at.rank);
    trace.below_rerank = ordered.below.iter().any(|hit| is_target(&hit))
        && !ordered.hits.iter().any(|hit| is_target(&hit));
    trace.see_end(&ordered.hits, &found, target, request.top_k);
    trace.degraded = std::mem::take(&mut found.degraded);
    if trace.is_hit && request.context.max_tokens > 0 {
        let hits = best_distinct(ordered.hits, request.top_k, found.sameness);
        let (neighborhood, question) = found.take_surroundings();
        let (hits, context) = retriever
            .assemble(hits, neighborhood, request, question)
            .await?;
        let is_cited = is_cited(&hits, &context.citations, target);
        trace.in_context = Some(is_cited);
        if !is_cited {
            trace.uncited = hits;
        }
    }
    Ok(trace)
}

impl Trace {
    fn see_base(&mut self, found: &Found, target: &Target) {
        let places = standings(&found.hits, found.sameness);
        for (hit, standing) in found.hits.iter().zip(places) {
            if !target.chunks.contains(&hit.passage.record.id) {
                continue;
            }
            self.base.get_or_insert(StageScore {
                rank: hit.rank,
                score: hit.score,
            });
            for found in &hit.phrasings {
                let Some(place) = found.place() else {
                    continue;
                };
                let best = self.places.entry(found.phrasing).or_insert(place);
                if place.rank < best.rank {
                    *best = place;
                }
            }
            self.chunk.get_or_insert(hit.passage.record.id);
            if let Standing::Kept(rank) = standing {
                self.base_distinct.get_or_insert(rank);
            }
        }
    }

    fn see_end(&mut self, hits: &[RetrievedHit], found: &Found, target: &Target, top_k: usize) {
        let mut chunk = None;
        for (hit, standing) in hits.iter().zip(standings(hits, found.sameness)) {
            if !target.chunks.contains(&hit.passage.record.id) {
                continue;
            }
            self.standing.get_or_insert(standing);
            chunk.get_or_insert(hit.passage.record.id);
            if let Standing::Kept(rank) = standing {
                chunk = Some(hit.passage.record.id);
                self.standing = Some(standing);
                self.rank = Some(rank);
                break;
            }
        }
        self.chunk = chunk.or(self.chunk);
        self.is_hit = self.rank.is_some_and(|rank| rank <= top_k);
    }

    /// Looks why the context has none of its hits. Every hit is held against those before it, which a context
    /// that is full does without: only what is told of asks for it, and none of what is tried.
    pub(super) async fn see_limits(
        &mut self,
        retriever: &Retriever,
        target: &Target,
        request: &RetrieveRequest,
    ) -> Result<()> {
        let hits = std::mem::take(&mut self.uncited);
        if hits.is_empty() {
            return Ok(());
        }
        let mut documents = hits.iter().map(|hit| &hit.passage.record);
        let own = documents.find(|record| target.chunks.contains(&record.id));
        let own = own.map(|record| record.document.clone());
        let options = request.context;
        let look = move || left_out(&hits, &options);
        let left_out = retriever.parts.pool.run(look).await?;
        self.is_left_out = own.is_some_and(|own| left_out.contains(&own));
        Ok(())
    }

    /// The first stage after the filter that cut the document, where one did. `None` where none did,
    /// or where it is in no list that the legs gave.
    pub(super) fn cut(&self, request: &RetrieveRequest) -> Option<Cut> {
        if self.base.is_none() {
            return self.below.map(|leg| Cut::BelowThreshold(leg.as_str()));
        }
        if self.below_rerank {
            return Some(Cut::BelowThreshold("rerank"));
        }
        match self.standing {
            Some(Standing::SameAs(rank)) => Some(Cut::Deduplicated { rank }),
            Some(Standing::Kept(_)) if self.is_hit => {
                (self.in_context == Some(false)).then(|| self.kept_out())
            }
            Some(Standing::Kept(_)) | None => Some(self.ranked_out(request)),
        }
    }

    /// Why a hit is not in the context.
    fn kept_out(&self) -> Cut {
        if self.is_left_out {
            Cut::NearDuplicate
        } else {
            Cut::Budget
        }
    }

    fn ranked_out(&self, request: &RetrieveRequest) -> Cut {
        let fused_in = self.base_distinct.is_some_and(|rank| rank <= request.top_k);
        if fused_in {
            Cut::Demoted
        } else {
            Cut::FusedOut
        }
    }
}

fn rerank_trace(hit: &RetrievedHit) -> Option<RerankTrace> {
    let at = hit.scores.rerank?;
    Some(RerankTrace {
        at,
        relevance: hit.relevance,
    })
}

/// Whether the context has characters of a hit of the document.
fn is_cited(hits: &[RetrievedHit], citations: &[Citation], target: &Target) -> bool {
    let records = hits.iter().map(|hit| &hit.passage.record);
    let mut watched = records.filter(|record| target.chunks.contains(&record.id));
    watched.any(|record| {
        let span = record.chunk.span;
        let mut cited = citations
            .iter()
            .filter(|one| one.document == record.document);
        cited.any(|one| one.span.start < span.end && span.start < one.span.end)
    })
}
