//! [`Retriever`]: the pipeline from a request to a response.

mod plan;

use std::sync::Arc;
use std::time::{Duration, Instant};

use braid_core::{
    Embedder, Expansion, IndexProvider, LanguageSetting, Ledger, LedgerPin, Passage, Reranker,
    Result, TokenCounter,
};
use braid_runtime::CpuPool;

use crate::context::{Assembling, Characters, Question, WantedTerms, Words, assemble_context};
use crate::distinct::{Sameness, best_page};
use crate::hydrate::{Wanted, hydrate};
use crate::legs::Legs;
use crate::neighborhood::Neighborhood;
use crate::observe;
use crate::pages::{Listed, ListedState, Listing, More, Place, not_kept};
use crate::phrasings::{Phrasing, RankedQuery, phrasings};
use crate::ranked::rank_legs;
use crate::request::{ContextTokenizer, RetrieveRequest};
use crate::rerank::{RerankPlan, rerank};
use crate::response::{
    AssembledContext, Degradation, Note, RerankSummary, RetrieveResponse, RetrievedHit, Timings,
};
use crate::search::{SearchPlan, Searched, milliseconds, search};
use crate::syntax::ConditionReport;
use crate::thresholds::{
    BelowThreshold, CutLegs, EmptyReason, cut_legs, cut_reranked, told_reranked,
};
use crate::trust::{Trust, weights_after};
use crate::word_counter::WordCounter;
pub(crate) use plan::expansion;
use plan::{notes, search_plan, wanted};

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
    /// Tokenizers of language models, to count the context by.
    pub tokenizers: Tokenizers,
    /// Threads for counting tokens.
    pub pool: Arc<CpuPool>,
    /// Time a leg has (the dense one embeds the query within it) before it counts as failed;
    /// `None` waits.
    pub leg_timeout: Option<Duration>,
}

/// Tokenizers of language models.
#[derive(Clone, Debug)]
pub struct Tokenizers {
    /// `cl100k_base`.
    pub cl100k: Arc<dyn TokenCounter>,
    /// `o200k_base`.
    pub o200k: Arc<dyn TokenCounter>,
}

/// Answers retrievals. Holds no state of its own but the token counts of words.
#[derive(Debug)]
pub struct Retriever {
    pub(crate) parts: RetrieverParts,
    pub(crate) counter: Arc<WordCounter>,
}

/// Which state is read, and how much of it.
#[derive(Clone, Copy)]
pub(crate) enum Reading<'a> {
    /// This one or the newest, as much as an answer needs.
    Served(Option<&'a Arc<dyn LedgerPin>>),
    /// This one, every passage that the legs found.
    Everything(&'a Arc<dyn LedgerPin>),
}

impl<'a> Reading<'a> {
    fn pin(self) -> Option<&'a Arc<dyn LedgerPin>> {
        match self {
            Self::Served(pin) => pin,
            Self::Everything(pin) => Some(pin),
        }
    }
}

/// What is left of a retrieval once the pin is released.
pub(crate) struct Found {
    /// In base order: fused, or the single leg's own.
    pub(crate) hits: Vec<RetrievedHit>,
    /// What the legs' thresholds left out.
    pub(crate) cut: CutLegs,
    /// What they are re-ranked and put into a context for.
    question: Question,
    pub(crate) neighborhood: Neighborhood,
    pub(crate) lag: u64,
    pub(crate) language: LanguageSetting,
    pub(crate) sameness: Sameness,
    /// What follows the hits in base order.
    rest: Vec<Listed>,
    state: ListedState,
    /// What the query's operators ask of every hit.
    pub(crate) conditions: Vec<ConditionReport>,
    /// Whether nothing that the filter lets pass meets them.
    is_unmet: bool,
    terms: Vec<String>,
    expansions: Vec<Expansion>,
    notes: Vec<Note>,
    pub(crate) degraded: Vec<Degradation>,
    pub(crate) trust: Option<Trust>,
    pub(crate) lexical_floor: Option<f64>,
    /// The same for each of several phrasings.
    floors: Vec<(usize, Option<f64>)>,
    timings: Timings,
}

