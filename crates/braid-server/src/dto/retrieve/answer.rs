//! What a retrieval found.

use std::sync::Arc;

use braid_engine::query::{
    AssembledContext, Degradation, Note, PhrasingScores, RerankSummary, RetrieveResponse,
    RetrievedHit, SameText, StageScore, StageScores, Timings,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::query::{ConditionBody, ExpansionBody};
use super::reason::{MoveBody, ReasonBody};
use crate::dto::metadata::{MetadataBody, metadata_body};
use crate::dto::retrieve::trust::TrustBody;

/// The answer to a retrieval.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct RetrieveAnswer {
    /// Names this request in logs.
    pub request_id: String,
    /// Best first.
    pub hits: Vec<HitBody>,
    /// Why there are no hits; absent where there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ReasonBody>,
    /// Context for a language model, with citations.
    pub context: ContextAnswer,
    /// Milliseconds spent in each stage.
    pub timings_ms: TimingsBody,
    /// How much of the window the re-ranker scored; `null` when it was not asked.
    pub rerank: Option<RerankSummaryBody>,
    /// Acknowledged writes that this answer does not reflect yet.
    pub lag: u64,
    /// Distinct terms the lexical leg searched for; empty where it was not asked or failed, and where
    /// the note `no_lexical_terms` says that the query has none.
    pub terms: Vec<String>,
    /// What the lexical leg searched for that the query does not say: synonyms, and words written nearly
    /// as one that no document has. It counts less, and is among the `terms`. Absent where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expansions: Vec<ExpansionBody>,
    /// What the operators of the query ask of every hit; absent where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<ConditionBody>,
    /// What else is to be known of this answer; nothing fell short.
    pub notes: Vec<NoteBody>,
    /// Stages that did not do their full work.
    pub degraded: Vec<DegradedBody>,
    /// Whether this was answered before and is given again, nothing having been written since; then
    /// `timings_ms` has the total alone.
    pub cached: bool,
    /// How far each leg was trusted for this query; present when `explain` was set and both legs were
    /// asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<TrustBody>,
    /// Where more candidates are left: the same request with this as its `cursor` is answered with
    /// what follows. Absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
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
    /// What moved the hit, stage by stage; present when `explain` was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moves: Option<Vec<MoveBody>>,
    /// The calibrated probability that the passage is relevant; absent where it was not re-ranked,
    /// or by a model without a calibration for its language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relevance: Option<f64>,
    /// Chunks that say the same and were ranked lower; absent where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub same: Vec<SameTextBody>,
}

/// A chunk that says the same as a hit.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct SameTextBody {
    /// The chunk.
    pub chunk_id: String,
    /// Its document.
    pub document_id: String,
    /// That document's URI.
    pub uri: Option<String>,
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
    /// The line that the chunk was indexed under: title and heading path, shortened where they are
    /// long. `null` where there is neither.
    pub context_header: Option<String>,
    /// First character of the extracted text.
    pub char_start: u32,
    /// One past the last character.
    pub char_end: u32,
    /// 1-based page, where the format has pages.
    pub page: Option<u32>,
}

/// Rank and score at every stage that saw the hit.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ScoresBody {
    /// BM25.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lexical: Option<ScoreBody>,
    /// Cosine similarity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dense: Option<ScoreBody>,
    /// Both legs, or several phrasings, fused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fused: Option<ScoreBody>,
    /// The re-ranker's raw score; the rank is the final one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerank: Option<ScoreBody>,
    /// Which phrasings found the hit, and where; absent where there is one. The legs above are those
    /// of the phrasing whose leg ranks the hit best.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phrasings: Vec<PhrasingBody>,
}

