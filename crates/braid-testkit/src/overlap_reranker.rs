//! [`OverlapReranker`]: a re-ranker without a model.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use braid_core::{Calibration, Fingerprint, Language, Reranker, Result};

/// Scores a passage by the share of the query's distinct words that it contains, 0..=1, words
/// compared without case. Counts what it scores.
#[derive(Debug)]
pub struct OverlapReranker {
    fingerprint: Fingerprint,
    blend: f64,
    /// The language it knows.
    language: Language,
    concurrency: usize,
    /// What a text with this word scores.
    odd: Option<(&'static str, f32)>,
    calls: AtomicUsize,
    pairs: AtomicUsize,
}

impl OverlapReranker {
    /// A re-ranker of English that recommends a blend of 1: its own order alone.
    pub fn new() -> Self {
        Self {
            fingerprint: Fingerprint::new("overlap-reranker"),
            blend: 1.0,
            language: Language::English,
            concurrency: 1,
            odd: None,
            calls: AtomicUsize::new(0),
            pairs: AtomicUsize::new(0),
        }
    }

    /// The same with another recommended blend, 0..=1.
    #[must_use]
    pub fn with_blend(mut self, blend: f64) -> Self {
        self.blend = blend;
        self
    }

    /// The same, but of another language.
    #[must_use]
    pub fn with_language(mut self, language: Language) -> Self {
        self.language = language;
        self
    }

    /// The same with another number of useful windows in flight.
    #[must_use]
    pub fn with_concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// The same, but a passage that contains `word` scores `score`, such as NaN.
    #[must_use]
    pub fn with_odd(mut self, word: &'static str, score: f32) -> Self {
        self.odd = Some((word, score));
        self
    }

    /// Calls of `score` so far.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Pairs scored so far.
    pub fn pairs_scored(&self) -> usize {
        self.pairs.load(Ordering::SeqCst)
    }
}

impl Default for OverlapReranker {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Reranker for OverlapReranker {
    fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    fn recommended_blend(&self, language: Language) -> f64 {
        if language == self.language {
            self.blend
        } else {
            0.0
        }
    }

    /// An overlap of half the query's words is relevant in half of the cases.
    fn calibration(&self, language: Language) -> Option<Calibration> {
        (language == self.language).then_some(Calibration {
            slope: 8.0,
            intercept: -4.0,
        })
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    async fn score(&self, query: &str, passages: &[String]) -> Result<Vec<f32>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.pairs.fetch_add(passages.len(), Ordering::SeqCst);
        let query = words(query);
        Ok(passages
            .iter()
            .map(|passage| match self.odd {
                Some((word, score)) if passage.contains(word) => score,
                Some(_) | None => overlap(&query, passage),
            })
            .collect())
    }
}

fn overlap(query: &BTreeSet<String>, passage: &str) -> f32 {
    let shared = query.intersection(&words(passage)).count();
    shared as f32 / query.len().max(1) as f32
}

fn words(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn scores_are_shares_of_the_query_in_order() {
        let reranker = OverlapReranker::new();
        let passages = ["a Red fox", "blue", "the red, the red"].map(str::to_owned);
        let scores = reranker.score("red fox", &passages).await.unwrap();
        assert_eq!(scores, [1.0, 0.0, 0.5]);
        assert_eq!(reranker.score("?", &passages).await.unwrap(), [0.0; 3]);
        assert_eq!((reranker.calls(), reranker.pairs_scored()), (2, 6));
        let odd = OverlapReranker::new().with_odd("blue", f32::NAN);
        let scores = odd.score("red fox", &passages).await.unwrap();
        assert!(scores[0] == 1.0 && scores[1].is_nan() && scores[2] == 0.5);
    }
}
