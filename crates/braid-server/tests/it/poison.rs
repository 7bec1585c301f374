//! A model that refuses texts that say `poison`.

use std::sync::Arc;

use async_trait::async_trait;
use braid_core::{Embedder, Embedding, Error, Fingerprint, Result, Script, TokenCounter};
use braid_testkit::HashEmbedder;

#[derive(Debug)]
pub(crate) struct Poisoned(HashEmbedder);

impl Poisoned {
    pub(crate) fn new() -> Self {
        Self(HashEmbedder::new(64))
    }
}

#[async_trait]
impl Embedder for Poisoned {
    fn fingerprint(&self) -> &Fingerprint {
        self.0.fingerprint()
    }
    fn dimension(&self) -> usize {
        self.0.dimension()
    }
    fn token_counter(&self) -> Arc<dyn TokenCounter> {
        self.0.token_counter()
    }
    fn reads(&self, script: Script) -> bool {
        self.0.reads(script)
    }
    async fn embed_passages(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        if texts.iter().any(|text| text.contains("poison")) {
            return Err(Error::internal("this model cannot embed poison"));
        }
        self.0.embed_passages(texts).await
    }
    async fn embed_verbatim(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        self.0.embed_verbatim(texts).await
    }
    async fn embed_query(&self, text: &str) -> Result<Embedding> {
        self.0.embed_query(text).await
    }
}
