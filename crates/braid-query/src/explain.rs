//! Why a document was not returned, where it was lost, and what would return it.
//!
//! Nothing here knows how any stage works: the pipeline that serves is run over one pinned state,
//! with the document watched through every stage ([`trace`]). A remedy is found the same way, by
//! running the changed request, so that one that is reported does return the document, whatever the
//! fusion or the re-ranker does. Models are asked once for each text ([`memo`]).

mod answer;
mod conditions;
mod deep;
mod filtering;
mod knobs;
mod memo;
mod moves;
mod search;
mod target;
mod trace;

pub use answer::{
    Cut, ExplainRequest, Explanation, LegOutcome, LegTrace, MAX_EXPLAIN_DEPTH, OptionChange,
    OptionValue, PhrasingTrace, Remedy, RerankTrace,
};
pub use moves::{Move, MoveCause, MoveStage};
