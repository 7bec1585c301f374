//! Trying again what could not be indexed: the stored versions are chunked and staged anew.

use std::collections::HashMap;

use braid_core::ports::{NewJob, StageReceipt, WriteGuard};
use braid_core::{
    Document, DocumentId, DocumentStatus, DocumentSummary, Error, NewDocument, Result, Sequence,
};
use futures::{StreamExt, TryStreamExt, stream};

use crate::ingest::{IngestOutcome, IngestRequest, LOOK_UPS, Writer};
use crate::plan::{self, Planned, Rejected};

/// Most bytes of text that are staged again together; more is left for another call.
const MOST_BYTES: usize = 64 * 1024 * 1024;

impl Writer {
    /// Stages the newest version of these documents again where it failed. A document that did not
    /// fail, or has changed meanwhile, is left alone and rejected.
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
        let (planned, failed_as, mut rejected) = self.failed(ids).await?;
        let stale = vec![true; planned.len()];
        let (planned, refused) = plan::extract_stale(&self.parts, served, (planned, stale)).await?;
        rejected.extend(refused);
        let _staging = self.state.staging.lock().await;
        let (planned, changed) = self.still_failed(planned, &failed_as).await?;
        rejected.extend(changed);
        let request = IngestRequest {
            documents: Vec::new(),
            job,
            guard,
        };
        self.stage(planned, rejected, request).await
    }

    /// The stored versions that failed, and as which operation.
    async fn failed(
        &self,
        ids: Vec<DocumentId>,
    ) -> Result<(Vec<Planned>, HashMap<DocumentId, Sequence>, Vec<Rejected>)> {
        let collection = self.state.served().collection.id;
        let (mut planned, mut rejected) = (Vec::new(), Vec::new());
        let mut failed_as = HashMap::new();
        let mut bytes = 0;
        for id in ids {
            if failed_as.contains_key(&id) {
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
                    failed_as.insert(id, document.summary.sequence);
                    planned.push(as_handed_in(document));
                }
                None => rejected.push((id, not_failed())),
            }
        }
        Ok((planned, failed_as, rejected))
    }

    /// Sorts out what was written again meanwhile. The caller holds the staging lock.
    async fn still_failed(
        &self,
        planned: Vec<Planned>,
        failed_as: &HashMap<DocumentId, Sequence>,
    ) -> Result<(Vec<Planned>, Vec<Rejected>)> {
        let collection = self.state.served().collection.id;
        let look_up = |planned: Planned| async move {
            let id = planned.document.id.clone();
            // Without the texts: no other write goes on meanwhile.
            let versions = self.parts.ledger.document_versions(collection, &id).await?;
            let unchanged = versions.first().is_some_and(|newest| {
                failed_as.get(&id) == Some(&newest.sequence) && has_failed(newest)
            });
            Ok::<_, Error>(if unchanged {
                Ok(planned)
            } else {
                Err((id, not_failed()))
            })
        };
        let look_ups: Vec<_> = planned.into_iter().map(look_up).collect();
        let looked: Vec<_> = stream::iter(look_ups)
            .buffered(LOOK_UPS)
            .try_collect()
            .await?;
        Ok(plan::split(looked))
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
        document: to_hand_in(document),
        extracted: None,
    }
}

/// What is handed in to store the document once more.
pub(crate) fn to_hand_in(Document { summary, text }: Document) -> NewDocument {
    NewDocument {
        id: summary.id,
        text,
        title: summary.title,
        uri: summary.uri,
        format: summary.format,
        metadata: summary.metadata,
        origin: summary.origin,
    }
}
