//! The task that walks the log ahead and stores embeddings.

use braid_core::{Error, Result, Sequence};

use super::gather::take_within;
use super::isolate::Isolation;
use super::{Session, Task};
use crate::progress::Health;
use crate::retry::Backoff;
use crate::state::Stopped;

/// Embeds ahead of the [applying task](super::apply). Every step is stored and may be repeated, so
/// it may be dropped anywhere.
#[derive(Debug)]
pub(crate) struct EmbeddingTask {
    session: Session,
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
            match self.advance(cursor, backoff.failures()).await {
                Ok(Some(through)) => {
                    cursor = through;
                    backoff.reset();
                    self.session.note_health(Task::Embedding, Health::Working);
                }
                Ok(None) => {
                    backoff.reset();
                    self.session.note_health(Task::Embedding, Health::Working);
                    self.wait_for_operations(cursor).await?;
                }
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

    /// Embeds the next operations, which failed so often, and returns the last; `None` when there
    /// are none.
    async fn advance(&self, cursor: Sequence, failed: u32) -> Result<Option<Sequence>> {
        let session = &self.session;
        let ledger = &session.parts.ledger;
        let batch = session.parts.options.embed_batch_chunks.max(1);
        let operations = ledger
            .operations(session.collection(), cursor, batch)
            .await?;
        let piece = take_within(operations, batch);
        let Some(through) = piece.last().map(|operation| operation.sequence) else {
            // Published operations leave the log; usually none was published ahead of this task.
            let published = ledger.stats(session.collection()).await?.published;
            return Ok((published > cursor).then_some(published));
        };
        let note = |error: &Error, failures| self.note_retry(error, failed + failures);
        let counts = self.isolation().embed(&piece, &note).await?;
        session.state.progress.send_modify(|progress| {
            progress.chunks_embedded += counts.embedded;
            progress.chunks_reused += counts.reused;
            progress.embedded = through;
            progress.newest = progress.newest.max(through);
        });
        Ok(Some(through))
    }

    fn isolation(&self) -> Isolation<'_> {
        Isolation {
            parts: &self.session.parts,
            state: &self.session.state,
            source: &self.session.source,
        }
    }

    fn note_retry(&self, error: &Error, failures: u32) {
        let policy = self.session.parts.options.retry;
        let health = Health::retrying(error, failures, policy);
        self.session.note_health(Task::Embedding, health);
    }
}
