//! [`Retriever::explain`]: the trace of a request, and the search for changes that return a document.

mod raise;
mod tighten;

use std::sync::Arc;

use braid_core::{LedgerPin, Leg, Result};

use super::answer::{
    Cut, ExplainRequest, Explanation, LegOutcome, LegTrace, PhrasingTrace, Remedy,
};
use super::deep::{Deep, DeepPhrasing, DeepSearch};
use super::filtering::{Excluding, excluding};
use super::knobs::{
    Knob, allow_alike, ask_both, changes, cost, deepen, give_votes, keep_phrasings, replace_filter,
    threshold_for,
};
use super::memo::remembering;
use super::target::{Target, find_target};
use super::trace::{Trace, trace};
use crate::request::{Mode, RetrieveRequest};
use crate::retriever::Retriever;
use crate::syntax::Syntax;

const LEGS: [Leg; 2] = [Leg::Lexical, Leg::Dense];

/// Runs of the pipeline after which nothing more is tried: an explanation takes at most as many, those that end
/// what was begun, a few for each knob, and for each remedy those that make it small
/// ([`tighten::MOST_RUNS`]).
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
        let retriever = Self {
            parts: remembering(&self.parts),
            counter: Arc::clone(&self.counter),
        };
        let mut rest = retrieve.clone();
        if !excluding.conditions.is_empty() {
            replace_filter(&mut rest, excluding.rest.as_ref());
        }
        let search = DeepSearch {
            parts: &retriever.parts,
            pin: &pin,
            target: &target,
            depth,
        };
        let mut tuner = Tuner {
            retriever: &retriever,
            pin: &pin,
            target: &target,
            base: &retrieve,
            goal: Goal::Hit,
            excluding,
            deep: search.search(&rest).await?,
            runs: 0,
        };
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
        phrasings: Vec::new(),
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

/// Turns the options of a request until it returns a document.
struct Tuner<'a> {
    retriever: &'a Retriever,
    pin: &'a Arc<dyn LedgerPin>,
    target: &'a Target,
    base: &'a RetrieveRequest,
    goal: Goal,
    excluding: Excluding,
    /// Without the conditions of the filter that exclude it.
    deep: Deep,
    /// Runs of the pipeline so far.
    runs: usize,
}

