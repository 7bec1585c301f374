//! The generation being built, and the passes that bring it in line with the ledger.

use std::sync::Arc;

use braid_core::{Error, Leg, Result, Sequence, Slot, SlotSet};

use super::rechunk::{Context, Rechunked, Versions};
use super::{RebuildProgress, Report};
use crate::indexer::IndexerParts;
use crate::indexes::{Change, Indexes, Source};
use crate::state::Served;

/// A generation that nobody reads yet.
#[derive(Debug)]
pub(super) struct Build {
    pub(super) parts: Arc<IndexerParts>,
    /// What will be served.
    pub(super) served: Arc<Served>,
    pub(super) source: Source,
    pub(super) indexes: Indexes,
    /// New chunks of every document, where the chunker differs.
    pub(super) rechunked: Option<Rechunked>,
    pub(super) progress: RebuildProgress,
}

impl Build {
    /// Brings the new indexes in line with the ledger as it is now; returns how much was changed.
    /// The last pass says the watermark to record.
    pub(super) async fn pass(
        &mut self,
        watermark: Option<Sequence>,
        report: &Report<'_>,
    ) -> Result<u64> {
        let target = self.target(Versions::Published, report).await?;
        self.reach(target, watermark, report).await
    }

    /// As [`Build::pass`], with `pending` beside what the ledger has live: chunks of what the switch
    /// publishes. Documents are chunked anew as they will then be.
    pub(super) async fn pass_with(
        &mut self,
        pending: &SlotSet,
        watermark: Sequence,
    ) -> Result<u64> {
        let report: &Report<'_> = &|_| {};
        let target = self.target(Versions::All, report).await? | pending;
        self.reach(target, Some(watermark), report).await
    }

    /// Makes both indexes hold `target` and nothing else.
    async fn reach(
        &mut self,
        target: SlotSet,
        watermark: Option<Sequence>,
        report: &Report<'_>,
    ) -> Result<u64> {
        let mut changed = 0;
        for leg in [Leg::Dense, Leg::Lexical] {
            let index = self.indexes.of(leg);
            let held = index.slots().await?;
            let change = Change {
                add: (&target - &held).iter().map(Slot).collect(),
                delete: held - &target,
                before: Sequence::ZERO,
                after: watermark.unwrap_or(Sequence::ZERO),
            };
            changed += change.add.len() as u64 + change.delete.len();
            if leg == Leg::Dense {
                self.embed_ahead(&change.add, report).await?;
            }
            self.source.write(self.indexes.of(leg), change).await?;
        }
        self.progress.written += changed;
        report(self.progress);
        Ok(changed)
    }

    /// The slots the new generation must hold.
    async fn target(&mut self, versions: Versions, report: &Report<'_>) -> Result<SlotSet> {
        let Some(rechunked) = &mut self.rechunked else {
            let collection = self.served.collection.id;
            return self.parts.ledger.live_slots(collection).await;
        };
        let context = Context {
            parts: &self.parts,
            served: &self.served,
            versions,
        };
        rechunked
            .refresh(context, (&mut self.progress, report))
            .await
    }

    /// Stores the embeddings that the vector store is about to take, telling how far that is.
    async fn embed_ahead(&mut self, slots: &[Slot], report: &Report<'_>) -> Result<()> {
        self.progress.chunks += slots.len() as u64;
        for slots in slots.chunks(self.parts.options.embed_batch_chunks.max(1)) {
            let chunks = self.source.chunks(slots).await?;
            self.source
                .embeddings
                .ensure_retrying(&chunks, &note_retry)
                .await?;
            self.progress.embedded += slots.len() as u64;
            report(self.progress);
        }
        Ok(())
    }

    /// Drops what was built: it may be what fills the disk.
    pub(super) async fn discard(&self) {
        let key = self.served.collection.index_key();
        if let Err(error) = self.parts.indexes.remove(key).await {
            tracing::warn!(error = %error.chain(), "cannot remove the indexes of a failed rebuild");
        }
    }
}

pub(super) fn note_retry(error: &Error, failures: u32) {
    tracing::warn!(error = %error.chain(), failures, "embedding failed, it will be tried again");
}
