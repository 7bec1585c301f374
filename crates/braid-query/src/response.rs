//! What a retrieval gives.

use std::borrow::Cow;

use braid_core::{ChunkId, DocumentId, Expansion, Leg, Passage, Span};

use crate::pages::More;
use crate::phrasings::PhrasingScores;
use crate::syntax::{ConditionReport, MAX_OPERATORS};
use crate::thresholds::EmptyReason;
use crate::trust::Trust;

/// A stage's view of one hit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StageScore {
    /// 1-based rank at that stage.
    pub rank: usize,
    /// The stage's score; comparable within the stage and the query only.
    pub score: f64,
}

/// A hit at every stage that saw it. Of several phrasings of a query, a leg's is that of the phrasing
/// whose leg ranks the hit best.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageScores {
    /// BM25.
    pub lexical: Option<StageScore>,
    /// Cosine similarity.
    pub dense: Option<StageScore>,
    /// Both legs, and all phrasings, fused; absent when one leg alone was asked for, by one phrasing.
    pub fused: Option<StageScore>,
    /// Raw re-ranker score, with the rank by the blended final score.
    pub rerank: Option<StageScore>,
}

/// The stage whose score ordered a hit last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScoreStage {
    /// BM25 (lexical mode, not re-ranked).
    Lexical,
    /// Cosine (dense mode, not re-ranked).
    Dense,
    /// Both legs, or several phrasings, fused.
    Fused,
    /// Blend of re-ranker and fused score.
    Rerank,
}

impl ScoreStage {
    /// The public name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lexical => "lexical",
            Self::Dense => "dense",
            Self::Fused => "fused",
            Self::Rerank => "rerank",
        }
    }
}

/// One hit of a response.
#[derive(Clone, Debug, PartialEq)]
pub struct RetrievedHit {
    /// 1-based rank.
    pub rank: usize,
    /// Score of `score_stage`; not comparable across queries.
    pub score: f64,
    /// The stage that ordered this hit.
    pub score_stage: ScoreStage,
    /// The chunk with its source.
    pub passage: Passage,
    /// Ranks and scores at every stage. Always filled; shown when `explain` is set.
    pub scores: StageScores,
    /// Which phrasings of the query found it, and where; empty where there is one.
    pub phrasings: Vec<PhrasingScores>,
    /// The calibrated probability that the passage is relevant, where it was re-ranked by a model
    /// that has one.
    pub relevance: Option<f64>,
    /// Chunks that say the same, and were ranked lower.
    pub same: Vec<SameText>,
    /// Rank before passages that say the same as a better one were left out.
    pub ordered: usize,
}

/// A chunk that says the same as a hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SameText {
    /// The chunk.
    pub chunk: ChunkId,
    /// Its document.
    pub document: DocumentId,
    /// That document's source.
    pub uri: Option<String>,
}

impl SameText {
    pub(crate) fn of(passage: &Passage) -> Self {
        Self {
            chunk: passage.record.id,
            document: passage.record.document.clone(),
            uri: passage.uri.clone(),
        }
    }
}

/// Where a piece of the context came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Citation {
    /// The marker in the context text, `[1]`.
    pub marker: String,
    /// The cited chunk.
    pub chunk: ChunkId,
    /// Its document.
    pub document: DocumentId,
    /// Characters of the document's extracted text that stand in the context.
    pub span: Span,
}

/// Context for a language model, with its citations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssembledContext {
    /// The text, each piece preceded by its marker.
    pub text: String,
    /// Tokens of `text` by the embedder's tokenizer; at most `max_tokens`.
    pub tokens: usize,
    /// One per marker, in order.
    pub citations: Vec<Citation>,
}

/// Milliseconds spent in each stage. Legs run in parallel, so stages do not add up to the total.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timings {
    /// Embedding the query.
    pub embed: f64,
    /// The lexical leg.
    pub lexical: f64,
    /// The dense leg, without embedding.
    pub dense: f64,
    /// Fusing.
    pub fuse: f64,
    /// Reading passages from the ledger.
    pub hydrate: f64,
    /// Re-ranking, queueing included.
    pub rerank: f64,
    /// Assembling the context.
    pub assemble: f64,
    /// Everything, from validation to the finished response.
    pub total: f64,
}

/// How much of the window the re-ranker scored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RerankSummary {
    /// Hits scored before the deadline.
    pub scored: usize,
    /// Hits in the window.
    pub of: usize,
}

/// A stage that did not do its full work, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Degradation {
    /// `lexical`, `dense` or `rerank`.
    pub stage: &'static str,
    /// What happened, for a person.
    pub reason: String,
}

impl Degradation {
    /// A leg that failed.
    pub fn leg(leg: Leg, reason: impl Into<String>) -> Self {
        Self {
            stage: leg.as_str(),
            reason: reason.into(),
        }
    }
}

/// What a caller should know of an answer in which nothing fell short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Note {
    /// The lexical leg was asked, and the analyzer made no term of the query.
    NoLexicalTerms,
    /// So many passages of this page were deleted or replaced since the first page was answered, and
    /// are left out.
    Gone(usize),
    /// The query has more operators than are read: it was taken as text.
    TooManyOperators,
}

impl Note {
    /// The note for a person.
    pub fn detail(self) -> Cow<'static, str> {
        match self {
            Self::NoLexicalTerms => {
                "the query has no word, number or name: nothing could match in the lexical leg"
                    .into()
            }
            Self::Gone(count) => format!(
                "passages that were deleted or replaced since the first page are left out: {count}"
            )
            .into(),
            Self::TooManyOperators => format!(
                "the query has more than {MAX_OPERATORS} operators and was taken as plain text"
            )
            .into(),
        }
    }
}

/// The answer to a [`RetrieveRequest`](crate::RetrieveRequest).
#[derive(Clone, Debug, PartialEq)]
pub struct RetrieveResponse {
    /// Best first.
    pub hits: Vec<RetrievedHit>,
    /// Why there are none, where there are none.
    pub reason: Option<EmptyReason>,
    /// Assembled from the hits.
    pub context: AssembledContext,
    /// Time per stage.
    pub timings: Timings,
    /// What the re-ranker did; `None` when it was not asked.
    pub rerank: Option<RerankSummary>,
    /// Acknowledged operations that this answer does not reflect yet.
    pub lag: u64,
    /// Distinct terms of the query in the lexical leg; empty where that leg was not asked or failed,
    /// and where [`Note::NoLexicalTerms`] says so.
    pub terms: Vec<String>,
    /// What the lexical leg searched for that the query does not say; it is among the `terms`.
    pub expansions: Vec<Expansion>,
    /// What the query's operators ask of every hit.
    pub conditions: Vec<ConditionReport>,
    /// What else is to be known.
    pub notes: Vec<Note>,
    /// Stages that did not do their full work.
    pub degraded: Vec<Degradation>,
    /// Whether this was answered before, of the same state, and is given again.
    pub cached: bool,
    /// How far each leg was trusted; `None` where one leg alone was asked.
    pub trust: Option<Trust>,
    /// What is left of the list, for the next page; `None` where this is the end.
    pub more: Option<More>,
    /// Names it for a request that asks for the next page; see [`crate::PagingRetriever`].
    pub next_cursor: Option<String>,
}