/// Where one phrasing has a hit.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
pub struct PhrasingBody {
    /// 0 is `query`, 1 the first of `also`.
    pub phrasing: usize,
    /// BM25 for this phrasing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lexical: Option<ScoreBody>,
    /// Cosine similarity to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dense: Option<ScoreBody>,
    /// Both legs, fused, for this phrasing alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fused: Option<ScoreBody>,
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

/// What is to be known of an answer.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct NoteBody {
    /// What it is about.
    pub code: NoteCode,
    /// The same for a person.
    pub detail: String,
}

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoteCode {
    /// The lexical leg was asked, and no term could be made of the query (`???`, emoji).
    NoLexicalTerms,
    /// Passages of this page were deleted or replaced since the first page was answered, and are left
    /// out.
    Gone,
    /// The query has more operators than are read, and was taken as text.
    TooManyOperators,
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
        let reranked = response.rerank.is_some();
        Self {
            request_id,
            hits: response
                .hits
                .into_iter()
                .map(|hit| HitBody::new(hit, explain, reranked))
                .collect(),
            reason: response.reason.as_ref().map(ReasonBody::from),
            context: response.context.into(),
            timings_ms: response.timings.into(),
            rerank: response
                .rerank
                .map(|RerankSummary { scored, of }| RerankSummaryBody { scored, of }),
            lag: response.lag,
            terms: response.terms,
            expansions: response
                .expansions
                .into_iter()
                .map(ExpansionBody::from)
                .collect(),
            conditions: response
                .conditions
                .into_iter()
                .map(ConditionBody::from)
                .collect(),
            notes: response.notes.into_iter().map(NoteBody::from).collect(),
            degraded: response
                .degraded
                .into_iter()
                .map(DegradedBody::from)
                .collect(),
            cached: response.cached,
            trust: response.trust.filter(|_| explain).map(TrustBody::from),
            next_cursor: response.next_cursor,
        }
    }
}

impl HitBody {
    fn new(hit: RetrievedHit, explain: bool, reranked: bool) -> Self {
        let moves = explain.then(|| hit.moves(reranked).iter().map(MoveBody::from).collect());
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
                context_header: Some(record.chunk.context_header).filter(|it| !it.is_empty()),
                char_start: record.chunk.span.start,
                char_end: record.chunk.span.end,
                page: record.chunk.page,
            },
            metadata: metadata_body(Arc::unwrap_or_clone(hit.passage.metadata)),
            scores: explain.then(|| ScoresBody::new(hit.scores, &hit.phrasings)),
            moves,
            relevance: hit.relevance,
            same: hit.same.into_iter().map(SameTextBody::from).collect(),
        }
    }
}

impl From<SameText> for SameTextBody {
    fn from(same: SameText) -> Self {
        Self {
            chunk_id: same.chunk.to_string(),
            document_id: same.document.to_string(),
            uri: same.uri,
        }
    }
}

impl From<StageScore> for ScoreBody {
    fn from(StageScore { rank, score }: StageScore) -> Self {
        Self { rank, score }
    }
}

impl ScoresBody {
    fn new(scores: StageScores, phrasings: &[PhrasingScores]) -> Self {
        let body = |score: Option<StageScore>| score.map(ScoreBody::from);
        Self {
            phrasings: phrasings.iter().map(PhrasingBody::from).collect(),
            lexical: body(scores.lexical),
            dense: body(scores.dense),
            fused: body(scores.fused),
            rerank: body(scores.rerank),
        }
    }
}

impl From<&PhrasingScores> for PhrasingBody {
    fn from(found: &PhrasingScores) -> Self {
        let body = |score: Option<StageScore>| score.map(ScoreBody::from);
        Self {
            phrasing: found.phrasing,
            lexical: body(found.scores.lexical),
            dense: body(found.scores.dense),
            fused: body(found.scores.fused),
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

impl From<Note> for NoteBody {
    fn from(note: Note) -> Self {
        let code = match note {
            Note::NoLexicalTerms => NoteCode::NoLexicalTerms,
            Note::Gone(_) => NoteCode::Gone,
            Note::TooManyOperators => NoteCode::TooManyOperators,
        };
        Self {
            code,
            detail: note.detail().into_owned(),
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
