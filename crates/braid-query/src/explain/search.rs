//! [`Retriever::explain`]: the trace of a request, and the search for changes that return a document.

mod raise;

use std::sync::Arc;

use braid_core::{LedgerPin, Leg, Result};

use super::answer::{Cut, ExplainRequest, Explanation, LegOutcome, LegTrace, Remedy};
use super::conditions::unmet;
use super::filtering::{Excluding, excluding};
use super::knobs::{
    Knob, ask_both, changes, cost, deepen, give_votes, lift, replace_filter, threshold_for,
};
use super::memo::remembering;
use super::target::{Target, find_target};
use super::trace::{Trace, trace};
use crate::legs::{LegHit, LegRun, Reach};
use crate::request::{Mode, RetrieveRequest};
use crate::response::StageScore;
use crate::retriever::Retriever;
use crate::search::{SearchPlan, search};
use crate::syntax::Syntax;

/// Runs of the pipeline after which nothing more is tried: an explanation takes at most as many and
/// those that end what was begun, a few for each knob.
const MOST_RUNS: usize = 300;
/// Most remedies that are told.
const MOST_REMEDIES: usize = 5;

impl Retriever {
    /// Says where a document was lost for a request, and which smallest change of the request
    /// returns it. Runs the pipeline that serves up to some hundred times over one pinned state:
    /// for people, not for the path of a query.
    ///
    /// # Errors
    /// As [`Retriever::retrieve`].
    pub async fn explain(&self, request: ExplainRequest) -> Result<Explanation> {
        request.check()?;
        let ExplainRequest {
            document,
            depth,
            mut retrieve,
        } = request;
        retrieve.rerank.deadline_ms = None;
        let pin = self.parts.ledger.pin(&retrieve.collection).await?;
        let target = match find_target(&*self.parts.ledger, &pin, &document).await? {
            Ok(target) => target,
            Err(cut) => return Ok(absent(cut, pin.stats().lag())),
        };
        let filter = retrieve.filter.as_deref();
        let excluding = filter.map(|filter| excluding(filter, &target.metadata, target.language));
        let excluding = excluding.unwrap_or_default();
        let unmet = unmet(&self.parts, &pin, &target, &retrieve).await?;
        let retriever = Self {
            parts: remembering(&self.parts),
            counter: Arc::clone(&self.counter),
        };
        let mut tuner = Tuner {
            retriever: &retriever,
            pin: &pin,
            target: &target,
            base: &retrieve,
            goal: Goal::Hit,
            excluding,
            unmet,
            deep: Deep::default(),
            runs: 0,
        };
        tuner.deep = tuner.search_deep(depth).await?;
        tuner.explain().await
    }
}

/// What is to be said of a document that no request can return.
fn absent(cut: Cut, lag: u64) -> Explanation {
    Explanation {
        chunk: None,
        rank: None,
        in_context: None,
        cut: Some(cut),
        failed_conditions: Vec::new(),
        legs: Vec::new(),
        fused: None,
        rerank: None,
        remedies: Vec::new(),
        lag,
        degraded: Vec::new(),
    }
}

/// What a remedy is to bring about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    /// The document is among the hits.
    Hit,
    /// It stands in the context.
    Context,
}

/// A document's best chunk in each leg, searched deep, without the conditions that exclude it.
#[derive(Clone, Copy, Debug, Default)]
struct Deep {
    lexical: DeepLeg,
    dense: DeepLeg,
}

#[derive(Clone, Copy, Debug, Default)]
struct DeepLeg {
    at: Option<StageScore>,
    /// The least depth at which the leg has the document among its candidates. More than its rank
    /// where others score the same: an index cuts ties by slot, ranks break them by chunk id.
    depth: usize,
    has_failed: bool,
}

/// Turns the options of a request until it returns a document.
struct Tuner<'a> {
    retriever: &'a Retriever,
    pin: &'a Arc<dyn LedgerPin>,
    target: &'a Target,
    base: &'a RetrieveRequest,
    goal: Goal,
    excluding: Excluding,
    /// Conditions of the query that exclude it, as in a query.
    unmet: Vec<String>,
    deep: Deep,
    /// Runs of the pipeline so far.
    runs: usize,
}

