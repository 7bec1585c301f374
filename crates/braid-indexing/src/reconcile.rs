//! What an index must hold against what it holds.

use braid_core::{CollectionId, Ledger, Result, Sequence, Slot, SlotSet};

use crate::indexes::{Change, DerivedIndex};

/// How an index differs from the ledger.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Difference {
    /// Live slots without an entry.
    pub(crate) missing: SlotSet,
    /// Entries that no operation accounts for.
    pub(crate) extra: SlotSet,
}

impl Difference {
    pub(crate) fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty()
    }

    /// The change that mends it, with the watermark while it is being made and afterwards.
    pub(crate) fn into_change(self, before: Sequence, after: Sequence) -> Change {
        Change {
            add: self.missing.iter().map(Slot).collect(),
            delete: self.extra,
            before,
            after,
        }
    }
}

/// Compares `index` with the ledger. The caller holds the collection's `applying` lock.
pub(crate) async fn difference(
    ledger: &dyn Ledger,
    collection: CollectionId,
    index: &dyn DerivedIndex,
) -> Result<Difference> {
    // Held before expected: slots are only added to the ledger's set while the lock is held.
    let held = index.slots().await?;
    let live = ledger.live_slots(collection).await?;
    let expected = ledger.expected_slots(collection).await?;
    Ok(Difference {
        missing: live - &held,
        extra: held - expected,
    })
}

/// The change that brings an index back to the published state, if it is not there: it is new,
/// lost, or restored from another time. A watermark beyond the log means another log altogether,
/// so nothing of the unpublished operations can be taken to be there either.
pub(crate) async fn behind(
    ledger: &dyn Ledger,
    collection: CollectionId,
    index: &dyn DerivedIndex,
) -> Result<Option<Change>> {
    let stats = ledger.stats(collection).await?;
    let watermark = index.watermark().await?;
    if (stats.published..=stats.newest).contains(&watermark) {
        return Ok(None);
    }
    let difference = difference(ledger, collection, index).await?;
    // Zero meanwhile, so that an interrupted change is noticed.
    Ok(Some(
        difference.into_change(Sequence::ZERO, stats.published),
    ))
}
