//! Trying again what could not be indexed: the stored versions are chunked and staged anew.

use std::collections::HashSet;

use braid_core::operation::Expected;
use braid_core::ports::{NewJob, StageReceipt, WriteGuard};
use braid_core::{Document, DocumentId, DocumentStatus, DocumentSummary, Error, Result};
use braid_text::hashing::as_stored;

use crate::ingest::{IngestOutcome, IngestRequest, Writer};
use crate::plan::{self, Planned, Rejected};

/// Most bytes of text that are staged again together; more is left for another call.
const MOST_BYTES: usize = 64 * 1024 * 1024;

impl Writer {
    /// Stages the newest version of these documents again where it failed. A document that did not
    /// fail is rejected; one that changes meanwhile is left alone, which the ledger sees to: other
    /// processes write too.
    pub(crate) async fn retry(
        &self,
        ids: Vec<DocumentId>,
        job: Option<NewJob>,
        guard: Option<WriteGuard<StageReceipt>>,
    ) -> Result<IngestOutcome> {
        let _writing = self.state.writers.read().await;
        self.state.check_open()?;
        let served = self.state.served();
        served.pipeline.check_writes(&served.collection)?;
        let key = guard.as_ref().map(|guard| guard.key.clone());
        if let Some(replayed) = self.replay(key).await? {
            return Ok(replayed);
        }
        let (planned, mut rejected) = self.failed(ids).await?;
        let stale = vec![true; planned.len()];
        let (planned, refused) = plan::extract_stale(&self.parts, served, (planned, stale)).await?;
        rejected.extend(refused);
        let _staging = self.turn().await;
        let request = IngestRequest {
            documents: Vec::new(),
            job,
            guard,
        };
        self.stage(planned, rejected, request).await
    }

    /// The stored versions that failed.
    async fn failed(&self, ids: Vec<DocumentId>) -> Result<(Vec<Planned>, Vec<Rejected>)> {
        let collection = self.state.served().collection.id;
        let (mut planned, mut rejected) = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        let mut bytes = 0;
        for id in ids {
            if !seen.insert(id.clone()) {
                continue;
            }
            if bytes > MOST_BYTES {
                rejected.push((id, Error::invalid("too much for one retry: retry it again")));
                continue;
            }
            let stored = self.parts.ledger.document(collection, &id).await?;
            match stored.filter(|stored| has_failed(&stored.summary)) {
                Some(document) => {
                    bytes += document.text.len();
                    planned.push(as_handed_in(document));
                }
                None => rejected.push((id, not_failed())),
            }
        }
        Ok((planned, rejected))
    }
}

fn has_failed(summary: &DocumentSummary) -> bool {
    matches!(summary.status, DocumentStatus::Failed(_))
}

fn not_failed() -> Error {
    Error::invalid("its newest version has not failed")
}

/// The document with the hash it was handed in under: the title may since be one that was found in
/// the text, and the same document handed in again must still be found unchanged.
fn as_handed_in(document: Document) -> Planned {
    Planned {
        content_hash: document.summary.content_hash,
        expected: Some(Expected::Failed(document.summary.sequence)),
        document: as_stored(document),
        extracted: None,
    }
}
