//! A pinned view and its search.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use braid_core::{Embedding, RankedList, Result, Selection, SlotSet, VectorView};
use braid_runtime::CpuPool;
use heed::{RoTxn, WithoutTls};
use parking_lot::Mutex;

use super::VectorOptions;
use super::error::{corrupt, translate};
use super::storage::{Segment, Storage, Tables};
use crate::cosine::{similarity, unit};
use crate::nearest::Nearest;

/// A read transaction with the graph as it was when it began.
pub(super) struct EmbeddedView {
    pool: Arc<CpuPool>,
    snapshot: Arc<Snapshot>,
}

impl EmbeddedView {
    pub(super) fn pin(
        storage: &Storage,
        options: &VectorOptions,
        pool: Arc<CpuPool>,
    ) -> Result<Self> {
        let snapshot = Arc::new(Snapshot::take(storage, options)?);
        Ok(Self { pool, snapshot })
    }
}

#[async_trait]
impl VectorView for EmbeddedView {
    async fn search(
        &self,
        query: &Embedding,
        selection: &Selection,
        depth: usize,
    ) -> Result<RankedList> {
        let query = unit(query, self.snapshot.options.dimension)?;
        let slots = selection.slots.clone();
        let snapshot = Arc::clone(&self.snapshot);
        self.pool
            .run(move || snapshot.search(&query, slots.as_deref(), depth))
            .await?
    }
}

pub(super) struct Snapshot {
    /// Searches of one view take turns: LMDB's transactions move between threads but are not shared.
    txn: Mutex<RoTxn<'static, WithoutTls>>,
    segments: Vec<Segment<'static>>,
    dead: SlotSet,
    tables: Tables,
    options: VectorOptions,
}

impl Snapshot {
    pub(super) fn take(storage: &Storage, options: &VectorOptions) -> Result<Self> {
        let txn = storage.static_read_txn()?;
        Ok(Self {
            segments: storage.tables.segments(&txn)?,
            dead: storage.tables.dead(&txn)?,
            txn: Mutex::new(txn),
            tables: storage.tables,
            options: options.clone(),
        })
    }

    /// The `depth` nearest to the unit vector `query` among `slots` (or all), best first.
    pub(super) fn search(
        &self,
        query: &[f32],
        slots: Option<&SlotSet>,
        depth: usize,
    ) -> Result<RankedList> {
        let mut found = Nearest::new(depth);
        if depth == 0 || slots.is_some_and(SlotSet::is_empty) {
            return Ok(found.into_ranked());
        }
        let txn = self.txn.lock();
        self.scan_tail(&txn, query, slots, &mut found)?;
        let eligible: Vec<_> = self
            .segments
            .iter()
            .map(|segment| self.eligible(segment, slots))
            .collect();
        let total: u64 = eligible.iter().map(|slots| slots.len()).sum();
        for (segment, eligible) in self.segments.iter().zip(&eligible) {
            let search = SegmentSearch {
                segment,
                txn: &txn,
                query,
                depth,
            };
            if total <= self.options.exact_threshold as u64 {
                search.scan(eligible, &mut found)?;
            } else {
                search.run(eligible, &self.options, &mut found)?;
            }
        }
        Ok(found.into_ranked())
    }

    #[cfg(test)]
    pub(super) fn segment_sizes(&self) -> Vec<u64> {
        let readers = self.segments.iter().map(|segment| &segment.reader);
        readers.map(hannoy::Reader::n_items).collect()
    }

