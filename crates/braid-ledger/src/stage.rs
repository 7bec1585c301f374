//! Staging: acknowledged changes, each an operation in the log.
//!
//! Changes of one request are staged in order, each with a sequence of its own, so of two puts of a
//! document the later is its newest version and publishing discards the earlier.

use braid_core::operation::{Change, ChangeOutcome, Expected, StagedChunk, StagedDocument};
use braid_core::ports::{NewJob, StageReceipt};
use braid_core::{
    CollectionId, DocumentId, DuplicateAction, DuplicateSettings, Likeness, NewDocument, Result,
    Sequence, StorageUse,
};
use heed::{RoTxn, RwTxn};

use crate::draft::Draft;
use crate::error::map_full;
use crate::filters;
use crate::jobs;
use crate::keys;
use crate::pending;
use crate::rows::{
    ChunkRow, ChunkVersion, DocumentRow, DuplicateRow, LikenessRow, OperationRow, Raw, VersionRow,
    language, metadata, metadata_row,
};
use crate::store::Store;

/// Bytes of rows, keys and page slack that every document, and every chunk, costs beyond its text.
const OVERHEAD_BYTES: usize = 512;

/// Stages `changes` and records `job` with them.
pub(crate) fn stage(
    store: &Store,
    txn: &mut RwTxn,
    id: CollectionId,
    changes: Vec<Change>,
    job: Option<NewJob>,
) -> Result<StageReceipt> {
    let names = changes.iter().map(|change| change.document().to_string());
    let names: Vec<String> = names.collect();
    let collection = crate::collections::row(&store.tables, txn, id)?;
    let dimension = collection.dimension as usize;
    let duplicates = collection.duplicates()?;
    let mut room = Room::measure(store, txn, dimension)?;
    let mut draft = Draft::open(store, txn, id)?;
    let mut outcomes = Vec::with_capacity(changes.len());
    for change in changes {
        if !draft.meets(&change)? {
            outcomes.push(ChangeOutcome::Unmet);
            continue;
        }
        outcomes.push(match change {
            Change::Put(staged) | Change::PutIf(_, staged) => {
                draft.stage_put(*staged, &mut room, duplicates)?
            }
            Change::Delete(document) | Change::DeleteIf(_, document) => {
                draft.stage_delete(&document)?
            }
        });
    }
    let newest = Sequence(draft.counters.newest);
    draft.finish()?;
    if let Some(job) = job {
        jobs::record(store, txn, id, job, names.into_iter().zip(&outcomes))?;
    }
    Ok(StageReceipt { outcomes, newest })
}

/// As [`braid_core::Ledger::storage_use`].
pub(crate) fn storage_use(store: &Store, txn: &RoTxn) -> Result<StorageUse> {
    Ok(StorageUse {
        used_bytes: taken(store, txn)? as u64,
        limit_bytes: store.options.map_size as u64,
    })
}

/// Bytes in use. Staging may run far ahead of embedding, so what is pending counts as if it were
/// stored.
fn taken(store: &Store, txn: &RoTxn) -> Result<usize> {
    let used = store.tables.used_bytes(txn)?;
    Ok(used.saturating_add(pending::bytes(&store.tables, txn)?))
}

/// How much more may be staged before puts are refused. What was acknowledged can then still be
/// embedded, published and deleted within the reserve.
struct Room {
    left: usize,
    embedding_bytes: usize,
}

impl Room {
    fn measure(store: &Store, txn: &RwTxn, dimension: usize) -> Result<Self> {
        Ok(Self {
            left: store.options.map_size.saturating_sub(taken(store, txn)?),
            embedding_bytes: pending::embedding_bytes(dimension),
        })
    }

