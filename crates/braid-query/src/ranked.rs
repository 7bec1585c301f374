//! One list out of what the legs found.

use std::ops::Range;

use braid_core::{ChunkId, Passage, Slot};
use rustc_hash::FxHashMap;

use crate::fusion::scores::{Scale, ScoredList, fuse_scores};
use crate::fusion::{Fused, fuse};
use crate::legs::{LegHit, Legs};
use crate::pages::Listed;
use crate::phrasings::FoundBy;
use crate::request::{FusionMethod, FusionOptions, LegWeights, Mode};
use crate::response::{RetrievedHit, ScoreStage, StageScore, StageScores};
use crate::trust::{Trust, trust, weights_after};

/// A chunk in base order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ranked {
    pub(crate) slot: Slot,
    pub(crate) id: ChunkId,
    /// Fused score, or the single leg's own.
    pub(crate) score: f64,
    pub(crate) scores: StageScores,
}

/// Chunks in base order: as fused, or as the single leg has them.
#[derive(Clone, Debug)]
pub(crate) struct RankedChunks {
    /// The stage whose order this is.
    pub(crate) stage: ScoreStage,
    /// Best first, ties by chunk id.
    pub(crate) chunks: Vec<Ranked>,
    /// How far each leg was trusted; `None` where one leg alone was asked.
    pub(crate) trust: Option<Trust>,
    /// What a chunk scores in a lexical leg that did not find it, where that is known.
    pub(crate) lexical_floor: Option<f64>,
    /// Which phrasings found each chunk, where there are several.
    pub(crate) found_by: FoundBy,
}

impl RankedChunks {
    /// The hits at these places; a chunk without a passage is left out.
    pub(crate) fn hits(
        &self,
        places: Range<usize>,
        mut passage_of: impl FnMut(Slot) -> Option<Passage>,
    ) -> Vec<RetrievedHit> {
        let numbered = self.chunks[places.clone()].iter().zip(places.start + 1..);
        let hits = numbered.filter_map(|(chunk, rank)| {
            Some(RetrievedHit {
                rank,
                score: chunk.score,
                score_stage: self.stage,
                passage: passage_of(chunk.slot)?,
                scores: chunk.scores,
                phrasings: self.found_by.of(chunk.id),
                relevance: None,
                same: Vec::new(),
                ordered: rank,
            })
        });
        hits.collect()
    }

    /// The candidates from this place on, as a list keeps them.
    pub(crate) fn listed(&self, from: usize) -> Vec<Listed> {
        let numbered = self.chunks.iter().zip(1..).skip(from);
        let listed = numbered.map(|(chunk, rank)| Listed {
            slot: chunk.slot,
            rank,
            score: chunk.score,
            score_stage: self.stage,
            scores: chunk.scores,
            phrasings: self.found_by.of(chunk.id),
            relevance: None,
        });
        listed.collect()
    }
}

/// Fuses the legs, or keeps the order of the one leg that was asked.
pub(crate) fn rank_legs(
    query: &str,
    legs: &Legs,
    mode: Mode,
    fusion: &FusionOptions,
) -> RankedChunks {
    let trust =
        (mode == Mode::Hybrid).then(|| trust(query, legs, fusion.weights, fusion.leg_trust));
    let weights = weights_after(trust.as_ref());
    let (stage, chunks) = match mode {
        Mode::Lexical => (ScoreStage::Lexical, rank_lexical(legs)),
        Mode::Dense => (ScoreStage::Dense, rank_dense(legs)),
        Mode::Hybrid => (ScoreStage::Fused, fuse_legs(legs, fusion, weights)),
    };
    RankedChunks {
        stage,
        chunks,
        trust,
        lexical_floor: legs.lexical.floor(),
        found_by: FoundBy::default(),
    }
}

fn rank_lexical(legs: &Legs) -> Vec<Ranked> {
    keep(&legs.lexical.hits, |scores, own| scores.lexical = Some(own))
}

fn rank_dense(legs: &Legs) -> Vec<Ranked> {
    keep(&legs.dense.hits, |scores, own| scores.dense = Some(own))
}

fn keep(hits: &[LegHit], note: fn(&mut StageScores, StageScore)) -> Vec<Ranked> {
    let ranked = hits.iter().zip(1..);
    ranked
        .map(|(hit, rank)| {
            let mut scores = StageScores::default();
            note(&mut scores, hit.at_rank(rank));
            Ranked {
                slot: hit.slot,
                id: hit.id,
                score: f64::from(hit.score),
                scores,
            }
        })
        .collect()
}

fn fuse_legs(legs: &Legs, fusion: &FusionOptions, weights: LegWeights) -> Vec<Ranked> {
    let fused = match fusion.method {
        FusionMethod::Rrf => fuse_ranks(legs, weights, fusion.k),
        FusionMethod::MinMax => fuse_by_score(legs, weights, Scale::MinMax),
        FusionMethod::Dbsf => fuse_by_score(legs, weights, Scale::Deviations),
    };
    let mut by_id: FxHashMap<ChunkId, Ranked> = FxHashMap::default();
    for ranked in rank_lexical(legs).into_iter().chain(rank_dense(legs)) {
        let seen = by_id.entry(ranked.id).or_insert(ranked);
        seen.scores.dense = seen.scores.dense.or(ranked.scores.dense);
    }
    let placed = fused.iter().zip(1..).filter_map(|(entry, rank)| {
        let mut ranked = by_id.remove(&entry.key)?;
        let score = entry.score;
        ranked.score = score;
        ranked.scores.fused = Some(StageScore { rank, score });
        Some(ranked)
    });
    placed.collect()
}

fn fuse_ranks(legs: &Legs, weights: LegWeights, k: f64) -> Vec<Fused<ChunkId>> {
    let ids = |hits: &[LegHit]| -> Vec<ChunkId> { hits.iter().map(|hit| hit.id).collect() };
    let (lexical, dense) = (ids(&legs.lexical.hits), ids(&legs.dense.hits));
    fuse(&[(weights.lexical, &lexical), (weights.dense, &dense)], k)
}

fn fuse_by_score(legs: &Legs, weights: LegWeights, scale: Scale) -> Vec<Fused<ChunkId>> {
    let scored = |hits: &[LegHit]| -> Vec<_> { hits.iter().map(LegHit::scored).collect() };
    let (lexical, dense) = (scored(&legs.lexical.hits), scored(&legs.dense.hits));
    let lists = [
        ScoredList {
            weight: weights.lexical,
            hits: &lexical,
            floor: legs.lexical.floor(),
        },
        ScoredList {
            weight: weights.dense,
            hits: &dense,
            floor: None,
        },
    ];
    fuse_scores(&lists, scale)
}
