//! The settings of workers, which index what waits in the storage profile `cluster`.

use std::net::SocketAddr;

/// `braid ingest --worker`.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerSection {
    /// Claims worked on side by side.
    pub concurrency: usize,
    /// Most documents in one claim.
    pub documents: usize,
    /// Chunks embedded and published together.
    pub batch_chunks: usize,
    /// How long a claim lasts, in seconds.
    pub lease_seconds: u64,
    /// Claims of a version before it is given up.
    pub attempts: usize,
    /// First wait while nothing is found, in milliseconds.
    pub poll_ms: u64,
    /// Longest such wait, in milliseconds.
    pub poll_longest_ms: u64,
    /// How often old versions are removed, in seconds.
    pub sweep_seconds: u64,
    /// How long old versions stay, in seconds.
    pub grace_seconds: u64,
    /// Where metrics and health are served.
    pub listen: Option<SocketAddr>,
}

impl Default for WorkerSection {
    fn default() -> Self {
        Self {
            concurrency: 2,
            documents: 64,
            batch_chunks: 1024,
            lease_seconds: 120,
            attempts: 10,
            poll_ms: 250,
            poll_longest_ms: 2000,
            sweep_seconds: 60,
            grace_seconds: 300,
            listen: None,
        }
    }
}
