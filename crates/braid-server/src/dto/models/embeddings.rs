//! `POST /v1/embeddings`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use braid_core::{Embedding, FieldError, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{check_model, check_texts, refuse};

/// Texts to embed.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingsBody {
    /// One text, or 1 to 1024 of them, of at most 262144 bytes each. Each is embedded as it is,
    /// without a prefix; what is beyond the model's window is cut.
    pub input: TextOrTexts,
    /// The embedder's name (`GET /v1/models`); any other is refused. That embedder when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// `float` (numbers) or `base64` (32-bit numbers, little-endian, in base64, which keeps every bit).
    #[serde(default)]
    pub encoding_format: EncodingFormat,
    /// Length of the vectors: that of the model, or absent.
    #[schema(minimum = 1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<usize>,
    /// Who asks; not used.
    #[schema(max_length = 1024)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// One text, or several.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(untagged, expecting = "expected a string or an array of strings")]
pub enum TextOrTexts {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl TextOrTexts {
    /// The texts, and whether it is one that stands alone.
    pub(super) fn into_texts(self) -> (Vec<String>, bool) {
        match self {
            Self::One(text) => (vec![text], true),
            Self::Several(texts) => (texts, false),
        }
    }
}

/// How vectors are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = EmbeddingEncoding)]
pub enum EncodingFormat {
    /// Numbers.
    #[default]
    Float,
    /// 32-bit numbers, little-endian, in base64.
    Base64,
}

/// Vectors of texts.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct EmbeddingsAnswer {
    /// `list`.
    pub object: String,
    /// A vector for each text, in order.
    pub data: Vec<EmbeddingItem>,
    /// The embedder's name.
    pub model: String,
    /// What it took.
    pub usage: EmbeddingsUsage,
}

/// One text's vector.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct EmbeddingItem {
    /// `embedding`.
    pub object: String,
    /// The text's place, from 0.
    pub index: usize,
    /// The vector, of length 1.
    pub embedding: Encoded,
}

/// A vector as it was asked for.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = EncodedEmbedding)]
pub enum Encoded {
    /// Numbers.
    Float(Vec<f32>),
    /// 32-bit numbers, little-endian, in base64.
    Base64(String),
}

/// Tokens read.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
pub struct EmbeddingsUsage {
    /// Tokens of all texts, each up to the model's window.
    pub prompt_tokens: usize,
    /// The same.
    pub total_tokens: usize,
}

impl EmbeddingsBody {
    /// The texts, where the request is for the embedder `model` of vectors of `dimension` numbers.
    ///
    /// # Errors
    /// `InvalidRequest` naming each bad field.
    pub fn into_texts(self, model: &str, dimension: usize) -> Result<Vec<String>> {
        let mut fields = Vec::new();
        check_model(self.model.as_deref(), model, &mut fields);
        let (texts, single) = self.input.into_texts();
        check_texts("/input", &texts, single, &mut fields);
        if self.dimensions.is_some_and(|asked| asked != dimension) {
            let detail = format!("the model's vectors have {dimension} numbers and are not cut");
            fields.push(FieldError::new("/dimensions", detail));
        }
        refuse(fields)?;
        Ok(texts)
    }
}

impl EmbeddingsAnswer {
    /// The answer with these vectors.
    pub fn new(
        model: String,
        vectors: &[Embedding],
        format: EncodingFormat,
        tokens: usize,
    ) -> Self {
        let items = vectors
            .iter()
            .enumerate()
            .map(|(index, vector)| EmbeddingItem {
                object: "embedding".to_owned(),
                index,
                embedding: Encoded::new(vector, format),
            });
        Self {
            object: "list".to_owned(),
            data: items.collect(),
            model,
            usage: EmbeddingsUsage {
                prompt_tokens: tokens,
                total_tokens: tokens,
            },
        }
    }
}

impl Encoded {
    fn new(vector: &[f32], format: EncodingFormat) -> Self {
        match format {
            EncodingFormat::Float => Self::Float(vector.to_vec()),
            EncodingFormat::Base64 => {
                let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
                Self::Base64(STANDARD.encode(bytes))
            }
        }
    }
}
