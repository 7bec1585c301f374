//! Where each leg has the document for each phrasing, searched deep.

use std::sync::Arc;

use braid_core::limits::MAX_CANDIDATES;
use braid_core::{LedgerPin, Leg, Result};

use super::answer::{LegOutcome, LegTrace};
use super::conditions::unmet;
use super::target::Target;
use crate::legs::{LegHit, LegRun, Reach};
use crate::phrasings::{Phrasing, phrasings};
use crate::request::{Mode, RetrieveRequest};
use crate::response::StageScore;
use crate::retriever::RetrieverParts;
use crate::search::{SearchPlan, search};
use crate::syntax::Syntax;

/// What the legs make of a document for every phrasing of a request: as that reads them, and where
/// conditions of a phrasing exclude the document, as plain text too.
#[derive(Debug)]
pub(super) struct Deep {
    phrasings: Vec<DeepPhrasing>,
}

/// What the legs make of a document for one phrasing.
#[derive(Debug)]
pub(super) struct DeepPhrasing {
    /// 0 is the query itself, 1 the first of `also`.
    pub(super) number: usize,
    written: String,
    syntax: Syntax,
    /// Conditions that exclude the document, as in a query; what they exclude is in no leg.
    pub(super) unmet: Vec<String>,
    lexical: DeepLeg,
    dense: DeepLeg,
}

/// A document's best chunk in a leg.
#[derive(Clone, Copy, Debug, Default)]
struct DeepLeg {
    at: Option<StageScore>,
    /// The least depth at which the leg has the document among its candidates. More than its rank
    /// where others score the same: an index cuts ties by slot, ranks break them by chunk id.
    depth: usize,
    has_failed: bool,
}

/// What is searched, and for what.
pub(super) struct DeepSearch<'a> {
    pub(super) parts: &'a RetrieverParts,
    pub(super) pin: &'a Arc<dyn LedgerPin>,
    pub(super) target: &'a Target,
    /// Candidates of each leg.
    pub(super) depth: usize,
}

impl DeepSearch<'_> {
    /// Looks for the document in both legs, for every phrasing. A leg that the request does not ask may
    /// fail.
    pub(super) async fn search(&self, request: &RetrieveRequest) -> Result<Deep> {
        let mut found = self.search_phrasings(request).await?;
        if found.iter().any(|one| !one.unmet.is_empty()) {
            let plain = RetrieveRequest {
                syntax: Syntax::Off,
                ..request.clone()
            };
            found.extend(self.search_phrasings(&plain).await?);
        }
        Ok(Deep { phrasings: found })
    }

    async fn search_phrasings(&self, request: &RetrieveRequest) -> Result<Vec<DeepPhrasing>> {
        let mut found = Vec::new();
        for phrasing in phrasings(request) {
            let conditions = &phrasing.asked.conditions;
            let unmet = unmet(self.parts, self.pin, self.target, conditions).await?;
            let [lexical, dense] = match unmet.is_empty() {
                true => self.search_legs(request, &phrasing).await?,
                false => [DeepLeg::default(); 2],
            };
            found.push(DeepPhrasing {
                number: phrasing.number,
                written: phrasing.written.to_owned(),
                syntax: request.syntax,
                unmet,
                lexical,
                dense,
            });
        }
        Ok(found)
    }

    async fn search_legs(
        &self,
        request: &RetrieveRequest,
        phrasing: &Phrasing<'_>,
    ) -> Result<[DeepLeg; 2]> {
        let plan = |mode| SearchPlan {
            query: &phrasing.asked.text,
            conditions: &phrasing.asked.conditions,
            typos: request.typos,
            collection: &request.collection,
            mode,
            filter: request.filter.as_ref(),
            lexical: Reach::Candidates(self.depth),
            dense: Reach::Candidates(self.depth),
            pin: Some(self.pin),
        };
        let searched = match search(self.parts, plan(Mode::Hybrid)).await {
            Err(_) if request.mode == Mode::Lexical => {
                search(self.parts, plan(Mode::Lexical)).await?
            }
            searched => searched?,
        };
        Ok([searched.lexical, searched.dense].map(|run| self.leg(run)))
    }

    fn leg(&self, run: Option<Result<LegRun>>) -> DeepLeg {
        let run = match run {
            None => return DeepLeg::default(),
            Some(Err(_)) => {
                return DeepLeg {
                    has_failed: true,
                    ..DeepLeg::default()
                };
            }
            Some(Ok(run)) => run,
        };
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
}

