//! `POST /embed` and `POST /rerank`, as text-embeddings-inference has them.

use braid_core::{Embedding, FieldError, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rerank::{checked_query, relevance};
use super::{TextOrTexts, check_texts, refuse};

/// Texts to embed.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbedBody {
    /// One text, or 1 to 1024 of them, of at most 262144 bytes each.
    pub inputs: TextOrTexts,
    /// Taken and not used: what is beyond the model's window is always cut.
    #[serde(default)]
    pub truncate: bool,
    /// Vectors have length 1: `true`, or absent.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub normalize: bool,
}

/// A vector for each text, in order.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = EmbedVectors)]
pub struct EmbedVectors(pub Vec<Vec<f32>>);

/// Texts to be put in order for a query.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RankTextsBody)]
pub struct RankBody {
    /// The query: at most 8192 bytes.
    #[schema(max_length = 8192)]
    pub query: String,
    /// 1 to 1024 texts, of at most 262144 bytes each.
    #[schema(min_items = 1, max_items = 1024)]
    pub texts: Vec<String>,
    /// Whether scores are the model's own instead of `1 / (1 + exp(-score))` of them.
    #[serde(default)]
    pub raw_scores: bool,
    /// Whether ranks have their texts.
    #[serde(default)]
    pub return_text: bool,
    /// Taken and not used: what is beyond the model's window is always cut off the text.
    #[serde(default)]
    pub truncate: bool,
}

/// Texts in order, best first; equal scores in the order of the request.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = RankedTexts)]
pub struct Ranked(pub Vec<RankedText>);

/// One text's score.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct RankedText {
    /// The text's place in the request, from 0.
    pub index: usize,
    /// Its score; `null` where the model has none for it.
    pub score: Option<f64>,
    /// The text, where asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

fn yes() -> bool {
    true
}

impl EmbedBody {
    /// The texts.
    ///
    /// # Errors
    /// `InvalidRequest` naming each bad field.
    pub fn into_texts(self) -> Result<Vec<String>> {
        let mut fields = Vec::new();
        let (texts, single) = self.inputs.into_texts();
        check_texts("/inputs", &texts, single, &mut fields);
        if !self.normalize {
            let detail = "must be true: vectors have length 1 here";
            fields.push(FieldError::new("/normalize", detail));
        }
        refuse(fields)?;
        Ok(texts)
    }
}

impl EmbedVectors {
    /// These vectors.
    pub fn new(vectors: &[Embedding]) -> Self {
        Self(vectors.iter().map(|vector| vector.to_vec()).collect())
    }
}

impl RankBody {
    /// Checks what it asks.
    ///
    /// # Errors
    /// `InvalidRequest` naming each bad field.
    pub fn check(&self) -> Result<()> {
        let mut fields = Vec::new();
        checked_query(&self.query, &mut fields);
        check_texts("/texts", &self.texts, false, &mut fields);
        refuse(fields)
    }
}

impl Ranked {
    /// The answer to `request` with these raw scores.
    pub fn new(request: &RankBody, scores: &[f32]) -> Self {
        let value = |score: f32| match request.raw_scores {
            true => score.is_finite().then_some(f64::from(score)),
            false => relevance(score),
        };
        let scored = scores.iter().map(|score| value(*score));
        let mut order: Vec<(usize, Option<f64>)> = scored.enumerate().collect();
        let key = |score: Option<f64>| score.unwrap_or(f64::NEG_INFINITY);
        order.sort_by(|a, b| key(b.1).total_cmp(&key(a.1)).then(a.0.cmp(&b.0)));
        let ranked = order.into_iter().map(|(index, score)| RankedText {
            index,
            score,
            text: request
                .texts
                .get(index)
                .filter(|_| request.return_text)
                .cloned(),
        });
        Self(ranked.collect())
    }
}
