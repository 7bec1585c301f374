//! Collections that were deleted. What is stored of a collection is removed only where it is recorded
//! that it was deleted, never because nothing is recorded of it: a registry that was lost, or restored
//! from an older time, knows nothing of collections that are there.

use std::collections::BTreeSet;

use braid_core::{Collection, CollectionId, Result};
use serde::{Deserialize, Serialize};

use super::{COLLECTION, KIND, NUMBER, Registry};
use crate::cluster::cas::{Swap, all, any_text, is_integer};
use crate::cluster::rows::{
    BODY, Fields, damaged, point_id, read_integer, read_json, read_text, text, write_json,
};

/// The kind of a tombstone. It has no [`NUMBER`]: it stays when what is recorded of its collection goes.
const DELETED: &str = "deleted";

#[derive(Debug, Serialize, Deserialize)]
struct Tombstone {
    number: u32,
    name: String,
    deleted_ms: i64,
}

/// Which numbers collections have, and had.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    recorded: BTreeSet<CollectionId>,
    deleted: BTreeSet<CollectionId>,
}

impl Numbers {
    /// Whether the collection was deleted, so that nobody needs what is stored of it.
    pub(crate) fn is_deleted(&self, id: CollectionId) -> bool {
        self.deleted.contains(&id) && !self.recorded.contains(&id)
    }

    /// Whether anything is known of the collection.
    pub(crate) fn knows(&self, id: CollectionId) -> bool {
        self.deleted.contains(&id) || self.recorded.contains(&id)
    }

    fn largest(&self) -> Option<CollectionId> {
        self.recorded.last().max(self.deleted.last()).copied()
    }
}

impl Registry {
    /// Records that the collection is deleted, and removes what is recorded of it, by its number: one
    /// of the same name that was made meanwhile has another.
    pub(crate) async fn delete(&self, collection: &Collection, now_ms: i64) -> Result<()> {
        let id = collection.id;
        let tombstone = Tombstone {
            number: id.0,
            name: collection.name.to_string(),
            deleted_ms: now_ms,
        };
        let swap = Swap {
            id: point_id(&format!("{DELETED}/{}", id.0)),
            expected: None,
            fields: Fields::from([
                (KIND.to_owned(), text(DELETED)),
                (BODY.to_owned(), write_json(&tombstone)?),
            ]),
        };
        // Whoever wrote it, it is there.
        self.table.swap(vec![swap]).await?;
        let filter = all(vec![is_integer(NUMBER, id.0.into())]);
        self.table.delete_where(filter).await?;
        self.counters.forget(id).await;
        self.forget();
        Ok(())
    }

    /// What is known of numbers, as most copies have it.
    pub(crate) async fn numbers(&self) -> Result<Numbers> {
        let kinds = vec![COLLECTION.to_owned(), DELETED.to_owned()];
        let filter = all(vec![any_text(KIND, kinds)]);
        let mut numbers = Numbers::default();
        for (_, fields) in self.table.list_agreed(filter).await? {
            if read_text(&fields, KIND) == Some(DELETED) {
                let tombstone: Tombstone = read_json(&fields, BODY)?;
                numbers.deleted.insert(CollectionId(tombstone.number));
            } else {
                let number = read_integer(&fields, NUMBER).and_then(|it| u32::try_from(it).ok());
                let number = number.ok_or_else(|| damaged("is a collection without a number"))?;
                numbers.recorded.insert(CollectionId(number));
            }
        }
        Ok(numbers)
    }

    /// The largest number that a collection has or had, as far as anything is known or stored of it.
    pub(super) async fn largest_number(&self) -> Result<CollectionId> {
        let stored = self.site.collections().await?;
        let stored = stored.iter().filter_map(|name| self.site.owner_of(name));
        let known = self.numbers().await?.largest();
        Ok(stored.chain(known).max().unwrap_or(CollectionId(0)))
    }
}
