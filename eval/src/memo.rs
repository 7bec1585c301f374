//! A re-ranker that scores each pair once, so that many settings are compared for the price of one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use braid_core::{Calibration, Error, Fingerprint, Language, Reranker, Result};

/// Scores by query and passage.
type Known = HashMap<String, HashMap<String, f32>>;

/// Remembers what another re-ranker said, for as long as it lives.
#[derive(Debug)]
pub struct MemoReranker {
    inner: Arc<dyn Reranker>,
    known: Mutex<Known>,
}

impl MemoReranker {
    /// Over `inner`, knowing nothing yet.
    pub fn new(inner: Arc<dyn Reranker>) -> Self {
        Self {
            inner,
            known: Mutex::default(),
        }
    }

    /// How many pairs were scored.
    pub fn scored(&self) -> usize {
        self.known().values().map(HashMap::len).sum()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recall(&self, query: &str, passages: &[String]) -> Vec<Option<f32>> {
        let known = self.known();
        let of_query = known.get(query);
        let recall = |passage: &String| of_query.and_then(|of| of.get(passage)).copied();
        passages.iter().map(recall).collect()
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
        let recalled = self.recall(query, passages);
        let places = passages.iter().zip(&recalled);
        let unknown = places
            .filter(|(_, known)| known.is_none())
            .map(|(passage, _)| passage.clone());
        let unknown: Vec<String> = unknown.collect();
        if !unknown.is_empty() {
            let scores = self.inner.score(query, &unknown).await?;
            let mut known = self.known();
            let of_query = known.entry(query.to_owned()).or_default();
            of_query.extend(unknown.into_iter().zip(scores));
        }
        let scores = self
            .recall(query, passages)
            .into_iter()
            .collect::<Option<Vec<f32>>>();
        scores
            .ok_or_else(|| Error::internal("the re-ranker gave fewer scores than it was asked for"))
    }
}

#[cfg(test)]
mod tests {
    use braid_testkit::OverlapReranker;

    use super::*;

    #[tokio::test]
    async fn a_pair_is_scored_once_and_each_query_for_itself() {
        let plain = Arc::new(OverlapReranker::new());
        let memo = MemoReranker::new(Arc::clone(&plain) as Arc<dyn Reranker>);
        let texts = ["red fox", "owl", "red owl"].map(str::to_owned);
        for (query, asked, scored) in [
            ("fox", &texts[..1], 1),
            ("fox", &texts, 3),
            ("fox", &texts, 3),
            ("owl", &texts[1..], 5),
        ] {
            let expected = plain.score(query, asked).await.unwrap();
            assert_eq!(memo.score(query, asked).await.unwrap(), expected);
            assert_eq!(memo.scored(), scored);
        }
    }
}
