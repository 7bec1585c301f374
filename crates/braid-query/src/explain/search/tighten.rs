//! Making a remedy as small as it can be.

use braid_core::Result;

use super::super::knobs::take_back;
use super::{Remedy, Tuner};
use crate::request::RetrieveRequest;

/// A count of a request.
type Count = fn(&mut RetrieveRequest) -> &mut usize;

/// The counts that a remedy can raise. First what others may only make up for: the legs are searched at
/// least as deep as `top_k` says.
const COUNTS: [Count; 5] = [
    |request| &mut request.top_k,
    |request| &mut request.candidates.lexical,
    |request| &mut request.candidates.dense,
    |request| &mut request.rerank.candidates,
    |request| &mut request.context.max_tokens,
];

/// Runs of the pipeline after which a remedy is told as it is.
pub(super) const MOST_RUNS: usize = 60;

/// Most times a remedy is gone through: what is lowered last can make room for what was looked at first.
const MOST_ROUNDS: usize = 4;

impl Tuner<'_> {
    /// The remedy without changes that it can do without, and with each count lowered to where one less
    /// would not do.
    pub(super) async fn tighten(&mut self, mut remedy: Remedy) -> Result<Remedy> {
        let until = self.runs + MOST_RUNS;
        for _ in 0..MOST_ROUNDS {
            let before = remedy.request.clone();
            remedy = self.leave_out(remedy, until).await?;
            for count in COUNTS {
                remedy = self.lower(remedy, count, until).await?;
            }
            if remedy.request == before {
                break;
            }
        }
        Ok(remedy)
    }

    /// Takes back each change that is not needed beside the others.
    async fn leave_out(&mut self, mut remedy: Remedy, until: usize) -> Result<Remedy> {
        for change in remedy.changes.clone() {
            let mut request = remedy.request.clone();
            take_back(&change.option, self.base, &mut request);
            // Some stand and fall together: a threshold of the re-ranker asks for one.
            let can_go = request != remedy.request && request.check().is_ok();
            if can_go && remedy.changes.len() > 1 && self.runs < until {
                remedy = self.remedy(request).await?.unwrap_or(remedy);
            }
        }
        Ok(remedy)
    }

    /// Lowers a count that the remedy raises, by bisection: what returns the document need not do so at
    /// every greater value, but one less than what is told does not.
    async fn lower(&mut self, mut remedy: Remedy, count: Count, until: usize) -> Result<Remedy> {
        let least = *count(&mut self.base.clone());
        let mut enough = *count(&mut remedy.request.clone());
        let mut short = least.saturating_sub(1);
        // Most remedies cannot be lowered: that is looked at first.
        let mut next = enough.saturating_sub(1);
        while enough > least && next > short && self.runs < until {
            let mut request = remedy.request.clone();
            *count(&mut request) = next;
            match self.remedy(request).await? {
                Some(smaller) => (remedy, enough) = (smaller, next),
                None => short = next,
            }
            next = short + (enough - short) / 2;
        }
        Ok(remedy)
    }
}
