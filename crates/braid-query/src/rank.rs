//! Rankings per stage for evaluation, made by the same functions that serve.

use std::sync::Arc;
use std::time::Instant;

use braid_core::{
    ChunkId, CollectionName, DocumentId, Error, ErrorCode, Filter, LanguageSetting, Leg, Passage,
    Result, Slot,
};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::legs::{LegRun, Legs, Reach};
use crate::ranked::{RankedChunks, rank_legs};
use crate::request::{CandidateDepths, FusionOptions, Mode, RerankOptions, RetrieveRequest};
use crate::rerank::{RerankPlan, rerank};
use crate::response::{RerankSummary, Timings};
use crate::retriever::Retriever;
use crate::scoring::Shortfall;
use crate::search::{SearchPlan, Searched, milliseconds, search};
use crate::syntax::Typos;
use crate::trust::weights_after;

/// A stage whose ranking is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// BM25 alone.
    Lexical,
    /// Embeddings alone.
    Dense,
    /// Both, fused.
    Hybrid,
    /// Fused, then re-ranked.
    Rerank,
}

impl Stage {
    /// Every stage, in pipeline order.
    pub const ALL: [Self; 4] = [Self::Lexical, Self::Dense, Self::Hybrid, Self::Rerank];

    /// The public name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lexical => "lexical",
            Self::Dense => "dense",
            Self::Hybrid => "hybrid",
            Self::Rerank => "rerank",
        }
    }
}

/// One query to be ranked at several stages.
#[derive(Clone, Debug, PartialEq)]
pub struct RankRequest {
    /// What to look for, as plain text: topics of test collections are not written with operators.
    pub query: String,
    /// Whether words that the index does not have are corrected (lexical leg).
    pub typos: Typos,
    /// Where.
    pub collection: CollectionName,
    /// The stages to rank.
    pub stages: Vec<Stage>,
    /// Distinct documents to rank at each stage.
    pub depth: usize,
    /// Fusion.
    pub fusion: FusionOptions,
    /// Re-ranking (`enabled` is ignored: [`Stage::Rerank`] says it).
    pub rerank: RerankOptions,
    /// Metadata filter, applied inside both legs.
    pub filter: Option<Arc<Filter>>,
}

impl RankRequest {
    /// Every stage, 100 documents deep, with the served defaults but no re-ranking deadline.
    pub fn new(query: impl Into<String>, collection: CollectionName) -> Self {
        Self {
            query: query.into(),
            typos: Typos::default(),
            collection,
            stages: Stage::ALL.to_vec(),
            depth: 100,
            fusion: FusionOptions::default(),
            rerank: RerankOptions {
                deadline_ms: None,
                ..RerankOptions::default()
            },
            filter: None,
        }
    }

    fn check(&self) -> Result<()> {
        let depth = self.depth;
        let served = RetrieveRequest {
            candidates: CandidateDepths {
                lexical: depth,
                dense: depth,
            },
            fusion: self.fusion,
            rerank: self.rerank,
            filter: self.filter.clone(),
            ..RetrieveRequest::new(self.query.as_str(), self.collection.clone())
        };
        served.check()
    }

    fn asks(&self, stage: Stage) -> bool {
        self.stages.contains(&stage)
    }

    /// The legs that the stages need.
    fn mode(&self) -> Mode {
        let fused = self.asks(Stage::Hybrid) || self.asks(Stage::Rerank);
        match (fused, self.asks(Stage::Lexical), self.asks(Stage::Dense)) {
            (false, true, false) => Mode::Lexical,
            (false, false, true) => Mode::Dense,
            _ => Mode::Hybrid,
        }
    }
}

/// A document at one stage.
#[derive(Clone, Debug, PartialEq)]
pub struct RankedDocument {
    /// The document.
    pub document: DocumentId,
    /// Its best chunk at that stage.
    pub chunk: ChunkId,
    /// That chunk's score. Where the re-ranker stage goes from scored to unscored hits the scores
    /// change their meaning and may rise: the order of the list is what counts.
    pub score: f64,
}

/// One query's ranking at every stage that was asked for, best document first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StageRankings {
    /// The lexical leg.
    pub lexical: Option<Vec<RankedDocument>>,
    /// The dense leg.
    pub dense: Option<Vec<RankedDocument>>,
    /// Both, fused.
    pub hybrid: Option<Vec<RankedDocument>>,
    /// Fused and re-ranked.
    pub rerank: Option<Vec<RankedDocument>>,
    /// How much of the window was re-ranked.
    pub reranked: Option<RerankSummary>,
    /// Time per stage. Legs are as deep as it takes to rank so many documents, so these are not
    /// the times of a served request, except `embed` and `rerank`.
    pub timings: Timings,
}

impl Retriever {
    /// Ranks documents for one query at several stages.
    ///
    /// A leg is widened until `depth` distinct documents are ranked or it has no more, and cut
    /// where the last of them first appears. Fusion is over the chunks of the legs so cut, as in a
    /// served request; a document then stands where its best chunk stands. With one chunk a
    /// document this is fusion of the two lists of `depth` documents.
    ///
    /// # Errors
    /// As [`Retriever::retrieve`], and also where a single leg or the re-ranker fails: the ranking
    /// of a degraded pipeline measures nothing. A missed re-ranking deadline is no error (see
    /// `reranked`).
    pub async fn rank(&self, request: RankRequest) -> Result<StageRankings> {
        let started = Instant::now();
        request.check()?;
        let searched = search(&self.parts, search_plan(&request)).await?;
        let mut ranking = Ranking::new(searched)?;
        let rankings = StageRankings {
            lexical: ranking.documents(&request, Stage::Lexical),
            dense: ranking.documents(&request, Stage::Dense),
            hybrid: ranking.documents(&request, Stage::Hybrid),
            ..StageRankings::default()
        };
        let (rerank, reranked) = self.rerank_fused(&request, &mut ranking).await?;
        ranking.timings.total = milliseconds(started.elapsed());
        Ok(StageRankings {
            rerank,
            reranked,
            timings: ranking.timings,
            ..rankings
        })
    }

