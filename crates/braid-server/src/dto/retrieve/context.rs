//! How context is assembled.

use braid_engine::query::{ContextExpansion, ContextOptions, ContextOrder, ContextTokenizer};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::dto::object::optional_object;

/// How context is assembled from the hits.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContextBody {
    /// Most tokens of context text; 0 assembles none.
    #[schema(maximum = 16_777_216)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<usize>,
    /// What counts as a token; those of the embedder when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<TokenizerName>,
    /// Which text around a hit goes in with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expand: Option<ExpansionName>,
    /// Most hits of one document; as many as there are when absent.
    #[schema(minimum = 1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_document: Option<usize>,
    /// A hit that shares more than this of its word triples with a better one is left out; 0.9 when
    /// absent, 1 leaves none out.
    #[schema(minimum = 0, maximum = 1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_similarity: Option<f64>,
    /// Chooses the next hit by relevance and novelty; by rank when absent.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_object"
    )]
    pub mmr: Option<MmrBody>,
    /// How the pieces stand in the text; best first when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderName>,
}

/// Maximal marginal relevance: each next hit has the most of lambda x relevance - (1 - lambda) x its
/// greatest similarity, by words, to a hit chosen before it. Relevance falls evenly with the rank.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MmrBody {
    /// Weight of relevance against novelty.
    #[schema(minimum = 0, maximum = 1)]
    pub lambda: f64,
}

/// What counts as a token.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenizerName {
    /// What the embedder's tokenizer makes.
    Embedder,
    /// What `cl100k_base` makes (GPT-4, GPT-3.5).
    Cl100k,
    /// What `o200k_base` makes (GPT-4o and later).
    O200k,
    /// A character.
    Characters,
    /// A run between whitespace.
    Words,
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

/// How the pieces stand in the context.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderName {
    /// Best first.
    Rank,
    /// The best at both ends, the worst in the middle.
    Edges,
}

impl ContextBody {
    /// The options, with what is left open taken from `defaults`.
    pub(super) fn into_options(self, defaults: ContextOptions) -> ContextOptions {
        ContextOptions {
            max_tokens: self.max_tokens.unwrap_or(defaults.max_tokens),
            tokenizer: self
                .tokenizer
                .map_or(defaults.tokenizer, ContextTokenizer::from),
            expand: self.expand.map_or(defaults.expand, ContextExpansion::from),
            per_document: self.per_document.or(defaults.per_document),
            max_similarity: self.max_similarity.or(defaults.max_similarity),
            mmr: self.mmr.map(|mmr| mmr.lambda).or(defaults.mmr),
            order: self.order.map_or(defaults.order, ContextOrder::from),
        }
    }
}

impl From<TokenizerName> for ContextTokenizer {
    fn from(name: TokenizerName) -> Self {
        match name {
            TokenizerName::Embedder => Self::Embedder,
            TokenizerName::Cl100k => Self::Cl100k,
            TokenizerName::O200k => Self::O200k,
            TokenizerName::Characters => Self::Characters,
            TokenizerName::Words => Self::Words,
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

impl From<OrderName> for ContextOrder {
    fn from(name: OrderName) -> Self {
        match name {
            OrderName::Rank => Self::Rank,
            OrderName::Edges => Self::Edges,
        }
    }
}
