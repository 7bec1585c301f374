//! How long each step of a write takes, for `/metrics` and the benchmarks.

use std::time::Instant;

/// A part of the write path whose time is recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Checking and hashing a batch of documents.
    Hash,
    /// Looking up what the ledger has of them.
    LookUp,
    /// Extracting the text of one document; several are extracted at once.
    Extract,
    /// Cutting one document into chunks; several are cut at once.
    Chunk,
    /// The ledger's transaction that acknowledges a batch.
    Stage,
    /// Reading chunks back to embed or index them.
    ReadChunks,
    /// Reading stored embeddings.
    ReadEmbeddings,
    /// The ledger's transaction that stores embeddings.
    PutEmbeddings,
    /// The ledger's transaction that makes a run of operations retrievable.
    Publish,
}

impl Step {
    fn as_str(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::LookUp => "look_up",
            Self::Extract => "extract",
            Self::Chunk => "chunk",
            Self::Stage => "stage",
            Self::ReadChunks => "read_chunks",
            Self::ReadEmbeddings => "read_embeddings",
            Self::PutEmbeddings => "put_embeddings",
            Self::Publish => "publish",
        }
    }

    /// Awaits `work` and records how long it took.
    pub(crate) async fn timed<T>(self, work: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let done = work.await;
        self.record(started);
        done
    }

    /// Does `work` and records how long it took.
    pub(crate) fn measured<T>(self, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let done = work();
        self.record(started);
        done
    }

    fn record(self, started: Instant) {
        metrics::histogram!("braid_index_step_seconds", "step" => self.as_str())
            .record(started.elapsed());
    }
}
