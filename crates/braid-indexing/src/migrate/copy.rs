//! The copy: a page of documents at a time, each batch published before the next is staged.

use braid_core::operation::{Change, ChangeOutcome, Expected, StagedChunk, StagedDocument};
use braid_core::ports::{Copied, Reached, StageRequest};
use braid_core::{
    ChunkRecord, Collection, ContentHash, Document, DocumentId, DocumentStatus, DocumentSummary,
    Result, Slot,
};
use braid_text::hashing::as_stored;

use super::{Migrated, Migration, MigrationProgress, done, stopped};
use crate::pipeline::stamp;

/// Documents listed, staged and claimed at a time.
const PAGE: usize = 64;
/// Chunks read at a time.
const CHUNKS: usize = 1000;
/// Most chunks that stand for all of a collection.
const DRAWN: u64 = 2048;
/// Most bytes of text staged together.
const BATCH_BYTES: usize = 8 << 20;

const CHANGED: &str = "the target has another version of it, which stays: where that is wrong, ingest \
    the document there";
const WRITTEN: &str = "the target has a version of it that was written while it was copied, or that \
    could not be indexed, which stays: where that is wrong, ingest the document there, or run \
    `braid job retry`";
const DELETED: &str = "it was copied before and is not in the target any more, or could not be \
    indexed there: where that is wrong, ingest it there, or run `braid job retry`";
const CLAIMED: &str = "a worker, or a copy that was killed, has claimed it: run this again in two \
    minutes";

/// Both sides of a collection, and what is known of earlier copies of it.
pub(super) struct Route<'a> {
    pub(super) source: &'a Collection,
    pub(super) target: &'a Collection,
    before: Option<Copied>,
}

/// What is to be done with a document of the source.
enum Plan {
    /// It is there as it is here.
    Same,
    Copy,
    LeaveOut(String),
}

/// What tells a source from others of the same name.
pub(super) fn name_of(source: &Collection) -> String {
    let Collection {
        name,
        created_at_ms,
        ..
    } = source;
    format!("{name}/{created_at_ms}")
}

impl Route<'_> {
    fn plan(&self, summary: &DocumentSummary, there: Option<ContentHash>) -> Plan {
        let was_copied = |it: &Copied| it.includes(&summary.id, summary.sequence);
        match there {
            Some(hash) if hash == summary.content_hash => Plan::Same,
            Some(_) => Plan::LeaveOut(CHANGED.to_owned()),
            None if self.before.as_ref().is_some_and(was_copied) => {
                Plan::LeaveOut(DELETED.to_owned())
            }
            None => left_out(&summary.status).map_or(Plan::Copy, Plan::LeaveOut),
        }
    }
}

impl Migration {
    pub(super) async fn copy(
        &self,
        source: &Collection,
        target: &Collection,
        migrated: &mut Migrated,
        tell: &(dyn Fn(MigrationProgress) + Send + Sync),
    ) -> Result<()> {
        let stats = self.source.ledger.stats(source.id).await?;
        let mut progress = MigrationProgress {
            seen: 0,
            total: stats.documents,
        };
        let mut route = Route {
            source,
            target,
            before: None,
        };
        let name = name_of(source);
        route.before = self.copied.copied(target.id, &name).await?;
        if route.before.is_none() {
            let (sample, chunks) = self.draw(source).await?;
            self.copied.expect(target.id, &sample, chunks).await?;
        }
        let mut copied = route.before.clone().unwrap_or_default();
        let reached = |through| Reached {
            operations: stats.newest,
            through,
        };
        let (mut cursor, mut claimed) = (None, Vec::new());
        loop {
            if self.shutdown.is_requested() {
                return Err(stopped());
            }
            let ledger = &self.source.ledger;
            let page = ledger.documents(source.id, cursor.as_deref(), PAGE).await?;
            progress.seen += page.items.len() as u64;
            let last = page.items.last().map(|it| it.id.clone());
            claimed.extend(self.copy_page(&route, page.items, migrated).await?);
            tell(progress);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
            if last.is_some() {
                copied.come_to(reached(last));
                self.copied.record_copied(target.id, &name, &copied).await?;
            }
        }
        self.look_again(&route, claimed, migrated).await?;
        copied.come_to(reached(None));
        self.copied.record_copied(target.id, &name, &copied).await
    }

    /// Chunks drawn evenly from all of the source, and how many those are.
    async fn draw(&self, source: &Collection) -> Result<(Vec<ChunkRecord>, u64)> {
        let index = self.source.indexes.lexical(source, source.index_key());
        let slots = index.await?.slots().await?;
        let every = slots.len().div_ceil(DRAWN).max(1) as usize;
        let drawn: Vec<Slot> = slots.iter().step_by(every).map(Slot).collect();
        let mut sample = Vec::with_capacity(drawn.len());
        for drawn in drawn.chunks(CHUNKS) {
            let chunks = self.source.ledger.chunks(source.id, drawn).await?;
            sample.extend(chunks.into_iter().map(|it| it.record));
        }
        Ok((sample, slots.len()))
    }

