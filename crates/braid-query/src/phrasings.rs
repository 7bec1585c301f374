//! Several phrasings of one query: each is searched and ranked as a query of its own, and their lists
//! become one.
//!
//! Legs are fused within a phrasing first: BM25 scores, and how far each leg is to be trusted, are of
//! one query alone. Lists of different queries have no scores in common, so those are fused by rank,
//! as RAG-Fusion does (Rackauckas, "RAG-Fusion: a New Take on Retrieval-Augmented Generation", 2024):
//! Reciprocal Rank Fusion with the request's `k`, every phrasing with the weight 1.

use std::sync::Arc;

use braid_core::limits::{MAX_OTHER_PHRASINGS, MAX_QUERY_BYTES};
use braid_core::{ChunkId, Error, Expansion, FieldError, LedgerPin, Result};
use futures::stream::{self, StreamExt, TryStreamExt};
use rustc_hash::FxHashMap;

use crate::by_scores::by_scores;
use crate::fusion::fuse;
use crate::ranked::{Ranked, RankedChunks};
use crate::request::{LegWeights, RetrieveRequest};
use crate::response::{
    Degradation, Note, RetrievedHit, ScoreStage, StageScore, StageScores, Timings,
};
use crate::retriever::Retriever;
use crate::syntax::{ConditionReport, ParsedQuery};
use crate::thresholds::CutLegs;

/// Phrasings that are searched at once: one is embedded while the one before is searched for.
const AT_ONCE: usize = 2;

/// Where one phrasing of a query has a hit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PhrasingScores {
    /// 0 is the query itself, 1 the first of [`RetrieveRequest::also`].
    pub phrasing: usize,
    /// What it scores for this phrasing alone; it is not re-ranked for it.
    pub scores: StageScores,
}

impl PhrasingScores {
    /// Its 1-based rank in the phrasing's own list.
    pub fn rank(&self) -> Option<usize> {
        self.place().map(|place| place.rank)
    }

    /// Its place in the phrasing's own list.
    pub(crate) fn place(&self) -> Option<StageScore> {
        let scores = &self.scores;
        scores.fused.or(scores.lexical).or(scores.dense)
    }
}

/// A phrasing of a request, as it is searched for.
#[derive(Clone, Debug)]
pub(crate) struct Phrasing<'a> {
    /// 0 is the query itself, 1 the first of [`RetrieveRequest::also`].
    pub(crate) number: usize,
    /// As it is written.
    pub(crate) written: &'a str,
    /// As it is understood; its conditions are its own and those of the query, which hold for every hit.
    pub(crate) asked: ParsedQuery,
}

/// The phrasings of a request, the query itself first. One that repeats another counts once.
pub(crate) fn phrasings(request: &RetrieveRequest) -> Vec<Phrasing<'_>> {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut seen: Vec<String> = Vec::new();
    let mut phrasings: Vec<Phrasing<'_>> = Vec::new();
    let texts = std::iter::once(&request.query).chain(&request.also);
    for (number, written) in texts.enumerate() {
        let words = words(written);
        if seen.contains(&words) {
            continue;
        }
        seen.push(words);
        let mut asked = request.syntax.read(written);
        let bound = phrasings
            .first()
            .map_or(&[][..], |query| &query.asked.conditions);
        for condition in bound {
            if !asked.conditions.contains(condition) {
                asked.conditions.push(condition.clone());
            }
        }
        phrasings.push(Phrasing {
            number,
            written,
            asked,
        });
    }
    phrasings
}

/// What one query's legs gave, ranked, with the ledger still pinned.
pub(crate) struct RankedQuery {
    pub(crate) pin: Arc<dyn LedgerPin>,
    pub(crate) ranked: RankedChunks,
    pub(crate) cut: CutLegs,
    /// What the query's operators ask of every hit.
    pub(crate) conditions: Vec<ConditionReport>,
    /// Whether nothing that the filter lets pass meets them.
    pub(crate) is_unmet: bool,
    pub(crate) terms: Vec<String>,
    pub(crate) expansions: Vec<Expansion>,
    pub(crate) notes: Vec<Note>,
    pub(crate) degraded: Vec<Degradation>,
    /// `embed`, `lexical`, `dense` and `fuse` are filled.
    pub(crate) timings: Timings,
}

