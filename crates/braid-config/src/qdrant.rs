//! The settings of the storage profiles `qdrant` and `cluster`.

use std::path::PathBuf;

use crate::value::{Raw, SettingValue, name_of, one_of};

/// Where things are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StorageProfile {
    /// Everything is in the data directory.
    #[default]
    Embedded,
    /// Vectors are in a Qdrant server or cluster; everything else is in the data directory.
    Qdrant,
    /// Everything is in a Qdrant server or cluster, which any number of processes share.
    Cluster,
}

/// How vectors are compressed for searching.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QdrantQuantization {
    /// They are not.
    #[default]
    None,
    /// A byte a number.
    Scalar,
    /// A bit a number.
    Binary,
}

/// How many copies must agree on what is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QdrantReads {
    /// One answers.
    #[default]
    One,
    /// More than half.
    Majority,
    /// Half of them and one.
    Quorum,
    /// All.
    All,
}

/// In which order copies take writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QdrantWrites {
    /// As they come.
    #[default]
    Weak,
    /// Through a leader chosen as needed.
    Medium,
    /// Through the permanent leader.
    Strong,
}

/// The Qdrant server.
#[derive(Clone, Debug, PartialEq)]
pub struct QdrantSection {
    /// Its gRPC address.
    pub url: String,
    /// Environment variable that has the API key.
    pub api_key_env: Option<String>,
    /// File that has the API key.
    pub api_key_file: Option<PathBuf>,
    /// What names of collections begin with.
    pub prefix: String,
    /// Longest time of one request, in milliseconds.
    pub timeout_ms: u64,
    /// Longest time of connecting, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Shards of a collection; 0 is Qdrant's default.
    pub shards: usize,
    /// Copies of a shard.
    pub replication: usize,
    /// Copies that must have taken a write.
    pub write_consistency: usize,
    /// How many copies must agree on what is read.
    pub read_consistency: QdrantReads,
    /// In which order copies take writes.
    pub write_ordering: QdrantWrites,
    /// Links of a vector in the graph.
    pub hnsw_links: usize,
    /// How vectors are compressed for searching.
    pub quantization: QdrantQuantization,
    /// Whether vectors are read from disk.
    pub vectors_on_disk: bool,
    /// Whether metadata is read from disk.
    pub payload_on_disk: bool,
    /// Most metadata fields with an index.
    pub indexed_fields: usize,
    /// Most requests of one upload at a time.
    pub upload_concurrency: usize,
    /// Most vectors in one request.
    pub upload_points: usize,
    /// Tries of one request.
    pub retry_attempts: usize,
    /// Wait before the second try, in milliseconds.
    pub retry_first_ms: u64,
    /// Longest wait, in milliseconds.
    pub retry_longest_ms: u64,
    /// Failures in a row after which the server is not asked for a while.
    pub breaker_failures: usize,
    /// How long it is not asked then, in milliseconds.
    pub breaker_open_ms: u64,
}

impl Default for QdrantSection {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:6334".to_owned(),
            api_key_env: None,
            api_key_file: None,
            prefix: "braid".to_owned(),
            timeout_ms: 10_000,
            connect_timeout_ms: 2000,
            shards: 0,
            replication: 1,
            write_consistency: 1,
            read_consistency: QdrantReads::One,
            write_ordering: QdrantWrites::Weak,
            hnsw_links: 16,
            quantization: QdrantQuantization::None,
            vectors_on_disk: false,
            payload_on_disk: true,
            indexed_fields: 64,
            upload_concurrency: 4,
            upload_points: 512,
            retry_attempts: 3,
            retry_first_ms: 50,
            retry_longest_ms: 1000,
            breaker_failures: 5,
            breaker_open_ms: 2000,
        }
    }
}

/// Values that have names.
macro_rules! named {
    ($kind:ty: $($value:ident = $name:literal),*) => {
        impl SettingValue for $kind {
            fn read(raw: &Raw) -> Result<Self, String> {
                one_of(raw, &[$((Self::$value, $name)),*])
            }

            fn write(&self) -> Option<String> {
                name_of(self, &[$((Self::$value, $name)),*])
            }
        }
    };
}

named!(StorageProfile: Embedded = "embedded", Qdrant = "qdrant", Cluster = "cluster");
named!(QdrantQuantization: None = "none", Scalar = "scalar", Binary = "binary");
named!(QdrantReads: One = "one", Majority = "majority", Quorum = "quorum", All = "all");
named!(QdrantWrites: Weak = "weak", Medium = "medium", Strong = "strong");
