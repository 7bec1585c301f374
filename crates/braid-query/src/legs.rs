//! The two legs: search, tie order, widening.

use std::sync::Arc;
use std::time::{Duration, Instant};

use braid_core::{
    Candidate, ChunkId, Embedding, Error, ErrorCode, Expansion, LedgerPin, Leg, LexicalQuery,
    LexicalView, Passage, Result, Selection, Slot, VectorView,
};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::response::{Degradation, StageScore};

/// A chunk a leg found, live in the pinned state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LegHit {
    pub(crate) slot: Slot,
    pub(crate) id: ChunkId,
    pub(crate) score: f32,
}

impl LegHit {
    /// Its name and score.
    pub(crate) fn scored(&self) -> (ChunkId, f64) {
        (self.id, f64::from(self.score))
    }

    pub(crate) fn at_rank(&self, rank: usize) -> StageScore {
        StageScore {
            rank,
            score: f64::from(self.score),
        }
    }
}

/// How far a leg goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// So many candidates.
    Candidates(usize),
    /// Until so many distinct documents are ranked, or nothing is left.
    Documents(usize),
}

/// What a leg found.
#[derive(Debug, Default)]
pub(crate) struct LegRun {
    /// By falling score, equal ones by chunk id.
    pub(crate) hits: Vec<LegHit>,
    /// The analyzed query (lexical leg).
    pub(crate) terms: Vec<String>,
    /// What it was searched for as besides (lexical leg).
    pub(crate) expansions: Vec<Expansion>,
    /// What an entry could score at most (lexical leg); 0 where the index does not know it.
    pub(crate) ceiling: f32,
    /// Whether nothing else matched: the list was not cut.
    pub(crate) is_whole: bool,
    /// Whether the embedder does not read the query's script (dense leg).
    pub(crate) is_unread: bool,
    /// Passages read while widening.
    pub(crate) passages: FxHashMap<Slot, Passage>,
    /// Time spent embedding the query (dense leg).
    pub(crate) embedding: Duration,
    /// Time spent in the index.
    pub(crate) searching: Duration,
}

impl LegRun {
    /// What a chunk scores in a lexical leg that did not find it, where that is known.
    pub(crate) fn floor(&self) -> Option<f64> {
        self.is_whole.then_some(0.0)
    }
}

/// What both legs found; a leg that was not asked or failed found nothing.
#[derive(Debug, Default)]
pub(crate) struct Legs {
    pub(crate) lexical: LegRun,
    pub(crate) dense: LegRun,
}

impl Legs {
    /// How many chunks the legs found together.
    pub(crate) fn found(&self) -> usize {
        let hits = self.lexical.hits.iter().chain(&self.dense.hits);
        hits.map(|hit| hit.id).collect::<FxHashSet<_>>().len()
    }

    /// Takes what the legs gave (`None` where a leg was not asked) and names the one that failed.
    ///
    /// # Errors
    /// When no asked leg served.
    pub(crate) fn settle(
        lexical: Option<Result<LegRun>>,
        dense: Option<Result<LegRun>>,
    ) -> Result<(Self, Vec<Degradation>)> {
        let serve = |lexical: Option<LegRun>, dense: Option<LegRun>| Self {
            lexical: lexical.unwrap_or_default(),
            dense: dense.unwrap_or_default(),
        };
        let degrade = |leg, error: &Error| vec![Degradation::leg(leg, error.chain())];
        match (lexical, dense) {
            (Some(Err(lexical)), Some(Err(dense))) => Err(both_failed(lexical, dense)),
            (Some(Err(error)), None) | (None, Some(Err(error))) => Err(error),
            (Some(Err(error)), Some(Ok(dense))) => {
                Ok((serve(None, Some(dense)), degrade(Leg::Lexical, &error)))
            }
            (Some(Ok(lexical)), Some(Err(error))) => {
                Ok((serve(Some(lexical), None), degrade(Leg::Dense, &error)))
            }
            (lexical, dense) => Ok((serve(lexical.transpose()?, dense.transpose()?), Vec::new())),
        }
    }
}

/// The pinned state a leg searches in.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) pin: &'a dyn LedgerPin,
    pub(crate) selection: &'a Selection,
}

/// A leg with its pinned view and its form of the query.
pub(crate) enum Searcher<'a> {
    Lexical {
        view: Arc<dyn LexicalView>,
        query: &'a LexicalQuery,
    },
    Dense {
        view: Arc<dyn VectorView>,
        embedding: Embedding,
    },
}

