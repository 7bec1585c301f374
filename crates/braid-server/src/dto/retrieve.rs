//! `POST /retrieve`: the wire forms of a request and its answer.

use std::sync::Arc;

use braid_core::{CollectionName, Error, FieldError, Result};
use braid_engine::query::{
    AssembledContext, CandidateDepths, ContextExpansion, ContextOptions, Degradation,
    FusionOptions, LegWeights, Mode, RerankOptions, RerankSummary, RetrieveRequest,
    RetrieveResponse, RetrievedHit, StageScore, StageScores, Timings,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::filter::FilterBody;
use super::metadata::{MetadataBody, metadata_body};
use super::object::optional_object;

/// What to look for, where, and how. Everything but `query` has a default, which the server's
/// configuration sets.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetrieveBody {
    /// What to look for: 1 to 8192 bytes, not only white space.
    #[schema(
        min_length = 1,
        max_length = 8192,
        pattern = r"\S",
        example = "which guarantees hold after a crash?"
    )]
    pub query: String,
    /// Where; `default` when absent.
    #[schema(pattern = "^[a-z0-9][a-z0-9_-]{0,63}$")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// How many hits to return.
    #[schema(minimum = 1, maximum = 1000)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<usize>,
    /// Which legs are searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<ModeName>,
    /// How many candidates each leg contributes.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_object"
    )]
    pub candidates: Option<CandidatesBody>,
    /// How the legs are merged.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_object"
    )]
    pub fusion: Option<FusionBody>,
    /// How the head of the fused list is re-ranked.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_object"
    )]
    pub rerank: Option<RerankBody>,
    /// Metadata filter, applied inside both legs.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_object"
    )]
    pub filter: Option<FilterBody>,
    /// How context is assembled from the hits.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_object"
    )]
    pub context: Option<ContextBody>,
    /// Whether each hit carries its rank and score at every stage.
    #[serde(default)]
    pub explain: bool,
}

/// Which legs are searched.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModeName {
    /// BM25 alone.
    Lexical,
    /// Embeddings alone.
    Dense,
    /// Both, fused.
    Hybrid,
}

/// How many candidates each leg contributes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CandidatesBody {
    /// Depth of the lexical leg.
    #[schema(minimum = 1, maximum = 2000)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lexical: Option<usize>,
    /// Depth of the dense leg.
    #[schema(minimum = 1, maximum = 2000)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dense: Option<usize>,
}

/// How the legs are merged: each hit scores the sum over legs of `weight / (k + rank)`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FusionBody {
    /// The method; there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<FusionMethod>,
    /// The constant added to each 1-based rank.
    #[schema(minimum = 0)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k: Option<f64>,
    /// Weight of each leg.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_object"
    )]
    pub weights: Option<WeightsBody>,
}

/// Fusion methods.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FusionMethod {
    /// Reciprocal Rank Fusion.
    Rrf,
}

/// Weight of each leg in fusion.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WeightsBody {
    /// Weight of the lexical leg.
    #[schema(minimum = 0)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lexical: Option<f64>,
    /// Weight of the dense leg.
    #[schema(minimum = 0)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dense: Option<f64>,
}

/// How the head of the fused list is re-ranked.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RerankBody {
    /// Whether it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// How many fused hits are scored.
    #[schema(minimum = 1, maximum = 2000)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidates: Option<usize>,
    /// Weight of the re-ranker in the final score; the model recommends one.
    #[schema(minimum = 0, maximum = 1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blend: Option<f64>,
    /// Time for the stage in milliseconds, queueing included; what is not scored by then keeps its
    /// fused order behind what is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
}

/// How context is assembled from the hits.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContextBody {
    /// Most tokens of context text; 0 assembles none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<usize>,
    /// Which text around a hit goes in with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expand: Option<ExpansionName>,
}

/// Which text around a hit goes into the context with it.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExpansionName {
    /// The chunk alone.
    None,
    /// The chunks before and after it.
    Neighbors,
    /// Every chunk under the same headings.
    Section,
}

