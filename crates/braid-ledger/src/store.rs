//! The LMDB environment: opening it, reading and writing it, and how much room it has left.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use braid_core::{CollectionId, Error, Result, SlotSet};
use braid_runtime::Blocking;
use heed::{Env, EnvOpenOptions, RoTxn, RwTxn, WithoutTls};
use parking_lot::Mutex;

use crate::error::storage;
use crate::pins::Pins;
use crate::table::{MAX_TABLES, Tables};
use crate::upgrade::upgrade;

/// The map size is rounded up to this, a multiple of every page size in use.
const MAP_UNIT: usize = 64 * 1024;
/// The least part of the map that is kept for other writes than puts.
const LEAST_RESERVE: usize = 4 * 1024 * 1024;

/// How to open a ledger.
#[derive(Clone)]
pub struct LedgerOptions {
    /// Bytes of stored data at which puts are refused. Address space, not memory or disk: the file
    /// grows with what is stored. A sixteenth is added for the writes that finish or undo what was
    /// acknowledged: embeddings, publishes, deletes, purges.
    pub map_size: usize,
    /// How many pins and reads can be open at once.
    pub max_readers: u32,
    /// The first slot of a new collection: 0, except to test what happens when slots run out.
    pub first_slot: u32,
    /// Runs the work; whoever has a clone can wait until none of it uses the files any more.
    pub blocking: Blocking,
    /// The clock: Unix milliseconds.
    pub now_ms: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Default for LedgerOptions {
    fn default() -> Self {
        Self {
            map_size: 16 << 30,
            max_readers: 1024,
            first_slot: 0,
            blocking: Blocking::new(),
            now_ms: Arc::new(system_now_ms),
        }
    }
}

impl std::fmt::Debug for LedgerOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LedgerOptions")
            .field("map_size", &self.map_size)
            .field("max_readers", &self.max_readers)
            .finish_non_exhaustive()
    }
}

impl LedgerOptions {
    /// Size of the map: what callers may fill, and the reserve.
    fn mapped_bytes(&self) -> usize {
        let reserve = (self.map_size / 16).max(LEAST_RESERVE);
        (self.map_size + reserve).next_multiple_of(MAP_UNIT)
    }
}

fn system_now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.map_or(0, |elapsed| {
        i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
    })
}

/// An open environment with its tables.
pub(crate) struct Store {
    pub(crate) env: Env<WithoutTls>,
    pub(crate) tables: Tables,
    pub(crate) options: LedgerOptions,
    pub(crate) pins: Arc<Pins>,
    /// Slots of chunks staged by rebuilds that may be under way. In memory: after a restart none is.
    pub(crate) rechunking: Mutex<HashMap<CollectionId, SlotSet>>,
    /// Embedders whose embeddings were stored since the start: a rebuild may be about to use them.
    pub(crate) recent_embedders: Mutex<HashSet<[u8; 16]>>,
}

impl Store {
    /// Opens the environment at `path`, making it where there is none.
    pub(crate) fn open(path: &Path, options: LedgerOptions) -> Result<Self> {
        let named = |error: Error| error.context(format!("opening {}", path.display()));
        std::fs::create_dir_all(path).map_err(|error| named(storage(heed::Error::Io(error))))?;
        let env = open_env(path, &options).map_err(|error| named(storage(error)))?;
        // Readers of a process that was killed would keep their pages for ever.
        env.clear_stale_readers().map_err(storage)?;
        let tables = Tables::open(&env).map_err(named)?;
        let store = Self {
            env,
            tables,
            options,
            pins: Arc::default(),
            rechunking: Mutex::default(),
            recent_embedders: Mutex::default(),
        };
        upgrade(&store).map_err(named)?;
        Ok(store)
    }

    /// Reads one snapshot.
    pub(crate) fn read<R>(&self, read: impl FnOnce(&RoTxn) -> Result<R>) -> Result<R> {
        let txn = self.env.read_txn().map_err(storage)?;
        read(&txn)
    }

    /// Runs one write transaction: durable when this returns `Ok`, without a trace otherwise.
    pub(crate) fn write<R>(&self, write: impl FnOnce(&mut RwTxn<'_>) -> Result<R>) -> Result<R> {
        let mut txn = self.env.write_txn().map_err(storage)?;
        let written = write(&mut txn)?;
        txn.commit().map_err(storage)?;
        Ok(written)
    }

    /// Runs the work of a call.
    pub(crate) fn blocking(&self) -> &Blocking {
        &self.options.blocking
    }

    /// The time, Unix milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        (self.options.now_ms)()
    }
}

#[allow(unsafe_code)]
fn open_env(path: &Path, options: &LedgerOptions) -> heed::Result<Env<WithoutTls>> {
    let mut open = EnvOpenOptions::new().read_txn_without_tls();
    open.map_size(options.mapped_bytes())
        .max_readers(options.max_readers)
        .max_dbs(MAX_TABLES);
    // SAFETY: LMDB maps the file, so nothing else may change it while it is open. The data
    // directory has one owner, which the engine's lock file ensures, and this crate alone writes
    // in the ledger's part of it. No flag is set, so LMDB's own locks are in force.
    unsafe { open.open(path) }
}

#[cfg(test)]
mod tests {
    use heed::EnvFlags;

    use super::*;

    #[test]
    fn no_flag_weakens_durability() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), LedgerOptions::default()).unwrap();
        let flags = store.env.get_flags().unwrap();
        let weakening = EnvFlags::NO_SYNC
            | EnvFlags::NO_META_SYNC
            | EnvFlags::MAP_ASYNC
            | EnvFlags::WRITE_MAP
            | EnvFlags::NO_LOCK;
        assert_eq!(flags & weakening.bits(), 0, "{flags:#x}");
    }

    #[test]
    fn the_map_holds_the_reserve() {
        let options = LedgerOptions {
            map_size: 1 << 30,
            ..LedgerOptions::default()
        };
        assert_eq!(options.mapped_bytes(), (1 << 30) + (1 << 26));
    }
}
