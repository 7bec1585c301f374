//! What a request asks of the legs, of the ranked list and of the context.

use braid_core::Result;

use crate::hydrate::Wanted;
use crate::legs::{LegRun, Reach};
use crate::request::{ContextExpansion, RetrieveRequest};
use crate::response::Note;
use crate::search::SearchPlan;
use crate::syntax::ParsedQuery;

/// What is to be known of a query and of a lexical leg that served.
pub(super) fn notes(asked: &ParsedQuery, lexical: Option<&Result<LegRun>>) -> Vec<Note> {
    let has_terms = lexical.is_none_or(|run| match run {
        Ok(run) => !run.terms.is_empty(),
        Err(_) => true,
    });
    let mut notes = Vec::new();
    if !has_terms {
        notes.push(Note::NoLexicalTerms);
    }
    if asked.has_too_many {
        notes.push(Note::TooManyOperators);
    }
    notes
}

/// A leg is never asked for fewer candidates than there are hits to return.
pub(super) fn search_plan(request: &RetrieveRequest) -> SearchPlan<'_> {
    let reach = |depth: usize| Reach::Candidates(depth.max(request.top_k));
    SearchPlan {
        query: &request.query,
        conditions: &[],
        typos: request.typos,
        collection: &request.collection,
        mode: request.mode,
        filter: request.filter.as_ref(),
        lexical: reach(request.candidates.lexical),
        dense: reach(request.candidates.dense),
        pin: None,
    }
}

/// How much of the ranked list is read.
pub(super) fn wanted(request: &RetrieveRequest) -> Wanted {
    let options = &request.rerank;
    Wanted {
        chunks: if options.enabled {
            options.candidates
        } else {
            0
        },
        texts: request.top_k,
    }
}

/// What stands around the hits in the context, if there is one.
pub(crate) fn expansion(request: &RetrieveRequest) -> ContextExpansion {
    if request.context.max_tokens == 0 {
        ContextExpansion::None
    } else {
        request.context.expand
    }
}
