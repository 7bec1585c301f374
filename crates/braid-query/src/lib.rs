//! The retrieval pipeline over ports: plan, pin, search both legs, fuse, hydrate, re-rank, assemble
//! context, explain.
//!
//! It sees [`braid_core`] ports only, never an engine. Fusion is Braid's own arithmetic, the same
//! for every backend. [`request`] and [`response`] are what it takes and
//! gives.

pub mod request;
pub mod response;

pub use request::{
    CandidateDepths, ContextExpansion, ContextOptions, FusionOptions, LegWeights, Mode,
    RerankOptions, RetrieveRequest,
};
pub use response::{
    AssembledContext, Citation, Degradation, RerankSummary, RetrieveResponse, RetrievedHit,
    ScoreStage, StageScore, StageScores, Timings,
};
