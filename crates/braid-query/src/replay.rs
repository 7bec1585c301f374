//! One query's legs, kept: what other settings would have made of them, without another search.
//!
//! Measuring hundreds of settings asks the indexes and the embedder once. Everything after the legs
//! goes through the functions that serve.

use braid_core::{
    ChunkId, DocumentId, Error, ErrorCode, LanguageSetting, Leg, Passage, Reranker, Result, Slot,
};
use rustc_hash::FxHashMap;

use crate::distinct::{Sameness, best_distinct};
use crate::legs::{LegHit, LegRun, Legs, Reach};
use crate::ranked::rank_legs;
use crate::request::{Mode, RetrieveRequest};
use crate::rerank::{RerankPlan, rerank};
use crate::response::{RetrievedHit, Timings};
use crate::retriever::Retriever;
use crate::scoring::Shortfall;
use crate::search::{SearchPlan, search};
use crate::thresholds::{cut_legs, cut_reranked};
use crate::trust::weights_after;

/// Both legs of one query, as deep as they were searched.
#[derive(Debug)]
pub struct Recording {
    query: String,
    language: LanguageSetting,
    sameness: Sameness,
    legs: Legs,
    passages: FxHashMap<Slot, Passage>,
    /// What recording took.
    pub timings: Timings,
}

/// A chunk in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The chunk.
    pub chunk: ChunkId,
    /// Its document.
    pub document: DocumentId,
    /// Documents whose chunks say the same and were ranked lower; only among those that are returned.
    pub same: Vec<DocumentId>,
}

/// What a request makes of a recording, best first at every stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// As fused, or as the single leg has it, without what is below the legs' thresholds.
    pub base: Vec<Place>,
    /// How many of those the re-ranker scores; 0 where it is off.
    pub window: usize,
    /// After re-ranking and its threshold, where it is on.
    pub reranked: Option<Vec<Place>>,
    /// What says different things, where that is asked; all of them otherwise. The first `top_k` of these are returned.
    pub distinct: Vec<Place>,
}

impl Retriever {
    /// Searches both legs for `request`, whatever its mode, as deep as its candidates say.
    ///
    /// # Errors
    /// As [`Retriever::retrieve`], and where either leg fails: half a recording is none.
    pub async fn record(&self, request: &RetrieveRequest) -> Result<Recording> {
        request.check()?;
        if !request.also.is_empty() {
            return Err(Error::invalid_field(
                "/also",
                "one phrasing is recorded at a time",
            ));
        }
        let asked = request.syntax.read(&request.query);
        let plan = SearchPlan {
            query: &asked.text,
            conditions: &asked.conditions,
            typos: request.typos,
            collection: &request.collection,
            mode: Mode::Hybrid,
            filter: request.filter.as_ref(),
            lexical: Reach::Candidates(request.candidates.lexical),
            dense: Reach::Candidates(request.candidates.dense),
            pin: None,
        };
        let searched = search(&self.parts, plan).await?;
        let served = |run: Option<Result<LegRun>>, leg: Leg| -> Result<LegRun> {
            let run = run.transpose().map_err(|error| error.context(leg))?;
            Ok(run.unwrap_or_default())
        };
        let legs = Legs {
            lexical: served(searched.lexical, Leg::Lexical)?,
            dense: served(searched.dense, Leg::Dense)?,
        };
        let hits = legs.lexical.hits.iter().chain(&legs.dense.hits);
        let mut slots: Vec<Slot> = hits.map(|hit| hit.slot).collect();
        slots.sort_unstable();
        slots.dedup();
        let passages = searched.pin.hydrate(&slots).await?.into_iter();
        let settings = searched.pin.collection().settings;
        Ok(Recording {
            query: asked.text,
            language: settings.language,
            sameness: Sameness::of(settings.duplicates),
            passages: passages
                .map(|passage| (passage.record.slot, passage))
                .collect(),
            legs,
            timings: searched.timings,
        })
    }
}

impl Recording {
    /// What a leg found, best first.
    pub fn leg(&self, leg: Leg) -> Vec<Place> {
        let hits = match leg {
            Leg::Lexical => &self.legs.lexical.hits,
            Leg::Dense => &self.legs.dense.hits,
        };
        let found = hits.iter().filter_map(|hit| self.passages.get(&hit.slot));
        found.map(|passage| place(passage, Vec::new())).collect()
    }

    /// The text and document of every chunk that a leg found.
    pub fn passages(&self) -> impl Iterator<Item = &Passage> {
        self.passages.values()
    }

