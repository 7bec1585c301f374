//! Applying a batch: one write transaction, from the deletes to the watermark.

use braid_core::{IndexBatch, Result, SlotSet, VectorEntry};
use hannoy::Writer;
use hannoy::distances::Cosine;
use heed::RwTxn;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::VectorOptions;
use super::error::translate;
use super::storage::{GRAPH, Storage, Tables};
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
    /// Slots with a vector in the graph, dead ones included; `None` while there is no graph.
    graph: Option<SlotSet>,
    dead: SlotSet,
    tail: SlotSet,
}

impl Change {
    fn begin(tables: Tables, txn: &RwTxn<'_>) -> Result<Self> {
        let graph = tables.graph_reader(txn)?;
        Ok(Self {
            tables,
            graph: graph.map(|reader| reader.item_ids().clone()),
            dead: tables.dead(txn)?,
            tail: tables.tail_slots(txn)?,
        })
    }

    fn delete(&mut self, txn: &mut RwTxn<'_>, slot: u32) -> Result<()> {
        if self.tail.remove(slot) {
            self.tables.tail.delete(txn, &slot).map_err(translate)?;
        }
        if self.is_in_graph(slot) {
            self.dead.insert(slot);
        }
        Ok(())
    }

    /// Puts a vector into the tail, unless the graph holds exactly it.
    fn add(&mut self, txn: &mut RwTxn<'_>, slot: u32, vector: &[f32]) -> Result<()> {
        if self.is_in_graph(slot) {
            let stored = self.graph_writer(vector.len()).item_vector(txn, slot);
            if stored.map_err(translate)?.as_deref() == Some(vector) {
                self.dead.remove(slot);
                if self.tail.remove(slot) {
                    self.tables.tail.delete(txn, &slot).map_err(translate)?;
                }
                return Ok(());
            }
            self.dead.insert(slot);
        }
        self.tail.insert(slot);
        let bytes = bytemuck::cast_slice(vector);
        self.tables.tail.put(txn, &slot, bytes).map_err(translate)
    }

    /// Brings the graph up to date where that is due, and records what it still lacks.
    fn finish(&mut self, txn: &mut RwTxn<'_>, options: &VectorOptions) -> Result<()> {
        let tail = self.tail.len();
        match self.graph.as_ref().map(SlotSet::len) {
            None if tail > options.exact_threshold as u64 => self.build(txn, options)?,
            None => {}
            Some(graph) => {
                let limit = options.tail_limit(graph);
                let live = graph - self.dead.len() + tail;
                if live <= limit {
                    self.dissolve(txn, options)?;
                } else if tail > limit || self.dead.len() > limit.max(graph / 10) {
                    self.build(txn, options)?;
                }
            }
        }
        self.tables.put_dead(txn, &self.dead)
    }

    /// Moves the tail into the graph and the dead out of it.
    fn build(&mut self, txn: &mut RwTxn<'_>, options: &VectorOptions) -> Result<()> {
        let writer = self.graph_writer(options.dimension);
        for slot in &self.dead - &self.tail {
            writer.del_item(txn, slot).map_err(translate)?;
        }
        let mut vector = vec![0.0; options.dimension];
        for slot in &self.tail {
            self.tables.read_tail(txn, slot, &mut vector)?;
            writer.add_item(txn, slot, &vector).map_err(translate)?;
        }
        self.tables.tail.clear(txn).map_err(translate)?;
        // A seed per state of the graph: the same applies build with the same layers.
        let known = self.graph.as_ref().map_or(0, SlotSet::len);
        let mut rng = StdRng::seed_from_u64(options.seed ^ known);
        writer
            .builder(&mut rng)
            .ef_construction(options.ef_construction)
            .build::<LINKS, LOWEST_LINKS>(txn)
            .map_err(translate)?;
        self.tail.clear();
        self.dead.clear();
        Ok(())
    }

    /// Moves what is left of a graph that became small back into the tail.
    fn dissolve(&mut self, txn: &mut RwTxn<'_>, options: &VectorOptions) -> Result<()> {
        let writer = self.graph_writer(options.dimension);
        for slot in self.graph.take().unwrap_or_default() - &self.dead {
            let vector = writer.item_vector(txn, slot).map_err(translate)?;
            let vector = vector.ok_or_else(|| super::error::corrupt("the vector graph"))?;
            let bytes = bytemuck::cast_slice(&vector);
            self.tables.tail.put(txn, &slot, bytes).map_err(translate)?;
            self.tail.insert(slot);
        }
        writer.clear(txn).map_err(translate)?;
        self.dead.clear();
        Ok(())
    }

    fn is_in_graph(&self, slot: u32) -> bool {
        let graph = self.graph.as_ref();
        graph.is_some_and(|graph| graph.contains(slot))
    }

    fn graph_writer(&self, dimension: usize) -> Writer<'static, Cosine> {
        Writer::new(self.tables.graph, GRAPH, dimension)
    }
}
