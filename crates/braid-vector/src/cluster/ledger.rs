//! [`ClusterLedger`]: the ledger and the queue of processes that share a Qdrant.

mod copied;
mod idempotency;
mod jobs;
mod port;
mod reading;
mod stage;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use braid_core::operation::CollectionStats;
use braid_core::{
    Collection, CollectionId, CollectionName, Error, ErrorCode, IndexKey, NewCollection, Result,
    Sequence, Synonyms,
};
use futures::try_join;
use parking_lot::Mutex;

#[cfg(test)]
pub(super) use self::idempotency::{Begun, HOLD};
use super::cas::{all, at_most, is_flag, is_text, more_than};
use super::counters::Counter;
use super::heads::{self, State};
use super::pin::ClusterPin;
use super::registry::{Registry, missing};
use super::shared::Shared;
use super::shelf::Shelf;
use super::site::Site;

/// Tells the time in Unix milliseconds.
type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// How old the counts of a pin may be.
const FRESH: Duration = Duration::from_secs(1);

/// The ledger and the queue. Any number of them, in any number of processes, may share a site.
pub struct ClusterLedger {
    pub(super) site: Arc<Site>,
    pub(super) registry: Registry,
    clock: Clock,
    /// What was used lately; never many more than there are collections.
    shelves: Mutex<HashMap<IndexKey, Arc<Shelf>>>,
    counts: Mutex<HashMap<CollectionId, Arc<Shared<CollectionStats>>>>,
}

impl ClusterLedger {
    /// Opens the ledger of a site, and makes it where there is none.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorCode::Unavailable), and [`UnsupportedVersion`](ErrorCode::UnsupportedVersion)
    /// for a server that is too old or what another release stored.
    pub async fn open(site: Arc<Site>) -> Result<Arc<Self>> {
        Self::open_at(site, Arc::new(now_ms)).await
    }

    /// As [`ClusterLedger::open`], by this clock.
    pub(super) async fn open_at(site: Arc<Site>, clock: Clock) -> Result<Arc<Self>> {
        site.check(site.options.timeout).await?;
        let registry = Registry::open(&site).await?;
        Ok(Arc::new(Self {
            site,
            registry,
            clock,
            shelves: Mutex::default(),
            counts: Mutex::default(),
        }))
    }

    pub(super) fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    /// Where a collection is.
    pub(super) fn shelf_of(&self, collection: &Collection) -> Arc<Shelf> {
        let mut shelves = self.shelves.lock();
        let key = collection.index_key();
        if let Some(shelf) = shelves.get(&key) {
            return Arc::clone(shelf);
        }
        // Those that other processes deleted are forgotten as others come.
        if let Some(known) = self.registry.peek() {
            shelves.retain(|key, _| known.contains(&key.collection));
            self.counts.lock().retain(|id, _| known.contains(id));
        }
        let shelf = Arc::new(Shelf::new(&self.site, collection));
        shelves.insert(key, Arc::clone(&shelf));
        shelf
    }

    /// The collection with that number, and where it is.
    ///
    /// # Errors
    /// [`CollectionNotFound`](ErrorCode::CollectionNotFound).
    pub(super) async fn open_shelf(
        &self,
        id: CollectionId,
    ) -> Result<(Arc<Collection>, Arc<Shelf>)> {
        let collection = self.registry.numbered(id).await?;
        let shelf = self.shelf_of(&collection);
        Ok((collection, shelf))
    }

    /// The number of documents that wait with an operation up to `through`. Operations are in the order
    /// in which their process staged them; other processes' may be among them.
    ///
    /// # Errors
    /// [`CollectionNotFound`](ErrorCode::CollectionNotFound).
    pub async fn waiting_through(
        &self,
        collection: CollectionId,
        through: Sequence,
    ) -> Result<u64> {
        let (_, shelf) = self.open_shelf(collection).await?;
        let through = i64::try_from(through.0).unwrap_or(i64::MAX);
        let waiting = all(vec![
            is_text(heads::STATE, State::Waiting.as_str()),
            at_most(heads::NEWEST, through),
        ]);
        shelf.heads.table.count(waiting).await
    }

    async fn create(&self, new: NewCollection) -> Result<Collection> {
        let collection = self.registry.create(&new, self.now_ms()).await?;
        self.shelf_of(&collection).ensure().await?;
        self.registry.made(&collection).await?;
        Ok(collection)
    }

    async fn set_synonyms_of(
        &self,
        name: &CollectionName,
        synonyms: &Synonyms,
    ) -> Result<Collection> {
        let collection = self.registry.set_synonyms(name, synonyms).await?;
        Ok(Collection::clone(&collection))
    }

    async fn delete(&self, name: &CollectionName) -> Result<bool> {
        let Some(collection) = self.registry.recorded(name).await? else {
            return Ok(false);
        };
        // First: what is left behind by a crash is known to be deleted, and the sweep removes it.
        self.registry.delete(&collection, self.now_ms()).await?;
        self.shelf_of(&collection).remove().await?;
        self.shelves.lock().remove(&collection.index_key());
        self.counts.lock().remove(&collection.id);
        Ok(true)
    }

    /// Counts at most so old.
    pub(super) async fn counted(
        &self,
        id: CollectionId,
        fresh: Duration,
    ) -> Result<CollectionStats> {
        let counts = Arc::clone(self.counts.lock().entry(id).or_default());
        counts.get(fresh, self.count(id)).await
    }

    /// Counts as they are now. Nobody counts sequences: `newest` is at least the newest one, and
    /// `published` as much less as documents wait. `retired` counts documents of which an old version
    /// is still stored, and `chunks` has what is stored of those.
    async fn count(&self, id: CollectionId) -> Result<CollectionStats> {
        let (_, shelf) = self.open_shelf(id).await?;
        let heads = &shelf.heads.table;
        let in_state = |state: State| heads.count(all(vec![is_text(heads::STATE, state.as_str())]));
        let (documents, waiting, failed, retired, chunks, newest) = try_join!(
            heads.count(all(vec![is_flag(heads::IS_PUBLISHED, true)])),
            in_state(State::Waiting),
            in_state(State::Failed),
            heads.count(all(vec![more_than(heads::RETIRED, -1)])),
            shelf.chunks.count(),
            self.registry.counters.bound(Counter::Sequences(id)),
        )?;
        Ok(CollectionStats {
            documents,
            chunks,
            newest: Sequence(newest),
            published: Sequence(newest.saturating_sub(waiting)),
            failed,
            retired,
        })
    }

    async fn pin_of(&self, name: &CollectionName) -> Result<ClusterPin> {
        let collection = self
            .registry
            .named(name)
            .await?
            .ok_or_else(|| missing(name))?;
        let stats = self.counted(collection.id, FRESH).await?;
        let shelf = self.shelf_of(&collection);
        Ok(ClusterPin::new(
            Collection::clone(&collection),
            stats,
            shelf,
        ))
    }
}

/// What the profile does not offer.
fn not_enabled(what: &str, instead: &str) -> Error {
    Error::new(
        ErrorCode::NotEnabled,
        format!("the profile cluster has no {what}"),
    )
    .with_help(instead)
}

fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Debug for ClusterLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterLedger")
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}
