//! What is predicted from the measurements, and how far off it was.

use serde::{Serialize, Serializer};

use super::measured::{Measured, MeasuredSize, MeasuredStore};
use super::nodes::Profile;
use super::series::{Growth, Series};

/// A quantity that is measured at every size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// A quantity of a Qdrant server, or of the Braid before it, in a profile.
    Store(Profile, StoreQuantity),
}

/// What is measured of a Qdrant server and of the Braid before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreQuantity {
    /// Bytes on the server's disk.
    Disk,
    /// Resident memory of the server, in bytes.
    Memory,
    /// CPU milliseconds of the server to take a chunk.
    IngestCpu,
    /// CPU milliseconds of Braid to ingest a chunk, its embedding apart.
    BraidIngestCpu,
    /// CPU milliseconds of the server for a query.
    QueryCpu,
    /// CPU milliseconds of Braid for a query, models apart.
    BraidQueryCpu,
    /// Anonymous memory of the Braid that asks, in bytes.
    BraidMemory,
}

impl Serialize for Component {
    /// Its key: a word, `PROFILE_QUANTITY` of a Qdrant server.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (profile, key) = match self {
            Self::Ledger => ("", "ledger"),
            Self::Lexical => ("", "lexical"),
            Self::Vectors => ("", "vectors"),
            Self::IngestMemory => ("", "ingest_memory"),
            Self::ServingMemory => ("", "serving_memory"),
            Self::IngestCpu => ("", "ingest_cpu"),
            Self::HybridCpu => ("", "hybrid_cpu"),
            Self::LexicalCpu => ("", "lexical_cpu"),
            Self::DenseCpu => ("", "dense_cpu"),
            Self::Store(Profile::Embedded, quantity) => ("embedded_", quantity.key()),
            Self::Store(Profile::Qdrant, quantity) => ("qdrant_", quantity.key()),
            Self::Store(Profile::Cluster, quantity) => ("cluster_", quantity.key()),
        };
        serializer.collect_str(&format_args!("{profile}{key}"))
    }
}

impl StoreQuantity {
    fn key(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Memory => "memory",
            Self::IngestCpu => "ingest_cpu",
            Self::BraidIngestCpu => "braid_ingest_cpu",
            Self::QueryCpu => "query_cpu",
            Self::BraidQueryCpu => "braid_query_cpu",
            Self::BraidMemory => "braid_memory",
        }
    }

    const ALL: [Self; 7] = [
        Self::Disk,
        Self::Memory,
        Self::IngestCpu,
        Self::BraidIngestCpu,
        Self::QueryCpu,
        Self::BraidQueryCpu,
        Self::BraidMemory,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Disk => "Qdrant on disk",
            Self::Memory => "memory of Qdrant",
            Self::IngestCpu => "CPU of Qdrant to take a chunk",
            Self::BraidIngestCpu => "CPU of Braid to ingest a chunk, models apart",
            Self::QueryCpu => "CPU of Qdrant for a query",
            Self::BraidQueryCpu => "CPU of Braid for a query, models apart",
            Self::BraidMemory => "memory of a Braid before Qdrant",
        }
    }

    /// As of [`Component`]; sparse vectors are walked like posting lists. Qdrant's segments are of a bounded
    /// size too, and a query walks the graph of each. What stands before a cluster keeps nothing, so that its
    /// own share does not grow.
    fn growth(self, profile: Profile) -> Growth {
        match (self, profile) {
            (Self::IngestCpu | Self::BraidIngestCpu, _) => Growth::Logarithmic,
            (Self::BraidQueryCpu | Self::BraidMemory, Profile::Cluster) => Growth::Constant,
            _ => Growth::Linear,
        }
    }

    /// Whether a measurement tells it of other sizes. What a graph costs is told by those that have one.
    fn is_told_by(self, store: &MeasuredStore) -> bool {
        store.has_graph || !matches!(self, Self::IngestCpu | Self::QueryCpu)
    }

    fn of(self, store: &MeasuredStore) -> f64 {
        let chunk_ms = |seconds: f64| seconds * 1000.0 / store.chunks as f64;
        match self {
            Self::Disk => store.disk_bytes as f64,
            Self::Memory => store.memory_bytes as f64,
            Self::IngestCpu => chunk_ms(store.ingest_cpu_seconds),
            Self::BraidIngestCpu => chunk_ms(store.braid_ingest_cpu_seconds),
            Self::QueryCpu => store.query_cpu_ms,
            Self::BraidQueryCpu => store.braid_query_cpu_ms,
            Self::BraidMemory => store.braid_memory_bytes as f64,
        }
    }
}

impl Component {
    /// Those of the embedded profile.
    const EMBEDDED: [Self; 9] = [
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

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let stores = [Profile::Qdrant, Profile::Cluster].into_iter();
        let stores = stores
            .flat_map(|profile| StoreQuantity::ALL.map(|quantity| Self::Store(profile, quantity)));
        Self::EMBEDDED.into_iter().chain(stores)
    }

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
            Self::Store(_, quantity) => quantity.name(),
        }
    }

    /// Posting lists are walked in proportion to their length at the most. The embedded graph is in segments of
    /// a bounded size, which a query walks one after the other: in proportion to their number. A build
    /// holds one of them, so that memory while ingesting hardly grows.
    fn growth(self) -> Growth {
        match self {
            Self::IngestCpu | Self::IngestMemory => Growth::Logarithmic,
            Self::Ledger
            | Self::Lexical
            | Self::Vectors
            | Self::ServingMemory
            | Self::HybridCpu
            | Self::LexicalCpu
            | Self::DenseCpu => Growth::Linear,
            Self::Store(profile, quantity) => quantity.growth(profile),
        }
    }

    /// Chunks and the quantity at every size that was measured.
    fn points(self, measured: &Measured) -> Vec<(f64, f64)> {
        if let Self::Store(profile, quantity) = self {
            let stores = measured.stores.iter();
            return stores
                .filter(|store| store.profile == profile && quantity.is_told_by(store))
                .map(|store| (store.chunks as f64, quantity.of(store)))
                .collect();
        }
        let sizes = measured.sizes.iter();
        sizes
            .map(|size| (size.chunks as f64, self.of(size)))
            .collect()
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
            Self::Store(..) => 0.0,
        }
    }

    /// The line through what was measured, without the size at `left_out`.
    pub fn series(self, measured: &Measured, left_out: Option<usize>) -> Option<Series> {
        let mut points = self.points(measured);
        if let Some(index) = left_out.filter(|index| *index < points.len()) {
            points.remove(index);
        }
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

/// Of every component at every size; none of one that was measured at fewer than three sizes, since two
/// others are needed for a line.
pub fn errors(measured: &Measured) -> Vec<Error> {
    let of = |component: Component| {
        let points = component.points(measured);
        let enough = if points.len() < 3 { 0 } else { points.len() };
        let points = points.into_iter().enumerate().take(enough);
        points.filter_map(move |(index, (chunks, found))| {
            let predicted = component.series(measured, Some(index))?.at(chunks);
            (found > 0.0).then(|| Error {
                component,
                chunks: chunks as u64,
                measured: found,
                predicted,
                error: predicted / found - 1.0,
            })
        })
    };
    Component::all().flat_map(of).collect()
}
