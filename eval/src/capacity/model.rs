//! What is predicted from the measurements, and how far off it was.

use serde::Serialize;

use super::measured::{Measured, MeasuredSize};
use super::series::{Growth, Series};

/// A quantity that is measured at every size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// Bytes of the ledger on disk.
    Ledger,
    /// Bytes of the lexical index on disk.
    Lexical,
    /// Bytes of vectors and graph on disk.
    Vectors,
    /// Anonymous memory while ingesting, in bytes.
    IngestMemory,
    /// Anonymous memory while serving, in bytes.
    ServingMemory,
    /// CPU milliseconds to ingest a chunk, its embedding apart.
    IngestCpu,
    /// CPU milliseconds of a query with both legs, models apart.
    HybridCpu,
    /// CPU milliseconds of a query with the lexical leg alone.
    LexicalCpu,
    /// CPU milliseconds of a query with the dense leg alone.
    DenseCpu,
}

impl Component {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Ledger,
        Self::Lexical,
        Self::Vectors,
        Self::IngestMemory,
        Self::ServingMemory,
        Self::IngestCpu,
        Self::HybridCpu,
        Self::LexicalCpu,
        Self::DenseCpu,
    ];

    /// How it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ledger => "ledger on disk",
            Self::Lexical => "lexical index on disk",
            Self::Vectors => "vectors and graph on disk",
            Self::IngestMemory => "memory while ingesting",
            Self::ServingMemory => "memory while serving",
            Self::IngestCpu => "CPU to ingest a chunk, models apart",
            Self::HybridCpu => "CPU of a query, models apart",
            Self::LexicalCpu => "CPU of the lexical leg",
            Self::DenseCpu => "CPU of the dense leg",
        }
    }

    /// Posting lists are walked in proportion to their length at the most, a graph in proportion to the
    /// logarithm of its size. A query has both, so it is taken to grow as the faster one.
    fn growth(self) -> Growth {
        match self {
            Self::IngestCpu | Self::DenseCpu => Growth::Logarithmic,
            Self::Ledger
            | Self::Lexical
            | Self::Vectors
            | Self::IngestMemory
            | Self::ServingMemory
            | Self::HybridCpu
            | Self::LexicalCpu => Growth::Linear,
        }
    }

    fn of(self, size: &MeasuredSize) -> f64 {
        match self {
            Self::Ledger => size.ledger_bytes as f64,
            Self::Lexical => size.lexical_bytes as f64,
            Self::Vectors => size.vector_bytes as f64,
            Self::IngestMemory => size.ingest_memory_bytes as f64,
            Self::ServingMemory => size.serving_memory_bytes as f64,
            Self::IngestCpu => size.ingest_cpu_seconds * 1000.0 / size.chunks as f64,
            Self::HybridCpu => size.hybrid_cpu_ms,
            Self::LexicalCpu => size.lexical_cpu_ms,
            Self::DenseCpu => size.dense_cpu_ms,
        }
    }

    /// The line through what was measured, without the size at `left_out`.
    pub fn series(self, measured: &Measured, left_out: Option<usize>) -> Option<Series> {
        let sizes = measured.sizes.iter().enumerate();
        let points: Vec<(f64, f64)> = sizes
            .filter(|(index, _)| Some(*index) != left_out)
            .map(|(_, size)| (size.chunks as f64, self.of(size)))
            .collect();
        Series::fit(self.growth(), &points)
    }
}

/// How far a prediction from the other sizes is from what was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Error {
    /// What was predicted.
    pub component: Component,
    /// For which size.
    pub chunks: u64,
    /// What was measured there.
    pub measured: f64,
    /// What the other sizes alone predict.
    pub predicted: f64,
    /// The prediction's distance as a share of what was measured: 0.1 is 10 % too much.
    pub error: f64,
}

/// Of every component at every size; none where fewer than three sizes were measured, since two others are
/// needed for a line.
pub fn errors(measured: &Measured) -> Vec<Error> {
    if measured.sizes.len() < 3 {
        return Vec::new();
    }
    let every = Component::ALL.into_iter();
    every
        .flat_map(|component| (0..measured.sizes.len()).map(move |index| (component, index)))
        .filter_map(|(component, index)| {
            let size = &measured.sizes[index];
            let found = component.of(size);
            let predicted = component
                .series(measured, Some(index))?
                .at(size.chunks as f64);
            (found > 0.0).then(|| Error {
                component,
                chunks: size.chunks,
                measured: found,
                predicted,
                error: predicted / found - 1.0,
            })
        })
        .collect()
}