    async fn rerank_fused(
        &self,
        request: &RankRequest,
        ranking: &mut Ranking,
    ) -> Result<(Option<Vec<RankedDocument>>, Option<RerankSummary>)> {
        if !request.asks(Stage::Rerank) {
            return Ok((None, None));
        }
        let Some(reranker) = self.parts.reranker.as_deref() else {
            return Err(Error::new(
                ErrorCode::ModelUnavailable,
                "no re-ranker is loaded",
            ));
        };
        let fused = ranking.chunks(request, Mode::Hybrid);
        let passage_of = |slot| ranking.passages.get(&slot).cloned();
        let hits = fused.hits(0..fused.chunks.len(), passage_of);
        let reranking = Instant::now();
        let plan = RerankPlan {
            query: &request.query,
            options: &request.rerank,
            method: request.fusion.method,
            weights: weights_after(fused.trust.as_ref()),
            lexical_floor: fused.lexical_floor,
            phrasings: &[],
            language: ranking.language,
        };
        let reranked = rerank(Some(reranker), plan, hits).await;
        ranking.timings.rerank = milliseconds(reranking.elapsed());
        match reranked.shortfall {
            Some(Shortfall::Failed(error)) => return Err(error.context("re-ranking")),
            Some(Shortfall::NotFinite(count)) => {
                let message = format!("the re-ranker gave no finite score for {count} passages");
                return Err(Error::internal(message));
            }
            Some(Shortfall::NotLoaded | Shortfall::Deadline(_)) | None => {}
        }
        let hits = reranked.hits.iter();
        let scored = hits.map(|hit| (&hit.passage, hit.score));
        let documents = best_chunks(scored, request.depth);
        Ok((Some(documents), Some(reranked.summary)))
    }
}

fn search_plan(request: &RankRequest) -> SearchPlan<'_> {
    let reach = Reach::Documents(request.depth);
    SearchPlan {
        query: &request.query,
        conditions: &[],
        typos: request.typos,
        collection: &request.collection,
        mode: request.mode(),
        filter: request.filter.as_ref(),
        lexical: reach,
        dense: reach,
        pin: None,
    }
}

/// What the legs found, with every passage.
struct Ranking {
    language: LanguageSetting,
    legs: Legs,
    passages: FxHashMap<Slot, Passage>,
    timings: Timings,
}

impl Ranking {
    /// Takes what the legs gave; the pinned state is released.
    fn new(searched: Searched) -> Result<Self> {
        let leg = |run: Option<Result<LegRun>>, leg: Leg| -> Result<LegRun> {
            let run = run.transpose();
            Ok(run.map_err(|error| error.context(leg))?.unwrap_or_default())
        };
        let mut legs = Legs {
            lexical: leg(searched.lexical, Leg::Lexical)?,
            dense: leg(searched.dense, Leg::Dense)?,
        };
        let mut passages = std::mem::take(&mut legs.lexical.passages);
        passages.extend(std::mem::take(&mut legs.dense.passages));
        Ok(Self {
            language: searched.pin.collection().settings.language,
            legs,
            passages,
            timings: searched.timings,
        })
    }

    fn chunks(&mut self, request: &RankRequest, mode: Mode) -> RankedChunks {
        let fusing = Instant::now();
        let chunks = rank_legs(&request.query, &self.legs, mode, &request.fusion);
        if mode == Mode::Hybrid {
            self.timings.fuse = milliseconds(fusing.elapsed());
        }
        chunks
    }

    /// The documents at a stage before re-ranking, if it was asked for.
    fn documents(&mut self, request: &RankRequest, stage: Stage) -> Option<Vec<RankedDocument>> {
        let mode = match stage {
            Stage::Lexical => Mode::Lexical,
            Stage::Dense => Mode::Dense,
            Stage::Hybrid | Stage::Rerank => Mode::Hybrid,
        };
        request.asks(stage).then(|| {
            let ranked = self.chunks(request, mode).chunks;
            let scored = ranked.iter().filter_map(|chunk| {
                let passage = self.passages.get(&chunk.slot)?;
                Some((passage, chunk.score))
            });
            best_chunks(scored, request.depth)
        })
    }
}

/// The first `depth` distinct documents, each with the chunk that ranks it.
fn best_chunks<'a>(
    scored: impl Iterator<Item = (&'a Passage, f64)>,
    depth: usize,
) -> Vec<RankedDocument> {
    let mut seen: FxHashSet<&DocumentId> = FxHashSet::default();
    let first = scored.filter(|(passage, _)| seen.insert(&passage.record.document));
    let documents = first.map(|(passage, score)| RankedDocument {
        document: passage.record.document.clone(),
        chunk: passage.record.id,
        score,
    });
    documents.take(depth).collect()
}
