//! An embedder that costs nothing.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use async_trait::async_trait;
use braid_core::{Embedder, Embedding, Fingerprint, Result, Script, TokenCounter};

/// Texts lie around so many directions, as those of a corpus do around its subjects.
const GROUPS: u64 = 256;

/// A model's tokenizer, dimension and fingerprint with made-up vectors, different for different texts.
///
/// It passes for the model it stands for, so that the real command can be run on what was ingested
/// with it.
#[derive(Debug)]
pub(super) struct Instant {
    fingerprint: Fingerprint,
    dimension: usize,
    tokens: Arc<dyn TokenCounter>,
}

impl Instant {
    pub(super) fn of(model: &dyn Embedder) -> Self {
        Self {
            fingerprint: model.fingerprint().clone(),
            dimension: model.dimension(),
            tokens: model.token_counter(),
        }
    }

    /// A direction of the text's own around that of its group.
    fn embed(&self, text: &str) -> Embedding {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let own = hasher.finish();
        let (group, own) = (numbers(own % GROUPS), numbers(own));
        let both = group.zip(own).map(|(group, own)| group + own / 2.0);
        both.take(self.dimension).collect()
    }
}

/// As many numbers between -1 and 1 as wanted, the same for the same seed: SplitMix64, a few
/// instructions each.
fn numbers(seed: u64) -> impl Iterator<Item = f32> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as i64 as f32 / i64::MAX as f32
    })
}

#[async_trait]
impl Embedder for Instant {
    fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    fn dimension(&self) -> usize {
        self.dimension
    }

    fn token_counter(&self) -> Arc<dyn TokenCounter> {
        Arc::clone(&self.tokens)
    }

    fn reads(&self, _script: Script) -> bool {
        true
    }

    async fn embed_passages(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        Ok(texts.iter().map(|text| self.embed(text)).collect())
    }

    async fn embed_verbatim(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        self.embed_passages(texts).await
    }

    async fn embed_query(&self, text: &str) -> Result<Embedding> {
        Ok(self.embed(text))
    }
}