/// Which phrasings found what; nothing where there is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct FoundBy {
    by_chunk: FxHashMap<ChunkId, Vec<PhrasingScores>>,
    /// Each phrasing with what a chunk scores in its lexical leg that did not find it, where known.
    pub(crate) floors: Vec<(usize, Option<f64>)>,
}

impl FoundBy {
    pub(crate) fn of(&self, chunk: ChunkId) -> Vec<PhrasingScores> {
        self.by_chunk.get(&chunk).cloned().unwrap_or_default()
    }
}

impl Retriever {
    /// Ranks the chunks that any of the request's phrasings finds, all in one pinned state. Operators of
    /// the query hold for every hit, those of another phrasing for what that finds.
    pub(crate) async fn rank_phrasings(
        &self,
        request: &RetrieveRequest,
        phrasings: &[Phrasing<'_>],
        pin: Option<&Arc<dyn LedgerPin>>,
    ) -> Result<RankedQuery> {
        let pin = match pin {
            Some(pin) => Arc::clone(pin),
            None => self.parts.ledger.pin(&request.collection).await?,
        };
        let runs: Vec<_> = phrasings
            .iter()
            .map(|phrasing| {
                let (pin, number) = (&pin, phrasing.number);
                async move {
                    let run = self.rank_query(request, phrasing, Some(pin)).await;
                    let run = run.map_err(|error| match number {
                        0 => error,
                        _ => error.context(format_args!("phrasing {number}")),
                    });
                    Ok::<_, Error>((number, run?))
                }
            })
            .collect();
        let runs: Result<Vec<(usize, RankedQuery)>> =
            stream::iter(runs).buffered(AT_ONCE).try_collect().await;
        Ok(join(pin, runs?, request.fusion.k))
    }
}

/// One list out of those of the phrasings, which come with the query's own first.
fn join(pin: Arc<dyn LedgerPin>, runs: Vec<(usize, RankedQuery)>, k: f64) -> RankedQuery {
    let (chunks, found_by) = fuse_phrasings(&runs, k);
    let is_blind = runs.iter().all(|(_, run)| run.terms.is_empty());
    let is_unmet = runs.iter().all(|(_, run)| run.is_unmet);
    let mut joined = RankedQuery {
        pin,
        ranked: RankedChunks {
            stage: ScoreStage::Fused,
            chunks,
            trust: None,
            lexical_floor: None,
            found_by,
        },
        cut: CutLegs::default(),
        conditions: Vec::new(),
        is_unmet,
        terms: Vec::new(),
        expansions: Vec::new(),
        notes: Vec::new(),
        degraded: Vec::new(),
        timings: Timings::default(),
    };
    let mut cuts = Vec::new();
    for (phrasing, run) in runs {
        if phrasing == 0 {
            joined.ranked.trust = run.ranked.trust;
            joined.notes = run.notes;
            joined.conditions = run.conditions;
        }
        joined.terms.extend(run.terms);
        let known = &mut joined.expansions;
        known.extend(
            run.expansions
                .into_iter()
                .filter(|one| !known.contains(one))
                .collect::<Vec<_>>(),
        );
        let named = run.degraded.into_iter().map(|degraded| match phrasing {
            0 => degraded,
            _ => Degradation {
                reason: format!("phrasing {phrasing}: {}", degraded.reason),
                ..degraded
            },
        });
        joined.degraded.extend(named);
        joined.timings.embed += run.timings.embed;
        joined.timings.lexical += run.timings.lexical;
        joined.timings.dense += run.timings.dense;
        joined.timings.fuse += run.timings.fuse;
        cuts.push(run.cut);
    }
    joined.cut = CutLegs::join(cuts.into_iter());
    joined.terms.sort_unstable();
    joined.terms.dedup();
    let is_told = |note: &Note| *note != Note::NoLexicalTerms || is_blind;
    joined.notes.retain(is_told);
    joined
}

fn fuse_phrasings(runs: &[(usize, RankedQuery)], k: f64) -> (Vec<Ranked>, FoundBy) {
    let ids = |run: &RankedQuery| -> Vec<ChunkId> {
        run.ranked.chunks.iter().map(|chunk| chunk.id).collect()
    };
    let lists: Vec<Vec<ChunkId>> = runs.iter().map(|(_, run)| ids(run)).collect();
    let lists: Vec<(f64, &[ChunkId])> = lists.iter().map(|list| (1.0, &list[..])).collect();
    let fused = fuse(&lists, k);
    let mut by_id: FxHashMap<ChunkId, Ranked> = FxHashMap::default();
    let mut found_by = FoundBy::default();
    for (phrasing, run) in runs {
        let phrasing = *phrasing;
        found_by.floors.push((phrasing, run.ranked.lexical_floor));
        for chunk in &run.ranked.chunks {
            let scores = chunk.scores;
            let found = found_by.by_chunk.entry(chunk.id).or_default();
            found.push(PhrasingScores { phrasing, scores });
            let best = &mut by_id.entry(chunk.id).or_insert(*chunk).scores;
            best.lexical = better(best.lexical, scores.lexical);
            best.dense = better(best.dense, scores.dense);
        }
    }
    let placed = fused.iter().zip(1..).filter_map(|(entry, rank)| {
        let mut ranked = by_id.remove(&entry.key)?;
        let score = entry.score;
        ranked.score = score;
        ranked.scores.fused = Some(StageScore { rank, score });
        Some(ranked)
    });
    (placed.collect(), found_by)
}

/// The one of the better rank; the first of equal ones.
fn better(one: Option<StageScore>, other: Option<StageScore>) -> Option<StageScore> {
    match (one, other) {
        (Some(one), Some(other)) if other.rank < one.rank => Some(other),
        (one, other) => one.or(other),
    }
}

/// For each hit of a window its fused score by distances, to blend with the re-ranker's: of each
/// phrasing as [`by_scores`] has it, and the mean of those. Scores of different queries cannot be
/// compared, standard deviations from their means can.
pub(crate) fn by_phrasings(
    hits: &[RetrievedHit],
    weights: LegWeights,
    floors: &[(usize, Option<f64>)],
) -> Vec<f64> {
    let mut sums = vec![0.0; hits.len()];
    for (phrasing, floor) in floors {
        let of = |hit: &RetrievedHit| {
            let found = hit.phrasings.iter().find(|one| one.phrasing == *phrasing);
            found.map_or(StageScores::default(), |found| found.scores)
        };
        let scores: Vec<StageScores> = hits.iter().map(of).collect();
        for (sum, score) in sums.iter_mut().zip(by_scores(&scores, weights, *floor)) {
            *sum += score;
        }
    }
    let count = floors.len().max(1) as f64;
    sums.into_iter().map(|sum| sum / count).collect()
}

/// Checks the other phrasings of a request.
pub(crate) fn check_phrasings(also: &[String], fields: &mut Vec<FieldError>) {
    let count = also.len();
    if count > MAX_OTHER_PHRASINGS {
        let detail = format!("has {count} phrasings, the limit is {MAX_OTHER_PHRASINGS}");
        fields.push(FieldError::new("/also", detail));
    }
    for (place, text) in also.iter().enumerate().take(MAX_OTHER_PHRASINGS) {
        let pointer = format!("/also/{place}");
        if text.trim().is_empty() {
            fields.push(FieldError::new(pointer, "must not be empty"));
        } else if text.len() > MAX_QUERY_BYTES {
            let length = text.len();
            let detail = format!("has {length} bytes, the limit is {MAX_QUERY_BYTES}");
            fields.push(FieldError::new(pointer, detail));
        }
    }
}