impl RetrieveBody {
    /// The request, with what the body leaves open taken from `defaults`.
    ///
    /// # Errors
    /// `InvalidRequest` naming every bad field by JSON pointer.
    pub fn into_request(self, defaults: &RetrieveRequest) -> Result<RetrieveRequest> {
        let mut fields = Vec::new();
        let collection = match self.collection.map(CollectionName::new).transpose() {
            Ok(name) => name.unwrap_or_else(|| defaults.collection.clone()),
            Err(error) => {
                fields.push(FieldError::new("/collection", error.message()));
                defaults.collection.clone()
            }
        };
        let request = RetrieveRequest {
            query: self.query,
            collection,
            top_k: self.top_k.unwrap_or(defaults.top_k),
            mode: self.mode.map_or(defaults.mode, Mode::from),
            candidates: depths(self.candidates.unwrap_or_default(), defaults.candidates),
            fusion: fusion(self.fusion.unwrap_or_default(), defaults.fusion),
            rerank: rerank(self.rerank.unwrap_or_default(), defaults.rerank),
            filter: self.filter.map(|filter| Arc::new(filter.into())),
            context: context(self.context.unwrap_or_default(), defaults.context),
            explain: self.explain,
        };
        if let Err(error) = request.check() {
            fields.extend(error.fields().iter().cloned());
        }
        match fields.first() {
            None => Ok(request),
            Some(first) => {
                let message = format!("{}: {}", first.pointer, first.detail);
                Err(Error::invalid(message).with_fields(fields))
            }
        }
    }
}

fn depths(body: CandidatesBody, defaults: CandidateDepths) -> CandidateDepths {
    CandidateDepths {
        lexical: body.lexical.unwrap_or(defaults.lexical),
        dense: body.dense.unwrap_or(defaults.dense),
    }
}

fn fusion(body: FusionBody, defaults: FusionOptions) -> FusionOptions {
    let weights = body.weights.unwrap_or_default();
    FusionOptions {
        k: body.k.unwrap_or(defaults.k),
        weights: LegWeights {
            lexical: weights.lexical.unwrap_or(defaults.weights.lexical),
            dense: weights.dense.unwrap_or(defaults.weights.dense),
        },
    }
}

fn rerank(body: RerankBody, defaults: RerankOptions) -> RerankOptions {
    RerankOptions {
        enabled: body.enabled.unwrap_or(defaults.enabled),
        candidates: body.candidates.unwrap_or(defaults.candidates),
        blend: body.blend.or(defaults.blend),
        deadline_ms: body.deadline_ms.or(defaults.deadline_ms),
    }
}

fn context(body: ContextBody, defaults: ContextOptions) -> ContextOptions {
    ContextOptions {
        max_tokens: body.max_tokens.unwrap_or(defaults.max_tokens),
        expand: body.expand.map_or(defaults.expand, ContextExpansion::from),
    }
}

impl From<ModeName> for Mode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::Lexical => Self::Lexical,
            ModeName::Dense => Self::Dense,
            ModeName::Hybrid => Self::Hybrid,
        }
    }
}

impl From<ExpansionName> for ContextExpansion {
    fn from(name: ExpansionName) -> Self {
        match name {
            ExpansionName::None => Self::None,
            ExpansionName::Neighbors => Self::Neighbors,
            ExpansionName::Section => Self::Section,
        }
    }
}

/// The answer to a retrieval.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct RetrieveAnswer {
    /// Names this request in logs.
    pub request_id: String,
    /// Best first.
    pub hits: Vec<HitBody>,
    /// Context for a language model, with citations.
    pub context: ContextAnswer,
    /// Milliseconds spent in each stage.
    pub timings_ms: TimingsBody,
    /// How much of the window the re-ranker scored; `null` when it was not asked.
    pub rerank: Option<RerankSummaryBody>,
    /// Acknowledged writes that this answer does not reflect yet.
    pub lag: u64,
    /// Distinct terms the lexical leg searched for; empty when nothing could match there.
    pub terms: Vec<String>,
    /// Stages that did not do their full work.
    pub degraded: Vec<DegradedBody>,
}

/// One hit.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct HitBody {
    /// 1-based rank.
    pub rank: usize,
    /// Name of the chunk: the same content in the same place keeps it.
    pub chunk_id: String,
    /// The caller's id of the document.
    pub document_id: String,
    /// The chunk's text.
    pub text: String,
    /// The final ordering score; not comparable across queries.
    pub score: f64,
    /// The stage that ordered this hit: `lexical`, `dense`, `fused` or `rerank`.
    pub score_stage: String,
    /// Where the text stands.
    pub source: SourceBody,
    /// The document's metadata.
    pub metadata: MetadataBody,
    /// Rank and score at every stage; present when `explain` was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<ScoresBody>,
}

/// Where a chunk's text stands.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct SourceBody {
    /// The document's URI.
    pub uri: Option<String>,
    /// The document's title.
    pub title: Option<String>,
    /// Titles of the headings above, outermost first.
    pub heading_path: Vec<String>,
    /// First character of the extracted text.
    pub char_start: u32,
    /// One past the last character.
    pub char_end: u32,
    /// 1-based page, where the format has pages.
    pub page: Option<u32>,
}

/// Rank and score at every stage that saw the hit.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
pub struct ScoresBody {
    /// BM25.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lexical: Option<ScoreBody>,
    /// Cosine similarity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dense: Option<ScoreBody>,
    /// Reciprocal Rank Fusion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fused: Option<ScoreBody>,
    /// The re-ranker's raw score; the rank is the final one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerank: Option<ScoreBody>,
}

