//! Reading documents. Listings are in the order of hashed ids, and their cursors are such hashes.

use braid_core::operation::IndexableChunk;
use braid_core::ports::{FailedDocument, Page};
use braid_core::{
    ChunkId, ChunkLineage, ChunkStatus, CollectionId, ContentHash, Document, DocumentId,
    DocumentStatus, DocumentSummary, Embedding, Error, Filter, Fingerprint, Result, Sequence, Slot,
};
use std::sync::Arc;
use uuid::Uuid;

use super::ClusterLedger;
use crate::cluster::cas::{Listing, all, any_text, is_text};
use crate::cluster::heads::{Head, Read, STATE, State};
use crate::cluster::rows::{BODY, read_json};
use crate::cluster::shelf::Shelf;
use crate::cluster::tried::Tried;
use crate::qdrant::filter::{Indexed, Others, translate};

/// Most documents in one page.
const MOST: usize = 1000;

/// The states of documents that are there for callers.
const EXISTING: [State; 3] = [State::Waiting, State::Idle, State::Failed];

impl ClusterLedger {
    pub(super) async fn read_document(
        &self,
        collection: CollectionId,
        id: &DocumentId,
    ) -> Result<Option<Document>> {
        let (_, shelf) = self.open_shelf(collection).await?;
        // A version that was replaced since its head was read may be gone.
        for _ in 0..2 {
            let head = shelf.heads.read_one(id).await?;
            let Some(newest) = head.newest_sequence() else {
                return Ok(None);
            };
            let found = shelf.versions.document(id, newest, head.status()).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    pub(super) async fn read_hashes(
        &self,
        collection: CollectionId,
        ids: &[DocumentId],
    ) -> Result<Vec<Option<ContentHash>>> {
        let (_, shelf) = self.open_shelf(collection).await?;
        let reads = shelf.heads.read(ids).await?;
        let hash = |read: &Read| {
            let newest = read.head.newest.as_ref();
            let newest = newest.filter(|_| read.head.state != State::Failed);
            newest.map(|newest| newest.content_hash.parse()).transpose()
        };
        reads.iter().map(hash).collect()
    }

    pub(super) async fn list_documents(
        &self,
        collection: CollectionId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<DocumentSummary>> {
        let (_, shelf) = self.open_shelf(collection).await?;
        let (heads, next) = list_heads(&shelf, &EXISTING, cursor, limit).await?;
        let summaries = summaries(&shelf, &heads).await?;
        Ok(Page {
            items: summaries.into_iter().flatten().collect(),
            next,
        })
    }

    pub(super) async fn list_failed(
        &self,
        collection: CollectionId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<FailedDocument>> {
        let (_, shelf) = self.open_shelf(collection).await?;
        let (heads, next) = list_heads(&shelf, &[State::Failed], cursor, limit).await?;
        let failed = heads.iter().map(|head| {
            Ok(FailedDocument {
                id: head.document()?,
                sequence: head.newest_sequence().unwrap_or_default(),
                reason: head.reason(),
                failed_at_ms: head.failure.as_ref().map_or(0, |failure| failure.at_ms),
            })
        });
        Ok(Page {
            items: failed.collect::<Result<_>>()?,
            next,
        })
    }

    /// Asks the server also about fields that have no index: for people, not for the path of a query.
    pub(super) async fn matching_documents(
        &self,
        collection: CollectionId,
        filter: &Filter,
    ) -> Result<Vec<DocumentId>> {
        filter.check()?;
        let (_, shelf) = self.open_shelf(collection).await?;
        let fields = std::collections::BTreeSet::new();
        let indexed = Indexed {
            fields: &fields,
            others: Others::Ask,
        };
        let mut asked = translate(filter, indexed);
        asked.must.push(in_states(&EXISTING));
        let found = shelf.heads.table.list_all(Some(asked)).await?;
        let mut ids = found
            .iter()
            .map(|(_, fields)| read_json::<Head>(fields, BODY)?.document())
            .collect::<Result<Vec<_>>>()?;
        ids.sort_unstable();
        Ok(ids)
    }

    pub(super) async fn read_versions(
        &self,
        collection: CollectionId,
        id: &DocumentId,
    ) -> Result<Vec<DocumentSummary>> {
        let (_, shelf) = self.open_shelf(collection).await?;
        let head = shelf.heads.read_one(id).await?;
        let Some(newest) = head.newest_sequence() else {
            return Ok(Vec::new());
        };
        let mut wanted = vec![(newest, head.status())];
        if let Some(published) = head.published_sequence().filter(|it| *it != newest) {
            wanted.push((published, DocumentStatus::Published));
        }
        let of: Vec<(&str, u64)> = wanted.iter().map(|(it, _)| (id.as_str(), it.0)).collect();
        let found = shelf.versions.summaries(&of).await?;
        let found = found.into_iter().zip(wanted);
        found
            .filter_map(|(row, (_, status))| Some(row?.summary(status)))
            .collect()
    }

    pub(super) async fn read_document_chunks(
        &self,
        collection: CollectionId,
        id: &DocumentId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Option<Page<ChunkLineage>>> {
        let first: u32 = match cursor {
            Some(cursor) => cursor.parse().map_err(|_| bad_cursor())?,
            None => 0,
        };
        let (_, shelf) = self.open_shelf(collection).await?;
        let head = shelf.heads.read_one(id).await?;
        if !head.exists() {
            return Ok(None);
        }
        let nothing = Page {
            items: Vec::new(),
            next: None,
        };
        let Some(published) = head.published_sequence() else {
            return Ok(Some(nothing));
        };
        let version = shelf
            .versions
            .summaries(&[(id.as_str(), published.0)])
            .await?;
        let version = version.into_iter().flatten().next();
        let version = version
            .map(|row| row.summary(DocumentStatus::Published))
            .transpose()?;
        let stored = version.as_ref().map_or(0, |version| version.chunks);
        let limit = u32::try_from(limit.clamp(1, MOST)).unwrap_or(u32::MAX);
        let last = first.saturating_add(limit - 1);
        let points = shelf
            .chunks
            .of_document(id, published, first..=last)
            .await?;
        let version = version.map(Arc::new);
        let newest = head.newest_sequence();
        let items = points.into_iter().map(|point| ChunkLineage {
            record: point.record,
            status: ChunkStatus::Live,
            version: version.clone(),
            superseded_by: newest.filter(|newest| *newest != published),
        });
        Ok(Some(Page {
            items: items.collect(),
            next: (stored > last as usize + 1).then(|| (last + 1).to_string()),
        }))
    }

    pub(super) async fn chunks_named(
        &self,
        collection: CollectionId,
        id: ChunkId,
    ) -> Result<Vec<ChunkLineage>> {
        let (_, shelf) = self.open_shelf(collection).await?;
        let points = shelf.chunks.named(id).await?;
        let documents: Vec<DocumentId> =
            points.iter().map(|it| it.record.document.clone()).collect();
        let heads = shelf.heads.read(&documents).await?;
        let mut found = Vec::with_capacity(points.len());
        for (point, Read { head, .. }) in points.into_iter().zip(heads) {
            let sequence = point.record.sequence;
            let is_newest = head.newest_sequence() == Some(sequence);
            let (status, of_version) = if head.published_sequence() == Some(sequence) {
                (ChunkStatus::Live, Some(DocumentStatus::Published))
            } else if is_newest && head.state == State::Waiting {
                (ChunkStatus::Pending, Some(DocumentStatus::Pending))
            } else {
                (ChunkStatus::Retired, is_newest.then(|| head.status()))
            };
            let version = match of_version {
                Some(status) => {
                    let of = [(point.record.document.as_str(), sequence.0)];
                    let row = shelf.versions.summaries(&of).await?.remove(0);
                    row.map(|row| row.summary(status)).transpose()?
                }
                None => None,
            };
            found.push(ChunkLineage {
                record: point.record,
                status,
                version: version.map(Arc::new),
                superseded_by: head.newest_sequence().filter(|_| !is_newest),
            });
        }
        found.sort_by_key(|it| std::cmp::Reverse((it.record.sequence, it.record.slot)));
        Ok(found)
    }

    pub(super) async fn read_chunks(
        &self,
        collection: CollectionId,
        slots: &[Slot],
    ) -> Result<Vec<IndexableChunk>> {
        let (_, shelf) = self.open_shelf(collection).await?;
        let points = shelf.chunks.fetch(slots).await?.into_iter().flatten();
        let chunks = points.map(|point| IndexableChunk {
            record: point.record,
            metadata: point.metadata,
        });
        Ok(chunks.collect())
    }

    /// Embeddings are kept with the chunks: those of any collection of that embedder are found. What a
    /// collection does not answer for is missing, as long as another one answers.
    pub(super) async fn read_embeddings(
        &self,
        embedder: &Fingerprint,
        keys: &[ContentHash],
    ) -> Result<Vec<Option<Embedding>>> {
        let mut found: Vec<Option<Embedding>> = vec![None; keys.len()];
        let mut tried = Tried::default();
        for collection in self.registry.all().await?.values() {
            if collection.fingerprint.embedder != *embedder {
                continue;
            }
            let missing = found.iter().enumerate().filter(|(_, it)| it.is_none());
            let missing: Vec<usize> = missing.map(|(at, _)| at).collect();
            if missing.is_empty() {
                break;
            }
            let asked: Vec<ContentHash> = missing.iter().map(|at| keys[*at]).collect();
            let stored = self.shelf_of(collection).chunks.embeddings(&asked).await;
            let Some(stored) = tried.note(collection, "embeddings", stored) else {
                continue;
            };
            for (at, embedding) in missing.into_iter().zip(stored) {
                found[at] = embedding;
            }
        }
        tried.done()?;
        Ok(found)
    }
}

/// A page of heads in these states, and where the next one starts.
async fn list_heads(
    shelf: &Shelf,
    states: &[State],
    cursor: Option<&str>,
    limit: usize,
) -> Result<(Vec<Head>, Option<String>)> {
    let from = cursor
        .map(Uuid::parse_str)
        .transpose()
        .map_err(|_| bad_cursor())?;
    let listing = Listing {
        filter: Some(all(vec![in_states(states)])),
        from,
        limit: u32::try_from(limit.clamp(1, MOST)).ok(),
        ..Listing::default()
    };
    let (found, next) = shelf.heads.table.list(listing).await?;
    let heads: Result<Vec<Head>> = found.iter().map(|(_, it)| read_json(it, BODY)).collect();
    Ok((heads?, next.map(|next| next.to_string())))
}

fn in_states(states: &[State]) -> ::qdrant_client::qdrant::Condition {
    match states {
        [state] => is_text(STATE, state.as_str()),
        states => any_text(
            STATE,
            states.iter().map(|it| it.as_str().to_owned()).collect(),
        ),
    }
}

/// The newest version of each; `None` where it was replaced and removed meanwhile.
async fn summaries(shelf: &Shelf, heads: &[Head]) -> Result<Vec<Option<DocumentSummary>>> {
    let newest = |head: &Head| head.newest_sequence().unwrap_or(Sequence::ZERO).0;
    let of: Vec<(&str, u64)> = heads
        .iter()
        .map(|it| (it.document.as_str(), newest(it)))
        .collect();
    let rows = shelf.versions.summaries(&of).await?;
    let rows = rows.into_iter().zip(heads);
    rows.map(|(row, head)| row.map(|row| row.summary(head.status())).transpose())
        .collect()
}

fn bad_cursor() -> Error {
    Error::invalid("the cursor is none that a page gave")
}
