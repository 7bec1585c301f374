//! Models on the wire: embeddings as OpenAI has them, re-ranking as Cohere and Jina have it.

mod embeddings;
mod rerank;
mod tei;

pub use embeddings::{
    EmbeddingItem, EmbeddingsAnswer, EmbeddingsBody, EmbeddingsUsage, Encoded, EncodingFormat,
    TextOrTexts,
};
pub use rerank::{
    DocumentText, RerankAnswer, RerankBody, RerankDocument, RerankRequest, RerankResult,
    RerankUsage,
};
pub use tei::{EmbedBody, EmbedVectors, RankBody, Ranked, RankedText};

use braid_core::{Error, FieldError, Fingerprint, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Most texts in one request.
pub(crate) const MOST_TEXTS: usize = 1024;
/// Most bytes of one text. What is beyond the model's window does not count anyway.
pub(crate) const MOST_TEXT_BYTES: usize = 256 * 1024;

/// Models that are served.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ModelsAnswer {
    /// `list`.
    pub object: String,
    /// The embedder, and the re-ranker where there is one.
    pub data: Vec<ServedModel>,
}

/// A model that is served.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ServedModel {
    /// Its name, as requests give it.
    pub id: String,
    /// `model`.
    pub object: String,
    /// `braid`.
    pub owned_by: String,
    /// `embedder` or `reranker`.
    pub kind: String,
    /// What tells it from every other model: a client that has the same one gets the same numbers.
    pub fingerprint: String,
    /// Length of an embedder's vectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimension: Option<usize>,
}

impl ModelsAnswer {
    /// A list of these.
    pub fn new(data: Vec<ServedModel>) -> Self {
        Self {
            object: "list".to_owned(),
            data,
        }
    }
}

impl ServedModel {
    /// A model of that name and kind.
    pub fn new(name: &str, kind: &str, print: &Fingerprint, dimension: Option<usize>) -> Self {
        Self {
            id: name.to_owned(),
            object: "model".to_owned(),
            owned_by: "braid".to_owned(),
            kind: kind.to_owned(),
            fingerprint: print.to_string(),
            dimension,
        }
    }
}

/// Notes texts that are too many or too long. `pointer` is of the array; a single text has none of
/// its own.
fn check_texts(pointer: &str, texts: &[String], single: bool, fields: &mut Vec<FieldError>) {
    if texts.is_empty() || texts.len() > MOST_TEXTS {
        let detail = format!("must have 1 to {MOST_TEXTS} texts, not {}", texts.len());
        fields.push(FieldError::new(pointer, detail));
        return;
    }
    for (place, text) in texts.iter().enumerate() {
        if text.len() > MOST_TEXT_BYTES {
            let pointer = match single {
                true => pointer.to_owned(),
                false => format!("{pointer}/{place}"),
            };
            let detail = format!("has {} bytes, the limit is {MOST_TEXT_BYTES}", text.len());
            fields.push(FieldError::new(pointer, detail));
        }
    }
}

/// Notes a name that is not that of the served model.
fn check_model(asked: Option<&str>, served: &str, fields: &mut Vec<FieldError>) {
    if let Some(asked) = asked.filter(|asked| *asked != served) {
        let asked: String = asked.chars().take(100).collect();
        let detail = format!("no model {asked:?} is served here; this server has {served:?}");
        fields.push(FieldError::new("/model", detail));
    }
}

fn refuse(fields: Vec<FieldError>) -> Result<()> {
    match fields.first() {
        None => Ok(()),
        Some(first) => {
            let message = format!("{}: {}", first.pointer, first.detail);
            Err(Error::invalid(message).with_fields(fields))
        }
    }
}