impl Tuner<'_> {
    async fn explain(&mut self) -> Result<Explanation> {
        let trace = self.trace(self.base).await?;
        let cut = self.cut(&trace);
        if cut == Some(Cut::Budget) {
            self.goal = Goal::Context;
        }
        let remedies = match &cut {
            None => Vec::new(),
            Some(_) => self.find_remedies().await?,
        };
        Ok(Explanation {
            chunk: trace.chunk,
            rank: trace.rank.filter(|_| trace.is_hit),
            in_context: trace.in_context,
            cut,
            failed_conditions: self.excluding.conditions.clone(),
            legs: vec![self.leg(Leg::Lexical), self.leg(Leg::Dense)],
            fused: trace.base.filter(|_| self.base.mode == Mode::Hybrid),
            rerank: trace.rerank,
            remedies,
            lag: trace.lag,
            degraded: trace.degraded,
        })
    }

    fn cut(&self, trace: &Trace) -> Option<Cut> {
        if !self.excluding.conditions.is_empty() {
            return Some(Cut::Filtered);
        }
        if !self.unmet.is_empty() {
            return Some(Cut::ConditionsUnmet(self.unmet.clone()));
        }
        if trace.base.is_some() {
            return trace.cut(self.base);
        }
        if let Some(cut) = trace.cut(self.base) {
            return Some(cut);
        }
        let asked = [Leg::Lexical, Leg::Dense].map(|leg| self.leg(leg));
        let asked = asked.into_iter().filter(|leg| leg.asked);
        let mut outcomes = asked.map(|leg| leg.outcome);
        // Found and not in the list: its leg has no vote.
        Some(
            if outcomes.clone().any(|outcome| outcome == LegOutcome::Found) {
                Cut::FusedOut
            } else if outcomes.any(|outcome| outcome == LegOutcome::BelowDepth) {
                Cut::BelowDepth
            } else if self.base.mode == Mode::Dense {
                Cut::DenseMiss
            } else {
                Cut::LexicalMiss
            },
        )
    }

    fn leg(&self, leg: Leg) -> LegTrace {
        let (deep, asked, candidates, least) = match leg {
            Leg::Lexical => (
                self.deep.lexical,
                self.base.mode.asks_lexical(),
                self.base.candidates.lexical,
                self.base.thresholds.lexical,
            ),
            Leg::Dense => (
                self.deep.dense,
                self.base.mode.asks_dense(),
                self.base.candidates.dense,
                self.base.thresholds.dense,
            ),
        };
        let candidates = candidates.max(self.base.top_k);
        let outcome = match deep.at {
            _ if deep.has_failed => LegOutcome::Failed,
            None => LegOutcome::Miss,
            Some(_) if deep.depth > candidates => LegOutcome::BelowDepth,
            Some(at) if least.is_some_and(|least| at.score < least) => LegOutcome::BelowThreshold,
            Some(_) => LegOutcome::Found,
        };
        LegTrace {
            leg,
            asked,
            outcome,
            at: deep.at,
            candidates,
        }
    }

    /// Looks for the document in both legs. A leg that the request does not ask may fail.
    async fn search_deep(&self, depth: usize) -> Result<Deep> {
        let mut rest = self.base.clone();
        if !self.excluding.conditions.is_empty() {
            replace_filter(&mut rest, self.excluding.rest.as_ref());
        }
        if !self.unmet.is_empty() {
            rest.syntax = Syntax::Off;
        }
        let asked = rest.parsed();
        let plan = |mode| SearchPlan {
            query: &asked.text,
            conditions: &asked.conditions,
            typos: rest.typos,
            collection: &rest.collection,
            mode,
            filter: rest.filter.as_ref(),
            lexical: Reach::Candidates(depth),
            dense: Reach::Candidates(depth),
            pin: Some(self.pin),
        };
        let parts = &self.retriever.parts;
        let searched = match search(parts, plan(Mode::Hybrid)).await {
            Err(_) if rest.mode == Mode::Lexical => search(parts, plan(Mode::Lexical)).await?,
            searched => searched?,
        };
        let deep = |run: Option<Result<LegRun>>| match run {
            None => DeepLeg::default(),
            Some(Err(_)) => DeepLeg {
                has_failed: true,
                ..DeepLeg::default()
            },
            Some(Ok(run)) => {
                let is_target = |hit: &LegHit| self.target.chunks.contains(&hit.id);
                let place = run.hits.iter().position(is_target);
                let mut cut = run.hits.clone();
                cut.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.slot.cmp(&b.slot)));
                DeepLeg {
                    at: place.map(|place| run.hits[place].at_rank(place + 1)),
                    depth: cut.iter().position(is_target).map_or(0, |place| place + 1),
                    has_failed: false,
                }
            }
        };
        Ok(Deep {
            lexical: deep(searched.lexical),
            dense: deep(searched.dense),
        })
    }

    async fn trace(&mut self, request: &RetrieveRequest) -> Result<Trace> {
        self.runs += 1;
        trace(self.retriever, self.pin, self.target, request).await
    }

    /// Whether the pipeline ran as often as it may.
    fn is_spent(&self) -> bool {
        self.runs >= MOST_RUNS
    }

    fn is_met(&self, trace: &Trace) -> bool {
        match self.goal {
            Goal::Hit => trace.is_hit,
            Goal::Context => trace.in_context == Some(true),
        }
    }

    /// The smallest changes: of one option where one is enough, else of two, else as many as it
    /// takes, none of which can be left out.
    async fn find_remedies(&mut self) -> Result<Vec<Remedy>> {
        let knobs = self.useful();
        let mut remedies = Vec::new();
        for knob in &knobs {
            remedies.extend(self.attempt(&[*knob]).await?);
        }
        if remedies.is_empty() {
            for (place, first) in knobs.iter().enumerate() {
                for second in &knobs[place + 1..] {
                    if remedies.len() < MOST_REMEDIES && !self.is_spent() {
                        remedies.extend(self.attempt(&[*first, *second]).await?);
                    }
                }
            }
        }
        if remedies.is_empty() {
            remedies.extend(self.all_it_takes(&knobs).await?);
        }
        let size = |remedy: &Remedy| (remedy.changes.len(), cost(&remedy.changes));
        remedies.sort_by(|a, b| {
            let (a, b) = (size(a), size(b));
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
        });
        remedies.dedup_by(|a, b| a.request == b.request);
        remedies.truncate(MOST_REMEDIES);
        Ok(remedies)
    }

    /// Knobs that could do something here.
    fn useful(&self) -> Vec<Knob> {
        let request = self.base;
        let weights = request.fusion.weights;
        let is_useful = |knob: &Knob| match knob {
            // Conditions that it meets keep others out.
            Knob::Syntax => !self.unmet.is_empty(),
            Knob::Filter => !self.excluding.conditions.is_empty(),
            Knob::Mode => request.mode != Mode::Hybrid,
            Knob::Weights => weights.lexical == 0.0 || weights.dense == 0.0,
            Knob::LexicalThreshold => request.thresholds.lexical.is_some(),
            Knob::DenseThreshold => request.thresholds.dense.is_some(),
            Knob::LexicalDepth => self.leg(Leg::Lexical).outcome == LegOutcome::BelowDepth,
            Knob::DenseDepth => self.leg(Leg::Dense).outcome == LegOutcome::BelowDepth,
            Knob::RerankCandidates | Knob::RerankOff => request.rerank.enabled,
            Knob::RerankThreshold => request.thresholds.rerank.is_some(),
            Knob::Distinct => request.distinct,
            Knob::TopK => true,
            Knob::ContextLimits | Knob::MaxTokens => self.goal == Goal::Context,
        };
        Knob::ALL.into_iter().filter(is_useful).collect()
    }

    /// Turns these knobs, in their order. Nothing where one of them has nothing to do, or where the
    /// document is not returned then.
    async fn attempt(&mut self, knobs: &[Knob]) -> Result<Option<Remedy>> {
        let needs_filter = !self.excluding.conditions.is_empty();
        let needs_syntax = !self.unmet.is_empty();
        let lacks = |needed: bool, knob| needed && !knobs.contains(&knob);
        if lacks(needs_filter, Knob::Filter) || lacks(needs_syntax, Knob::Syntax) {
            return Ok(None);
        }
        let mut request = self.base.clone();
        for knob in knobs {
            if !self.turn(*knob, &mut request).await? {
                return Ok(None);
            }
        }
        self.remedy(request).await
    }

    /// Turns whatever has something to do, then turns back what was not needed.
    async fn all_it_takes(&mut self, knobs: &[Knob]) -> Result<Option<Remedy>> {
        for switches in [false, true] {
            let mut turned = Vec::new();
            let mut request = self.base.clone();
            for knob in knobs.iter().filter(|knob| switches || !knob.is_switch()) {
                let mut next = request.clone();
                if self.turn(*knob, &mut next).await? {
                    request = next;
                    turned.push(*knob);
                }
            }
            let Some(mut remedy) = self.remedy(request).await? else {
                continue;
            };
            for knob in turned.clone() {
                if self.is_spent() {
                    break;
                }
                let without: Vec<Knob> =
                    turned.iter().copied().filter(|one| *one != knob).collect();
                if let Some(smaller) = self.attempt(&without).await? {
                    remedy = smaller;
                    turned = without;
                }
            }
            return Ok(Some(remedy));
        }
        Ok(None)
    }

    /// The changed request as a remedy, if it is one.
    async fn remedy(&mut self, request: RetrieveRequest) -> Result<Option<Remedy>> {
        let trace = self.trace(&request).await?;
        let rank = trace.rank.filter(|_| self.is_met(&trace));
        Ok(rank.map(|rank| Remedy {
            changes: changes(self.base, &request, &self.excluding.conditions),
            rank,
            request,
        }))
    }

    /// Sets what a knob stands for to the least that could return the document, given what is set
    /// already; `false` where that changes nothing.
    async fn turn(&mut self, knob: Knob, request: &mut RetrieveRequest) -> Result<bool> {
        let Deep { lexical, dense } = self.deep;
        let top_k = request.top_k;
        let done = match knob {
            Knob::Syntax => std::mem::replace(&mut request.syntax, Syntax::Off) == Syntax::Auto,
            Knob::Filter => {
                replace_filter(request, self.excluding.rest.as_ref());
                !self.excluding.conditions.is_empty()
            }
            Knob::Mode => ask_both(request),
            Knob::Weights => give_votes(request),
            Knob::LexicalThreshold => lower(&mut request.thresholds.lexical, score(lexical.at)),
            Knob::DenseThreshold => lower(&mut request.thresholds.dense, score(dense.at)),
            Knob::LexicalDepth => deepen(&mut request.candidates.lexical, top_k, lexical.depth),
            Knob::DenseDepth => deepen(&mut request.candidates.dense, top_k, dense.depth),
            Knob::RerankCandidates => {
                let base = self.trace(request).await?.base;
                let rank = base.map_or(0, |at| at.rank);
                request.rerank.enabled && deepen(&mut request.rerank.candidates, 0, rank)
            }
            Knob::RerankOff => {
                // The threshold is that of the re-ranker: it goes with it.
                request.thresholds.rerank = None;
                std::mem::replace(&mut request.rerank.enabled, false)
            }
            Knob::RerankThreshold => {
                let relevance = self.trace(request).await?.relevance;
                lower(&mut request.thresholds.rerank, relevance)
            }
            Knob::Distinct => std::mem::replace(&mut request.distinct, false),
            Knob::TopK => self.raise_top_k(request).await?,
            Knob::ContextLimits => lift(&mut request.context),
            Knob::MaxTokens => self.raise_max_tokens(request).await?,
        };
        Ok(done)
    }
}

fn score(at: Option<StageScore>) -> Option<f64> {
    at.map(|at| at.score)
}

/// Lowers a threshold so that a score passes; `false` where there is none, or it does already.
fn lower(threshold: &mut Option<f64>, score: Option<f64>) -> bool {
    match (*threshold, score) {
        (Some(least), Some(score)) if score < least => {
            *threshold = Some(threshold_for(score));
            true
        }
        _ => false,
    }
}
