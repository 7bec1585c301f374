//! A re-ranker that scores each pair once, so that blends are compared for the price of one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use braid_core::{Calibration, Fingerprint, Language, Reranker, Result};

#[derive(Debug)]
pub(crate) struct MemoReranker {
    inner: Arc<dyn Reranker>,
    /// By query and passage.
    known: Mutex<HashMap<(String, String), f32>>,
}

impl MemoReranker {
    pub(crate) fn new(inner: Arc<dyn Reranker>) -> Self {
        Self {
            inner,
            known: Mutex::default(),
        }
    }

    fn recall(&self, query: &str, passage: &str) -> Option<f32> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(query.to_owned(), passage.to_owned())).copied()
    }

    fn remember(&self, query: &str, passages: &[String], scores: &[f32]) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for (passage, score) in passages.iter().zip(scores) {
            known.insert((query.to_owned(), passage.clone()), *score);
        }
    }
}

#[async_trait::async_trait]
impl Reranker for MemoReranker {
    fn fingerprint(&self) -> &Fingerprint {
        self.inner.fingerprint()
    }

    fn recommended_blend(&self, language: Language) -> f64 {
        self.inner.recommended_blend(language)
    }

    fn calibration(&self, language: Language) -> Option<Calibration> {
        self.inner.calibration(language)
    }

    fn concurrency(&self) -> usize {
        self.inner.concurrency()
    }

    async fn score(&self, query: &str, passages: &[String]) -> Result<Vec<f32>> {
        let known: Option<Vec<f32>> = passages
            .iter()
            .map(|passage| self.recall(query, passage))
            .collect();
        if let Some(known) = known {
            return Ok(known);
        }
        let scores = self.inner.score(query, passages).await?;
        self.remember(query, passages, &scores);
        Ok(scores)
    }
}