    #[cfg(test)]
    pub(super) fn segments_and_txn(
        &self,
    ) -> (
        &[Segment<'static>],
        parking_lot::MutexGuard<'_, RoTxn<'static, WithoutTls>>,
    ) {
        (&self.segments, self.txn.lock())
    }

    fn scan_tail(
        &self,
        txn: &RoTxn<'static, WithoutTls>,
        query: &[f32],
        slots: Option<&SlotSet>,
        found: &mut Nearest,
    ) -> Result<()> {
        let mut vector = vec![0.0; query.len()];
        for entry in self.tables.tail.iter(txn).map_err(translate)? {
            let (slot, bytes) = entry.map_err(translate)?;
            if slots.is_none_or(|slots| slots.contains(slot)) {
                copy_vector(bytes, &mut vector)?;
                found.offer(slot, similarity(query, &vector));
            }
        }
        Ok(())
    }

    /// The slots of a segment that may be returned.
    fn eligible<'s>(&self, segment: &'s Segment<'_>, slots: Option<&SlotSet>) -> Cow<'s, SlotSet> {
        let items = segment.reader.item_ids();
        match slots {
            None if self.dead.is_empty() => Cow::Borrowed(items),
            None => Cow::Owned(items - &self.dead),
            Some(slots) => {
                let mut eligible = items & slots;
                eligible -= &self.dead;
                Cow::Owned(eligible)
            }
        }
    }
}

impl Tables {
    /// Copies the tail's vector of `slot` into `vector`.
    pub(super) fn read_tail(
        &self,
        txn: &RoTxn<'_, WithoutTls>,
        slot: u32,
        vector: &mut [f32],
    ) -> Result<()> {
        let bytes = self.tail.get(txn, &slot).map_err(translate)?;
        copy_vector(bytes.unwrap_or_default(), vector)
    }
}

fn copy_vector(bytes: &[u8], vector: &mut [f32]) -> Result<()> {
    let target: &mut [u8] = bytemuck::cast_slice_mut(vector);
    if bytes.len() != target.len() {
        return Err(corrupt("a stored vector"));
    }
    target.copy_from_slice(bytes);
    Ok(())
}

/// How a selection of a segment is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Compare every eligible vector.
    Scan,
    /// Walk the graph to this many nearest, then keep the eligible ones.
    Walk(usize),
}

/// Comparisons a scan makes in the time the walk needs to find one more neighbour.
const SCAN_PER_NEIGHBOUR: f64 = 15.0;

/// Chooses the cheaper way to search `eligible` of a segment's `total` vectors. The walk ignores the
/// selection (a walk that may only keep eligible vectors loses its way when few are), so it must
/// find more neighbours the smaller the share that counts.
pub(super) fn plan(eligible: u64, total: u64, depth: usize, options: &VectorOptions) -> Plan {
    let share = eligible as f64 / total as f64;
    let fetch = (depth.max(options.ef_search) as f64 / share).ceil();
    if eligible as f64 <= fetch * SCAN_PER_NEIGHBOUR {
        return Plan::Scan;
    }
    Plan::Walk(fetch as usize)
}

/// One search of a segment.
pub(super) struct SegmentSearch<'s> {
    pub(super) segment: &'s Segment<'static>,
    pub(super) txn: &'s RoTxn<'static, WithoutTls>,
    pub(super) query: &'s [f32],
    pub(super) depth: usize,
}

impl SegmentSearch<'_> {
    /// Searches the way that is planned.
    fn run(&self, eligible: &SlotSet, options: &VectorOptions, found: &mut Nearest) -> Result<()> {
        match plan(
            eligible.len(),
            self.segment.reader.n_items(),
            self.depth,
            options,
        ) {
            Plan::Scan => self.scan(eligible, found),
            Plan::Walk(fetch) => self.walk(eligible, fetch, found),
        }
    }

    pub(super) fn scan(&self, eligible: &SlotSet, found: &mut Nearest) -> Result<()> {
        eligible.iter().try_for_each(|slot| self.score(slot, found))
    }

    /// Walks to the `fetch` nearest. Where the selection lies far from the query too few of them
    /// count; then everything eligible is compared, for a short list must mean that there is no more.
    pub(super) fn walk(&self, eligible: &SlotSet, fetch: usize, found: &mut Nearest) -> Result<()> {
        let mut search = self.segment.reader.nns(fetch);
        let near = search
            .ef_search(fetch)
            .by_vector(self.txn, self.query)
            .map_err(translate)?;
        let slots = near.into_nns().into_iter().map(|(slot, _)| slot);
        let kept: Vec<u32> = slots
            .filter(|slot| eligible.contains(*slot))
            .take(self.depth)
            .collect();
        if (kept.len() as u64) < eligible.len().min(self.depth as u64) {
            return self.scan(eligible, found);
        }
        kept.into_iter()
            .try_for_each(|slot| self.score(slot, found))
    }

    fn score(&self, slot: u32, found: &mut Nearest) -> Result<()> {
        let stored = self.segment.reader.item_vector(self.txn, slot);
        let vector = stored.map_err(translate)?;
        let vector = vector.ok_or_else(|| corrupt("the vector graph"))?;
        found.offer(slot, similarity(self.query, &vector));
        Ok(())
    }
}
