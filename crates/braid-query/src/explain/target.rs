//! The document asked about, as the pinned state has it.

use std::sync::Arc;

use braid_core::{
    ChunkId, DocumentId, DocumentStatus, Language, Ledger, LedgerPin, Metadata, Result, Slot,
    SlotSet,
};
use rustc_hash::FxHashSet;

use super::answer::Cut;

/// A retrievable document.
#[derive(Debug)]
pub(super) struct Target {
    /// Its chunks.
    pub(super) chunks: FxHashSet<ChunkId>,
    /// Their slots.
    pub(super) slots: SlotSet,
    /// Its metadata and the language detected in it, which filters see.
    pub(super) metadata: Arc<Metadata>,
    pub(super) language: Option<Language>,
}

/// The document in this state, or why it cannot be returned whatever is asked.
pub(super) async fn find_target(
    ledger: &dyn Ledger,
    pin: &Arc<dyn LedgerPin>,
    document: &DocumentId,
) -> Result<std::result::Result<Target, Cut>> {
    let records = pin.document_chunks(document, 0..=u32::MAX).await?;
    let first: Vec<Slot> = records.iter().map(|record| record.slot).take(1).collect();
    let Some(passage) = pin.hydrate(&first).await?.pop() else {
        return Ok(Err(why_absent(ledger, pin, document).await?));
    };
    Ok(Ok(Target {
        chunks: records.iter().map(|record| record.id).collect(),
        slots: records.iter().map(|record| record.slot.0).collect(),
        language: passage.record.language,
        metadata: passage.metadata,
    }))
}

async fn why_absent(
    ledger: &dyn Ledger,
    pin: &Arc<dyn LedgerPin>,
    document: &DocumentId,
) -> Result<Cut> {
    let known = ledger.document(pin.collection().id, document).await?;
    Ok(match known.map(|document| document.summary.status) {
        None => Cut::NotFound,
        Some(DocumentStatus::Pending) => {
            Cut::NotIndexed("it is acknowledged and not yet indexed".to_owned())
        }
        Some(DocumentStatus::Failed(reason)) => Cut::NotIndexed(reason),
        Some(DocumentStatus::Published) => {
            Cut::NotIndexed("it has no text to search for".to_owned())
        }
    })
}
