//! Raising a number to the least that returns a document.

use braid_core::limits::{MAX_CONTEXT_TOKENS, MAX_TOP_K};
use braid_core::{Leg, Result};

use super::Tuner;
use crate::request::RetrieveRequest;

impl Tuner<'_> {
    /// Returns as many as it takes. More hits can make the legs deeper, which can move the document.
    pub(super) async fn raise_top_k(&mut self, request: &mut RetrieveRequest) -> Result<bool> {
        const MOST_STEPS: usize = 12;
        let before = request.top_k;
        for _ in 0..MOST_STEPS {
            if self.is_spent() {
                break;
            }
            let trace = self.trace(request).await?;
            if trace.is_hit {
                break;
            }
            match trace.rank.or_else(|| self.next_depth(request)) {
                Some(rank) if rank > request.top_k && rank <= MAX_TOP_K => request.top_k = rank,
                Some(_) | None => break,
            }
        }
        Ok(request.top_k > before)
    }

    /// The least depth of a leg that is asked at which it has the document.
    fn next_depth(&self, request: &RetrieveRequest) -> Option<usize> {
        let lexical = request.mode.asks_lexical().then_some(Leg::Lexical);
        let dense = request.mode.asks_dense().then_some(Leg::Dense);
        let asked = lexical.into_iter().chain(dense);
        asked.filter_map(|leg| self.deep.depth(leg, request)).min()
    }

    /// Gives the context the least room in which the document stands.
    pub(super) async fn raise_max_tokens(&mut self, request: &mut RetrieveRequest) -> Result<bool> {
        let before = request.context.max_tokens;
        let (mut short, mut enough) = (before, before.max(1));
        loop {
            if enough >= MAX_CONTEXT_TOKENS || self.is_spent() {
                request.context.max_tokens = before;
                return Ok(false);
            }
            enough = (enough * 2).min(MAX_CONTEXT_TOKENS);
            request.context.max_tokens = enough;
            if self.trace(request).await?.in_context == Some(true) {
                break;
            }
            short = enough;
        }
        while short + 1 < enough && !self.is_spent() {
            let middle = short + (enough - short) / 2;
            request.context.max_tokens = middle;
            if self.trace(request).await?.in_context == Some(true) {
                enough = middle;
            } else {
                short = middle;
            }
        }
        request.context.max_tokens = enough;
        Ok(true)
    }
}
