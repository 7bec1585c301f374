//! What is asked and what is answered.

use braid_core::limits::MAX_CANDIDATES;
use braid_core::{ChunkId, DocumentId, Error, FieldError, Leg, Result};

use crate::request::{Mode, RetrieveRequest};
use crate::response::{Degradation, StageScore};

/// Most candidates of each leg that an explanation looks at.
pub const MAX_EXPLAIN_DEPTH: usize = MAX_CANDIDATES;

/// Why was this document not returned for this request?
#[derive(Clone, Debug, PartialEq)]
pub struct ExplainRequest {
    /// The document asked about.
    pub document: DocumentId,
    /// How deep each leg is searched for it, 1 to [`MAX_EXPLAIN_DEPTH`].
    pub depth: usize,
    /// The request that did not return it. Its re-ranking deadline is not kept: what a deadline
    /// cuts off differs from one time to the next.
    pub retrieve: RetrieveRequest,
}

impl ExplainRequest {
    /// About `document`, 1,000 candidates deep.
    pub fn new(document: DocumentId, retrieve: RetrieveRequest) -> Self {
        Self {
            document,
            depth: 1000,
            retrieve,
        }
    }

    /// What is wrong with a depth.
    ///
    /// # Errors
    /// The field, where it is not from 1 to [`MAX_EXPLAIN_DEPTH`].
    pub fn check_depth(depth: usize) -> std::result::Result<(), FieldError> {
        if (1..=MAX_EXPLAIN_DEPTH).contains(&depth) {
            return Ok(());
        }
        let detail = format!("must be from 1 to {MAX_EXPLAIN_DEPTH}, not {depth}");
        Err(FieldError::new("/depth", detail))
    }

    pub(super) fn check(&self) -> Result<()> {
        self.retrieve.check()?;
        self.check_whole()?;
        Self::check_depth(self.depth)
            .map_err(|field| Error::invalid_field(field.pointer, field.detail))
    }

    fn check_whole(&self) -> Result<()> {
        if self.retrieve.cursor.is_some() {
            let detail = "the whole list is explained: leave out the cursor";
            return Err(Error::invalid_field("/cursor", detail));
        }
        Ok(())
    }
}

/// The first stage that cut a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Cut {
    /// The collection has no such document.
    NotFound,
    /// It is known and not retrievable: staged, failed, or without any text; with the reason.
    NotIndexed(String),
    /// The filter excludes it.
    Filtered,
    /// None of its passages meets these conditions of the query, written as in a query: each that fails
    /// in all of them, or where no single one does, all of them.
    ConditionsUnmet(Vec<String>),
    /// The lexical leg does not rank it, to the depth explained, and no other leg brings it in.
    LexicalMiss,
    /// The dense leg alone was asked and does not rank it, to the depth explained.
    DenseMiss,
    /// Each leg that ranks it does so below the number of its candidates.
    BelowDepth,
    /// Its fused rank is beyond what is returned, and re-ranking did not bring it up.
    FusedOut,
    /// Fused, it was among those to return; re-ranked, it is not.
    Demoted,
    /// A passage at this rank says the same.
    Deduplicated {
        /// The rank of that passage.
        rank: usize,
    },
    /// The threshold of this stage: `lexical`, `dense` or `rerank`.
    BelowThreshold(&'static str),
    /// It is among the hits and not in the context: each of its hits is nearly the same as one before it.
    NearDuplicate,
    /// It is among the hits and not in the context, which had no room for it.
    Budget,
}

impl Cut {
    /// The public name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::NotIndexed(_) => "not_indexed",
            Self::Filtered => "filtered",
            Self::ConditionsUnmet(_) => "conditions_unmet",
            Self::LexicalMiss => "lexical_miss",
            Self::DenseMiss => "dense_miss",
            Self::BelowDepth => "below_depth",
            Self::FusedOut => "fused_out",
            Self::Demoted => "demoted",
            Self::Deduplicated { .. } => "deduplicated",
            Self::BelowThreshold(_) => "below_threshold",
            Self::NearDuplicate => "near_duplicate",
            Self::Budget => "budget",
        }
    }

    /// The same for a person.
    pub fn detail(&self) -> String {
        let told = match self {
            Self::NotFound => "the collection has no such document",
            Self::NotIndexed(reason) => {
                return format!("the document is not retrievable: {reason}");
            }
            Self::Filtered => "the filter excludes the document",
            Self::ConditionsUnmet(failed) => {
                let failed = failed.join(", ");
                return format!("no passage of the document meets the query's {failed}");
            }
            Self::LexicalMiss => {
                "no leg that was asked ranks it: the lexical leg finds none of the query's terms in it"
            }
            Self::DenseMiss => "the dense leg does not rank it to the depth explained",
            Self::BelowDepth => "each leg that ranks it does so below the number of its candidates",
            Self::FusedOut => "after fusion it stands beyond what is returned",
            Self::Demoted => {
                "fused it was among those to return; the re-ranker put others before it"
            }
            Self::Deduplicated { rank } => {
                return format!("the passage at rank {rank} says the same and stands for it");
            }
            Self::BelowThreshold(stage) => {
                return format!("its score is below the threshold of the stage {stage}");
            }
            Self::NearDuplicate => {
                "it is among the hits, and the context leaves it out: a hit before it says nearly the same"
            }
            Self::Budget => "it is among the hits, and the context had no room for it",
        };
        told.to_owned()
    }
}

