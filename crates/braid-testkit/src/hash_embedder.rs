//! [`HashEmbedder`]: an embedder without a model.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use braid_core::{Embedder, Embedding, Fingerprint, Result, Script, TokenCounter};

/// How many axes each word moves: enough that two words rarely share all of theirs.
const AXES_PER_WORD: usize = 4;

/// Embeds a text as the normalised sum of its words' hashed vectors: the same words give the same
/// vector, shared words give similarity. Deterministic across runs and machines. Counts its calls,
/// so that a test can assert that nothing was embedded again.
#[derive(Debug)]
pub struct HashEmbedder {
    dimension: usize,
    fingerprint: Fingerprint,
    tokens: Arc<WhitespaceTokens>,
    /// `None` stands for all.
    scripts: Option<Vec<Script>>,
    passages: AtomicUsize,
    queries: AtomicUsize,
    calls: AtomicUsize,
}

impl HashEmbedder {
    /// An embedder of `dimension` numbers whose tokenizer splits at whitespace (512 at most).
    pub fn new(dimension: usize) -> Self {
        Self::named("hash-embedder", dimension)
    }

    /// As [`HashEmbedder::new`] with another fingerprint, as if it were another model.
    pub fn named(name: &str, dimension: usize) -> Self {
        assert!(dimension > 0, "an embedding needs at least one number");
        Self {
            dimension,
            fingerprint: Fingerprint::new(format!("{name}-{dimension}")),
            tokens: Arc::new(WhitespaceTokens::new(512)),
            scripts: None,
            passages: AtomicUsize::new(0),
            queries: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
        }
    }

    /// The same, but it says that it reads these scripts alone.
    #[must_use]
    pub fn with_scripts(mut self, scripts: &[Script]) -> Self {
        self.scripts = Some(scripts.to_vec());
        self
    }

    /// Passages embedded so far.
    pub fn passages_embedded(&self) -> usize {
        self.passages.load(Ordering::SeqCst)
    }

    /// Queries embedded so far.
    pub fn queries_embedded(&self) -> usize {
        self.queries.load(Ordering::SeqCst)
    }

    /// Calls of `embed_passages` and `embed_query` so far.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// The embedding of `text`, uncounted: what a test compares with.
    pub fn embed(&self, text: &str) -> Embedding {
        let mut vector = vec![0.0_f32; self.dimension];
        // Every text gets a little of the first axis, so that one without words is still a unit vector.
        vector[0] = 1e-3;
        for word in text.split(|c: char| !c.is_alphanumeric()) {
            if !word.is_empty() {
                self.add_word(&mut vector, &word.to_lowercase());
            }
        }
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        if length > 0.0 {
            vector.iter_mut().for_each(|x| *x /= length);
        } else {
            vector[0] = 1.0;
        }
        vector.into()
    }

    fn add_word(&self, vector: &mut [f32], word: &str) {
        let hash = blake3::hash(word.as_bytes());
        for bytes in hash.as_bytes().chunks_exact(8).take(AXES_PER_WORD) {
            let number = bytes
                .iter()
                .fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
            let axis = (number >> 1) as usize % self.dimension;
            vector[axis] += if number & 1 == 0 { 1.0 } else { -1.0 };
        }
    }
}

#[async_trait]
impl Embedder for HashEmbedder {
    fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    fn dimension(&self) -> usize {
        self.dimension
    }

    fn token_counter(&self) -> Arc<dyn TokenCounter> {
        Arc::clone(&self.tokens) as Arc<dyn TokenCounter>
    }

    fn reads(&self, script: Script) -> bool {
        let scripts = self.scripts.as_ref();
        scripts.is_none_or(|scripts| scripts.contains(&script))
    }

    async fn embed_passages(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.passages.fetch_add(texts.len(), Ordering::SeqCst);
        Ok(texts.iter().map(|text| self.embed(text)).collect())
    }

    async fn embed_verbatim(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        self.embed_passages(texts).await
    }

    async fn embed_query(&self, text: &str) -> Result<Embedding> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.queries.fetch_add(1, Ordering::SeqCst);
        Ok(self.embed(text))
    }
}

/// A [`TokenCounter`] whose tokens are the runs between whitespace.
#[derive(Debug)]
pub struct WhitespaceTokens {
    max_tokens: usize,
}

impl WhitespaceTokens {
    /// A counter for a model that takes `max_tokens`.
    pub fn new(max_tokens: usize) -> Self {
        Self { max_tokens }
    }
}

impl TokenCounter for WhitespaceTokens {
    fn count(&self, text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn max_tokens(&self) -> usize {
        self.max_tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(x, y)| x * y).sum()
    }

    #[test]
    fn shared_words_make_similar_unit_vectors() {
        let embedder = HashEmbedder::new(64);
        let fox = embedder.embed("The red fox");
        assert_eq!(fox, embedder.embed("the  RED fox!"));
        assert!((dot(&fox, &fox) - 1.0).abs() < 1e-5);
        let near = dot(&fox, &embedder.embed("a red fox"));
        let far = dot(&fox, &embedder.embed("blue whales sing"));
        assert!(near > 0.5 && near > far + 0.3, "{near} {far}");
        assert!((dot(&embedder.embed(""), &embedder.embed("")) - 1.0).abs() < 1e-5);
    }

    #[tokio::test]
    async fn calls_are_counted_and_order_is_kept() {
        let embedder = HashEmbedder::new(16);
        let texts = vec!["one".to_owned(), "two".to_owned()];
        let vectors = embedder.embed_passages(texts).await.unwrap();
        assert_eq!(vectors, [embedder.embed("one"), embedder.embed("two")]);
        embedder.embed_query("three").await.unwrap();
        assert_eq!(embedder.passages_embedded(), 2);
        assert_eq!(embedder.queries_embedded(), 1);
        assert_eq!(embedder.calls(), 2);
        assert_eq!(embedder.token_counter().count(" a b\nc "), 3);
    }
}
