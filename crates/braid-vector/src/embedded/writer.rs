//! Applying a batch: one write transaction, from the deletes to the watermark.

use std::collections::BTreeMap;

use braid_core::{IndexBatch, Result, SlotSet, VectorEntry};
use hannoy::Writer;
use hannoy::distances::Cosine;
use heed::RwTxn;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::VectorOptions;
use super::error::translate;
use super::storage::{Storage, Tables};
use crate::cosine::unit;

/// Links of a vector in the upper layers of the graph.
pub(super) const LINKS: usize = 24;
/// Links of a vector in the lowest layer.
const LOWEST_LINKS: usize = 2 * LINKS;

/// Applies `batch`; nothing of it is visible unless all of it is durable.
pub(super) fn apply(
    storage: &Storage,
    options: &VectorOptions,
    batch: &IndexBatch<VectorEntry>,
) -> Result<()> {
    let added: Vec<(u32, Vec<f32>)> = batch
        .add
        .iter()
        .map(|entry| Ok((entry.slot.0, unit(&entry.embedding, options.dimension)?)))
        .collect::<Result<_>>()?;
    let mut txn = storage.write_txn()?;
    let mut change = Change::begin(storage.tables, &txn)?;
    for slot in &batch.delete {
        change.delete(&mut txn, slot)?;
    }
    for (slot, vector) in &added {
        change.add(&mut txn, *slot, vector)?;
    }
    change.finish(&mut txn, options)?;
    storage.tables.put_watermark(&mut txn, batch.watermark)?;
    txn.commit().map_err(translate)
}

/// The state of the tables within one apply.
struct Change {
    tables: Tables,
    /// Slots with a vector in each segment, dead ones included, by the segment's number.
    segments: BTreeMap<u16, SlotSet>,
    /// Slots of segments that no longer count.
    dead: SlotSet,
    tail: SlotSet,
}

impl Change {
    fn begin(tables: Tables, txn: &RwTxn<'_>) -> Result<Self> {
        let segments = tables.segments(txn)?.into_iter();
        Ok(Self {
            tables,
            segments: segments
                .map(|segment| (segment.number, segment.reader.item_ids().clone()))
                .collect(),
            dead: tables.dead(txn)?,
            tail: tables.tail_slots(txn)?,
        })
    }

    fn delete(&mut self, txn: &mut RwTxn<'_>, slot: u32) -> Result<()> {
        self.drop_from_tail(txn, slot)?;
        if self.segment_of(slot).is_some() {
            self.dead.insert(slot);
        }
        Ok(())
    }

    /// Puts a vector into the tail, unless a segment holds exactly it.
    fn add(&mut self, txn: &mut RwTxn<'_>, slot: u32, vector: &[f32]) -> Result<()> {
        if let Some(number) = self.segment_of(slot) {
            let writer = self.writer(number, vector.len());
            let stored = writer.item_vector(txn, slot).map_err(translate)?;
            if stored.as_deref() == Some(vector) {
                self.dead.remove(slot);
                return self.drop_from_tail(txn, slot);
            }
            self.dead.insert(slot);
        }
        self.tail.insert(slot);
        let bytes = bytemuck::cast_slice(vector);
        self.tables.tail.put(txn, &slot, bytes).map_err(translate)
    }

    /// Brings the graph up to date where that is due, and records what it still lacks.
    fn finish(&mut self, txn: &mut RwTxn<'_>, options: &VectorOptions) -> Result<()> {
        let graph: u64 = self.segments.values().map(SlotSet::len).sum();
        if graph == 0 {
            if self.tail.len() > options.exact_threshold as u64 {
                self.build_tail(txn, options, options.tail_limit(0))?;
            }
        } else {
            let limit = options.tail_limit(graph);
            if graph - self.dead.len() + self.tail.len() <= limit {
                for number in self.numbers() {
                    self.dissolve(txn, options, number)?;
                }
            } else {
                self.prune(txn, options, limit)?;
                if self.tail.len() > limit {
                    self.build_tail(txn, options, limit)?;
                }
            }
        }
        let numbers = self.segments.keys().next_back().map_or(0, |last| last + 1);
        self.tables.put_segments(txn, numbers)?;
        self.tables.put_dead(txn, &self.dead)
    }

    /// Takes the dead out of the segments that have too many. One that became small goes back into
    /// the tail as a whole, so that many deletes do not leave many small segments.
    fn prune(&mut self, txn: &mut RwTxn<'_>, options: &VectorOptions, limit: u64) -> Result<()> {
        for number in self.numbers() {
            let items = &self.segments[&number];
            let dead = items.intersection_len(&self.dead);
            if dead > limit.max(items.len() / 10) {
                self.drop_dead(txn, options, number, limit)?;
            }
        }
        Ok(())
    }