impl Searcher<'_> {
    /// Searches as far as `reach` says.
    pub(crate) async fn run(&self, scope: Scope<'_>, reach: Reach) -> Result<LegRun> {
        let mut run = LegRun::default();
        match reach {
            Reach::Candidates(depth) => {
                let given = self.search(scope, depth, &mut run).await?;
                run.is_whole = given < depth;
            }
            Reach::Documents(documents) => self.widen(scope, documents, &mut run).await?,
        }
        Ok(run)
    }

    /// Replaces the run's hits by the `depth` best; returns how many the index gave.
    async fn search(&self, scope: Scope<'_>, depth: usize, run: &mut LegRun) -> Result<usize> {
        let started = Instant::now();
        let candidates = match self {
            Self::Lexical { view, query } => {
                let matches = view.find(query, scope.selection, depth).await?;
                run.terms = matches.terms;
                run.expansions = matches.expansions;
                run.ceiling = matches.ceiling;
                matches.candidates
            }
            Self::Dense { view, embedding } => {
                view.search(embedding, scope.selection, depth).await?
            }
        };
        run.searching += started.elapsed();
        let given = candidates.len();
        run.hits = order_hits(scope.pin, &candidates).await?;
        Ok(given)
    }

    /// Doubles the depth until `documents` distinct documents are ranked or the index has no more,
    /// then cuts the list where the last of them first appears, so that the result does not depend
    /// on the depths tried.
    async fn widen(&self, scope: Scope<'_>, documents: usize, run: &mut LegRun) -> Result<()> {
        let live = usize::try_from(scope.pin.stats().chunks).unwrap_or(usize::MAX);
        let mut depth = documents.min(live).max(1);
        loop {
            let given = self.search(scope, depth, run).await?;
            read_passages(scope.pin, run).await?;
            let cut = prefix_with_documents(run, documents);
            if cut.is_some() || given < depth || depth >= live {
                let length = cut.unwrap_or(run.hits.len());
                run.is_whole = given < depth && length == run.hits.len();
                run.hits.truncate(length);
                return Ok(());
            }
            depth = depth.saturating_mul(2).min(live);
        }
    }
}

/// Names the candidates, drops those that are not live in the pinned state, and breaks ties by
/// chunk id: slots depend on the history of writes, chunk ids on the content alone.
async fn order_hits(pin: &dyn LedgerPin, candidates: &[Candidate]) -> Result<Vec<LegHit>> {
    if let Some(odd) = candidates.iter().find(|found| !found.score.is_finite()) {
        let score = odd.score;
        return Err(Error::internal(format!(
            "the index gave a score of {score}"
        )));
    }
    let slots: Vec<Slot> = candidates.iter().map(|found| found.slot).collect();
    let ids = pin.chunk_ids(&slots).await?;
    let named = candidates.iter().zip(ids);
    let mut hits: Vec<LegHit> = named
        .filter_map(|(found, id)| {
            Some(LegHit {
                slot: found.slot,
                id: id?,
                score: found.score,
            })
        })
        .collect();
    hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
    Ok(hits)
}

/// Reads the passages of hits that were not read at a smaller depth.
async fn read_passages(pin: &dyn LedgerPin, run: &mut LegRun) -> Result<()> {
    let unread = run.hits.iter().map(|hit| hit.slot);
    let unread: Vec<Slot> = unread
        .filter(|slot| !run.passages.contains_key(slot))
        .collect();
    for passage in pin.hydrate(&unread).await? {
        run.passages.insert(passage.record.slot, passage);
    }
    Ok(())
}

/// The shortest prefix of the hits that names `documents` distinct documents.
fn prefix_with_documents(run: &LegRun, documents: usize) -> Option<usize> {
    let mut seen = FxHashSet::default();
    let passages = run.hits.iter().map(|hit| run.passages.get(&hit.slot));
    for (length, passage) in (1..).zip(passages) {
        seen.extend(passage.map(|passage| &passage.record.document));
        if seen.len() == documents {
            return Some(length);
        }
    }
    None
}

/// Gives a leg `limit` to answer.
pub(crate) async fn within<T>(
    limit: Option<Duration>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let Some(limit) = limit else {
        return work.await;
    };
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        let limit = limit.as_millis();
        Err(Error::new(
            ErrorCode::Timeout,
            format!("no answer within the {limit} ms of retrieve.leg_timeout_ms"),
        ))
    })
}

/// The error of a retrieval whose legs both failed: the more telling of the two, naming the other.
fn both_failed(lexical: Error, dense: Error) -> Error {
    let (telling, leg, other, other_leg) = if weight(&dense) > weight(&lexical) {
        (dense, Leg::Dense, lexical, Leg::Lexical)
    } else {
        (lexical, Leg::Lexical, dense, Leg::Dense)
    };
    let other = other.chain();
    telling.context(format!("both legs failed, {other_leg}: {other}; {leg}"))
}

/// How much an error tells: what somebody must mend over what may pass by itself, and that over a
/// defect, which only a log explains.
fn weight(error: &Error) -> u8 {
    if error.code() == ErrorCode::Internal {
        0
    } else if error.code().is_retryable() {
        1
    } else {
        2
    }
}
