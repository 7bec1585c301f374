//! Reading documents, chunks and the operation log outside a pin.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;

use braid_core::operation::IndexableChunk;
use braid_core::ports::{FailedDocument, Page};
use braid_core::{
    CollectionId, ContentHash, Document, DocumentId, DocumentStatus, DocumentSummary, Filter,
    Metadata, Operation, Result, Sequence, Slot, SlotSet,
};
use heed::RoTxn;

use crate::collections;
use crate::error::corrupt;
use crate::keys;
use crate::rows::{
    ChunkHeader, DocumentRow, FailureRow, OperationRow, VersionRow, document_id, metadata,
};
use crate::table::Tables;

/// One collection in one snapshot.
pub(crate) struct Reading<'t> {
    pub(crate) tables: &'t Tables,
    pub(crate) txn: &'t RoTxn<'t>,
    pub(crate) id: CollectionId,
}

impl<'t> Reading<'t> {
    /// Reads collection `id`, which must exist.
    pub(crate) fn open(tables: &'t Tables, txn: &'t RoTxn<'t>, id: CollectionId) -> Result<Self> {
        collections::counters(tables, txn, id)?;
        Ok(Self { tables, txn, id })
    }

    pub(crate) fn version(&self, sequence: u64) -> Result<Option<VersionRow>> {
        let key = keys::sequence(self.id, Sequence(sequence));
        self.tables.versions.get(self.txn, &key)
    }

    pub(crate) fn find_chunk_header(&self, slot: u32) -> Result<Option<ChunkHeader>> {
        let key = keys::slot(self.id, slot);
        let bytes = self.tables.chunks.bytes(self.txn, &key)?;
        bytes.map(ChunkHeader::read).transpose()
    }

    /// What a document's version is, where it is stored.
    pub(crate) fn version_summary(
        &self,
        row: DocumentRow,
        sequence: u64,
    ) -> Result<Option<DocumentSummary>> {
        let Some(version) = self.version(sequence)? else {
            return Ok(None);
        };
        let key = keys::sequence(self.id, Sequence(sequence));
        let status = if let Some(failure) = self.tables.failures.get(self.txn, &key)? {
            DocumentStatus::Failed(failure.reason)
        } else if row.live == Some(sequence) {
            DocumentStatus::Published
        } else {
            DocumentStatus::Pending
        };
        version.into_summary(Sequence(sequence), status).map(Some)
    }

    fn newest_version(&self, row: DocumentRow) -> Result<VersionRow> {
        let version = self.version(row.newest)?;
        version.ok_or_else(|| corrupt(format!("version {} is missing", row.newest)))
    }

    fn summary(&self, row: DocumentRow) -> Result<DocumentSummary> {
        let summary = self.version_summary(row, row.newest)?;
        summary.ok_or_else(|| corrupt(format!("version {} is missing", row.newest)))
    }

    /// As [`braid_core::Ledger::document`].
    pub(crate) fn document(&self, id: &DocumentId) -> Result<Option<Document>> {
        let key = keys::document(self.id, id);
        let Some(row) = self.tables.documents.get(self.txn, &key)? else {
            return Ok(None);
        };
        let key = keys::sequence(self.id, Sequence(row.newest));
        let missing = || corrupt(format!("the text of document {id} is missing"));
        let text = self.tables.texts.get(self.txn, &key)?.ok_or_else(missing)?;
        let text = String::from_utf8(text.0).map_err(|error| missing().with_source(error))?;
        let summary = self.summary(row)?;
        Ok(Some(Document { summary, text }))
    }

    /// One document's part of [`braid_core::Ledger::content_hashes`].
    pub(crate) fn content_hash(&self, id: &DocumentId) -> Result<Option<ContentHash>> {
        let key = keys::document(self.id, id);
        let row = self.tables.documents.get(self.txn, &key)?;
        let Some(row) = row.filter(|row| !row.has_failed()) else {
            return Ok(None);
        };
        Ok(Some(ContentHash(self.newest_version(row)?.content_hash)))
    }

