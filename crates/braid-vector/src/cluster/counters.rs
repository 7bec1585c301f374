//! Numbers that no two processes use: taken from the registry in blocks by compare-and-set. What a
//! process does not use of its block is lost.
//!
//! A counter may go back: the registry is restored from an older snapshot, or Qdrant loses its last
//! writes with the power. So each block begins above what is stored ([`stored`]), too.

mod stored;

use std::collections::HashMap;
use std::sync::Arc;

use braid_core::{CollectionId, Error, ErrorCode, Result, Sequence, Slot};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::cas::{Stamp, Swap, Table};
use super::heads::ROUNDS;
use super::rows::{BODY, Fields, integer, point_id, read_json, text, write_json};

/// The numbers of a first block; each next one is twice as large.
const FIRST_BLOCK: u64 = 64;
/// The numbers of the largest block that is taken ahead.
const LARGEST_BLOCK: u64 = 4096;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Counter {
    Collections,
    Sequences(CollectionId),
    Slots(CollectionId),
}

impl Counter {
    fn name(self) -> String {
        match self {
            Self::Collections => "counter/collections".to_owned(),
            Self::Sequences(of) => format!("counter/{}/sequences", of.0),
            Self::Slots(of) => format!("counter/{}/slots", of.0),
        }
    }

    fn owner(self) -> Option<CollectionId> {
        match self {
            Self::Collections => None,
            Self::Sequences(of) | Self::Slots(of) => Some(of),
        }
    }

    /// The first number.
    fn first(self) -> u64 {
        match self {
            Self::Collections | Self::Sequences(_) => 1,
            Self::Slots(_) => 0,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct CounterRow {
    /// The least number that nobody has.
    next: u64,
}

/// Numbers that are this process's own.
#[derive(Clone, Copy, Debug, Default)]
struct Block {
    next: u64,
    end: u64,
    size: u64,
}

/// The counters of a registry, with the blocks that this process has of them.
#[derive(Debug)]
pub(crate) struct Counters {
    table: Table,
    blocks: Mutex<HashMap<Counter, Arc<Mutex<Block>>>>,
}

impl Counters {
    pub(crate) fn new(table: Table) -> Self {
        Self {
            table,
            blocks: Mutex::default(),
        }
    }

    /// The number of a collection, above `used`. Not taken ahead: there are few.
    pub(crate) async fn collection(&self, used: CollectionId) -> Result<CollectionId> {
        let least = u64::from(used.0) + 1;
        let number = self.reserve(Counter::Collections, 1, least).await?;
        u32::try_from(number)
            .map(CollectionId)
            .map_err(|_| used_up("collections"))
    }

    /// So many sequences, in order.
    pub(crate) async fn sequences(&self, of: CollectionId, count: usize) -> Result<Vec<Sequence>> {
        let numbers = self.take(Counter::Sequences(of), count).await?;
        Ok(numbers.map(Sequence).collect())
    }

    /// So many slots, in order.
    pub(crate) async fn slots(&self, of: CollectionId, count: usize) -> Result<Vec<Slot>> {
        let numbers = self.take(Counter::Slots(of), count).await?;
        if u32::try_from(numbers.end).is_err() {
            return Err(used_up("slots"));
        }
        Ok(numbers.map(|number| Slot(number as u32)).collect())
    }

    /// No number of `counter` that anybody has is above this.
    pub(crate) async fn bound(&self, counter: Counter) -> Result<u64> {
        let (next, _) = self.read(counter).await?;
        Ok(next - counter.first())
    }

    /// Forgets the blocks of a collection that is gone.
    pub(crate) async fn forget(&self, of: CollectionId) {
        let mut blocks = self.blocks.lock().await;
        blocks.retain(|counter, _| counter.owner() != Some(of));
    }

    async fn take(&self, counter: Counter, count: usize) -> Result<std::ops::Range<u64>> {
        let count = count as u64;
        let block = Arc::clone(self.blocks.lock().await.entry(counter).or_default());
        let mut block = block.lock().await;
        if block.end - block.next < count {
            block.size = (block.size * 2).clamp(FIRST_BLOCK, LARGEST_BLOCK);
            let size = block.size.max(count);
            let stored = stored::least_free(self.table.site(), counter).await?;
            let next = self.reserve(counter, size, stored.max(block.end)).await?;
            // Where nobody else took any, what is left of the old block goes on in the new one.
            if next != block.end {
                block.next = next;
            }
            block.end = next + size;
        }
        let taken = block.next..block.next + count;
        block.next = taken.end;
        Ok(taken)
    }

    /// Takes so many numbers from the registry, none below `least`, and gives the first. The registry
    /// may have been restored from a time when fewer were taken.
    async fn reserve(&self, counter: Counter, count: u64, least: u64) -> Result<u64> {
        for _ in 0..ROUNDS {
            let (next, expected) = self.read(counter).await?;
            let next = next.max(least);
            let row = CounterRow { next: next + count };
            let mut fields = Fields::from([
                ("kind".to_owned(), text("counter")),
                (BODY.to_owned(), write_json(&row)?),
            ]);
            if let Some(owner) = counter.owner() {
                fields.insert("number".to_owned(), integer(owner.0.into()));
            }
            let id = point_id(&counter.name());
            let swap = Swap {
                id,
                expected,
                fields,
            };
            if self.table.swap(vec![swap]).await? == [true] {
                return Ok(next);
            }
        }
        Err(Error::new(
            ErrorCode::Unavailable,
            "too many others take numbers at the same time",
        )
        .with_help("try again"))
    }

    /// The least number that nobody has.
    async fn read(&self, counter: Counter) -> Result<(u64, Option<Stamp>)> {
        let found = self.table.get(&[point_id(&counter.name())], &[]).await?;
        match found.into_iter().next().flatten() {
            Some(fields) => {
                let row: CounterRow = read_json(&fields, BODY)?;
                Ok((row.next, Some(Stamp::read(&fields)?)))
            }
            None => Ok((counter.first(), None)),
        }
    }
}

fn used_up(what: &str) -> Error {
    Error::new(
        ErrorCode::StorageFull,
        format!("all numbers of {what} are used up"),
    )
    .with_help("ingest into a new collection")
}
