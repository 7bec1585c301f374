//! The copy: a page of documents at a time, each batch published before the next is staged.

use std::time::Duration;

use braid_core::operation::{Change, StagedChunk, StagedDocument};
use braid_core::ports::{Settled, StageRequest, WorkFailure, WorkItem};
use braid_core::{Collection, Document, DocumentStatus, DocumentSummary, Embedding, Result};

use super::{Migrated, Migration, MigrationProgress};
use crate::again::to_hand_in;
use crate::pipeline::stamp;

/// Documents listed, staged and claimed at a time.
const PAGE: usize = 64;
/// Chunks read at a time.
const CHUNKS: usize = 1000;
/// Most bytes of text staged together.
const BATCH_BYTES: usize = 8 << 20;
/// How long a claim lasts.
const LEASE: Duration = Duration::from_secs(300);
/// When a worker may have what this cannot embed.
const LEFT_TO_WORKERS: Duration = Duration::from_secs(60);

impl Migration {
    pub(super) async fn copy(
        &self,
        source: &Collection,
        target: &Collection,
        migrated: &mut Migrated,
        tell: &(dyn Fn(MigrationProgress) + Send + Sync),
    ) -> Result<()> {
        let mut progress = MigrationProgress {
            seen: 0,
            total: self.source.ledger.stats(source.id).await?.documents,
        };
        // What an interrupted copy staged.
        self.publish_waiting(source, migrated).await?;
        let mut cursor = None;
        loop {
            let ledger = &self.source.ledger;
            let page = ledger.documents(source.id, cursor.as_deref(), PAGE).await?;
            progress.seen += page.items.len() as u64;
            self.copy_page(source, target, page.items, migrated).await?;
            tell(progress);
            cursor = page.next;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    async fn copy_page(
        &self,
        source: &Collection,
        target: &Collection,
        summaries: Vec<DocumentSummary>,
        migrated: &mut Migrated,
    ) -> Result<()> {
        let ids: Vec<_> = summaries.iter().map(|it| it.id.clone()).collect();
        let there = self.target.ledger.content_hashes(target.id, &ids).await?;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for (summary, there) in summaries.into_iter().zip(there) {
            if there == Some(summary.content_hash) {
                migrated.unchanged += 1;
                continue;
            }
            if let Some(reason) = left_out(&summary.status) {
                migrated.left_out.push((summary.id.to_string(), reason));
                continue;
            }
            if let Some(document) = self.read(source, &summary).await? {
                bytes += document.document.text.len();
                batch.push(Change::Put(Box::new(document)));
            }
            if bytes >= BATCH_BYTES {
                bytes = 0;
                let full = std::mem::take(&mut batch);
                self.write(source, target, full, migrated).await?;
            }
        }
        self.write(source, target, batch, migrated).await
    }

    /// A document with its chunks as they are; `None` where it is gone.
    async fn read(
        &self,
        source: &Collection,
        summary: &DocumentSummary,
    ) -> Result<Option<StagedDocument>> {
        let ledger = &self.source.ledger;
        let Some(document) = ledger.document(source.id, &summary.id).await? else {
            return Ok(None);
        };
        let (mut chunks, mut cursor) = (Vec::new(), None);
        loop {
            let reading = ledger.document_chunks(source.id, &summary.id, cursor.as_deref(), CHUNKS);
            let Some(page) = reading.await? else {
                return Ok(None);
            };
            chunks.extend(page.items.into_iter().map(|it| StagedChunk {
                id: it.record.id,
                chunk: it.record.chunk,
                embedding_key: it.record.embedding_key,
            }));
            cursor = page.next;
            if cursor.is_none() {
                return Ok(Some(staged(source, document, chunks)));
            }
        }
    }

    async fn write(
        &self,
        source: &Collection,
        target: &Collection,
        changes: Vec<Change>,
        migrated: &mut Migrated,
    ) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let request = StageRequest {
            changes,
            job: None,
            guard: None,
        };
        self.target.ledger.stage(target.id, request).await?;
        self.publish_waiting(source, migrated).await
    }

    /// Publishes what waits and was embedded by the source; the rest is left to workers.
    async fn publish_waiting(&self, source: &Collection, migrated: &mut Migrated) -> Result<()> {
        let embedder = &source.fingerprint.embedder;
        loop {
            let claimed = self.queue.claim(embedder, PAGE, LEASE).await?;
            if claimed.is_empty() {
                return Ok(());
            }
            let mut work = Vec::with_capacity(claimed.len());
            for item in claimed {
                match self.embeddings(source, &item).await? {
                    Some(embeddings) => work.push((item, embeddings)),
                    None => self.leave_to_workers(source, &item, migrated).await?,
                }
            }
            let settled = self.queue.publish(work).await?;
            let published = settled.iter().filter(|it| **it == Settled::Done).count();
            migrated.copied += published as u64;
        }
    }

    /// The embeddings that the source has of a claimed document; `None` where one is missing.
    async fn embeddings(
        &self,
        source: &Collection,
        item: &WorkItem,
    ) -> Result<Option<Vec<Embedding>>> {
        let chunks = item.chunks.iter();
        let keys: Vec<_> = chunks.map(|chunk| chunk.record.embedding_key).collect();
        let embedder = &source.fingerprint.embedder;
        let found = self.source.ledger.embeddings(embedder, &keys).await?;
        Ok(found.into_iter().collect())
    }

    async fn leave_to_workers(
        &self,
        source: &Collection,
        item: &WorkItem,
        migrated: &mut Migrated,
    ) -> Result<()> {
        let failure = WorkFailure {
            reason: "the data directory has no embedding of it".to_owned(),
            retry_after: Some(LEFT_TO_WORKERS),
        };
        if item.collection.name == source.name {
            let reason = "the source has no embedding of it: run `braid ingest --worker`";
            let document = item.claim.document.to_string();
            migrated.left_out.push((document, reason.to_owned()));
        }
        self.queue.fail(&item.claim, failure).await.map(drop)
    }
}

/// Why a document is not copied, if it is not.
fn left_out(status: &DocumentStatus) -> Option<String> {
    match status {
        DocumentStatus::Published => None,
        DocumentStatus::Pending => Some("its newest version is not indexed yet".to_owned()),
        DocumentStatus::Failed(reason) => {
            Some(format!("its newest version could not be indexed: {reason}"))
        }
    }
}

fn staged(source: &Collection, document: Document, chunks: Vec<StagedChunk>) -> StagedDocument {
    StagedDocument {
        content_hash: document.summary.content_hash,
        pipeline: stamp(&source.fingerprint),
        chunks,
        likeness: None,
        language: document.summary.language,
        document: to_hand_in(document),
    }
}