    /// Takes what a version needs: its rows, the embeddings of its chunks, and the filter rows that
    /// publishing it writes.
    fn take(&mut self, id: CollectionId, staged: &StagedDocument) -> Result<()> {
        let document = &staged.document;
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        // Every chunk repeats its document's name and title.
        let named = document.id.as_str().len() + length(&document.title);
        let chunk = |staged: &StagedChunk| {
            let chunk = &staged.chunk;
            let path: usize = chunk.heading_path.iter().map(String::len).sum();
            let texts = chunk.text.len() + chunk.context_header.len() + path;
            texts + named + self.embedding_bytes + OVERHEAD_BYTES
        };
        let chunks: usize = staged.chunks.iter().map(chunk).sum();
        let metadata = metadata_row(document.metadata.clone());
        let language = staged.language.map(|language| language.to_string());
        let filters = filters::row_bytes(id, &metadata, language.as_deref(), staged.chunks.len());
        let likeness = staged.likeness.as_ref().map_or(0, likeness_bytes);
        let version = document.metadata.bytes() + named + length(&document.uri) + likeness;
        let wanted = document.text.len() + version + filters + chunks + OVERHEAD_BYTES;
        self.left = self.left.checked_sub(wanted).ok_or_else(map_full)?;
        Ok(())
    }
}

/// Bytes of what is compared to find duplicates, and of the keys under which it is found.
fn likeness_bytes(likeness: &Likeness) -> usize {
    const KEY_BYTES: usize = 21 + 16;
    let sketch = likeness.sketch.as_ref().map_or(0, |it| size_of_val(&**it));
    // Numbers of a sketch are stored in up to five bytes, keys in pages two thirds full.
    sketch * 5 / 4 + likeness.keys().len() * KEY_BYTES * 3 / 2
}

/// What is stored of a version beside the document as it was handed in.
struct VersionParts {
    content_hash: [u8; 32],
    pipeline: String,
    slots: Vec<u32>,
    replaces: Option<u64>,
    kept: bool,
    likeness: Option<LikenessRow>,
    duplicate: Option<DuplicateRow>,
    language: Option<String>,
}

impl Draft<'_, '_> {
    /// Whether the document is what the change expects.
    fn meets(&self, change: &Change) -> Result<bool> {
        let Some(expected) = change.expected() else {
            return Ok(true);
        };
        let Some(row) = self.document(change.document())? else {
            return Ok(*expected == Expected::Missing);
        };
        match expected {
            Expected::Missing => Ok(false),
            Expected::Failed(sequence) => Ok(row.has_failed() && row.newest == sequence.0),
            Expected::Passing(filter) => {
                let version = self.version(row.newest)?;
                let language = language(version.language)?;
                Ok(filter.matches(&metadata(version.metadata), language))
            }
        }
    }

    fn stage_put(
        &mut self,
        staged: StagedDocument,
        room: &mut Room,
        duplicates: DuplicateSettings,
    ) -> Result<ChangeOutcome> {
        let before = self.document(&staged.document.id)?;
        if let Some(row) = before
            && self.is_unchanged(row, &staged)?
        {
            self.keep(row)?;
            let sequence = Sequence(row.newest);
            return Ok(ChangeOutcome::Unchanged { sequence });
        }
        let duplicate = match &staged.likeness {
            Some(likeness) => self.find_duplicate(&staged.document.id, likeness, duplicates)?,
            None => None,
        };
        if let (Some(duplicate), None) = (&duplicate, before)
            && duplicates.action == DuplicateAction::Skip
        {
            if let Some(row) = self.document(&duplicate.of)? {
                self.keep(row)?;
            }
            return Ok(ChangeOutcome::Duplicate(duplicate.clone()));
        }
        room.take(self.id, &staged)?;
        let sequence = Sequence(self.counters.newest + 1);
        let document = staged.document.id.clone();
        let version = ChunkVersion {
            document: &document,
            sequence: sequence.0,
            title: staged.document.title.as_deref(),
            language: staged.language,
        };
        let slots = self.store_chunks(version, staged.chunks)?;
        self.add_likeness(sequence, staged.likeness.as_ref(), duplicate.as_ref())?;
        let parts = VersionParts {
            content_hash: staged.content_hash.0,
            pipeline: staged.pipeline.to_string(),
            slots: slots.clone(),
            replaces: before.and_then(|row| row.current),
            kept: before.is_some_and(|row| row.has_failed()),
            likeness: staged.likeness.as_ref().map(LikenessRow::new),
            duplicate: duplicate.as_ref().map(DuplicateRow::new),
            language: staged.language.map(|language| language.to_string()),
        };
        self.store_version(sequence, staged.document, parts)?;
        self.log(&OperationRow::Put {
            document: document.to_string(),
            slots,
        })?;
        let after = DocumentRow {
            newest: sequence.0,
            current: Some(sequence.0),
            live: before.and_then(|row| row.live),
        };
        self.set_document(&document, before, Some(after))?;
        if let Some(row) = before {
            self.drop_unused_version(Some(after), row.newest)?;
        }
        Ok(ChangeOutcome::Staged {
            sequence,
            replaced: before.is_some(),
            duplicate,
        })
    }