    /// As [`braid_core::Ledger::documents`].
    pub(crate) fn documents(
        &self,
        cursor: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Page<DocumentSummary>> {
        let start = cursor.map(|cursor| keys::document(self.id, cursor));
        let prefix = keys::collection(self.id);
        let start = match &start {
            Some(cursor) => Bound::Excluded(&cursor[..]),
            None => Bound::Included(&prefix[..]),
        };
        let end = keys::collection(CollectionId(self.id.0 + 1));
        let range = (start, Bound::Excluded(&end[..]));
        let mut rows = self.tables.documents.range(self.txn, range)?;
        let mut items = Vec::new();
        for entry in rows.by_ref().take(limit) {
            items.push(self.summary(entry?.1)?);
        }
        let last = items.last().map(|item| item.id.to_string());
        let next = last.filter(|_| rows.next().is_some());
        Ok(Page { items, next })
    }

    /// As [`braid_core::Ledger::failed_documents`].
    pub(crate) fn failed_documents(
        &self,
        after: Sequence,
        limit: usize,
    ) -> Result<Page<FailedDocument>> {
        let start = keys::sequence(self.id, after);
        let end = keys::sequence(self.id, Sequence(u64::MAX));
        let range = (Bound::Excluded(&start[..]), Bound::Included(&end[..]));
        let mut items: Vec<FailedDocument> = Vec::new();
        for entry in self.tables.failures.range(self.txn, range)? {
            let (key, failure) = entry?;
            let sequence = keys::read_number(key)?;
            let Some(failed) = self.failed_document(sequence, failure)? else {
                continue;
            };
            if items.len() == limit {
                let next = items.last().map(|last| last.sequence.0.to_string());
                return Ok(Page { items, next });
            }
            items.push(failed);
        }
        Ok(Page { items, next: None })
    }

    /// The document of a failure, if it has no newer version.
    fn failed_document(
        &self,
        sequence: u64,
        failure: FailureRow,
    ) -> Result<Option<FailedDocument>> {
        let Some(document) = failure.document.filter(|_| !failure.cancelled) else {
            return Ok(None);
        };
        let id = document_id(document)?;
        let row = self
            .tables
            .documents
            .get(self.txn, &keys::document(self.id, &id))?;
        let is_newest = row.is_some_and(|row| row.newest == sequence);
        Ok(is_newest.then_some(FailedDocument {
            id,
            sequence: Sequence(sequence),
            reason: failure.reason,
            failed_at_ms: failure.at_ms,
        }))
    }

    /// As [`braid_core::Ledger::find_documents`].
    pub(crate) fn find_documents(&self, filter: &Filter) -> Result<Vec<DocumentId>> {
        let mut found = Vec::new();
        let prefix = keys::collection(self.id);
        for entry in self.tables.documents.scan(self.txn, &prefix)? {
            let (key, row) = entry?;
            let version = self.newest_version(row)?;
            let language = crate::rows::language(version.language)?;
            if filter.matches(&metadata(version.metadata), language) {
                found.push(keys::read_document(key)?);
            }
        }
        Ok(found)
    }

    /// As [`braid_core::Ledger::operations`].
    pub(crate) fn operations(&self, after: Sequence, limit: usize) -> Result<Vec<Operation>> {
        let start = keys::sequence(self.id, after);
        let end = keys::sequence(self.id, Sequence(u64::MAX));
        let range = (Bound::Excluded(&start[..]), Bound::Included(&end[..]));
        let rows = self.tables.operations.range(self.txn, range)?;
        rows.take(limit)
            .map(|entry| {
                let (key, operation) = entry?;
                operation.into_operation(Sequence(keys::read_number(key)?))
            })
            .collect()
    }

    /// As [`braid_core::Ledger::chunks`].
    pub(crate) fn chunks(&self, slots: &[Slot]) -> Result<Vec<IndexableChunk>> {
        let mut versions: HashMap<u64, Option<Arc<Metadata>>> = HashMap::new();
        let mut found = Vec::with_capacity(slots.len());
        for slot in slots {
            let key = keys::slot(self.id, slot.0);
            let Some(row) = self.tables.chunks.get(self.txn, &key)? else {
                continue;
            };
            let sequence = row.header.sequence;
            let metadata = match versions.get(&sequence) {
                Some(known) => known.clone(),
                None => {
                    let read = self.metadata(sequence)?;
                    versions.insert(sequence, read.clone());
                    read
                }
            };
            if let Some(metadata) = metadata {
                let record = row.into_record(slot.0)?;
                found.push(IndexableChunk { record, metadata });
            }
        }
        Ok(found)
    }

    fn metadata(&self, sequence: u64) -> Result<Option<Arc<Metadata>>> {
        let version = self.version(sequence)?;
        Ok(version.map(|version| Arc::new(metadata(version.metadata))))
    }

    /// Live slots.
    pub(crate) fn live(&self) -> Result<SlotSet> {
        let live = self.tables.live.get(self.txn, &keys::collection(self.id))?;
        Ok(live.unwrap_or_default())
    }

    /// Retired slots: those whose purge is not logged, and those whose purge is not published.
    pub(crate) fn retired(&self) -> Result<SlotSet> {
        let prefix = keys::collection(self.id);
        let mut retired = SlotSet::new();
        for entry in self.tables.retired.scan(self.txn, &prefix)? {
            retired |= entry?.1;
        }
        for entry in self.tables.operations.scan(self.txn, &prefix)? {
            if let OperationRow::Purge { slots } = entry?.1 {
                retired.extend(slots);
            }
        }
        Ok(retired)
    }

    /// Slots of puts that are not yet published.
    pub(crate) fn staged(&self) -> Result<SlotSet> {
        let mut staged = SlotSet::new();
        let prefix = keys::collection(self.id);
        for entry in self.tables.operations.scan(self.txn, &prefix)? {
            if let OperationRow::Put { slots, .. } = entry?.1 {
                staged.extend(slots);
            }
        }
        Ok(staged)
    }

    /// As [`braid_core::Ledger::expected_slots`].
    pub(crate) fn expected(&self) -> Result<SlotSet> {
        Ok(self.live()? | self.retired()? | self.staged()?)
    }
}
