//! From ranked slots to passages, while the pin lasts.

use braid_core::{LedgerPin, Passage, Result, Slot};
use rustc_hash::FxHashMap;

use crate::distinct::{Sameness, Told};
use crate::ranked::RankedChunks;
use crate::response::RetrievedHit;

/// Read beyond what is wanted, so that a few duplicates cost no second read.
const SLACK: usize = 8;

/// How much of a list is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Chunks to read whatever they say.
    pub(crate) chunks: usize,
    /// Distinct texts to end up with, as long as there are more chunks.
    pub(crate) texts: usize,
}

impl Wanted {
    /// Every chunk of the list.
    pub(crate) fn everything() -> Self {
        Self {
            chunks: usize::MAX - SLACK,
            texts: 0,
        }
    }
}

/// Reads the head of `ranked`, in order.
pub(crate) async fn hydrate(
    pin: &dyn LedgerPin,
    ranked: &RankedChunks,
    wanted: Wanted,
    sameness: Sameness,
) -> Result<Vec<RetrievedHit>> {
    let mut hits: Vec<RetrievedHit> = Vec::new();
    let mut told = Told::new(sameness);
    let mut read = 0;
    let mut next = wanted.chunks.max(wanted.texts) + SLACK;
    while read < ranked.chunks.len() && (read == 0 || told.count() < wanted.texts) {
        let end = (read + next).min(ranked.chunks.len());
        let slots = ranked.chunks[read..end].iter().map(|chunk| chunk.slot);
        let slots: Vec<Slot> = slots.collect();
        let passages = pin.hydrate(&slots).await?;
        let mut by_slot = passages_by_slot(passages);
        let before = hits.len();
        hits.extend(ranked.hits(read..end, |slot| by_slot.remove(&slot)));
        // How many say different things only matters where more would be read.
        if end < ranked.chunks.len() {
            hits[before..].iter().for_each(|hit| told.tell(hit));
        }
        read = end;
        next = wanted.texts + SLACK;
    }
    Ok(hits)
}

/// Passages to be taken by slot.
pub(crate) fn passages_by_slot(passages: Vec<Passage>) -> FxHashMap<Slot, Passage> {
    let passages = passages.into_iter();
    passages
        .map(|passage| (passage.record.slot, passage))
        .collect()
}