impl Found {
    /// What goes into the context with the hits, and what for.
    pub(crate) fn take_surroundings(&mut self) -> (Neighborhood, Question) {
        let neighborhood = std::mem::take(&mut self.neighborhood);
        (neighborhood, self.question.clone())
    }

    /// What the next pages of this answer are read from.
    fn listing(&self, listed: Vec<Listed>, rerank: Option<RerankSummary>) -> Listing {
        Listing {
            state: self.state,
            listed,
            sameness: self.sameness,
            rerank,
            terms: self.terms.clone(),
            expansions: self.expansions.clone(),
            conditions: self.conditions.clone(),
            notes: self.notes.clone(),
            degraded: self.degraded.clone(),
            trust: self.trust.clone(),
        }
    }
}

impl Retriever {
    /// A retriever over these parts.
    pub fn new(parts: RetrieverParts) -> Self {
        let counter = Arc::new(WordCounter::new(parts.embedder.token_counter()));
        Self { parts, counter }
    }

    /// Answers one request. One with a cursor is for [`PagingRetriever`](crate::PagingRetriever):
    /// nothing is kept here.
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
    pub async fn retrieve(&self, request: RetrieveRequest) -> Result<RetrieveResponse> {
        self.retrieve_in(request, None).await
    }

    /// As [`Retriever::retrieve`], of a state that is pinned already, or of the newest.
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
    pub(crate) async fn retrieve_in(
        &self,
        request: RetrieveRequest,
        pin: Option<Arc<dyn LedgerPin>>,
    ) -> Result<RetrieveResponse> {
        let started = Instant::now();
        request.check()?;
        if request.cursor.is_some() {
            return Err(not_kept());
        }
        let reading = Reading::Served(pin.as_ref());
        let mut found = self.find(&request, reading).await?;
        drop(pin);
        let ordered = self.order_hits(&request, &mut found).await;
        let below = ordered.told(&request, &found);
        let rerank = ordered.summary;
        let listed = ordered.listed(&request, std::mem::take(&mut found.rest));
        let (hits, next) = best_page(&[], ordered.hits, request.top_k, found.sameness);
        let reason = hits.is_empty().then(|| found.why_empty(below));
        let (neighborhood, question) = found.take_surroundings();
        let assembling = Instant::now();
        let (hits, context) = self
            .assemble(hits, neighborhood, &request, question)
            .await?;
        found.timings.assemble = milliseconds(assembling.elapsed());
        let returned = hits.len();
        let more = (next < listed.len()).then(|| More {
            listing: Arc::new(found.listing(listed, rerank)),
            place: Place { next, returned },
        });
        found.timings.total = milliseconds(started.elapsed());
        observe::record(&found.timings, &found.degraded);
        let span = tracing::Span::current();
        span.record("hits", hits.len());
        span.record("degraded", found.degraded.len());
        span.record("total_ms", found.timings.total);
        Ok(RetrieveResponse {
            hits,
            reason,
            context,
            timings: found.timings,
            rerank,
            lag: found.lag,
            terms: found.terms,
            expansions: found.expansions,
            conditions: found.conditions,
            notes: found.notes,
            degraded: found.degraded,
            cached: false,
            trust: found.trust,
            more,
            next_cursor: None,
        })
    }