    /// What `request` makes of the legs, each cut to its candidates (never fewer than `top_k`, as when
    /// serving). Query, collection and filter are the recording's. A leg that is cut is the leg searched so deep, but
    /// for which of several equal scores the cut leaves, and for a graph of vectors, which may find a little
    /// more when it is searched deeper.
    ///
    /// # Errors
    /// Where the re-ranker is asked for and is missing, fails, or misses the deadline: the ranking of
    /// a degraded pipeline measures nothing.
    pub async fn replay(
        &self,
        request: &RetrieveRequest,
        reranker: Option<&dyn Reranker>,
    ) -> Result<Replay> {
        let mut legs = self.cut(request);
        cut_legs(&mut legs, request.thresholds);
        let ranked = rank_legs(&self.query, &legs, request.mode, &request.fusion);
        let passage_of = |slot| self.passages.get(&slot).cloned();
        let mut hits = ranked.hits(0..ranked.chunks.len(), passage_of);
        let base = places(&hits);
        let (mut window, mut reranked) = (0, None);
        if request.rerank.enabled {
            let plan = RerankPlan {
                query: &self.query,
                options: &request.rerank,
                method: request.fusion.method,
                weights: weights_after(ranked.trust.as_ref()),
                language: self.language,
                lexical_floor: ranked.lexical_floor,
                phrasings: &[],
            };
            let done = rerank(reranker, plan, hits).await;
            done.shortfall
                .map_or(Ok(()), |shortfall| Err(fail(shortfall)))?;
            window = done.summary.of;
            hits = done.hits;
            if let Some(least) = request.thresholds.rerank {
                (hits, _) = cut_reranked(hits, window, least);
            }
            reranked = Some(places(&hits));
        }
        let sameness = self.sameness.asked(request.distinct);
        let distinct = best_distinct(hits, usize::MAX, sameness);
        Ok(Replay {
            base,
            window,
            reranked,
            distinct: places(&distinct),
        })
    }

    fn cut(&self, request: &RetrieveRequest) -> Legs {
        let cut = |run: &LegRun, depth: usize| {
            let depth = depth.max(request.top_k);
            let hits: Vec<LegHit> = run.hits[..depth.min(run.hits.len())].to_vec();
            LegRun {
                // As when serving: a leg that is full may have been cut.
                is_whole: run.is_whole && hits.len() < depth,
                hits,
                terms: run.terms.clone(),
                ceiling: run.ceiling,
                is_unread: run.is_unread,
                ..LegRun::default()
            }
        };
        Legs {
            lexical: cut(&self.legs.lexical, request.candidates.lexical),
            dense: cut(&self.legs.dense, request.candidates.dense),
        }
    }
}

fn fail(shortfall: Shortfall) -> Error {
    match shortfall {
        Shortfall::Failed(error) => error.context("re-ranking"),
        Shortfall::NotLoaded => Error::new(ErrorCode::ModelUnavailable, "no re-ranker is loaded"),
        Shortfall::Deadline(limit) => {
            let limit = limit.as_millis();
            let message = format!("re-ranking took more than the deadline of {limit} ms");
            Error::new(ErrorCode::Timeout, message)
        }
        Shortfall::NotFinite(count) => Error::internal(format!(
            "the re-ranker gave no finite score for {count} passages"
        )),
    }
}

fn places(hits: &[RetrievedHit]) -> Vec<Place> {
    let same = |hit: &RetrievedHit| hit.same.iter().map(|same| same.document.clone()).collect();
    let places = hits.iter().map(|hit| place(&hit.passage, same(hit)));
    places.collect()
}

fn place(passage: &Passage, same: Vec<DocumentId>) -> Place {
    Place {
        chunk: passage.record.id,
        document: passage.record.document.clone(),
        same,
    }
}

#[cfg(test)]
mod tests {
    use braid_core::CollectionName;
    use uuid::Uuid;

    use super::*;

    /// A recording of a lexical leg that found `hits` chunks, and of an empty dense one.
    fn recording(hits: u32, is_whole: bool) -> Recording {
        let hit = |number: u32| LegHit {
            slot: Slot(number),
            id: ChunkId(Uuid::from_u128(number.into())),
            score: 1.0,
        };
        Recording {
            query: "q".to_owned(),
            language: LanguageSetting::default(),
            sameness: Sameness::default(),
            legs: Legs {
                lexical: LegRun {
                    hits: (0..hits).map(hit).collect(),
                    is_whole,
                    ..LegRun::default()
                },
                dense: LegRun::default(),
            },
            passages: FxHashMap::default(),
            timings: Timings::default(),
        }
    }

    #[test]
    fn a_leg_is_whole_only_where_it_would_be_when_served() {
        let mut request = RetrieveRequest::new("q", CollectionName::new("c").unwrap());
        request.top_k = 2;
        for (depth, recorded, expected) in [
            (1, true, (2, false)),
            (4, true, (4, false)),
            // As many as were asked: there may be more.
            (5, true, (5, false)),
            (6, true, (5, true)),
            (6, false, (5, false)),
        ] {
            request.candidates.lexical = depth;
            let cut = recording(5, recorded).cut(&request).lexical;
            assert_eq!(
                (cut.hits.len(), cut.is_whole),
                expected,
                "{depth} {recorded}"
            );
        }
    }
}
