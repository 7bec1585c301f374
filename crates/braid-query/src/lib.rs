//! The retrieval pipeline over ports: plan, pin, search both legs, fuse, hydrate, re-rank, assemble
//! context, explain.
//!
//! It sees [`braid_core`] ports only, never an engine, and holds no state between requests but what
//! [`cache`] keeps. Fusion is
//! Braid's own arithmetic ([`fusion`]), the same for every backend. A leg or a re-ranker that falls
//! short is named in the response, never passed over in silence.
//!
//! Start at [`Retriever::retrieve`]; [`request`] and [`response`] are what it takes and gives.
//! [`Retriever::rank`] ranks documents per stage for evaluation, and [`Retriever::record`] keeps a query's
//! legs so that many settings are measured over one search, both through the same functions.

pub mod batch;
mod blend;
mod by_scores;
pub mod cache;
mod context;
mod distinct;
pub mod explain;
pub mod fusion;
mod hydrate;
mod legs;
mod neighborhood;
mod observe;
pub mod pages;
pub mod phrasings;
pub mod rank;
mod ranked;
pub mod replay;
pub mod request;
mod rerank;
pub mod response;
pub mod retriever;
mod scoring;
mod search;
mod syntax;
mod thresholds;
mod trust;
mod word_counter;
mod word_runs;

pub use batch::Batch;
pub use cache::{CachingEmbedder, CachingRetriever, IndexWrites, SemanticCache};
pub use context::left_out;
pub use explain::{
    Cut, ExplainRequest, Explanation, LegOutcome, LegTrace, MAX_EXPLAIN_DEPTH, Move, MoveCause,
    MoveStage, OptionChange, OptionValue, PhrasingTrace, Remedy, RerankTrace,
};
pub use pages::{Listing, More, PageLimits, PagingRetriever};
pub use phrasings::PhrasingScores;
pub use rank::{RankRequest, RankedDocument, Stage, StageRankings};
pub use replay::{Place, Recording, Replay};
pub use request::{
    CandidateDepths, ContextExpansion, ContextOptions, ContextOrder, ContextTokenizer,
    FusionMethod, FusionOptions, LegTrust, LegWeights, Mode, RerankOptions, RetrieveRequest,
};
pub use response::{
    AssembledContext, Citation, Degradation, Note, RerankSummary, RetrieveResponse, RetrievedHit,
    SameText, ScoreStage, StageScore, StageScores, Timings,
};
pub use retriever::{Retriever, RetrieverParts, Tokenizers};
pub use syntax::{ConditionReport, MAX_OPERATORS, ParsedQuery, Syntax, Typos, parse_query};
pub use thresholds::{BelowThreshold, EmptyReason, Thresholds};
pub use trust::{MODEL as TRUST_MODEL, Trust};
