//! From acknowledged to retrievable: publishing by compare-and-set, failing, purging.

use braid_core::operation::PublishReceipt;
use braid_core::{CollectionId, DocumentId, Operation, Result, Sequence, SlotSet};
use heed::RwTxn;

use crate::draft::Draft;
use crate::error::corrupt;
use crate::keys;
use crate::rows::{DocumentRow, FailureRow, OperationRow, document_id};
use crate::store::Store;

/// As [`braid_core::Ledger::publish`].
pub(crate) fn publish(
    store: &Store,
    txn: &mut RwTxn,
    id: CollectionId,
    through: Sequence,
) -> Result<PublishReceipt> {
    let mut draft = Draft::open(store, txn, id)?;
    let receipt = draft.publish_through(through)?;
    draft.finish()?;
    Ok(receipt)
}

/// As [`braid_core::Ledger::fail_operation`].
pub(crate) fn fail_operation(
    store: &Store,
    txn: &mut RwTxn,
    id: CollectionId,
    (sequence, reason): (Sequence, &str),
) -> Result<()> {
    let mut draft = Draft::open(store, txn, id)?;
    let key = keys::sequence(id, sequence);
    let logged = store.tables.operations.get(draft.txn, &key)?;
    let document = match logged {
        None | Some(OperationRow::Failed { .. }) => return Ok(()),
        Some(OperationRow::Put { document, slots }) => {
            draft.fail_put(sequence, &document, &slots, reason)?;
            Some(document)
        }
        Some(OperationRow::Delete { document }) => {
            draft.log_failed(sequence, reason)?;
            Some(document)
        }
        Some(OperationRow::Purge { slots }) => {
            draft.log_failed(sequence, reason)?;
            draft.return_to_retired(&slots)?;
            None
        }
    };
    let failure = FailureRow {
        document,
        reason: reason.to_owned(),
        at_ms: store.now_ms(),
        cancelled: false,
    };
    store.tables.failures.put(draft.txn, &key, &failure)?;
    draft.finish()
}

/// As [`braid_core::Ledger::stage_purge`].
pub(crate) fn stage_purge(
    store: &Store,
    txn: &mut RwTxn,
    id: CollectionId,
) -> Result<Option<Operation>> {
    let mut draft = Draft::open(store, txn, id)?;
    let slots = draft.take_unseen()?;
    if slots.is_empty() {
        return Ok(None);
    }
    let purge = OperationRow::Purge {
        slots: slots.iter().collect(),
    };
    let sequence = draft.log(&purge)?;
    draft.finish()?;
    purge.into_operation(sequence).map(Some)
}

impl Draft<'_, '_> {
    /// Publishes the operations up to `through`.
    pub(crate) fn publish_through(&mut self, through: Sequence) -> Result<PublishReceipt> {
        let mut receipt = PublishReceipt::default();
        while self.counters.published < through.0.min(self.counters.newest) {
            self.publish_next(&mut receipt)?;
        }
        receipt.watermark = Sequence(self.counters.published);
        Ok(receipt)
    }

    fn publish_next(&mut self, receipt: &mut PublishReceipt) -> Result<()> {
        let sequence = self.counters.published + 1;
        let key = keys::sequence(self.id, Sequence(sequence));
        let operations = &self.tables().operations;
        let operation = operations
            .get(self.txn, &key)?
            .ok_or_else(|| corrupt(format!("operation {sequence} is missing from the log")))?;
        operations.delete(self.txn, &key)?;
        self.counters.published = sequence;
        match operation {
            OperationRow::Put { document, slots } => {
                self.put_done(sequence)?;
                if self.publish_put(sequence, document_id(document)?, &slots)? {
                    receipt.published += 1;
                } else {
                    receipt.superseded += 1;
                }
            }
            OperationRow::Purge { slots } => self.publish_purge(&slots)?,
            OperationRow::Delete { .. } | OperationRow::Failed { .. } => {}
        }
        Ok(())
    }

    /// Nothing of a put, whose version is still stored, is left to be embedded or published.
    pub(crate) fn put_done(&mut self, sequence: u64) -> Result<()> {
        let version = self.version(sequence)?;
        self.pending.remove(self.id, &version);
        Ok(())
    }

