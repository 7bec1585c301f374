//! Thresholds: what is not good enough at a named stage is left out, rather than returned as the
//! least bad. What was left out is kept in mind, so that an empty answer can say why it is empty.

use braid_core::{ChunkId, Leg};
use rustc_hash::FxHashSet;

use crate::legs::{LegHit, Legs};
use crate::response::RetrievedHit;
use crate::syntax::ConditionReport;

/// Least scores, each at its stage; `None` leaves nothing out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Thresholds {
    /// Least BM25 score of a candidate of the lexical leg. BM25 has no fixed scale: choose it by
    /// looking at the scores of a collection.
    pub lexical: Option<f64>,
    /// Least cosine similarity of a candidate of the dense leg, -1..=1.
    pub dense: Option<f64>,
    /// Least calibrated probability of being relevant of a re-ranked hit, 0..=1. Hits that were not
    /// to be re-ranked are left out with it.
    pub rerank: Option<f64>,
}

/// A threshold that left something out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BelowThreshold {
    /// `lexical`, `dense` or `rerank`.
    pub stage: &'static str,
    /// The threshold.
    pub threshold: f64,
    /// The best score that it left out.
    pub best: f64,
    /// How many it left out.
    pub left_out: usize,
}

/// Why an answer has no hits.
#[derive(Clone, Debug, PartialEq)]
pub enum EmptyReason {
    /// Nothing in the collection that the filter lets pass matches the query.
    NoMatch,
    /// No passage that the filter lets pass meets these conditions of the query.
    ConditionsUnmet(Vec<ConditionReport>),
    /// Something did, and these thresholds left all of it out: nothing relevant is known.
    NothingRelevant(Vec<BelowThreshold>),
    /// Of a page after the first: what was left of the list is gone by now, or says the same as a
    /// passage of an earlier page.
    AtEnd,
}

impl EmptyReason {
    /// The public name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NoMatch => "no_match",
            Self::ConditionsUnmet(_) => "conditions_unmet",
            Self::NothingRelevant(_) => "nothing_relevant",
            Self::AtEnd => "at_end",
        }
    }

    /// The same for a person.
    pub fn detail(&self) -> String {
        match self {
            Self::NoMatch => "nothing that may be returned matches the query".to_owned(),
            Self::AtEnd => "the list is at its end: what was left of it is gone by now, or says the same as a passage before".to_owned(),
            Self::ConditionsUnmet(conditions) => {
                let told = conditions.iter().map(|report| {
                    let ConditionReport { condition, saying } = report;
                    let meaning = match condition.is_excluded {
                        true => "must not be said",
                        false => "must be said",
                    };
                    format!("{condition} {meaning}, and {saying} passages say it")
                });
                format!(
                    "no passage meets the conditions of the query: {}",
                    told.collect::<Vec<_>>().join("; ")
                )
            }
            Self::NothingRelevant(below) => {
                let told = below.iter().map(|below| {
                    let BelowThreshold {
                        stage,
                        threshold,
                        best,
                        left_out,
                    } = below;
                    format!(
                        "thresholds.{stage} {threshold} left out {left_out}, the best at {best:.4}"
                    )
                });
                format!(
                    "nothing is relevant enough: {}",
                    told.collect::<Vec<_>>().join("; ")
                )
            }
        }
    }
}

/// What the legs' thresholds left out.
#[derive(Debug, Default)]
pub(crate) struct CutLegs {
    lexical: Vec<LegHit>,
    dense: Vec<LegHit>,
    thresholds: Thresholds,
}

/// Leaves out what is below the legs' thresholds, before fusion: it does not vote.
pub(crate) fn cut_legs(legs: &mut Legs, thresholds: Thresholds) -> CutLegs {
    let lexical = split(&mut legs.lexical.hits, thresholds.lexical);
    legs.lexical.is_whole &= lexical.is_empty();
    CutLegs {
        lexical,
        dense: split(&mut legs.dense.hits, thresholds.dense),
        thresholds,
    }
}

/// Hits are by falling score: those that are too bad are the last.
fn split(hits: &mut Vec<LegHit>, least: Option<f64>) -> Vec<LegHit> {
    match least {
        None => Vec::new(),
        Some(least) => hits.split_off(hits.partition_point(|hit| f64::from(hit.score) >= least)),
    }
}

impl CutLegs {
    /// The leg that left out one of these chunks.
    pub(crate) fn leg_that_cut(&self, chunks: &FxHashSet<ChunkId>) -> Option<Leg> {
        let has = |hits: &[LegHit]| hits.iter().any(|hit| chunks.contains(&hit.id));
        match (has(&self.lexical), has(&self.dense)) {
            (true, _) => Some(Leg::Lexical),
            (false, true) => Some(Leg::Dense),
            (false, false) => None,
        }
    }

    /// What the thresholds left out of several searches. A chunk counts once, with its best score.
    pub(crate) fn join(cuts: impl Iterator<Item = Self>) -> Self {
        let mut joined = Self::default();
        for cut in cuts {
            joined.thresholds = cut.thresholds;
            joined.lexical.extend(cut.lexical);
            joined.dense.extend(cut.dense);
        }
        for hits in [&mut joined.lexical, &mut joined.dense] {
            hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
            let mut seen = FxHashSet::default();
            hits.retain(|hit| seen.insert(hit.id));
        }
        joined
    }

    /// The thresholds that left something out.
    pub(crate) fn told(&self) -> Vec<BelowThreshold> {
        let of = |stage, threshold: Option<f64>, hits: &[LegHit]| {
            Some(BelowThreshold {
                stage,
                threshold: threshold?,
                best: f64::from(hits.first()?.score),
                left_out: hits.len(),
            })
        };
        let lexical = of("lexical", self.thresholds.lexical, &self.lexical);
        let dense = of("dense", self.thresholds.dense, &self.dense);
        lexical.into_iter().chain(dense).collect()
    }
}

/// Splits re-ranked hits by relevance: those to keep, in order, and those that are not relevant
/// enough. `window` is how many were to be re-ranked: where any of them has a relevance, what stood
/// beyond them was not looked at and is left out. What has none, though it was to be re-ranked, is
/// kept: nothing is known of it.
pub(crate) fn cut_reranked(
    hits: Vec<RetrievedHit>,
    window: usize,
    least: f64,
) -> (Vec<RetrievedHit>, Vec<RetrievedHit>) {
    let is_applied = hits.iter().any(|hit| hit.relevance.is_some());
    hits.into_iter().partition(|hit| match hit.relevance {
        Some(relevance) => relevance >= least,
        None => !is_applied || hit.rank <= window,
    })
}

/// What [`cut_reranked`] left out, where it left out something that was scored.
pub(crate) fn told_reranked(below: &[RetrievedHit], threshold: f64) -> Option<BelowThreshold> {
    let best = below
        .iter()
        .filter_map(|hit| hit.relevance)
        .reduce(f64::max)?;
    Some(BelowThreshold {
        stage: "rerank",
        threshold,
        best,
        left_out: below.len(),
    })
}