    fn drop_dead(
        &mut self,
        txn: &mut RwTxn<'_>,
        options: &VectorOptions,
        number: u16,
        limit: u64,
    ) -> Result<()> {
        if self.live(&self.segments[&number]) <= limit {
            self.dissolve(txn, options, number)
        } else {
            self.build(txn, options, number, &SlotSet::new())
        }
    }

    /// Moves the tail into segments until at most `limit` vectors are left in it.
    fn build_tail(
        &mut self,
        txn: &mut RwTxn<'_>,
        options: &VectorOptions,
        limit: u64,
    ) -> Result<()> {
        let superseded = &self.dead & &self.tail;
        for number in self.numbers() {
            // A slot is in one segment at most: the old vector goes before the new one comes.
            if !self.segments[&number].is_disjoint(&superseded) {
                self.drop_dead(txn, options, number, limit)?;
            }
        }
        while self.tail.len() > limit {
            let number = self.target(options.segment_vectors as u64);
            let most = if self.segments.contains_key(&number) {
                self.tail.len()
            } else {
                options.segment_vectors as u64
            };
            let moved = self.tail.iter().take(most as usize).collect();
            self.build(txn, options, number, &moved)?;
        }
        Ok(())
    }

    /// The smallest segment that can take the whole tail, or else the least free number.
    fn target(&self, most: u64) -> u16 {
        let sizes = self.segments.iter();
        let smallest = sizes
            .map(|(number, items)| (self.live(items), *number))
            .min()
            .filter(|(live, _)| live + self.tail.len() <= most);
        smallest.map_or_else(
            || {
                let is_free = |number: &u16| !self.segments.contains_key(number);
                (0..u16::MAX).find(is_free).unwrap_or(u16::MAX)
            },
            |(_, number)| number,
        )
    }

    /// Moves `moved` from the tail into segment `number`, and the segment's dead out of it.
    fn build(
        &mut self,
        txn: &mut RwTxn<'_>,
        options: &VectorOptions,
        number: u16,
        moved: &SlotSet,
    ) -> Result<()> {
        let writer = self.writer(number, options.dimension);
        let items = self.segments.entry(number).or_default();
        let known = items.len();
        for slot in &*items & &self.dead {
            writer.del_item(txn, slot).map_err(translate)?;
            items.remove(slot);
            self.dead.remove(slot);
        }
        let mut vector = vec![0.0; options.dimension];
        for slot in moved {
            self.tables.read_tail(txn, slot, &mut vector)?;
            writer.add_item(txn, slot, &vector).map_err(translate)?;
            self.tables.tail.delete(txn, &slot).map_err(translate)?;
        }
        *items |= moved;
        self.tail -= moved;
        // A seed per state of the segment: the same applies build with the same layers.
        let mut rng = StdRng::seed_from_u64(options.seed ^ known ^ (u64::from(number) << 32));
        writer
            .builder(&mut rng)
            .ef_construction(options.ef_construction)
            .build::<LINKS, LOWEST_LINKS>(txn)
            .map_err(translate)
    }

    /// Moves what is left of a segment back into the tail.
    fn dissolve(
        &mut self,
        txn: &mut RwTxn<'_>,
        options: &VectorOptions,
        number: u16,
    ) -> Result<()> {
        let writer = self.writer(number, options.dimension);
        let items = self.segments.remove(&number).unwrap_or_default();
        for slot in &items - &self.dead {
            let vector = writer.item_vector(txn, slot).map_err(translate)?;
            let vector = vector.ok_or_else(|| super::error::corrupt("the vector graph"))?;
            let bytes = bytemuck::cast_slice(&vector);
            self.tables.tail.put(txn, &slot, bytes).map_err(translate)?;
            self.tail.insert(slot);
        }
        self.dead -= items;
        writer.clear(txn).map_err(translate)
    }

    fn drop_from_tail(&mut self, txn: &mut RwTxn<'_>, slot: u32) -> Result<()> {
        if self.tail.remove(slot) {
            self.tables.tail.delete(txn, &slot).map_err(translate)?;
        }
        Ok(())
    }

    fn segment_of(&self, slot: u32) -> Option<u16> {
        let mut segments = self.segments.iter();
        let found = segments.find(|(_, items)| items.contains(slot));
        found.map(|(number, _)| *number)
    }

    fn live(&self, items: &SlotSet) -> u64 {
        items.len() - items.intersection_len(&self.dead)
    }

    fn numbers(&self) -> Vec<u16> {
        self.segments.keys().copied().collect()
    }

    fn writer(&self, number: u16, dimension: usize) -> Writer<'static, Cosine> {
        Writer::new(self.tables.graph, number, dimension)
    }
}
