//! Embedding many operations together without letting one of them hold up the others.

use braid_core::{Error, ErrorCode, Operation, Result, Slot};

use super::gather::put_slots;
use crate::breakpoints::Breakpoint;
use crate::embeddings::Fault;
use crate::indexer::IndexerParts;
use crate::indexes::Source;
use crate::state::CollectionState;

/// Chunks of some operations that have an embedding now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) embedded: u64,
    pub(crate) reused: u64,
}

impl Counts {
    fn add(&mut self, more: Self) {
        self.embedded += more.embedded;
        self.reused += more.reused;
    }
}

/// Told of every failure that is tried again, with how many there were in a row.
pub(crate) type Note<'a> = dyn Fn(&Error, u32) + Send + Sync + 'a;

/// Embeds operations for the generation that `source` is of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Isolation<'a> {
    pub(crate) parts: &'a IndexerParts,
    pub(crate) state: &'a CollectionState,
    pub(crate) source: &'a Source,
}

impl Isolation<'_> {
    /// Embeds operations together; where the model refuses them, finds the one it refuses and
    /// records it as failed.
    pub(crate) async fn embed(&self, operations: &[Operation], note: &Note<'_>) -> Result<Counts> {
        let mut counts = Counts::default();
        let mut slices = vec![operations];
        while let Some(slice) = slices.pop() {
            match self.embed_together(slice, note).await {
                Ok(done) => counts.add(done),
                Err(Fault::Store(error)) => return Err(error),
                Err(Fault::Embedder(error)) => {
                    self.check_outage().await?;
                    if let [operation] = slice {
                        counts.add(self.settle_one(operation, error, note).await?);
                    } else {
                        let (first, second) = slice.split_at(slice.len() / 2);
                        slices.extend([second, first]);
                    }
                }
            }
        }
        Ok(counts)
    }

    /// One operation that failed while the model embeds other texts. A failure that passes may be of
    /// an outage that ended since, as when a model server was left out for a while: it is tried once
    /// more before it is blamed.
    async fn settle_one(
        &self,
        operation: &Operation,
        error: Error,
        note: &Note<'_>,
    ) -> Result<Counts> {
        let may_pass = error.code().is_retryable() || error.code() == ErrorCode::ModelUnavailable;
        let error = match may_pass {
            false => error,
            true => match self
                .embed_together(std::slice::from_ref(operation), note)
                .await
            {
                Ok(counts) => return Ok(counts),
                Err(Fault::Store(error)) => return Err(error),
                Err(Fault::Embedder(error)) => error,
            },
        };
        self.fail(operation, &error).await?;
        Ok(Counts::default())
    }

    /// A model that embeds nothing at all is down: that is waited out, no document is to blame.
    async fn check_outage(&self) -> Result<()> {
        self.source.embeddings.probe().await
    }

    async fn fail(&self, operation: &Operation, error: &Error) -> Result<()> {
        let collection = self.state.served().collection.clone();
        let label = collection.name.to_string();
        let reason = error.chain();
        let sequence = operation.sequence;
        tracing::warn!(collection = %label, %sequence, %reason, "a document could not be embedded");
        let _staging = self.state.staging.lock().await;
        let ledger = &self.parts.ledger;
        ledger
            .fail_operation(collection.id, sequence, &reason)
            .await?;
        let breakpoints = &self.parts.options.breakpoints;
        breakpoints.reach(Breakpoint::AfterFailOperation);
        metrics::counter!("braid_index_operations_failed_total", "collection" => label)
            .increment(1);
        let progress = &self.state.progress;
        progress.send_modify(|progress| progress.operations_failed += 1);
        Ok(())
    }

    async fn embed_together(
        &self,
        operations: &[Operation],
        note: &Note<'_>,
    ) -> Result<Counts, Fault> {
        let slots: Vec<Slot> = operations.iter().flat_map(put_slots).copied().collect();
        let mut counts = Counts::default();
        for slots in slots.chunks(self.parts.options.embed_batch_chunks.max(1)) {
            let chunks = self.source.chunks(slots).await.map_err(Fault::Store)?;
            let embeddings = &self.source.embeddings;
            let ensured = embeddings.ensure_retrying(&chunks, note).await?;
            counts.add(Counts {
                embedded: ensured.embedded,
                reused: chunks.len() as u64 - ensured.embedded,
            });
        }
        Ok(counts)
    }
}