    /// Everything that needs the pinned state, which is released on return unless the caller holds it.
    pub(crate) async fn find(
        &self,
        request: &RetrieveRequest,
        reading: Reading<'_>,
    ) -> Result<Found> {
        let phrasings = phrasings(request);
        let RankedQuery {
            pin,
            ranked,
            cut,
            conditions,
            is_unmet,
            terms,
            expansions,
            notes,
            degraded,
            mut timings,
        } = match &phrasings[..] {
            [alone] if request.also.is_empty() => {
                self.rank_query(request, alone, reading.pin()).await?
            }
            several => self.rank_phrasings(request, several, reading.pin()).await?,
        };
        let hydrating = Instant::now();
        let sameness = Sameness::of(pin.collection().settings.duplicates).asked(request.distinct);
        let wanted = match reading {
            Reading::Served(_) => wanted(request),
            Reading::Everything(_) => Wanted::everything(),
        };
        let hits = hydrate(&*pin, &ranked, wanted, sameness).await?;
        let records = hits.iter().map(|hit| &hit.passage.record);
        let neighborhood = Neighborhood::fetch(&*pin, records, expansion(request)).await?;
        timings.hydrate = milliseconds(hydrating.elapsed());
        let read = hits.last().map_or(0, |hit| hit.rank);
        let language = pin.collection().settings.language;
        let query = phrasings.into_iter().next().map(|query| query.asked.text);
        Ok(Found {
            question: Question {
                text: query.unwrap_or_default(),
                language: language.of_document(None),
            },
            rest: ranked.listed(read),
            state: ListedState::of(&*pin),
            hits,
            cut,
            neighborhood,
            lag: pin.stats().lag(),
            language,
            sameness,
            conditions,
            is_unmet,
            terms,
            expansions,
            notes,
            degraded,
            trust: ranked.trust,
            lexical_floor: ranked.lexical_floor,
            floors: ranked.found_by.floors,
            timings,
        })
    }

    /// Searches the legs for one phrasing of the request alone, and ranks what they found.
    pub(crate) async fn rank_query(
        &self,
        request: &RetrieveRequest,
        phrasing: &Phrasing<'_>,
        pin: Option<&Arc<dyn LedgerPin>>,
    ) -> Result<RankedQuery> {
        let Phrasing { written, asked, .. } = phrasing;
        let plan = SearchPlan {
            pin,
            ..search_plan(request).asking(asked)
        };
        let searched = search(&self.parts, plan).await?;
        let Searched {
            pin,
            lexical,
            dense,
            conditions,
            is_unmet,
            mut timings,
        } = searched;
        let notes = notes(asked, lexical.as_ref());
        let (mut legs, degraded) = Legs::settle(lexical, dense)?;
        let cut = cut_legs(&mut legs, request.thresholds);
        let fusing = Instant::now();
        let ranked = rank_legs(written, &legs, request.mode, &request.fusion);
        timings.fuse = milliseconds(fusing.elapsed());
        Ok(RankedQuery {
            pin,
            ranked,
            cut,
            conditions,
            is_unmet,
            terms: legs.lexical.terms,
            expansions: legs.lexical.expansions,
            notes,
            degraded,
            timings,
        })
    }

    /// Re-ranks where asked, and leaves out what is below the re-ranker's threshold.
    pub(crate) async fn order_hits(&self, request: &RetrieveRequest, found: &mut Found) -> Ordered {
        let mut hits = std::mem::take(&mut found.hits);
        let mut summary = None;
        if request.rerank.enabled {
            let reranking = Instant::now();
            let reranker = self.parts.reranker.as_deref();
            let plan = RerankPlan {
                query: &found.question.text,
                options: &request.rerank,
                method: request.fusion.method,
                weights: weights_after(found.trust.as_ref()),
                lexical_floor: found.lexical_floor,
                phrasings: &found.floors,
                language: found.language,
            };
            let reranked = rerank(reranker, plan, hits).await;
            found.timings.rerank = milliseconds(reranking.elapsed());
            found.degraded.extend(reranked.degradation());
            summary = Some(reranked.summary);
            hits = reranked.hits;
        }
        let mut below = Vec::new();
        if let (Some(least), Some(summary)) = (request.thresholds.rerank, summary) {
            (hits, below) = cut_reranked(hits, summary.of, least);
            found.degraded.extend(not_compared(&hits, summary.of));
        }
        Ordered {
            hits,
            below,
            summary,
        }
    }

