//! Stored answers: an application's own, kept for questions that ask the same.

use braid_core::ports::{Recorded, WriteGuard};
use braid_core::{CollectionId, CollectionName, Error, ErrorCode, Result};
use braid_query::SemanticCache;
use braid_query::cache::semantic::{
    AnswerLookup, FoundAnswer, NewAnswer, SemanticOptions, SemanticParts, StoredAnswer,
};
use tokio::sync::Mutex;

use crate::documents::naming;
use crate::engine::Engine;

/// The cache, where it is enabled.
#[derive(Debug)]
pub(crate) struct Answers {
    cache: Option<SemanticCache>,
    /// Mutations that are to be done once are done one at a time.
    turn: Mutex<()>,
}

impl Answers {
    pub(crate) fn open(options: Option<SemanticOptions>, parts: SemanticParts) -> Self {
        Self {
            cache: options.map(|options| SemanticCache::new(parts, options)),
            turn: Mutex::new(()),
        }
    }

    fn cache(&self) -> Result<&SemanticCache> {
        self.cache.as_ref().ok_or_else(|| {
            Error::new(ErrorCode::NotEnabled, "this server keeps no answers")
                .with_help("set cache.semantic = true in its configuration")
        })
    }

    /// Forgets the answers of a collection that is gone.
    pub(crate) async fn forget_collection(&self, collection: CollectionId) -> Result<()> {
        if let Some(cache) = &self.cache {
            cache.clear(Some(collection), None).await?;
        }
        Ok(())
    }
}

impl Engine {
    /// The stored answer to a question that asks the same, or why there is none.
    ///
    /// # Errors
    /// [`NotEnabled`](ErrorCode::NotEnabled), [`CollectionNotFound`](ErrorCode::CollectionNotFound),
    /// [`InvalidRequest`](ErrorCode::InvalidRequest), or what the embedder fails with.
    pub async fn lookup_answer(&self, request: AnswerLookup) -> Result<FoundAnswer> {
        let cache = self.inner.answers.cache()?;
        let collection = request.collection.clone();
        let found = cache.lookup(request).await;
        found.map_err(|error| naming(&collection, error))
    }

    /// Keeps an answer for questions that ask the same.
    ///
    /// # Errors
    /// As [`Engine::lookup_answer`], and [`IdempotencyConflict`](ErrorCode::IdempotencyConflict).
    pub async fn store_answer(
        &self,
        new: NewAnswer,
        guard: Option<WriteGuard<StoredAnswer>>,
    ) -> Result<Recorded<StoredAnswer>> {
        let cache = self.inner.answers.cache()?;
        let collection = new.collection.clone();
        let stored = self.once(guard, cache.store(new)).await;
        stored.map_err(|error| naming(&collection, error))
    }

    /// Forgets answers of a collection and a scope, each every one where `None`; says how many.
    ///
    /// # Errors
    /// As [`Engine::store_answer`].
    pub async fn delete_answers(
        &self,
        collection: Option<&CollectionName>,
        scope: Option<&str>,
        guard: Option<WriteGuard<usize>>,
    ) -> Result<Recorded<usize>> {
        let cache = self.inner.answers.cache()?;
        let deleted = self.once(guard, cache.forget(collection, scope)).await;
        deleted.map_err(|error| match collection {
            Some(name) => naming(name, error),
            None => error,
        })
    }

    /// Does what is in memory alone, and records its answer in the ledger. A crash between the two
    /// leaves no record: the memory is gone as well, and the repeat does it again.
    async fn once<R>(
        &self,
        guard: Option<WriteGuard<R>>,
        work: impl Future<Output = Result<R>>,
    ) -> Result<Recorded<R>> {
        let Some(WriteGuard { key, respond }) = guard else {
            return work.await.map(Recorded::Done);
        };
        let ledger = &self.inner.ledger;
        let _turn = self.inner.answers.turn.lock().await;
        if let Some(recorded) = ledger.recorded_response(&key).await? {
            return Ok(Recorded::Replayed(recorded));
        }
        let done = work.await?;
        match ledger.record_response(key, respond(&done)).await? {
            Some(earlier) => Ok(Recorded::Replayed(earlier)),
            None => Ok(Recorded::Done(done)),
        }
    }
}
