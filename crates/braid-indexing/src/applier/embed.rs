//! The task that walks the log ahead and stores embeddings.

use braid_core::{Error, Operation, Result, Sequence, Slot};

use super::gather::{put_slots, take_within};
use super::{Session, Task};
use crate::breakpoints::Breakpoint;
use crate::embeddings::Fault;
use crate::progress::Health;
use crate::retry::Backoff;
use crate::state::Stopped;

/// Most operations looked at in one go.
const OPERATIONS: usize = 1024;

/// Embeds ahead of the [applying task](super::apply). Every step is stored and may be repeated, so
/// it may be dropped anywhere.
#[derive(Debug)]
pub(crate) struct EmbeddingTask {
    session: Session,
}

/// Chunks of some operations that have an embedding now.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    embedded: u64,
    reused: u64,
}

impl Counts {
    fn add(&mut self, more: Self) {
        self.embedded += more.embedded;
        self.reused += more.reused;
    }
}

impl EmbeddingTask {
    pub(crate) fn new(session: Session) -> Self {
        Self { session }
    }

    pub(crate) async fn run(self) {
        let control = self.session.control.clone();
        // Told to end, or the collection is gone: either way there is nothing to finish.
        let _ = control.until(self.follow()).await;
    }

    async fn follow(&self) -> Result<(), Stopped> {
        let mut cursor = self.session.state.progress.borrow().published;
        let mut backoff = Backoff::new(self.session.parts.options.retry);
        loop {
            self.session.control.pass().await?;
            match self.advance(cursor).await {
                Ok(Some(through)) => {
                    cursor = through;
                    backoff.reset();
                    self.session.note_health(Task::Embedding, Health::Working);
                }
                Ok(None) => self.wait_for_operations(cursor).await?,
                Err(error) => {
                    self.session
                        .settle(Task::Embedding, &error, &mut backoff)
                        .await?;
                }
            }
        }
    }

    async fn wait_for_operations(&self, cursor: Sequence) -> Result<(), Stopped> {
        let mut progress = self.session.state.progress.subscribe();
        let staged = progress.wait_for(|progress| progress.newest > cursor).await;
        staged.map(drop).map_err(|_| Stopped)
    }

    /// Embeds the next operations; `None` when there are none.
    async fn advance(&self, cursor: Sequence) -> Result<Option<Sequence>> {
        let session = &self.session;
        let ledger = &session.parts.ledger;
        let operations = ledger
            .operations(session.collection(), cursor, OPERATIONS)
            .await?;
        let piece = take_within(operations, session.parts.options.embed_batch_chunks);
        let Some(through) = piece.last().map(|operation| operation.sequence) else {
            return Ok(None);
        };
        let counts = self.embed_isolating(&piece).await?;
        session.state.progress.send_modify(|progress| {
            progress.chunks_embedded += counts.embedded;
            progress.chunks_reused += counts.reused;
            progress.embedded = through;
            progress.newest = progress.newest.max(through);
        });
        Ok(Some(through))
    }

    /// Embeds operations together; where the model refuses them, finds the one it refuses and
    /// records it as failed, so that it does not hold up the others.
    async fn embed_isolating(&self, piece: &[Operation]) -> Result<Counts> {
        let mut counts = Counts::default();
        let mut slices = vec![piece];
        while let Some(slice) = slices.pop() {
            match self.embed(slice).await {
                Ok(done) => counts.add(done),
                Err(Fault::Store(error)) => return Err(error),
                Err(Fault::Embedder(error)) => {
                    self.check_outage().await?;
                    if let [operation] = slice {
                        self.fail(operation, &error).await?;
                    } else {
                        let (first, second) = slice.split_at(slice.len() / 2);
                        slices.extend([second, first]);
                    }
                }
            }
        }
        Ok(counts)
    }

    /// A model that embeds nothing at all is down: that is waited out, no document is to blame.
    async fn check_outage(&self) -> Result<()> {
        let probe = self.session.source.embeddings.probe().await;
        probe.map_err(|error| {
            let code = braid_core::ErrorCode::Unavailable;
            Error::new(code, "the embedder does not answer").with_source(error)
        })
    }

    async fn fail(&self, operation: &Operation, error: &Error) -> Result<()> {
        let session = &self.session;
        let reason = error.chain();
        let collection = session.name();
        tracing::warn!(%collection, sequence = %operation.sequence, %reason, "a document could not be embedded");
        let ledger = &session.parts.ledger;
        let _staging = session.state.staging.lock().await;
        ledger
            .fail_operation(session.collection(), operation.sequence, &reason)
            .await?;
        session
            .parts
            .options
            .breakpoints
            .reach(Breakpoint::AfterFailOperation);
        metrics::counter!("braid_index_operations_failed_total", "collection" => collection)
            .increment(1);
        session
            .state
            .progress
            .send_modify(|progress| progress.operations_failed += 1);
        Ok(())
    }

    async fn embed(&self, operations: &[Operation]) -> Result<Counts, Fault> {
        let slots: Vec<Slot> = operations.iter().flat_map(put_slots).copied().collect();
        let mut counts = Counts::default();
        for slots in slots.chunks(self.session.parts.options.embed_batch_chunks.max(1)) {
            let chunks = self
                .session
                .source
                .chunks(slots)
                .await
                .map_err(Fault::Store)?;
            let embeddings = &self.session.source.embeddings;
            let note = |error: &Error, failures| self.note_retry(error, failures);
            let ensured = embeddings.ensure_retrying(&chunks, note).await?;
            counts.add(Counts {
                embedded: ensured.embedded,
                reused: chunks.len() as u64 - ensured.embedded,
            });
        }
        Ok(counts)
    }

    fn note_retry(&self, error: &Error, failures: u32) {
        let error = error.chain();
        self.session
            .note_health(Task::Embedding, Health::Retrying { error, failures });
    }
}
