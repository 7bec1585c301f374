//! What moved a hit from stage to stage: for hits that were returned.

use crate::phrasings::PhrasingScores;
use crate::response::{RetrievedHit, StageScores};

/// A stage that can move a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveStage {
    /// The first list a hit is in, and fusion where there were two.
    Fused,
    /// Re-ranking.
    Rerank,
    /// Leaving out passages that say the same as a better one.
    Distinct,
}

impl MoveStage {
    /// The public name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fused => "fused",
            Self::Rerank => "rerank",
            Self::Distinct => "distinct",
        }
    }
}

/// Why a hit stands elsewhere, or where it stood, after a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveCause {
    /// So many of the phrasings that were searched find it: their votes add up.
    Phrasings {
        /// Those that find it.
        found: usize,
    },
    /// Both legs rank it: their votes add up.
    BothLegs,
    /// The lexical leg alone does.
    LexicalOnly,
    /// The dense leg alone does.
    DenseOnly,
    /// The re-ranker's score brought it up.
    Raised,
    /// It put others before it.
    Lowered,
    /// It left it where it was.
    Kept,
    /// It did not score it: beyond the window, or out of time.
    NotScored,
    /// Passages before it were left out, for they say the same as a better one or are below a
    /// threshold.
    LeftOut,
}

impl MoveCause {
    /// The public name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Phrasings { .. } => "phrasings",
            Self::BothLegs => "both_legs",
            Self::LexicalOnly => "lexical_only",
            Self::DenseOnly => "dense_only",
            Self::Raised => "raised",
            Self::Lowered => "lowered",
            Self::Kept => "kept",
            Self::NotScored => "not_scored",
            Self::LeftOut => "left_out",
        }
    }
}

/// A hit's way through one stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The stage.
    pub stage: MoveStage,
    /// 1-based rank before it: for fusion the better of the legs' ranks, or the best of the phrasings'.
    pub from: usize,
    /// 1-based rank after it.
    pub to: usize,
    /// Why.
    pub cause: MoveCause,
}

impl Move {
    /// The same for a person.
    pub fn detail(&self) -> String {
        let Self { from, to, .. } = self;
        match self.cause {
            MoveCause::Phrasings { found } => {
                let verb = if found == 1 {
                    "phrasing finds"
                } else {
                    "phrasings find"
                };
                format!("{found} {verb} it, the best one at {from}: fused at {to}")
            }
            MoveCause::BothLegs => {
                format!("both legs rank it, the better one at {from}: fused at {to}")
            }
            MoveCause::LexicalOnly => format!("only the lexical leg ranks it, at {from}: at {to}"),
            MoveCause::DenseOnly => format!("only the dense leg ranks it, at {from}: at {to}"),
            MoveCause::Raised => format!("the re-ranker raised it from {from} to {to}"),
            MoveCause::Lowered => format!("the re-ranker lowered it from {from} to {to}"),
            MoveCause::Kept => format!("the re-ranker kept it at {to}"),
            MoveCause::NotScored => format!("it was not re-ranked: from {from} to {to}"),
            MoveCause::LeftOut => {
                format!("passages before it were left out: from {from} to {to}")
            }
        }
    }
}

impl RetrievedHit {
    /// What moved this hit, stage by stage. Where each stage begins is where the one before ended;
    /// the last ends at the hit's rank.
    pub fn moves(&self, reranked: bool) -> Vec<Move> {
        let mut moves = Vec::new();
        let Some((from, cause)) = self.found() else {
            return moves;
        };
        let to = base_rank(&self.scores).unwrap_or(from);
        moves.push(Move {
            stage: MoveStage::Fused,
            from,
            to,
            cause,
        });
        if reranked {
            moves.push(Move {
                stage: MoveStage::Rerank,
                from: to,
                to: self.ordered,
                cause: self.by_reranking(to),
            });
        }
        if self.ordered != self.rank {
            moves.push(Move {
                stage: MoveStage::Distinct,
                from: self.ordered,
                to: self.rank,
                cause: MoveCause::LeftOut,
            });
        }
        moves
    }

    /// Where it stood before fusion, and who brought it in.
    fn found(&self) -> Option<(usize, MoveCause)> {
        if self.phrasings.is_empty() {
            return found(&self.scores);
        }
        let best = self
            .phrasings
            .iter()
            .filter_map(PhrasingScores::rank)
            .min()?;
        let found = self.phrasings.len();
        Some((best, MoveCause::Phrasings { found }))
    }

    fn by_reranking(&self, from: usize) -> MoveCause {
        if self.scores.rerank.is_none() {
            return MoveCause::NotScored;
        }
        match self.ordered.cmp(&from) {
            std::cmp::Ordering::Less => MoveCause::Raised,
            std::cmp::Ordering::Equal => MoveCause::Kept,
            std::cmp::Ordering::Greater => MoveCause::Lowered,
        }
    }
}

/// The rank in the list that the legs made.
pub(super) fn base_rank(scores: &StageScores) -> Option<usize> {
    let base = scores.fused.or(scores.lexical).or(scores.dense);
    base.map(|at| at.rank)
}

/// The better of the legs' ranks, and which legs there were.
fn found(scores: &StageScores) -> Option<(usize, MoveCause)> {
    match (scores.lexical, scores.dense) {
        (Some(lexical), Some(dense)) => Some((lexical.rank.min(dense.rank), MoveCause::BothLegs)),
        (Some(lexical), None) => Some((lexical.rank, MoveCause::LexicalOnly)),
        (None, Some(dense)) => Some((dense.rank, MoveCause::DenseOnly)),
        (None, None) => None,
    }
}
