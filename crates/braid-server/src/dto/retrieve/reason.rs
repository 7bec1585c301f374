//! Why hits stand where they do, and why there are none.

use braid_engine::query::{
    BelowThreshold, EmptyReason, Move, MoveCause as Cause, MoveStage as Stage,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why an answer has no hits.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ReasonBody {
    /// What it is.
    pub code: ReasonCode,
    /// The same for a person.
    pub detail: String,
    /// The thresholds that left everything out.
    pub below: Vec<BelowBody>,
}

/// Why an answer has no hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReasonCode {
    /// Nothing that the filter lets pass matches the query.
    NoMatch,
    /// No passage that the filter lets pass meets the conditions of the query's operators.
    ConditionsUnmet,
    /// Something matches, and the thresholds left all of it out.
    NothingRelevant,
    /// Of a page after the first: what was left of the list is gone by now, or says the same as a
    /// passage of an earlier page.
    AtEnd,
}

/// A threshold that left something out.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct BelowBody {
    /// `lexical`, `dense` or `rerank`.
    pub stage: String,
    /// The threshold.
    pub threshold: f64,
    /// The best score that it left out; at the stage `rerank` the best relevance.
    pub best: f64,
    /// How many it left out.
    pub left_out: usize,
}

/// A hit's way through one stage.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct MoveBody {
    /// The stage.
    pub stage: MoveStage,
    /// 1-based rank before it; for `fused` the better of the legs' ranks, or the best of the phrasings'.
    pub from: usize,
    /// 1-based rank after it.
    pub to: usize,
    /// Why.
    pub cause: MoveCause,
    /// The same for a person.
    pub detail: String,
}

/// A stage that can move a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MoveStage {
    /// From the legs to one list.
    Fused,
    /// Re-ranking.
    Rerank,
    /// Leaving out passages that say the same as a better one, or are below a threshold.
    Distinct,
}

/// Why a hit stands elsewhere, or where it stood, after a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MoveCause {
    /// Several phrasings were searched, and some find it.
    Phrasings,
    /// Both legs rank it.
    BothLegs,
    /// The lexical leg alone does.
    LexicalOnly,
    /// The dense leg alone does.
    DenseOnly,
    /// The re-ranker brought it up.
    Raised,
    /// The re-ranker put others before it.
    Lowered,
    /// The re-ranker left it where it was.
    Kept,
    /// It was not scored: beyond the window, or out of time.
    NotScored,
    /// Passages before it were left out.
    LeftOut,
}

impl From<&EmptyReason> for ReasonBody {
    fn from(reason: &EmptyReason) -> Self {
        let (code, below) = match reason {
            EmptyReason::NoMatch => (ReasonCode::NoMatch, &[][..]),
            EmptyReason::AtEnd => (ReasonCode::AtEnd, &[][..]),
            EmptyReason::ConditionsUnmet(_) => (ReasonCode::ConditionsUnmet, &[][..]),
            EmptyReason::NothingRelevant(below) => (ReasonCode::NothingRelevant, &below[..]),
        };
        Self {
            code,
            detail: reason.detail(),
            below: below.iter().map(BelowBody::from).collect(),
        }
    }
}

impl From<&BelowThreshold> for BelowBody {
    fn from(below: &BelowThreshold) -> Self {
        Self {
            stage: below.stage.to_owned(),
            threshold: below.threshold,
            best: below.best,
            left_out: below.left_out,
        }
    }
}

impl From<&Move> for MoveBody {
    fn from(moved: &Move) -> Self {
        let stage = match moved.stage {
            Stage::Fused => MoveStage::Fused,
            Stage::Rerank => MoveStage::Rerank,
            Stage::Distinct => MoveStage::Distinct,
        };
        let cause = match moved.cause {
            Cause::Phrasings { .. } => MoveCause::Phrasings,
            Cause::BothLegs => MoveCause::BothLegs,
            Cause::LexicalOnly => MoveCause::LexicalOnly,
            Cause::DenseOnly => MoveCause::DenseOnly,
            Cause::Raised => MoveCause::Raised,
            Cause::Lowered => MoveCause::Lowered,
            Cause::Kept => MoveCause::Kept,
            Cause::NotScored => MoveCause::NotScored,
            Cause::LeftOut => MoveCause::LeftOut,
        };
        Self {
            stage,
            from: moved.from,
            to: moved.to,
            cause,
            detail: moved.detail(),
        }
    }
}