    fn counter(&self, tokenizer: ContextTokenizer) -> Arc<dyn TokenCounter> {
        match tokenizer {
            ContextTokenizer::Embedder => Arc::clone(&self.counter) as Arc<dyn TokenCounter>,
            ContextTokenizer::Cl100k => Arc::clone(&self.parts.tokenizers.cl100k),
            ContextTokenizer::O200k => Arc::clone(&self.parts.tokenizers.o200k),
            ContextTokenizer::Characters => Arc::new(Characters),
            ContextTokenizer::Words => Arc::new(Words),
        }
    }

    /// Assembles the context on the CPU pool: tokenizing is too slow for an async thread.
    pub(crate) async fn assemble(
        &self,
        hits: Vec<RetrievedHit>,
        neighborhood: Neighborhood,
        request: &RetrieveRequest,
        question: Question,
    ) -> Result<(Vec<RetrievedHit>, AssembledContext)> {
        let options = request.context;
        if options.max_tokens == 0 || hits.is_empty() {
            return Ok((hits, AssembledContext::default()));
        }
        let counter = self.counter(options.tokenizer);
        let work = move || {
            let passages: Vec<&Passage> = hits.iter().map(|hit| &hit.passage).collect();
            let assembling = Assembling {
                options,
                counter: &*counter,
                wanted: &WantedTerms::of(&question),
            };
            let context = assemble_context(&passages, &neighborhood, &assembling);
            (hits, context)
        };
        self.parts.pool.run(work).await
    }
}

/// Hits in final order, before passages that say the same are left out.
pub(crate) struct Ordered {
    pub(crate) hits: Vec<RetrievedHit>,
    /// Below the re-ranker's threshold.
    pub(crate) below: Vec<RetrievedHit>,
    pub(crate) summary: Option<RerankSummary>,
}

impl Ordered {
    /// Every candidate in final order: the hits, then what was not read of the list. Where the
    /// re-ranker's threshold was applied, what it did not look at is left out with what is below.
    fn listed(&self, request: &RetrieveRequest, rest: Vec<Listed>) -> Vec<Listed> {
        let mut ordered = self.hits.iter().chain(&self.below);
        let is_cut =
            request.thresholds.rerank.is_some() && ordered.any(|hit| hit.relevance.is_some());
        let rest = if is_cut { Vec::new() } else { rest };
        self.hits.iter().map(Listed::of).chain(rest).collect()
    }

    /// The thresholds that left something out.
    fn told(&self, request: &RetrieveRequest, found: &Found) -> Vec<BelowThreshold> {
        let mut told = found.cut.told();
        let least = request.thresholds.rerank;
        told.extend(least.and_then(|least| told_reranked(&self.below, least)));
        told
    }
}

/// Says to how many hits of the window the re-ranker's threshold could not be applied.
fn not_compared(hits: &[RetrievedHit], window: usize) -> Option<Degradation> {
    let in_window = hits.iter().filter(|hit| hit.rank <= window);
    let unknown = in_window.filter(|hit| hit.relevance.is_none()).count();
    (unknown > 0).then(|| Degradation {
        stage: "rerank",
        reason: format!(
            "thresholds.rerank was not applied to {unknown} hits: not scored in time, or by a model \
             without a calibration for their language"
        ),
    })
}

impl Found {
    /// Why there is no hit, where thresholds left out what is `below` them.
    fn why_empty(&self, below: Vec<BelowThreshold>) -> EmptyReason {
        if !below.is_empty() {
            EmptyReason::NothingRelevant(below)
        } else if self.is_unmet {
            EmptyReason::ConditionsUnmet(self.conditions.clone())
        } else {
            EmptyReason::NoMatch
        }
    }
}
