//! Settings of one embedded store.

use braid_core::{Error, Result};

/// Most numbers in a vector.
const MAX_DIMENSION: usize = 8192;
/// Smallest map that can hold an empty environment and its first commits.
const MIN_MAP_SIZE: usize = 256 * 1024;

/// How an embedded store is kept and searched. Only `dimension` is fixed for the life of the store;
/// the rest may change between openings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VectorOptions {
    /// Numbers in every vector.
    pub dimension: usize,
    /// Size limit of the environment in bytes. Address space, not memory or disk: only what is used is
    /// allocated.
    pub map_size: usize,
    /// Neighbours considered when a vector is linked into the graph: higher builds better graphs
    /// more slowly.
    pub ef_construction: usize,
    /// Neighbours kept while the graph is walked: higher finds more of the true nearest more slowly.
    pub ef_search: usize,
    /// Up to this many vectors, in the store or in a selection, are always compared one by one.
    pub exact_threshold: usize,
    /// Most vectors in one segment of the graph. A build rewrites one segment, so its memory and time
    /// are bounded by this however large the store is; a search walks every segment.
    pub segment_vectors: usize,
    /// Seed of the graph's layers.
    pub seed: u64,
}

impl Default for VectorOptions {
    /// 384 numbers, 16 GiB of map, and the search settings chosen by `examples/load.rs`.
    fn default() -> Self {
        Self {
            dimension: 384,
            map_size: 16 << 30,
            ef_construction: 144,
            ef_search: 160,
            exact_threshold: 4000,
            segment_vectors: 64 << 10,
            seed: 42,
        }
    }
}

impl VectorOptions {
    pub(super) fn check(&self) -> Result<()> {
        if !(1..=MAX_DIMENSION).contains(&self.dimension) {
            return Err(Error::invalid(format!(
                "dimension {} is not within 1..={MAX_DIMENSION}",
                self.dimension
            )));
        }
        if self.map_size < MIN_MAP_SIZE {
            return Err(Error::invalid(format!(
                "a map of {} bytes is too small, the least is {MIN_MAP_SIZE}",
                self.map_size
            )));
        }
        if self.segment_vectors == 0 {
            return Err(Error::invalid("a segment must hold at least one vector"));
        }
        if self.ef_construction < super::writer::LINKS || self.ef_search == 0 {
            return Err(Error::invalid(format!(
                "ef_construction {} must be at least {} and ef_search {} at least 1",
                self.ef_construction,
                super::writer::LINKS,
                self.ef_search
            )));
        }
        Ok(())
    }

    /// Most vectors the tail may hold beside a graph of `graph` vectors: a small share of the graph, so
    /// that the scan per search stays small. Not a tiny one: a build prunes the links of nearly every
    /// vector that the new ones reach, so few large builds cost less than many small ones.
    pub(super) fn tail_limit(&self, graph: u64) -> u64 {
        let most = self.exact_threshold as u64;
        (graph / 10).clamp(most / 2, most)
    }
}