/// A rank and a score.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
pub struct ScoreBody {
    /// 1-based rank.
    pub rank: usize,
    /// The stage's score.
    pub score: f64,
}

/// Context for a language model.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ContextAnswer {
    /// The text, each piece preceded by its marker.
    pub text: String,
    /// Its tokens.
    pub tokens: usize,
    /// One per marker, in order.
    pub citations: Vec<CitationBody>,
}

/// Where a piece of context came from.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct CitationBody {
    /// The marker in the text.
    pub marker: String,
    /// The cited chunk.
    pub chunk_id: String,
    /// Its document.
    pub document_id: String,
    /// First character of the document's extracted text that stands in the context.
    pub char_start: u32,
    /// One past the last.
    pub char_end: u32,
}

/// Milliseconds per stage. Legs run in parallel: stages do not add up to the total.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
pub struct TimingsBody {
    /// Embedding the query.
    pub embed: f64,
    /// The lexical leg.
    pub lexical: f64,
    /// The dense leg.
    pub dense: f64,
    /// Fusing.
    pub fuse: f64,
    /// Reading passages.
    pub hydrate: f64,
    /// Re-ranking.
    pub rerank: f64,
    /// Assembling context.
    pub assemble: f64,
    /// Everything.
    pub total: f64,
}

/// How much of the window the re-ranker scored.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
pub struct RerankSummaryBody {
    /// Hits scored before the deadline.
    pub scored: usize,
    /// Hits in the window.
    pub of: usize,
}

/// A stage that did not do its full work.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct DegradedBody {
    /// `lexical`, `dense` or `rerank`.
    pub stage: String,
    /// What happened.
    pub reason: String,
}

impl RetrieveAnswer {
    /// The wire form of `response`; hits carry their scores when `explain` is set.
    pub fn new(request_id: String, response: RetrieveResponse, explain: bool) -> Self {
        Self {
            request_id,
            hits: response
                .hits
                .into_iter()
                .map(|hit| HitBody::new(hit, explain))
                .collect(),
            context: response.context.into(),
            timings_ms: response.timings.into(),
            rerank: response
                .rerank
                .map(|RerankSummary { scored, of }| RerankSummaryBody { scored, of }),
            lag: response.lag,
            terms: response.terms,
            degraded: response
                .degraded
                .into_iter()
                .map(DegradedBody::from)
                .collect(),
        }
    }
}

impl HitBody {
    fn new(hit: RetrievedHit, explain: bool) -> Self {
        let record = hit.passage.record;
        Self {
            rank: hit.rank,
            chunk_id: record.id.to_string(),
            document_id: record.document.as_str().to_owned(),
            text: record.chunk.text,
            score: hit.score,
            score_stage: hit.score_stage.as_str().to_owned(),
            source: SourceBody {
                uri: hit.passage.uri,
                title: record.title,
                heading_path: record.chunk.heading_path,
                char_start: record.chunk.span.start,
                char_end: record.chunk.span.end,
                page: record.chunk.page,
            },
            metadata: metadata_body(hit.passage.metadata),
            scores: explain.then(|| hit.scores.into()),
        }
    }
}

impl From<StageScores> for ScoresBody {
    fn from(scores: StageScores) -> Self {
        let body = |score: Option<StageScore>| {
            score.map(|StageScore { rank, score }| ScoreBody { rank, score })
        };
        Self {
            lexical: body(scores.lexical),
            dense: body(scores.dense),
            fused: body(scores.fused),
            rerank: body(scores.rerank),
        }
    }
}

impl From<AssembledContext> for ContextAnswer {
    fn from(context: AssembledContext) -> Self {
        let citations = context.citations.into_iter().map(|citation| CitationBody {
            marker: citation.marker,
            chunk_id: citation.chunk.to_string(),
            document_id: citation.document.as_str().to_owned(),
            char_start: citation.span.start,
            char_end: citation.span.end,
        });
        Self {
            text: context.text,
            tokens: context.tokens,
            citations: citations.collect(),
        }
    }
}

impl From<Timings> for TimingsBody {
    fn from(timings: Timings) -> Self {
        let Timings {
            embed,
            lexical,
            dense,
            fuse,
            hydrate,
            rerank,
            assemble,
            total,
        } = timings;
        Self {
            embed,
            lexical,
            dense,
            fuse,
            hydrate,
            rerank,
            assemble,
            total,
        }
    }
}

impl From<Degradation> for DegradedBody {
    fn from(degradation: Degradation) -> Self {
        Self {
            stage: degradation.stage.to_owned(),
            reason: degradation.reason,
        }
    }
}
