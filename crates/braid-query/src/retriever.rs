//! [`Retriever`]: the pipeline from a request to a response.

use std::sync::Arc;
use std::time::{Duration, Instant};

use braid_core::{
    Embedder, IndexProvider, Language, LanguageSetting, Ledger, LedgerPin, Passage, Reranker,
    Result, TokenCounter,
};
use braid_runtime::CpuPool;

use crate::context::{Assembling, Characters, WantedTerms, Words, assemble_context};
use crate::distinct::{Sameness, best_distinct};
use crate::hydrate::{Wanted, hydrate};
use crate::legs::{LegRun, Legs, Reach};
use crate::neighborhood::Neighborhood;
use crate::observe;
use crate::ranked::rank_legs;
use crate::request::{ContextExpansion, ContextTokenizer, RetrieveRequest};
use crate::rerank::{RerankPlan, rerank};
use crate::response::{
    AssembledContext, Degradation, Note, RerankSummary, RetrieveResponse, RetrievedHit, Timings,
};
use crate::search::{SearchPlan, Searched, milliseconds, search};
use crate::thresholds::{
    BelowThreshold, CutLegs, EmptyReason, cut_legs, cut_reranked, told_reranked,
};
use crate::trust::{Trust, weights_after};
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
    /// The newest, as much as an answer needs.
    Served,
    /// This one, every passage that the legs found.
    Everything(&'a Arc<dyn LedgerPin>),
}

impl<'a> Reading<'a> {
    fn pin(self) -> Option<&'a Arc<dyn LedgerPin>> {
        match self {
            Self::Served => None,
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
    pub(crate) neighborhood: Neighborhood,
    pub(crate) lag: u64,
    pub(crate) language: LanguageSetting,
    pub(crate) sameness: Sameness,
    terms: Vec<String>,
    notes: Vec<Note>,
    pub(crate) degraded: Vec<Degradation>,
    pub(crate) trust: Option<Trust>,
    pub(crate) lexical_floor: Option<f64>,
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
        let reading = Reading::Served;
        let mut found = self.find(&request, reading).await?;
        let ordered = self.order_hits(&request, &mut found).await;
        let below = ordered.told(&request, &found);
        let rerank = ordered.summary;
        let hits = best_distinct(ordered.hits, request.top_k, found.sameness);
        let reason = hits.is_empty().then_some(match below.is_empty() {
            true => EmptyReason::NoMatch,
            false => EmptyReason::NothingRelevant(below),
        });
        let neighborhood = std::mem::take(&mut found.neighborhood);
        let language = found.language.of_document(None);
        let assembling = Instant::now();
        let (hits, context) = self
            .assemble(hits, neighborhood, &request, language)
            .await?;
        found.timings.assemble = milliseconds(assembling.elapsed());
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
            notes: found.notes,
            degraded: found.degraded,
            cached: false,
            trust: found.trust,
        })
    }

    /// Everything that needs the pinned state, which is released on return unless the caller holds it.
    pub(crate) async fn find(
        &self,
        request: &RetrieveRequest,
        reading: Reading<'_>,
    ) -> Result<Found> {
        let plan = SearchPlan {
            pin: reading.pin(),
            ..search_plan(request)
        };
        let searched = search(&self.parts, plan).await?;
        let Searched {
            pin,
            lexical,
            dense,
            mut timings,
        } = searched;
        let notes = notes(lexical.as_ref());
        let (mut legs, degraded) = Legs::settle(lexical, dense)?;
        let cut = cut_legs(&mut legs, request.thresholds);
        let fusing = Instant::now();
        let ranked = rank_legs(&request.query, &legs, request.mode, &request.fusion);
        timings.fuse = milliseconds(fusing.elapsed());
        let hydrating = Instant::now();
        let sameness = Sameness::of(pin.collection().settings.duplicates).asked(request.distinct);
        let wanted = match reading {
            Reading::Served => wanted(request),
            Reading::Everything(_) => Wanted::everything(),
        };
        let hits = hydrate(&*pin, &ranked, wanted, sameness).await?;
        let records = hits.iter().map(|hit| &hit.passage.record);
        let neighborhood = Neighborhood::fetch(&*pin, records, expansion(request)).await?;
        timings.hydrate = milliseconds(hydrating.elapsed());
        Ok(Found {
            hits,
            cut,
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

    /// Re-ranks where asked, and leaves out what is below the re-ranker's threshold.
    pub(crate) async fn order_hits(&self, request: &RetrieveRequest, found: &mut Found) -> Ordered {
        let mut hits = std::mem::take(&mut found.hits);
        let mut summary = None;
        if request.rerank.enabled {
            let reranking = Instant::now();
            let reranker = self.parts.reranker.as_deref();
            let plan = RerankPlan {
                query: &request.query,
                options: &request.rerank,
                method: request.fusion.method,
                weights: weights_after(found.trust.as_ref(), request.fusion.weights),
                lexical_floor: found.lexical_floor,
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
        language: Language,
    ) -> Result<(Vec<RetrievedHit>, AssembledContext)> {
        let options = request.context;
        if options.max_tokens == 0 || hits.is_empty() {
            return Ok((hits, AssembledContext::default()));
        }
        let counter = self.counter(options.tokenizer);
        let query = request.query.clone();
        let work = move || {
            let passages: Vec<&Passage> = hits.iter().map(|hit| &hit.passage).collect();
            let assembling = Assembling {
                options,
                counter: &*counter,
                wanted: &WantedTerms::new(&query, language),
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
        pin: None,
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
