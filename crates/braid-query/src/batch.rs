//! Several retrievals of one state.

use std::sync::Arc;

use braid_core::{CollectionName, LedgerPin, Result};
use rustc_hash::FxHashMap;

use crate::pages::PagingRetriever;
use crate::request::RetrieveRequest;
use crate::response::RetrieveResponse;

/// Retrievals that all see their collection as it was when the batch began. It holds a pin of each
/// collection, which purges wait for: end it soon.
pub struct Batch<'a> {
    retriever: &'a PagingRetriever,
    pins: FxHashMap<CollectionName, Arc<dyn LedgerPin>>,
}

impl PagingRetriever {
    /// Pins each of these collections once. One that cannot be pinned fails the retrievals in it.
    pub async fn batch(&self, collections: impl IntoIterator<Item = CollectionName>) -> Batch<'_> {
        let ledger = &self.retriever().parts.ledger;
        let mut pins = FxHashMap::default();
        for collection in collections {
            if pins.contains_key(&collection) {
                continue;
            }
            if let Ok(pin) = ledger.pin(&collection).await {
                pins.insert(collection, pin);
            }
        }
        Batch {
            retriever: self,
            pins,
        }
    }
}

impl Batch<'_> {
    /// As [`PagingRetriever::retrieve`].
    ///
    /// # Errors
    /// As there.
    pub async fn retrieve(&self, request: RetrieveRequest) -> Result<RetrieveResponse> {
        let pin = self.pins.get(&request.collection).cloned();
        self.retriever.retrieve_in(request, pin).await
    }
}

impl std::fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch")
            .field("collections", &self.pins.keys())
            .finish_non_exhaustive()
    }
}