/// What a leg made of a document.
///
/// Ordered by how far it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LegOutcome {
    /// Among the leg's candidates.
    Found,
    /// Among them, and below the leg's threshold.
    BelowThreshold,
    /// Ranked, below the number of candidates.
    BelowDepth,
    /// Not ranked to the depth explained.
    Miss,
    /// The leg failed.
    Failed,
}

impl LegOutcome {
    /// The public name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::BelowThreshold => "below_threshold",
            Self::BelowDepth => "below_depth",
            Self::Miss => "miss",
            Self::Failed => "failed",
        }
    }
}

/// A leg's view of a document: of its chunk that the leg ranks best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LegTrace {
    /// The leg.
    pub leg: Leg,
    /// Whether the request asks it. One that is not asked is looked at all the same.
    pub asked: bool,
    /// What became of the document.
    pub outcome: LegOutcome,
    /// Its rank and score; where the filter excludes the document, those it would have.
    pub at: Option<StageScore>,
    /// The leg's candidates in the request.
    pub candidates: usize,
}

/// One phrasing's view of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct PhrasingTrace {
    /// 0 is the query itself, 1 the first of [`RetrieveRequest::also`].
    pub phrasing: usize,
    /// Conditions of the phrasing, and of the query, that exclude the document, written as in a query;
    /// the legs are those without them.
    pub failed_conditions: Vec<String>,
    /// Lexical, then dense.
    pub legs: Vec<LegTrace>,
    /// Its best place in the list that the phrasing makes alone, where it has one.
    pub place: Option<StageScore>,
}

/// The re-ranker's view of a document.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RerankTrace {
    /// Its rank after re-ranking, before duplicates were left out, and the raw score.
    pub at: StageScore,
    /// The calibrated probability that it is relevant, where the model has one.
    pub relevance: Option<f64>,
}

/// The answer to an [`ExplainRequest`].
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The document's chunk that came furthest.
    pub chunk: Option<ChunkId>,
    /// Its rank among the hits, where it is one.
    pub rank: Option<usize>,
    /// Whether it stands in the context; `None` where it is no hit, or no context was asked for.
    pub in_context: Option<bool>,
    /// The first stage that cut it; `None` where it was returned.
    pub cut: Option<Cut>,
    /// Conditions of the filter that exclude it, as JSON pointers into the filter.
    pub failed_conditions: Vec<String>,
    /// Lexical, then dense; none where there is nothing to rank. Of several phrasings, each leg is that
    /// of the one with which the document came furthest.
    pub legs: Vec<LegTrace>,
    /// Each phrasing by itself, where there are several; one that repeats another is left out.
    pub phrasings: Vec<PhrasingTrace>,
    /// Its place in the list that both legs, or several phrasings, make, where it has one.
    pub fused: Option<StageScore>,
    /// What the re-ranker made of it, where it was scored.
    pub rerank: Option<RerankTrace>,
    /// Changes of the request that return it, the smallest first; each was tried.
    pub remedies: Vec<Remedy>,
    /// Acknowledged operations that are not reflected.
    pub lag: u64,
    /// Stages that did not do their full work.
    pub degraded: Vec<Degradation>,
}

/// A value of an option.
#[derive(Clone, Debug, PartialEq)]
pub enum OptionValue {
    /// Not set.
    Absent,
    /// Set to something that has no shorter form, such as a condition.
    Set,
    /// A count.
    Count(usize),
    /// A number.
    Number(f64),
    /// A switch.
    Switch(bool),
    /// Which legs.
    Mode(Mode),
    /// Phrasings.
    Texts(Vec<String>),
    /// Any other named choice.
    Named(&'static str),
}

/// One option changed.
#[derive(Clone, Debug, PartialEq)]
pub struct OptionChange {
    /// Its name in a request, with dots: `candidates.dense`, `filter.must.0`.
    pub option: String,
    /// What it was.
    pub from: OptionValue,
    /// What it is.
    pub to: OptionValue,
}

/// A change of the request that returns the document.
#[derive(Clone, Debug, PartialEq)]
pub struct Remedy {
    /// The options that change.
    pub changes: Vec<OptionChange>,
    /// The document's rank then.
    pub rank: usize,
    /// The request with the changes.
    pub request: RetrieveRequest,
}
