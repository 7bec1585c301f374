//! The LMDB ledger from outside: the conformance suite, the comparison with its model in memory,
//! and what only a store on disk can get wrong.

// Test code: a failed unwrap is a failed check.
#![allow(clippy::unwrap_used)]

mod concurrency;
mod conformance;
mod filters;
mod model;
mod room;
mod storage;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use braid_ledger::{LedgerOptions, LmdbLedger};

/// Enough for every test, and small enough that a hundred maps are no burden.
const MAP_SIZE: usize = 256 << 20;

/// A clock that stands still until it is moved.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicI64>);

impl Clock {
    fn advance_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }

    fn options(&self) -> LedgerOptions {
        let clock = self.clone();
        LedgerOptions {
            map_size: MAP_SIZE,
            now_ms: Arc::new(move || clock.0.load(Ordering::SeqCst)),
            ..LedgerOptions::default()
        }
    }
}

fn open(path: &Path) -> LmdbLedger {
    LmdbLedger::open(path, Clock::default().options()).unwrap()
}
