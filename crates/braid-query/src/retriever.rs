//! [`Retriever`]: the pipeline from a request to a response.

use std::sync::Arc;
use std::time::{Duration, Instant};

use braid_core::{Embedder, IndexProvider, LanguageSetting, Ledger, Passage, Reranker, Result};
use braid_runtime::CpuPool;

use crate::context::assemble_context;
use crate::distinct::{Sameness, best_distinct};
use crate::hydrate::{Wanted, hydrate};
use crate::legs::{LegRun, Legs, Reach};
use crate::neighborhood::Neighborhood;
use crate::observe;
use crate::ranked::rank_legs;
use crate::request::{ContextExpansion, ContextOptions, RetrieveRequest};
use crate::rerank::{RerankPlan, rerank};
use crate::response::{
    AssembledContext, Degradation, Note, RerankSummary, RetrieveResponse, RetrievedHit, Timings,
};
use crate::search::{SearchPlan, Searched, milliseconds, search};
use crate::trust::Trust;
use crate::word_counter::WordCounter;

/// What a [`Retriever`] works with.
#[derive(Clone, Debug)]
pub struct RetrieverParts {
    /// The durable truth.
    pub ledger: Arc<dyn Ledger>,
    /// Where the indexes of a collection generation are.
    pub indexes: Arc<dyn IndexProvider>,
    /// Embeds queries; its tokenizer counts the context.
    pub embedder: Arc<dyn Embedder>,
    /// The cross-encoder, where one is loaded.
    pub reranker: Option<Arc<dyn Reranker>>,
    /// Threads for counting tokens.
    pub pool: Arc<CpuPool>,
    /// Time a leg has (the dense one embeds the query within it) before it counts as failed;
    /// `None` waits.
    pub leg_timeout: Option<Duration>,
}

/// Answers retrievals. Holds no state of its own but the token counts of words.
#[derive(Debug)]
pub struct Retriever {
    pub(crate) parts: RetrieverParts,
    counter: Arc<WordCounter>,
}

/// What is left of a retrieval once the pin is released.
struct Found {
    /// In base order: fused, or the single leg's own.
    hits: Vec<RetrievedHit>,
    neighborhood: Neighborhood,
    lag: u64,
    language: LanguageSetting,
    sameness: Sameness,
    terms: Vec<String>,
    notes: Vec<Note>,
    degraded: Vec<Degradation>,
    trust: Option<Trust>,
    lexical_floor: Option<f64>,
    timings: Timings,
}

impl Retriever {
    /// A retriever over these parts.
    pub fn new(parts: RetrieverParts) -> Self {
        let counter = Arc::new(WordCounter::new(parts.embedder.token_counter()));
        Self { parts, counter }
    }

