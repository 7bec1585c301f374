//! A change of one collection within a write transaction: what staging, publishing and rebuilding
//! have in common. Bitmaps and counters are gathered and written once, at the end.

use braid_core::{CollectionId, DocumentId, Error, ErrorCode, Result, Sequence, SlotSet};
use heed::RwTxn;

use crate::bitmap::BitmapChange;
use crate::error::{corrupt, no_collection};
use crate::filters::FilterChanges;
use crate::keys;
use crate::pending::Pending;
use crate::rows::{CountersRow, DocumentRow, OperationRow, VersionRow};
use crate::store::Store;
use crate::table::{EPOCH, Tables};

/// A change of one collection. Nothing gathered in it is written before [`Draft::finish`].
pub(crate) struct Draft<'t, 'e> {
    pub(crate) store: &'t Store,
    pub(crate) txn: &'t mut RwTxn<'e>,
    pub(crate) id: CollectionId,
    pub(crate) counters: CountersRow,
    /// What the puts in the log will take.
    pub(crate) pending: Pending,
    live: BitmapChange,
    filters: FilterChanges,
    retired: SlotSet,
}

impl<'t, 'e> Draft<'t, 'e> {
    /// Starts a change of collection `id`.
    pub(crate) fn open(store: &'t Store, txn: &'t mut RwTxn<'e>, id: CollectionId) -> Result<Self> {
        let counters = store.tables.counters.get(txn, &keys::collection(id))?;
        let pending = Pending::read(&store.tables, txn, id)?;
        Ok(Self {
            store,
            pending,
            txn,
            id,
            counters: counters.ok_or_else(|| no_collection(id))?,
            live: BitmapChange::default(),
            filters: FilterChanges::default(),
            retired: SlotSet::new(),
        })
    }

