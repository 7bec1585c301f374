//! Candidates, hits and ranked lists.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::filter::Filter;
use crate::id::{Slot, SlotSet};

/// One of the two searches whose results are fused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Leg {
    /// BM25 over terms.
    Lexical,
    /// Similarity of embeddings.
    Dense,
}

impl Leg {
    /// The public name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lexical => "lexical",
            Self::Dense => "dense",
        }
    }
}

impl fmt::Display for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A slot and the score a leg gave it; higher is better, comparable within one list only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The index entry.
    pub slot: Slot,
    /// The leg's score: BM25, or cosine similarity in -1..=1.
    pub score: f32,
}

/// A candidate with its 1-based rank in a list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// 1-based rank.
    pub rank: usize,
    /// The candidate.
    pub candidate: Candidate,
}

/// Candidates, best first. Invariant: scores never rise along the list, no slot occurs twice.
pub type RankedList = Vec<Candidate>;

/// What a leg may return: both fields say the same thing in two forms. Embedded adapters honour
/// `slots` (live and matching); remote ones translate `filter`.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The caller's filter, if any.
    pub filter: Option<Arc<Filter>>,
    /// The live slots that match it; `None` where the ledger cannot say (remote profiles).
    pub slots: Option<Arc<SlotSet>>,
    /// The pinned state, for an index that is kept in the ledger's own store and asks it what is
    /// retrievable; `None` where the ledger has a store of its own.
    pub state: Option<Arc<dyn Any + Send + Sync>>,
}
