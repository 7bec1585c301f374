//! Models that remember: an explanation runs one query many times over mostly the same passages.

use std::sync::Arc;

use async_trait::async_trait;
use braid_core::{
    Calibration, Embedder, Embedding, Fingerprint, Language, Reranker, Result, Script, TokenCounter,
};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::retriever::RetrieverParts;

/// The same parts, with models that are asked once for each text. For one request: it lives as long
/// as an explanation, and holds no more scores than that has passages, and no more embeddings than
/// phrasings, read in two ways.
pub(super) fn remembering(parts: &RetrieverParts) -> RetrieverParts {
    let reranker = parts.reranker.as_ref().map(|model| {
        Arc::new(MemoReranker {
            model: Arc::clone(model),
            scores: Mutex::default(),
        }) as Arc<dyn Reranker>
    });
    RetrieverParts {
        embedder: Arc::new(MemoEmbedder {
            model: Arc::clone(&parts.embedder),
            queries: Mutex::default(),
        }),
        reranker,
        ..parts.clone()
    }
}

#[derive(Debug)]
struct MemoEmbedder {
    model: Arc<dyn Embedder>,
    /// Each phrasing, read with and without its operators.
    queries: Mutex<FxHashMap<String, Embedding>>,
}

#[async_trait]
impl Embedder for MemoEmbedder {
    fn fingerprint(&self) -> &Fingerprint {
        self.model.fingerprint()
    }

    fn dimension(&self) -> usize {
        self.model.dimension()
    }

    fn token_counter(&self) -> Arc<dyn TokenCounter> {
        self.model.token_counter()
    }

    fn reads(&self, script: Script) -> bool {
        self.model.reads(script)
    }

    async fn embed_passages(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        self.model.embed_passages(texts).await
    }

    async fn embed_verbatim(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        self.model.embed_verbatim(texts).await
    }

    async fn embed_query(&self, text: &str) -> Result<Embedding> {
        let known = self.queries.lock().get(text).cloned();
        if let Some(embedding) = known {
            return Ok(embedding);
        }
        let embedding = self.model.embed_query(text).await?;
        let known = Arc::clone(&embedding);
        self.queries.lock().insert(text.to_owned(), known);
        Ok(embedding)
    }
}

#[derive(Debug)]
struct MemoReranker {
    model: Arc<dyn Reranker>,
    /// By query and passage: a query can be read with and without its operators.
    scores: Mutex<FxHashMap<String, FxHashMap<String, f32>>>,
}

#[async_trait]
impl Reranker for MemoReranker {
    fn fingerprint(&self) -> &Fingerprint {
        self.model.fingerprint()
    }

    fn recommended_blend(&self, language: Language) -> f64 {
        self.model.recommended_blend(language)
    }

    fn calibration(&self, language: Language) -> Option<Calibration> {
        self.model.calibration(language)
    }

    fn concurrency(&self) -> usize {
        self.model.concurrency()
    }

    async fn score(&self, query: &str, passages: &[String]) -> Result<Vec<f32>> {
        let unknown: Vec<String> = {
            let mut known = self.scores.lock();
            let known = known.entry(query.to_owned()).or_default();
            let unknown = passages.iter().filter(|text| !known.contains_key(*text));
            unknown.cloned().collect()
        };
        // A model that gives another number of scores is for the caller to notice.
        if unknown.len() == passages.len() {
            let scores = self.model.score(query, passages).await?;
            self.remember(query, passages, &scores);
            return Ok(scores);
        }
        if !unknown.is_empty() {
            let scores = self.model.score(query, &unknown).await?;
            self.remember(query, &unknown, &scores);
        }
        let mut known = self.scores.lock();
        let known = known.entry(query.to_owned()).or_default();
        let scores = passages.iter().filter_map(|text| known.get(text).copied());
        Ok(scores.collect())
    }
}

impl MemoReranker {
    fn remember(&self, query: &str, passages: &[String], scores: &[f32]) {
        let pairs = passages.iter().cloned().zip(scores.iter().copied());
        let mut known = self.scores.lock();
        known.entry(query.to_owned()).or_default().extend(pairs);
    }
}
