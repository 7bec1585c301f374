//! [`ClusterIndexes`]: the indexes of every collection, which are one collection of Qdrant each.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use braid_core::{Collection, IndexKey, IndexProvider, LexicalIndex, Result, VectorStore};
use braid_text::lexical::Weights;
use parking_lot::Mutex;

use super::ledger::ClusterLedger;
use super::site::Site;
use super::views::{ChunkTerms, ChunkVectors, Searched};
use crate::resilient::{BREAKER, Breaker, Guard, Retries};

/// Both indexes of every collection in Qdrant. The ledger of the same site writes what they search.
#[derive(Debug)]
pub struct ClusterIndexes {
    site: Arc<Site>,
    /// What is pinned in it is what the indexes ask.
    ledger: Arc<ClusterLedger>,
    guard: Arc<Guard>,
    weights: Weights,
    open: Mutex<HashMap<IndexKey, Arc<Searched>>>,
}

impl ClusterIndexes {
    /// The indexes beside `ledger`, which has asked `site` already.
    pub fn new(site: Arc<Site>, ledger: Arc<ClusterLedger>) -> Self {
        let breaker = Arc::new(Breaker::new(BREAKER));
        Self::with(
            site,
            ledger,
            (Weights::default(), Retries::default()),
            breaker,
        )
    }

    /// As [`ClusterIndexes::new`], with other weights of matches, tries and breaker.
    pub fn with(
        site: Arc<Site>,
        ledger: Arc<ClusterLedger>,
        (weights, retries): (Weights, Retries),
        breaker: Arc<Breaker>,
    ) -> Self {
        // Processes must not wait for equally long.
        let seed = rand::random();
        Self {
            site,
            ledger,
            guard: Arc::new(Guard::new(retries, breaker, seed)),
            weights,
            open: Mutex::default(),
        }
    }

    fn open(&self, collection: &Collection, key: IndexKey) -> Arc<Searched> {
        let mut open = self.open.lock();
        if let Some(found) = open.get(&key) {
            return Arc::clone(found);
        }
        // Those that other processes deleted are forgotten as others come.
        if let Some(known) = self.ledger.registry.peek() {
            open.retain(|key, _| known.contains(&key.collection));
        }
        let collection = Collection {
            generation: key.generation,
            ..collection.clone()
        };
        let guard = Arc::clone(&self.guard);
        let searched = Searched::new(Arc::clone(&self.site), &collection, guard, self.weights);
        open.insert(key, Arc::clone(&searched));
        searched
    }
}

#[async_trait]
impl IndexProvider for ClusterIndexes {
    async fn lexical(
        &self,
        collection: &Collection,
        key: IndexKey,
    ) -> Result<Arc<dyn LexicalIndex>> {
        Ok(Arc::new(ChunkTerms(self.open(collection, key))))
    }

    async fn vector(&self, collection: &Collection, key: IndexKey) -> Result<Arc<dyn VectorStore>> {
        Ok(Arc::new(ChunkVectors(self.open(collection, key))))
    }

    /// The ledger removes chunks with their collection; this forgets them, and removes what a delete
    /// that failed half way left.
    async fn remove(&self, key: IndexKey) -> Result<()> {
        let forgotten = self.open.lock().remove(&key);
        match forgotten {
            Some(searched) => searched.chunks.remove().await,
            None => Ok(()),
        }
    }

    /// Removes nothing: another process may have made a collection that this one does not know of.
    async fn retain(&self, _: &[IndexKey]) -> Result<()> {
        Ok(())
    }
}