    /// Copies some documents. Gives those that another process has claimed.
    async fn copy_page(
        &self,
        route: &Route<'_>,
        summaries: Vec<DocumentSummary>,
        migrated: &mut Migrated,
    ) -> Result<Vec<DocumentId>> {
        let ids: Vec<_> = summaries.iter().map(|it| it.id.clone()).collect();
        let there = &self.target.ledger;
        let there = there.content_hashes(route.target.id, &ids).await?;
        let (mut same, mut claimed) = (Vec::new(), Vec::new());
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for (summary, there) in summaries.into_iter().zip(there) {
            match route.plan(&summary, there) {
                Plan::Same => same.push(summary.id),
                Plan::LeaveOut(reason) => {
                    migrated.left_out.push((summary.id.to_string(), reason));
                }
                Plan::Copy => {
                    let Some(document) = self.read(route.source, &summary).await? else {
                        continue;
                    };
                    bytes += document.document.text.len();
                    batch.push(document);
                }
            }
            if bytes >= BATCH_BYTES {
                bytes = 0;
                let full = std::mem::take(&mut batch);
                claimed.extend(self.write(route, full, migrated).await?);
            }
        }
        claimed.extend(self.write(route, batch, migrated).await?);
        // What an interrupted copy staged waits.
        let published = self.publish(route, same, migrated).await?;
        migrated.unchanged += published.idle;
        claimed.extend(published.claimed);
        Ok(claimed)
    }

    /// What others had claimed they may have published by now.
    async fn look_again(
        &self,
        route: &Route<'_>,
        claimed: Vec<DocumentId>,
        migrated: &mut Migrated,
    ) -> Result<()> {
        for claimed in claimed.chunks(PAGE) {
            let published = self.publish(route, claimed.to_vec(), migrated).await?;
            migrated.copied += published.idle;
            let still = published.claimed.into_iter();
            let still = still.map(|it| (it.to_string(), CLAIMED.to_owned()));
            migrated.left_out.extend(still);
        }
        Ok(())
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

    /// Stages and publishes documents. Gives those that another process claimed first.
    async fn write(
        &self,
        route: &Route<'_>,
        documents: Vec<StagedDocument>,
        migrated: &mut Migrated,
    ) -> Result<Vec<DocumentId>> {
        if documents.is_empty() {
            return Ok(Vec::new());
        }
        let named = documents.iter();
        let named = named.map(|it| (it.document.id.clone(), it.content_hash));
        let named: Vec<_> = named.collect();
        // A client may have put it since it was looked for.
        let put = |document| Change::PutIf(Expected::Missing, Box::new(document));
        let request = StageRequest {
            changes: documents.into_iter().map(put).collect(),
            job: None,
            guard: None,
        };
        let staging = self.target.ledger.stage(route.target.id, request);
        let outcomes = done(staging.await?)?.outcomes;
        let (unmet, ours): (Vec<_>, Vec<_>) = named
            .into_iter()
            .zip(outcomes)
            .partition(|(_, outcome)| *outcome == ChangeOutcome::Unmet);
        let unmet = unmet.into_iter().map(|(named, _)| named).collect();
        let same = self.put_by_others(route, unmet, migrated).await?;
        let ours = ours.into_iter().map(|((id, _), _)| id).collect();
        let published = self.publish(route, same, migrated).await?;
        migrated.unchanged += published.idle;
        let mut claimed = published.claimed;
        let published = self.publish(route, ours, migrated).await?;
        migrated.copied += published.idle;
        claimed.extend(published.claimed);
        Ok(claimed)
    }

    /// Those that others put with the same content; the rest is left out.
    async fn put_by_others(
        &self,
        route: &Route<'_>,
        put: Vec<(DocumentId, ContentHash)>,
        migrated: &mut Migrated,
    ) -> Result<Vec<DocumentId>> {
        if put.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<_> = put.iter().map(|(id, _)| id.clone()).collect();
        let there = &self.target.ledger;
        let there = there.content_hashes(route.target.id, &ids).await?;
        let mut same = Vec::new();
        for ((id, hash), there) in put.into_iter().zip(there) {
            match there {
                Some(there) if there == hash => same.push(id),
                _ => migrated.left_out.push((id.to_string(), WRITTEN.to_owned())),
            }
        }
        Ok(same)
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
        document: as_stored(document),
    }
}