impl DeepPhrasing {
    fn leg(&self, leg: Leg) -> DeepLeg {
        match leg {
            Leg::Lexical => self.lexical,
            Leg::Dense => self.dense,
        }
    }

    /// What became of the document in a leg of `request`.
    pub(super) fn trace(&self, leg: Leg, request: &RetrieveRequest) -> LegTrace {
        let asked = Asked::of(request, leg);
        let deep = self.leg(leg);
        let outcome = match deep.at {
            _ if deep.has_failed => LegOutcome::Failed,
            None => LegOutcome::Miss,
            Some(_) if deep.depth > asked.candidates => LegOutcome::BelowDepth,
            Some(at) if !asked.passes(at.score) => LegOutcome::BelowThreshold,
            Some(_) => LegOutcome::Found,
        };
        LegTrace {
            leg,
            asked: asked.is_asked,
            outcome,
            at: deep.at,
            candidates: asked.candidates,
        }
    }
}

/// What a request asks of a leg.
struct Asked {
    is_asked: bool,
    /// Its candidates: at least as many as hits are to be returned.
    candidates: usize,
    threshold: Option<f64>,
}

impl Asked {
    fn of(request: &RetrieveRequest, leg: Leg) -> Self {
        let (is_asked, candidates, threshold) = match leg {
            Leg::Lexical => (
                request.mode.asks_lexical(),
                request.candidates.lexical,
                request.thresholds.lexical,
            ),
            Leg::Dense => (
                request.mode.asks_dense(),
                request.candidates.dense,
                request.thresholds.dense,
            ),
        };
        Self {
            is_asked,
            candidates: candidates.max(request.top_k),
            threshold,
        }
    }

    fn passes(&self, score: f64) -> bool {
        self.threshold.is_none_or(|least| score >= least)
    }
}

impl Deep {
    /// The phrasings that `request` searches for, as it reads them.
    pub(super) fn asked<'a>(
        &'a self,
        request: &'a RetrieveRequest,
    ) -> impl Iterator<Item = &'a DeepPhrasing> {
        let is_asked = |one: &&DeepPhrasing| {
            let is_there = one.number == 0 || request.also.contains(&one.written);
            one.syntax == request.syntax && is_there
        };
        self.phrasings.iter().filter(is_asked)
    }

    /// The phrasings of `request`, each as plain text where its conditions exclude the document, with
    /// those conditions.
    pub(super) fn shown<'a>(
        &'a self,
        request: &'a RetrieveRequest,
    ) -> impl Iterator<Item = (&'a DeepPhrasing, &'a [String])> {
        self.asked(request).map(|one| {
            let is_plain =
                |other: &&DeepPhrasing| other.number == one.number && other.syntax == Syntax::Off;
            let plain = self.phrasings.iter().find(is_plain);
            match plain.filter(|_| !one.unmet.is_empty()) {
                Some(plain) => (plain, &one.unmet[..]),
                None => (one, &one.unmet[..]),
            }
        })
    }

    /// The query's own conditions that exclude the document whatever another phrasing asks.
    pub(super) fn unmet(&self) -> &[String] {
        self.phrasings.first().map_or(&[], |query| &query.unmet)
    }

    /// Whether conditions of any phrasing exclude it.
    pub(super) fn is_any_unmet(&self) -> bool {
        self.phrasings.iter().any(|one| !one.unmet.is_empty())
    }

    /// What a threshold must come down to at most, to let the document pass: its best score among a leg's
    /// candidates, else where it is nearest to them.
    pub(super) fn score(&self, leg: Leg, request: &RetrieveRequest) -> Option<f64> {
        let candidates = Asked::of(request, leg).candidates;
        let ranked = || {
            self.asked(request)
                .map(|one| one.leg(leg))
                .filter(|it| it.depth > 0)
        };
        let reached = ranked().filter(|it| it.depth <= candidates);
        let best = reached
            .filter_map(|it| it.at)
            .map(|at| at.score)
            .reduce(f64::max);
        let nearest = || ranked().min_by_key(|it| it.depth)?.at;
        best.or_else(|| nearest().map(|at| at.score))
    }

    /// The least depth beyond a leg's candidates at which it has the document among them, above its
    /// threshold.
    pub(super) fn depth(&self, leg: Leg, request: &RetrieveRequest) -> Option<usize> {
        let asked = Asked::of(request, leg);
        let beyond = self.asked(request).map(|one| one.leg(leg)).filter(|it| {
            let passes = it.at.is_some_and(|at| asked.passes(at.score));
            passes && (asked.candidates + 1..=MAX_CANDIDATES).contains(&it.depth)
        });
        beyond.map(|it| it.depth).min()
    }
}