    /// Whoever is told that a document is there may rely on it: while its newest version is pending,
    /// the job that put it cannot take it back any more.
    fn keep(&mut self, row: DocumentRow) -> Result<()> {
        if row.live == Some(row.newest) {
            return Ok(());
        }
        let version = self.version(row.newest)?;
        if version.kept {
            return Ok(());
        }
        let key = keys::sequence(self.id, Sequence(row.newest));
        let kept = VersionRow {
            kept: true,
            ..version
        };
        self.tables().versions.put(self.txn, &key, &kept)
    }

    /// Whether the newest version is the same content under the same pipeline, and did not fail.
    fn is_unchanged(&self, row: DocumentRow, staged: &StagedDocument) -> Result<bool> {
        if row.has_failed() {
            return Ok(false);
        }
        let version = self.version(row.newest)?;
        Ok(version.content_hash == staged.content_hash.0
            && version.pipeline == staged.pipeline.as_str())
    }

    /// Stores the chunks of a version under fresh slots.
    pub(crate) fn store_chunks(
        &mut self,
        version: ChunkVersion<'_>,
        chunks: Vec<StagedChunk>,
    ) -> Result<Vec<u32>> {
        let slots = self.take_slots(chunks.len())?;
        for (slot, chunk) in slots.clone().zip(chunks) {
            let row = ChunkRow::new(version, chunk);
            let key = keys::slot(self.id, slot);
            self.tables().chunks.put(self.txn, &key, &row)?;
        }
        Ok(slots.collect())
    }

    fn store_version(
        &mut self,
        sequence: Sequence,
        document: NewDocument,
        parts: VersionParts,
    ) -> Result<()> {
        let key = keys::sequence(self.id, sequence);
        let text = Raw(document.text.into_bytes());
        self.tables().texts.put(self.txn, &key, &text)?;
        let row = VersionRow {
            document: document.id.to_string(),
            title: document.title,
            uri: document.uri,
            format: document.format.into(),
            metadata: metadata_row(document.metadata),
            content_hash: parts.content_hash,
            pipeline: parts.pipeline,
            slots: parts.slots,
            updated_at_ms: self.store.now_ms(),
            replaces: parts.replaces,
            kept: parts.kept,
            likeness: parts.likeness,
            duplicate: parts.duplicate,
            language: parts.language,
            origin: document.origin.map(Into::into),
        };
        self.pending.add(self.id, &row);
        self.tables().versions.put(self.txn, &key, &row)
    }

    fn stage_delete(&mut self, id: &DocumentId) -> Result<ChangeOutcome> {
        let Some(row) = self.document(id)? else {
            return Ok(ChangeOutcome::Absent);
        };
        let sequence = self.log(&OperationRow::Delete {
            document: id.to_string(),
        })?;
        if let Some(live) = row.live {
            let version = self.version(live)?;
            self.hide(&version);
            self.drop_unused_version(None, live)?;
        }
        self.set_document(id, Some(row), None)?;
        self.drop_unused_version(None, row.newest)?;
        Ok(ChangeOutcome::Deleted { sequence })
    }
}
