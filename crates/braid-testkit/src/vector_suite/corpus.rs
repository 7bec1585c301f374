//! Seeded vectors that lie in clusters, as embeddings of text do, and the exact answer to compare with.

use std::collections::BTreeMap;
use std::sync::Arc;

use braid_core::{
    ChunkId, Condition, Embedding, Filter, Metadata, MetadataValue, Predicate, RankedList,
    Selection, Slot, SlotSet, VectorEntry,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::ram_vector::{cosine, length};

/// Residue classes that filters can ask for.
const MODULI: [u32; 4] = [2, 4, 20, 200];
const CLUSTERS: usize = 60;

/// `count` unit vectors around cluster centres on a subspace, plus noise. Another seed gives other
/// vectors around the same centres, so that one seed's vectors are queries for another's.
pub(super) fn clustered(count: usize, dimension: usize, seed: u64) -> Vec<Embedding> {
    let mut shape = StdRng::seed_from_u64(99);
    let rank = (dimension / 3).max(2);
    let basis = gaussians(&mut shape, rank, dimension);
    let centres = gaussians(&mut shape, CLUSTERS, rank);
    let mut rng = StdRng::seed_from_u64(seed);
    let near = |_| {
        let centre = &centres[rng.random_range(0..CLUSTERS)];
        let mut vector: Vec<f32> = (0..dimension).map(|_| 0.05 * gaussian(&mut rng)).collect();
        for (axis, weight) in basis.iter().zip(centre) {
            let weight = weight + 0.6 * gaussian(&mut rng);
            vector
                .iter_mut()
                .zip(axis)
                .for_each(|(x, y)| *x += weight * y);
        }
        let length = length(&vector);
        vector.iter().map(|x| x / length).collect()
    };
    (0..count).map(near).collect()
}

fn gaussians(rng: &mut StdRng, rows: usize, columns: usize) -> Vec<Vec<f32>> {
    let row = |_| (0..columns).map(|_| gaussian(rng)).collect();
    (0..rows).map(row).collect()
}

/// A standard normal number (Box-Muller).
fn gaussian(rng: &mut StdRng) -> f32 {
    let radius: f32 = rng.random::<f32>().max(1e-9);
    let angle: f32 = rng.random();
    (-2.0 * radius.ln()).sqrt() * (std::f32::consts::TAU * angle).cos()
}

/// An entry whose metadata says its residue classes.
pub(super) fn entry(slot: u32, vector: &Embedding) -> VectorEntry {
    let classes = MODULI.map(|modulus| {
        let class = MetadataValue::Number(f64::from(slot % modulus));
        (format!("modulo_{modulus}"), class)
    });
    VectorEntry {
        slot: Slot(slot),
        chunk: ChunkId(uuid::Uuid::from_u64_pair(7, u64::from(slot))),
        embedding: Arc::clone(vector),
        metadata: Arc::new(Metadata::new(BTreeMap::from(classes)).expect("good metadata")),
        language: None,
    }
}

/// Selects the slots below `end` that `modulus` (one of 2, 4, 20, 200) divides.
pub(super) fn select_every(modulus: u32, end: u32) -> Selection {
    assert!(MODULI.contains(&modulus));
    let slots = (0..end).filter(|slot| slot % modulus == 0).collect();
    selection(&format!("modulo_{modulus}"), 0.0, slots)
}

/// Selects nothing.
pub(super) fn select_none() -> Selection {
    selection("modulo_2", 2.0, SlotSet::new())
}

fn selection(key: &str, class: f64, slots: SlotSet) -> Selection {
    let condition = Condition {
        key: key.to_owned(),
        predicate: Predicate::Match(MetadataValue::Number(class)),
    };
    let filter = Filter {
        must: vec![condition],
        ..Filter::default()
    };
    Selection {
        filter: Some(Arc::new(filter)),
        slots: Some(Arc::new(slots)),
        ..Selection::default()
    }
}

/// The exact answer.
pub(super) struct Oracle {
    vectors: BTreeMap<u32, Embedding>,
}

impl Oracle {
    /// An oracle over vectors in slots from 0.
    pub(super) fn new(vectors: &[Embedding]) -> Self {
        let numbered = (0..).zip(vectors.iter().map(Arc::clone));
        Self {
            vectors: numbered.collect(),
        }
    }

    pub(super) fn remove(&mut self, slot: u32) {
        self.vectors.remove(&slot);
    }

    /// Slots and scores of the `depth` nearest that `keep` admits.
    pub(super) fn nearest(
        &self,
        query: &[f32],
        keep: impl Fn(u32) -> bool,
        depth: usize,
    ) -> Vec<(u32, f32)> {
        let kept = self.vectors.iter().filter(|(slot, _)| keep(**slot));
        let mut scored: Vec<(u32, f32)> = kept
            .map(|(slot, vector)| (*slot, cosine(query, vector)))
            .collect();
        scored.sort_by(|a, b| b.1.total_cmp(&a.1));
        scored.truncate(depth);
        scored
    }

    /// Checks that `found` is the exact answer: the same scores to 1e-4, the same slots wherever the
    /// next score is further away than that.
    pub(super) fn check(
        &self,
        query: &[f32],
        keep: impl Fn(u32) -> bool,
        depth: usize,
        found: &RankedList,
    ) {
        let exact = self.nearest(query, keep, depth);
        assert_eq!(found.len(), exact.len(), "number of candidates");
        for (rank, (candidate, (slot, score))) in found.iter().zip(&exact).enumerate() {
            assert!(
                (candidate.score - score).abs() < 1e-4,
                "rank {rank}: {candidate:?} is not {slot} with {score}"
            );
            let is_tied = exact
                .iter()
                .any(|(other, near)| other != slot && (near - score).abs() < 1e-4);
            assert!(
                is_tied || candidate.slot.0 == *slot,
                "rank {rank}: {candidate:?} is not {slot}"
            );
        }
    }
}
