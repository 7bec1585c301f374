//! New chunks of every document, for a generation with another chunker or reader.

use std::collections::BTreeMap;
use std::sync::Arc;

use braid_core::ports::RechunkedDocument;
use braid_core::{
    DocumentId, DocumentStatus, DocumentSummary, Error, ErrorCode, Result, Sequence, Slot, SlotSet,
};

use super::{RebuildProgress, Report};
use crate::breakpoints::Breakpoint;
use crate::indexer::IndexerParts;
use crate::plan::{Extracted, Raw, extract_document};
use crate::state::Served;

/// Documents read in one go.
const PAGE: usize = 256;

/// Which version of each document was chunked anew, and its new slots.
#[derive(Debug, Default)]
pub(super) struct Rechunked {
    documents: BTreeMap<DocumentId, (Sequence, Vec<Slot>)>,
}

/// Which newest versions are chunked anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Versions {
    /// Those that are published: others may yet fail, or be replaced.
    Published,
    /// The pending ones too, which the switch publishes.
    All,
}

/// What is chunked with.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) parts: &'a Arc<IndexerParts>,
    pub(super) served: &'a Arc<Served>,
    pub(super) versions: Versions,
}

impl Rechunked {
    /// The new slots by document, for the switch.
    pub(super) fn slots(&self) -> Vec<(DocumentId, Vec<Slot>)> {
        let documents = self.documents.iter();
        documents
            .map(|(id, (_, slots))| (id.clone(), slots.clone()))
            .collect()
    }

    /// Chunks what is new or changed since the last call, and returns the slots that the new
    /// generation must hold. A document whose newest version is not one of those [asked
    /// for](Versions), or that cannot be read any more, keeps the chunks it has.
    pub(super) async fn refresh(
        &mut self,
        context: Context<'_>,
        (progress, report): (&mut RebuildProgress, &Report<'_>),
    ) -> Result<SlotSet> {
        let known = std::mem::take(&mut self.documents);
        let mut target = SlotSet::new();
        let mut cursor: Option<String> = None;
        loop {
            let collection = context.served.collection.id;
            let ledger = &context.parts.ledger;
            let page = ledger
                .documents(collection, cursor.as_deref(), PAGE)
                .await?;
            for summary in page.items {
                let slots = match known.get(&summary.id) {
                    Some((sequence, slots)) if context.is_taken(&summary, *sequence) => {
                        Some(slots.clone())
                    }
                    Some(_) | None => context.rechunk(&summary).await?,
                };
                match slots {
                    Some(slots) => {
                        target.extend(slots.iter().map(|slot| slot.0));
                        self.documents.insert(summary.id, (summary.sequence, slots));
                    }
                    None => target |= context.live_slots(&summary.id).await?,
                }
            }
            progress.documents = self.documents.len() as u64;
            report(*progress);
            cursor = page.next;
            if cursor.is_none() {
                return Ok(target);
            }
        }
    }
}

impl Context<'_> {
    /// Chunks a document anew; `None` where it keeps its chunks.
    async fn rechunk(&self, summary: &DocumentSummary) -> Result<Option<Vec<Slot>>> {
        if !self.is_taken(summary, summary.sequence) {
            return Ok(None);
        }
        let Some(extracted) = self.extract(summary).await? else {
            return Ok(None);
        };
        let rechunked = RechunkedDocument {
            title: extracted.title,
            language: extracted.language,
            chunks: extracted.chunks,
        };
        let collection = self.served.collection.id;
        let ledger = &self.parts.ledger;
        let staged = ledger
            .stage_rechunked(collection, &summary.id, rechunked)
            .await;
        let slots = match staged {
            // It has been replaced or deleted since: the next pass sees what became of it.
            Err(error) if error.code() == ErrorCode::InvalidRequest => return Ok(None),
            staged => staged?,
        };
        self.parts
            .options
            .breakpoints
            .reach(Breakpoint::AfterRechunk);
        // Chunks of the text read above, recorded under a newer version, are of no use.
        let chunks = ledger.chunks(collection, &slots).await?;
        let same = |sequence| sequence == summary.sequence;
        let all_same = chunks.iter().all(|chunk| same(chunk.record.sequence));
        Ok(all_same.then_some(slots))
    }

    async fn extract(&self, summary: &DocumentSummary) -> Result<Option<Extracted>> {
        let collection = self.served.collection.id;
        let stored = self.parts.ledger.document(collection, &summary.id).await?;
        let Some(document) = stored.filter(|stored| stored.summary.sequence == summary.sequence)
        else {
            return Ok(None);
        };
        let served = Arc::clone(self.served);
        let reader = Arc::clone(&self.parts.reader);
        let work = move || {
            let raw = Raw {
                id: &document.summary.id,
                title: document.summary.title.as_deref(),
                format: document.summary.format,
                text: &document.text,
            };
            extract_document(&*reader, &served, &raw)
        };
        match self.parts.pool.run(work).await? {
            Ok(extracted) => Ok(Some(extracted)),
            Err(error) => {
                self.warn_kept(&summary.id, &error);
                Ok(None)
            }
        }
    }

    fn warn_kept(&self, document: &DocumentId, error: &Error) {
        let collection = &self.served.collection.name;
        tracing::warn!(%collection, %document, error = %error.chain(), "a document cannot be chunked anew, it keeps its chunks");
    }

    async fn live_slots(&self, document: &DocumentId) -> Result<SlotSet> {
        let pin = self.parts.ledger.pin(&self.served.collection.name).await?;
        let chunks = pin.document_chunks(document, 0..=u32::MAX).await?;
        Ok(chunks.iter().map(|chunk| chunk.slot.0).collect())
    }

    /// Whether version `sequence` is the document's newest, and one to be chunked anew.
    fn is_taken(&self, summary: &DocumentSummary, sequence: Sequence) -> bool {
        let is_wanted = match summary.status {
            DocumentStatus::Published => true,
            DocumentStatus::Pending => self.versions == Versions::All,
            DocumentStatus::Failed(_) => false,
        };
        is_wanted && summary.sequence == sequence
    }
}
