//! Model ports: embedding, re-ranking, counting tokens.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::calibration::Calibration;
use crate::collection::Language;
use crate::error::Result;
use crate::hash::Fingerprint;
use crate::script::Script;

/// A dense vector, L2-normalised, of the embedder's dimension.
pub type Embedding = Arc<[f32]>;

/// Counts tokens as one model's tokenizer does, special tokens not included.
pub trait TokenCounter: Send + Sync + fmt::Debug {
    /// Tokens in `text`, untruncated.
    fn count(&self, text: &str) -> usize;
    /// Most tokens the model takes, special tokens included.
    fn max_tokens(&self) -> usize;
}

/// Turns text into embeddings. Order is kept; the same text gives the same vector up to numeric
/// noise whatever its batch mates.
#[async_trait]
pub trait Embedder: Send + Sync + fmt::Debug {
    /// Identifies everything that changes the vectors: weights, pooling, prefixes, dimension.
    fn fingerprint(&self) -> &Fingerprint;
    /// Length of every vector.
    fn dimension(&self) -> usize;
    /// The model's tokenizer.
    fn token_counter(&self) -> Arc<dyn TokenCounter>;
    /// Whether it can tell texts of this script apart, by its manifest; true where that does not say.
    fn reads(&self, script: Script) -> bool;
    /// Embeds passages, one vector each, in order. Bulk work: it yields to queries.
    ///
    /// # Errors
    /// [`ModelUnavailable`](crate::ErrorCode::ModelUnavailable), [`Overloaded`](crate::ErrorCode::Overloaded)
    /// when the queue is full, [`Internal`](crate::ErrorCode::Internal) when a vector is not finite.
    async fn embed_passages(&self, texts: Vec<String>) -> Result<Vec<Embedding>>;
    /// Embeds texts as they are, without the prefix that the model puts before passages or queries:
    /// for callers that have put it there. One text goes ahead of bulk work, as a query does.
    ///
    /// # Errors
    /// As [`Embedder::embed_passages`].
    async fn embed_verbatim(&self, texts: Vec<String>) -> Result<Vec<Embedding>>;
    /// Embeds one query, ahead of any bulk work.
    ///
    /// # Errors
    /// As [`Embedder::embed_passages`].
    async fn embed_query(&self, text: &str) -> Result<Embedding>;
}

/// Scores (query, passage) pairs with a cross-encoder.
#[async_trait]
pub trait Reranker: Send + Sync + fmt::Debug {
    /// Identifies the model.
    fn fingerprint(&self) -> &Fingerprint;
    /// The blend its manifest recommends for a collection in `language`: weight of its score in the
    /// final score, 0..=1; 0 where the model does not know the language.
    fn recommended_blend(&self, language: Language) -> f64;
    /// How its scores become probabilities for passages in `language`: `None` where its manifest
    /// does not say, or the model does not know the language.
    fn calibration(&self, language: Language) -> Option<Calibration>;
    /// How many windows can usefully be in flight at once.
    fn concurrency(&self) -> usize;
    /// Scores every passage against `query`: one raw score each, in order, higher is better. A score
    /// that is not finite says that the model has none for that pair, and costs no other.
    /// Where a pair exceeds the model's window the passage is truncated, not the query. A call
    /// whose future is dropped before it starts costs nothing.
    ///
    /// # Errors
    /// As [`Embedder::embed_passages`].
    async fn score(&self, query: &str, passages: &[String]) -> Result<Vec<f32>>;
}