impl Tuner<'_> {
    async fn explain(&mut self) -> Result<Explanation> {
        let mut trace = self.trace(self.base).await?;
        trace
            .see_limits(self.retriever, self.target, self.base)
            .await?;
        let cut = self.cut(&trace);
        if matches!(cut, Some(Cut::NearDuplicate | Cut::Budget)) {
            self.goal = Goal::Context;
        }
        let is_fused = self.base.mode == Mode::Hybrid || !self.base.also.is_empty();
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
            legs: LEGS.map(|leg| self.leg(leg)).to_vec(),
            phrasings: self.phrasings(&trace),
            fused: trace.base.filter(|_| is_fused),
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
        if !self.deep.unmet().is_empty() {
            return Some(Cut::ConditionsUnmet(self.deep.unmet().to_vec()));
        }
        if trace.base.is_some() {
            return trace.cut(self.base);
        }
        Some(trace.cut(self.base).unwrap_or_else(|| self.unlisted()))
    }

    /// Why no leg brought it into the list.
    fn unlisted(&self) -> Cut {
        let outcome = |one: &DeepPhrasing| {
            let legs = LEGS.map(|leg| one.trace(leg, self.base));
            let asked = legs.into_iter().filter(|leg| leg.asked);
            asked
                .map(|leg| leg.outcome)
                .min()
                .unwrap_or(LegOutcome::Miss)
        };
        let is_ranked = |outcome| outcome <= LegOutcome::BelowDepth;
        match self.deep.asked(self.base).map(outcome).min() {
            // And not in the list: its leg has no vote.
            Some(LegOutcome::Found) => return Cut::FusedOut,
            Some(ranked) if is_ranked(ranked) => return Cut::BelowDepth,
            Some(_) | None => {}
        }
        let mut excluded = self.deep.shown(self.base);
        let excluded = excluded.find(|(one, unmet)| !unmet.is_empty() && is_ranked(outcome(one)));
        match excluded {
            Some((_, unmet)) => Cut::ConditionsUnmet(unmet.to_vec()),
            None if self.base.mode == Mode::Dense => Cut::DenseMiss,
            None => Cut::LexicalMiss,
        }
    }

    /// What became of the document in a leg, for the phrasing with which it came furthest.
    fn leg(&self, leg: Leg) -> LegTrace {
        let traces = self
            .deep
            .shown(self.base)
            .map(|(one, _)| one.trace(leg, self.base));
        let furthest = traces.min_by_key(|it| (it.outcome, it.at.map(|at| at.rank)));
        furthest.unwrap_or(LegTrace {
            leg,
            asked: false,
            outcome: LegOutcome::Miss,
            at: None,
            candidates: 0,
        })
    }

    /// Whether a leg has the document below its candidates, for any phrasing.
    fn is_below_depth(&self, leg: Leg) -> bool {
        let mut shown = self.deep.shown(self.base);
        shown.any(|(one, _)| one.trace(leg, self.base).outcome == LegOutcome::BelowDepth)
    }

    /// What became of it for each of several phrasings.
    fn phrasings(&self, trace: &Trace) -> Vec<PhrasingTrace> {
        if self.base.also.is_empty() {
            return Vec::new();
        }
        let shown = self.deep.shown(self.base);
        let traces = shown.map(|(one, unmet)| PhrasingTrace {
            phrasing: one.number,
            failed_conditions: unmet.to_vec(),
            legs: LEGS.map(|leg| one.trace(leg, self.base)).to_vec(),
            place: trace.places.get(&one.number).copied(),
        });
        traces.collect()
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
        sort(&mut remedies);
        remedies.truncate(MOST_REMEDIES);
        for remedy in &mut remedies {
            *remedy = self.tighten(remedy.clone()).await?;
        }
        sort(&mut remedies);
        Ok(remedies)
    }

    /// Knobs that could do something here.
    fn useful(&self) -> Vec<Knob> {
        let request = self.base;
        let weights = request.fusion.weights;
        let is_useful = |knob: &Knob| match knob {
            // Conditions that it meets keep others out.
            Knob::Syntax => self.deep.is_any_unmet(),
            Knob::Filter => !self.excluding.conditions.is_empty(),
            Knob::Mode => request.mode != Mode::Hybrid,
            Knob::Weights => weights.lexical == 0.0 || weights.dense == 0.0,
            Knob::LexicalThreshold => request.thresholds.lexical.is_some(),
            Knob::DenseThreshold => request.thresholds.dense.is_some(),
            Knob::LexicalDepth => self.is_below_depth(Leg::Lexical),
            Knob::DenseDepth => self.is_below_depth(Leg::Dense),
            Knob::Phrasings => !request.also.is_empty(),
            Knob::RerankCandidates | Knob::RerankOff => request.rerank.enabled,
            Knob::RerankThreshold => request.thresholds.rerank.is_some(),
            Knob::Distinct => request.distinct,
            Knob::TopK => true,
            Knob::MaxSimilarity | Knob::MaxTokens => self.goal == Goal::Context,
        };
        Knob::ALL.into_iter().filter(is_useful).collect()
    }

    /// Turns these knobs, in their order. Nothing where one of them has nothing to do, or where the
    /// document is not returned then.
    async fn attempt(&mut self, knobs: &[Knob]) -> Result<Option<Remedy>> {
        let needs_filter = !self.excluding.conditions.is_empty();
        let needs_syntax = !self.deep.unmet().is_empty();
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
        let score = |leg| self.deep.score(leg, request);
        let depth = |leg| self.deep.depth(leg, request).unwrap_or_default();
        let done = match knob {
            Knob::Syntax => std::mem::replace(&mut request.syntax, Syntax::Off) == Syntax::Auto,
            Knob::Filter => {
                replace_filter(request, self.excluding.rest.as_ref());
                !self.excluding.conditions.is_empty()
            }
            Knob::Mode => ask_both(request),
            Knob::Weights => give_votes(request),
            Knob::LexicalThreshold => {
                let score = score(Leg::Lexical);
                lower(&mut request.thresholds.lexical, score)
            }
            Knob::DenseThreshold => {
                let score = score(Leg::Dense);
                lower(&mut request.thresholds.dense, score)
            }
            Knob::LexicalDepth => {
                let depth = depth(Leg::Lexical);
                deepen(&mut request.candidates.lexical, request.top_k, depth)
            }
            Knob::DenseDepth => {
                let depth = depth(Leg::Dense);
                deepen(&mut request.candidates.dense, request.top_k, depth)
            }
            Knob::Phrasings => {
                let finding = self.trace(request).await?.places;
                keep_phrasings(&mut request.also, &finding)
            }
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
            Knob::MaxSimilarity => allow_alike(&mut request.context),
            Knob::MaxTokens => self.raise_max_tokens(request).await?,
        };
        Ok(done)
    }
}

/// Puts the smallest first, and of those that change the same options keeps that one alone.
fn sort(remedies: &mut Vec<Remedy>) {
    let size = |remedy: &Remedy| (remedy.changes.len(), cost(&remedy.changes));
    remedies.sort_by(|a, b| {
        let (a, b) = (size(a), size(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    let mut told: Vec<Vec<String>> = Vec::new();
    remedies.retain(|remedy| {
        let changes = remedy.changes.iter();
        let options: Vec<String> = changes.map(|change| change.option.clone()).collect();
        let is_new = !told.contains(&options);
        told.push(options);
        is_new
    });
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
