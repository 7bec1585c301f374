//! Embeddings of queries that were embedded before.

use std::sync::Arc;

use async_trait::async_trait;
use braid_core::{Embedder, Embedding, Fingerprint, Result, Script, TokenCounter};
use quick_cache::sync::Cache;

use crate::observe;

/// An [`Embedder`] that remembers the queries it embedded. A text has one embedding for as long as
/// the process has the model, so nothing can be stale; passages are not kept, the ledger has them.
pub struct CachingEmbedder {
    inner: Arc<dyn Embedder>,
    queries: Cache<String, Embedding>,
}

impl CachingEmbedder {
    /// Remembers `queries` embeddings, each of the model's dimension x 4 bytes and the text. With 0
    /// it is `inner` itself.
    pub fn over(inner: Arc<dyn Embedder>, queries: usize) -> Arc<dyn Embedder> {
        if queries == 0 {
            return inner;
        }
        Arc::new(Self {
            inner,
            queries: Cache::new(queries),
        })
    }
}

#[async_trait]
impl Embedder for CachingEmbedder {
    fn fingerprint(&self) -> &Fingerprint {
        self.inner.fingerprint()
    }

    fn dimension(&self) -> usize {
        self.inner.dimension()
    }

    fn token_counter(&self) -> Arc<dyn TokenCounter> {
        self.inner.token_counter()
    }

    fn reads(&self, script: Script) -> bool {
        self.inner.reads(script)
    }

    async fn embed_passages(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        self.inner.embed_passages(texts).await
    }

    async fn embed_verbatim(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        self.inner.embed_verbatim(texts).await
    }

    async fn embed_query(&self, text: &str) -> Result<Embedding> {
        let known = self.queries.get(text);
        observe::cache("query_embeddings", known.is_some());
        if let Some(embedding) = known {
            return Ok(embedding);
        }
        let embedding = self.inner.embed_query(text).await?;
        self.queries.insert(text.to_owned(), Arc::clone(&embedding));
        Ok(embedding)
    }
}

impl std::fmt::Debug for CachingEmbedder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CachingEmbedder")
            .field("inner", &self.inner)
            .field("queries", &self.queries.len())
            .finish_non_exhaustive()
    }
}
