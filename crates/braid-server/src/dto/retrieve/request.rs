//! What a retrieval asks for.

use std::sync::Arc;

use braid_core::{CollectionName, Error, FieldError, Result};
use braid_engine::query::{
    CandidateDepths, FusionMethod, FusionOptions, LegTrust, LegWeights, Mode, RerankOptions,
    RetrieveRequest, Syntax, Thresholds, Typos,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::context::ContextBody;
use super::query::{SyntaxName, TyposName};
use crate::dto::filter::FilterBody;
use crate::dto::object::optional_object;
use crate::extract::parse;

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
    /// Other phrasings of it, up to 8: each is searched too, and what any finds is one list.
    /// Re-ranking and the context are for `query`.
    #[schema(max_items = 8)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// Whether operators of the query are read: `"exact phrase"`, `-word`, `title:word`; `auto` when
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syntax: Option<SyntaxName>,
    /// Whether words that no document has are searched for as words that are written nearly so; `auto`
    /// when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typos: Option<TyposName>,
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
    /// What is not good enough at a stage is left out; none by default.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_object"
    )]
    pub thresholds: Option<ThresholdsBody>,
    /// How context is assembled from the hits.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_object"
    )]
    pub context: Option<ContextBody>,
    /// Whether passages that say the same are returned once, the best naming the others; yes when
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distinct: Option<bool>,
    /// Whether each hit carries its rank and score at every stage, and what moved it.
    #[serde(default)]
    pub explain: bool,
    /// Whether an answer given before may be given again; it never is once anything was written since.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub cache: bool,
    /// Goes on after the answer that gave this as its `next_cursor`, to the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

fn yes() -> bool {
    true
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

/// How the legs are merged.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FusionBody {
    /// How two lists become one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<FusionName>,
    /// With `rrf`, the constant added to each 1-based rank.
    #[schema(minimum = 0, maximum = 1_000_000)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k: Option<f64>,
    /// Weight of each leg.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_object"
    )]
    pub weights: Option<WeightsBody>,
    /// Whether the weights are shifted for each query by how far each leg is to be trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leg_trust: Option<TrustName>,
}

/// Fusion methods.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FusionName {
    /// Reciprocal Rank Fusion: the sum over legs of `weight / (k + rank)`.
    Rrf,
    /// The weighted mean of scores from 0 (what a leg did not find) to 1 (its best hit).
    #[serde(rename = "minmax")]
    MinMax,
    /// The weighted mean of scores in standard deviations from their mean over what both legs found.
    Dbsf,
}

/// Whether the legs' weights are shifted for each query.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrustName {
    /// By how far each leg is to be trusted.
    Auto,
    /// The weights are taken as they are.
    Off,
}

/// Weight of each leg in fusion.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WeightsBody {
    /// Weight of the lexical leg.
    #[schema(minimum = 0, maximum = 1_000_000)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lexical: Option<f64>,
    /// Weight of the dense leg.
    #[schema(minimum = 0, maximum = 1_000_000)]
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

/// Least scores, each at its stage. Where everything is below them, the answer has no hits, and says
/// so.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ThresholdsBody {
    /// Least BM25 score of a candidate of the lexical leg.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lexical: Option<f64>,
    /// Least cosine similarity of a candidate of the dense leg.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dense: Option<f64>,
    /// Least relevance of a re-ranked hit: the calibrated probability that it is relevant.
    #[schema(minimum = 0, maximum = 1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerank: Option<f64>,
}

impl RetrieveBody {
    /// A request in JSON, as `POST /retrieve` reads it.
    ///
    /// # Errors
    /// `InvalidRequest` naming the bad field by JSON pointer, `MalformedJson`.
    pub fn parse(json: &[u8]) -> Result<Self> {
        parse(json)
    }

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
            also: self.also,
            syntax: self.syntax.map_or(defaults.syntax, Syntax::from),
            typos: self.typos.map_or(defaults.typos, Typos::from),
            collection,
            top_k: self.top_k.unwrap_or(defaults.top_k),
            mode: self.mode.map_or(defaults.mode, Mode::from),
            candidates: depths(self.candidates.unwrap_or_default(), defaults.candidates),
            fusion: fusion(self.fusion.unwrap_or_default(), defaults.fusion),
            rerank: rerank(self.rerank.unwrap_or_default(), defaults.rerank),
            filter: self.filter.map(|filter| Arc::new(filter.into())),
            thresholds: self
                .thresholds
                .map_or(defaults.thresholds, Thresholds::from),
            context: self
                .context
                .unwrap_or_default()
                .into_options(defaults.context),
            distinct: self.distinct.unwrap_or(defaults.distinct),
            explain: self.explain,
            cache: self.cache,
            cursor: self.cursor,
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
        method: body.method.map_or(defaults.method, FusionMethod::from),
        k: body.k.unwrap_or(defaults.k),
        weights: LegWeights {
            lexical: weights.lexical.unwrap_or(defaults.weights.lexical),
            dense: weights.dense.unwrap_or(defaults.weights.dense),
        },
        leg_trust: body.leg_trust.map_or(defaults.leg_trust, LegTrust::from),
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

impl From<ThresholdsBody> for Thresholds {
    fn from(body: ThresholdsBody) -> Self {
        let ThresholdsBody {
            lexical,
            dense,
            rerank,
        } = body;
        Self {
            lexical,
            dense,
            rerank,
        }
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

impl From<FusionName> for FusionMethod {
    fn from(name: FusionName) -> Self {
        match name {
            FusionName::Rrf => Self::Rrf,
            FusionName::MinMax => Self::MinMax,
            FusionName::Dbsf => Self::Dbsf,
        }
    }
}

impl From<TrustName> for LegTrust {
    fn from(name: TrustName) -> Self {
        match name {
            TrustName::Auto => Self::Auto,
            TrustName::Off => Self::Off,
        }
    }
}