    pub(crate) fn tables(&self) -> &'t Tables {
        &self.store.tables
    }

    /// Writes what was gathered.
    pub(crate) fn finish(mut self) -> Result<()> {
        let key = keys::collection(self.id);
        let tables = self.tables();
        if !self.retired.is_empty() {
            self.counters.retired += self.retired.len();
            let epoch = tables.raise(self.txn, EPOCH)?;
            let key = keys::epoch(self.id, epoch);
            tables.retired.put(self.txn, &key, &self.retired)?;
        }
        if !self.live.is_empty() {
            let mut live = tables.live.get(self.txn, &key)?.unwrap_or_default();
            self.live.apply(&mut live);
            self.counters.chunks = live.len();
            tables.live.put(self.txn, &key, &live)?;
        }
        self.filters.write(tables, self.txn)?;
        self.pending.write(tables, self.txn, self.id)?;
        tables.counters.put(self.txn, &key, &self.counters)
    }

    /// Takes `count` fresh slots.
    ///
    /// # Errors
    /// [`ErrorCode::StorageFull`] when the collection has used up its slots.
    pub(crate) fn take_slots(&mut self, count: usize) -> Result<std::ops::Range<u32>> {
        let first = self.counters.next_slot;
        let end = u32::try_from(count)
            .ok()
            .and_then(|count| first.checked_add(count));
        let end = end.ok_or_else(|| {
            let left = u32::MAX - first;
            Error::new(
                ErrorCode::StorageFull,
                format!("{count} slots are needed, {left} are left in the collection"),
            )
            .with_help("ingest the documents into a new collection, whose slots start anew")
        })?;
        self.counters.next_slot = end;
        Ok(first..end)
    }

    /// Logs an operation.
    pub(crate) fn log(&mut self, operation: &OperationRow) -> Result<Sequence> {
        self.counters.newest += 1;
        let sequence = Sequence(self.counters.newest);
        let key = keys::sequence(self.id, sequence);
        self.tables().operations.put(self.txn, &key, operation)?;
        Ok(sequence)
    }

    pub(crate) fn document(&self, id: &DocumentId) -> Result<Option<DocumentRow>> {
        let key = keys::document(self.id, id);
        self.tables().documents.get(self.txn, &key)
    }

    /// Writes or removes a document's row in place of `before`, and counts.
    pub(crate) fn set_document(
        &mut self,
        id: &DocumentId,
        before: Option<DocumentRow>,
        after: Option<DocumentRow>,
    ) -> Result<()> {
        let count = |row: Option<DocumentRow>, counts: fn(&DocumentRow) -> bool| {
            u64::from(row.as_ref().is_some_and(counts))
        };
        let is_live = |row: &DocumentRow| row.live.is_some();
        let counters = &mut self.counters;
        counters.documents += count(after, is_live);
        counters.documents -= count(before, is_live);
        counters.failed += count(after, DocumentRow::has_failed);
        counters.failed -= count(before, DocumentRow::has_failed);
        let key = keys::document(self.id, id);
        let documents = &self.store.tables.documents;
        match after {
            Some(row) => documents.put(self.txn, &key, &row),
            None => {
                documents.delete(self.txn, &key)?;
                self.release_duplicates(id)
            }
        }
    }

    /// The stored version `sequence`.
    pub(crate) fn version(&self, sequence: u64) -> Result<VersionRow> {
        let version = self.stored_version(sequence)?;
        version.ok_or_else(|| corrupt(format!("version {sequence} is missing")))
    }

    /// Lets what replaces the version `gone` replace what `gone` does, so that a chain of pending
    /// versions stays whole when one of them is taken out.
    pub(crate) fn relink(&mut self, row: DocumentRow, gone: u64) -> Result<()> {
        let Some(replaced) = self.stored_version(gone)?.map(|version| version.replaces) else {
            return Ok(());
        };
        let mut next = row.current;
        while let Some(sequence) = next
            && let Some(mut version) = self.stored_version(sequence)?
        {
            if version.replaces == Some(gone) {
                version.replaces = replaced;
                let key = keys::sequence(self.id, Sequence(sequence));
                return self.tables().versions.put(self.txn, &key, &version);
            }
            next = version.replaces;
        }
        Ok(())
    }

    fn stored_version(&self, sequence: u64) -> Result<Option<VersionRow>> {
        let key = keys::sequence(self.id, Sequence(sequence));
        self.tables().versions.get(self.txn, &key)
    }

    /// Makes a version retrievable.
    pub(crate) fn show(&mut self, version: &VersionRow) {
        let slots: SlotSet = version.slots.iter().collect();
        self.live.add(&slots);
        self.filters.add(self.id, version, &slots);
    }

    /// Enters a version that is retrievable where filters look for it, again.
    pub(crate) fn show_to_filters(&mut self, version: &VersionRow) {
        let slots: SlotSet = version.slots.iter().collect();
        self.filters.add(self.id, version, &slots);
    }

    /// Takes a version that stays retrievable out of where filters look for it.
    pub(crate) fn hide_from_filters(&mut self, version: &VersionRow) {
        let slots: SlotSet = version.slots.iter().collect();
        self.filters.remove(self.id, version, &slots);
    }

    /// Hides a version and retires its slots.
    pub(crate) fn hide(&mut self, version: &VersionRow) {
        let slots: SlotSet = version.slots.iter().collect();
        self.live.remove(&slots);
        self.filters.remove(self.id, version, &slots);
        self.retired |= slots;
    }

    /// Retires slots that were never retrievable.
    pub(crate) fn retire(&mut self, slots: &[u32]) {
        self.retired.extend(slots);
    }

    /// Drops a version that its document does not name and no operation will publish.
    pub(crate) fn drop_unused_version(
        &mut self,
        document: Option<DocumentRow>,
        sequence: u64,
    ) -> Result<()> {
        let tables = self.tables();
        let key = keys::sequence(self.id, Sequence(sequence));
        let named = document.is_some_and(|row| row.names(sequence));
        let logged = tables.operations.get(self.txn, &key)?;
        if named || matches!(logged, Some(OperationRow::Put { .. })) {
            return Ok(());
        }
        if let Some(version) = self.stored_version(sequence)? {
            self.remove_likeness(sequence, &version)?;
        }
        tables.versions.delete(self.txn, &key)?;
        tables.texts.delete(self.txn, &key)?;
        Ok(())
    }
}