    /// Answers one request.
    ///
    /// A leg or a re-ranker that fails or runs out of time is named in `degraded`. The pinned state
    /// is released before re-ranking.
    ///
    /// # Cancel safety
    /// Dropping the future releases everything; work that has started in an index or a model runs
    /// to its end unseen.
    ///
    /// # Errors
    /// `InvalidRequest` with every bad field; `CollectionNotFound`; `FingerprintMismatch` when the
    /// dense leg is asked and the collection was embedded with another model; a single leg's own
    /// error; where both legs failed, the more telling of their errors.
    #[tracing::instrument(
        name = "retrieve",
        skip_all,
        fields(
            collection = %request.collection,
            mode = request.mode.as_str(),
            top_k = request.top_k,
            hits,
            degraded,
            total_ms,
        )
    )]
    pub async fn retrieve(&self, request: RetrieveRequest) -> Result<RetrieveResponse> {
        let started = Instant::now();
        request.check()?;
        let mut found = self.find(&request).await?;
        let (hits, rerank) = self.order_hits(&request, &mut found).await;
        let neighborhood = std::mem::take(&mut found.neighborhood);
        let assembling = Instant::now();
        let (hits, context) = self.assemble(hits, neighborhood, request.context).await?;
        found.timings.assemble = milliseconds(assembling.elapsed());
        found.timings.total = milliseconds(started.elapsed());
        observe::record(&found.timings, &found.degraded);
        let span = tracing::Span::current();
        span.record("hits", hits.len());
        span.record("degraded", found.degraded.len());
        span.record("total_ms", found.timings.total);
        Ok(RetrieveResponse {
            hits,
            context,
            timings: found.timings,
            rerank,
            lag: found.lag,
            terms: found.terms,
            notes: found.notes,
            degraded: found.degraded,
            trust: found.trust,
        })
    }

    /// Everything that needs the pinned state, which is released on return.
    async fn find(&self, request: &RetrieveRequest) -> Result<Found> {
        let searched = search(&self.parts, search_plan(request)).await?;
        let Searched {
            pin,
            lexical,
            dense,
            mut timings,
        } = searched;
        let notes = notes(lexical.as_ref());
        let (legs, degraded) = Legs::settle(lexical, dense)?;
        let fusing = Instant::now();
        let ranked = rank_legs(&request.query, &legs, request.mode, &request.fusion);
        timings.fuse = milliseconds(fusing.elapsed());
        let hydrating = Instant::now();
        let sameness = Sameness::of(pin.collection().settings.duplicates);
        let hits = hydrate(&*pin, &ranked, wanted(request), sameness).await?;
        let records = hits.iter().map(|hit| &hit.passage.record);
        let neighborhood = Neighborhood::fetch(&*pin, records, expansion(request)).await?;
        timings.hydrate = milliseconds(hydrating.elapsed());
        Ok(Found {
            hits,
            neighborhood,
            lag: pin.stats().lag(),
            language: pin.collection().settings.language,
            sameness,
            terms: legs.lexical.terms,
            notes,
            degraded,
            trust: ranked.trust,
            lexical_floor: ranked.lexical_floor,
            timings,
        })
    }

    /// Re-ranks where asked, drops duplicates, keeps the `top_k` best.
    async fn order_hits(
        &self,
        request: &RetrieveRequest,
        found: &mut Found,
    ) -> (Vec<RetrievedHit>, Option<RerankSummary>) {
        let mut hits = std::mem::take(&mut found.hits);
        let mut summary = None;
        if request.rerank.enabled {
            let reranking = Instant::now();
            let reranker = self.parts.reranker.as_deref();
            let plan = RerankPlan {
                query: &request.query,
                options: &request.rerank,
                weights: request.fusion.weights,
                lexical_floor: found.lexical_floor,
                language: found.language,
            };
            let reranked = rerank(reranker, plan, hits).await;
            found.timings.rerank = milliseconds(reranking.elapsed());
            found.degraded.extend(reranked.degradation());
            summary = Some(reranked.summary);
            hits = reranked.hits;
        }
        (best_distinct(hits, request.top_k, found.sameness), summary)
    }

    /// Assembles the context on the CPU pool: tokenizing is too slow for an async thread.
    async fn assemble(
        &self,
        hits: Vec<RetrievedHit>,
        neighborhood: Neighborhood,
        options: ContextOptions,
    ) -> Result<(Vec<RetrievedHit>, AssembledContext)> {
        if options.max_tokens == 0 || hits.is_empty() {
            return Ok((hits, AssembledContext::default()));
        }
        let counter = Arc::clone(&self.counter);
        let work = move || {
            let passages: Vec<&Passage> = hits.iter().map(|hit| &hit.passage).collect();
            let context = assemble_context(&passages, &neighborhood, options.max_tokens, &*counter);
            (hits, context)
        };
        self.parts.pool.run(work).await
    }
}

/// What is to be known of a lexical leg that served.
fn notes(lexical: Option<&Result<LegRun>>) -> Vec<Note> {
    match lexical {
        Some(Ok(run)) if run.terms.is_empty() => vec![Note::NoLexicalTerms],
        Some(_) | None => Vec::new(),
    }
}

/// A leg is never asked for fewer candidates than there are hits to return.
fn search_plan(request: &RetrieveRequest) -> SearchPlan<'_> {
    let reach = |depth: usize| Reach::Candidates(depth.max(request.top_k));
    SearchPlan {
        query: &request.query,
        collection: &request.collection,
        mode: request.mode,
        filter: request.filter.as_ref(),
        lexical: reach(request.candidates.lexical),
        dense: reach(request.candidates.dense),
    }
}

fn wanted(request: &RetrieveRequest) -> Wanted {
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

fn expansion(request: &RetrieveRequest) -> ContextExpansion {
    if request.context.max_tokens == 0 {
        ContextExpansion::None
    } else {
        request.context.expand
    }
}
