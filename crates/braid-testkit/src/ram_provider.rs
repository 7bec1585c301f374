//! [`RamIndexProvider`]: the in-memory indexes of every collection generation.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use braid_core::{Collection, IndexKey, IndexProvider, LexicalIndex, Result, VectorStore};
use parking_lot::Mutex;

use crate::{RamLexicalIndex, RamVectorStore};

/// Opens a [`RamLexicalIndex`] and a [`RamVectorStore`] per generation, unless a test has put an
/// index of its own (such as a [`Faulty`](crate::Faulty) one) in their place.
#[derive(Debug, Default)]
pub struct RamIndexProvider {
    lexical: Mutex<BTreeMap<IndexKey, Arc<dyn LexicalIndex>>>,
    vector: Mutex<BTreeMap<IndexKey, Arc<dyn VectorStore>>>,
}

impl RamIndexProvider {
    /// A provider that has opened nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `index` in the place of the lexical index of `key`.
    pub fn put_lexical(&self, key: IndexKey, index: Arc<dyn LexicalIndex>) {
        self.lexical.lock().insert(key, index);
    }

    /// Puts `store` in the place of the vector store of `key`.
    pub fn put_vector(&self, key: IndexKey, store: Arc<dyn VectorStore>) {
        self.vector.lock().insert(key, store);
    }

    /// Generations of which at least one index exists.
    pub fn keys(&self) -> Vec<IndexKey> {
        let mut keys: Vec<IndexKey> = self.lexical.lock().keys().copied().collect();
        keys.extend(self.vector.lock().keys());
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

#[async_trait]
impl IndexProvider for RamIndexProvider {
    async fn lexical(
        &self,
        _collection: &Collection,
        key: IndexKey,
    ) -> Result<Arc<dyn LexicalIndex>> {
        let mut open = self.lexical.lock();
        let index = open
            .entry(key)
            .or_insert_with(|| Arc::new(RamLexicalIndex::new()));
        Ok(Arc::clone(index))
    }

    async fn vector(&self, collection: &Collection, key: IndexKey) -> Result<Arc<dyn VectorStore>> {
        let mut open = self.vector.lock();
        let store = open
            .entry(key)
            .or_insert_with(|| Arc::new(RamVectorStore::new(collection.dimension)));
        Ok(Arc::clone(store))
    }

    async fn remove(&self, key: IndexKey) -> Result<()> {
        self.lexical.lock().remove(&key);
        self.vector.lock().remove(&key);
        Ok(())
    }

    async fn retain(&self, keep: &[IndexKey]) -> Result<()> {
        self.lexical.lock().retain(|key, _| keep.contains(key));
        self.vector.lock().retain(|key, _| keep.contains(key));
        Ok(())
    }
}