    /// Makes a version retrievable if it is still its document's newest.
    fn publish_put(&mut self, sequence: u64, id: DocumentId, slots: &[u32]) -> Result<bool> {
        let before = self.document(&id)?;
        let Some(row) = before.filter(|row| row.current == Some(sequence)) else {
            self.retire(slots);
            self.drop_unused_version(before, sequence)?;
            return Ok(false);
        };
        let after = DocumentRow {
            live: Some(sequence),
            ..row
        };
        self.set_document(&id, before, Some(after))?;
        if let Some(replaced) = row.live {
            let version = self.version(replaced)?;
            self.hide(&version);
            self.drop_unused_version(Some(after), replaced)?;
        }
        let version = self.version(sequence)?;
        self.show(&version);
        Ok(true)
    }

    fn publish_purge(&mut self, slots: &[u32]) -> Result<()> {
        for slot in slots {
            let key = keys::slot(self.id, *slot);
            self.tables().chunks.delete(self.txn, &key)?;
        }
        let purged = slots.len() as u64;
        self.counters.retired = self.counters.retired.saturating_sub(purged);
        Ok(())
    }

    pub(crate) fn log_failed(&mut self, sequence: Sequence, reason: &str) -> Result<()> {
        let key = keys::sequence(self.id, sequence);
        let failed = OperationRow::Failed {
            reason: reason.to_owned(),
        };
        self.tables().operations.put(self.txn, &key, &failed)
    }

    /// Takes a put out: its slots are retired and its document falls back to the version before.
    fn fail_put(
        &mut self,
        sequence: Sequence,
        document: &str,
        slots: &[u32],
        reason: &str,
    ) -> Result<()> {
        self.log_failed(sequence, reason)?;
        self.put_done(sequence.0)?;
        self.retire(slots);
        let id = document_id(document.to_owned())?;
        let before = self.document(&id)?;
        if let Some(row) = before {
            self.relink(row, sequence.0)?;
        }
        let mut after = before;
        if let Some(row) = after.as_mut()
            && row.current == Some(sequence.0)
        {
            row.current = self.newest_not_failed(document, row.live)?;
            self.set_document(&id, before, after)?;
        }
        self.drop_unused_version(after, sequence.0)
    }

    /// The newest put of a document in the log that was not undone since, or else `live`. Reads
    /// the whole log, which is as long as the lag: operations seldom fail.
    fn newest_not_failed(&self, document: &str, live: Option<u64>) -> Result<Option<u64>> {
        let mut newest = live;
        let prefix = keys::collection(self.id);
        for entry in self.tables().operations.scan(self.txn, &prefix)? {
            let (key, operation) = entry?;
            match operation {
                OperationRow::Put { document: put, .. } if put == document => {
                    newest = Some(keys::read_number(key)?);
                }
                OperationRow::Delete { document: deleted } if deleted == document => newest = None,
                OperationRow::Put { .. }
                | OperationRow::Delete { .. }
                | OperationRow::Purge { .. }
                | OperationRow::Failed { .. } => {}
            }
        }
        Ok(newest)
    }

    /// Takes the retired slots that no pinned snapshot has live.
    fn take_unseen(&mut self) -> Result<SlotSet> {
        let oldest = self.store.pins.oldest().unwrap_or(u64::MAX);
        let tables = self.tables();
        let mut unseen = SlotSet::new();
        let mut taken = Vec::new();
        for entry in tables.retired.scan(self.txn, &keys::collection(self.id))? {
            let (key, slots) = entry?;
            if keys::read_number(key)? <= oldest {
                unseen |= slots;
                taken.push(key.to_vec());
            }
        }
        for key in taken {
            tables.retired.delete(self.txn, &key)?;
        }
        Ok(unseen)
    }

    /// Undoes [`Self::take_unseen`]. They were unseen, so no pin precedes epoch 0.
    fn return_to_retired(&mut self, slots: &[u32]) -> Result<()> {
        let retired = &self.tables().retired;
        let key = keys::epoch(self.id, 0);
        let mut returned = retired.get(self.txn, &key)?.unwrap_or_default();
        returned.extend(slots);
        retired.put(self.txn, &key, &returned)
    }
}
