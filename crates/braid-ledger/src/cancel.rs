//! Taking back what a job put and is not published yet.

use std::collections::{HashMap, HashSet};

use braid_core::ports::CancelReceipt;
use braid_core::{CollectionId, Error, ErrorCode, JobId, Result, Sequence};
use heed::RwTxn;

use crate::draft::Draft;
use crate::keys;
use crate::rows::{DocumentRow, FailureRow, JobOutcomeRow, OperationRow, document_id};
use crate::store::Store;

/// Recorded as the reason of an operation that was taken back.
const REASON: &str = "its job was cancelled";

/// As [`braid_core::Ledger::cancel_job`].
pub(crate) fn cancel_job(store: &Store, txn: &mut RwTxn, id: JobId) -> Result<CancelReceipt> {
    let job = store.tables.jobs.get(txn, &keys::job(id))?;
    let job = job.ok_or_else(|| Error::new(ErrorCode::JobNotFound, format!("no job {id}")))?;
    let staged = job.items.iter().filter_map(|(_, outcome)| match outcome {
        JobOutcomeRow::Staged { sequence, .. } => Some(*sequence),
        JobOutcomeRow::Skipped | JobOutcomeRow::Rejected(_) | JobOutcomeRow::Duplicate(_) => None,
    });
    let staged = staged.collect();
    let mut draft = Draft::open(store, txn, CollectionId(job.collection))?;
    let pending = draft.pending_puts(&staged)?;
    let fallbacks = draft.fallbacks(&pending)?;
    let mut cancelled = 0;
    for put in &pending {
        if draft.may_take_back(put, &pending, &fallbacks)? {
            draft.take_back(put, &fallbacks)?;
            cancelled += 1;
        }
    }
    draft.finish()?;
    Ok(CancelReceipt { cancelled })
}

/// A put in the log.
struct Put {
    sequence: u64,
    document: String,
    slots: Vec<u32>,
}

/// The newest version that stays, by document; none where the document is gone without the puts.
type Fallbacks = HashMap<String, Option<u64>>;

impl Draft<'_, '_> {
    /// Those of `staged` that are puts in the log.
    fn pending_puts(&self, staged: &HashSet<u64>) -> Result<Vec<Put>> {
        let mut puts = Vec::new();
        for sequence in staged {
            let key = keys::sequence(self.id, Sequence(*sequence));
            let logged = self.tables().operations.get(self.txn, &key)?;
            if let Some(OperationRow::Put { document, slots }) = logged {
                puts.push(Put {
                    sequence: *sequence,
                    document,
                    slots,
                });
            }
        }
        puts.sort_unstable_by_key(|put| put.sequence);
        Ok(puts)
    }

    /// What each document of `puts` falls back to. One walk of the log, however many they are.
    fn fallbacks(&self, puts: &[Put]) -> Result<Fallbacks> {
        let taken: HashSet<u64> = puts.iter().map(|put| put.sequence).collect();
        let mut newest = Fallbacks::new();
        for put in puts {
            let row = self.document(&document_id(put.document.clone())?)?;
            newest.insert(put.document.clone(), row.and_then(|row| row.live));
        }
        let prefix = keys::collection(self.id);
        for entry in self.tables().operations.scan(self.txn, &prefix)? {
            let (key, operation) = entry?;
            let sequence = keys::read_number(key)?;
            match operation {
                OperationRow::Put { document, .. } if !taken.contains(&sequence) => {
                    newest.entry(document).and_modify(|it| *it = Some(sequence));
                }
                OperationRow::Delete { document } => {
                    newest.entry(document).and_modify(|it| *it = None);
                }
                OperationRow::Put { .. }
                | OperationRow::Purge { .. }
                | OperationRow::Failed { .. } => {}
            }
        }
        Ok(newest)
    }

    /// Whether a document would be as it was before the put, for everyone. It is not where the
    /// version that the put replaced had failed, or was overtaken by it before being published: that
    /// version is gone, and cancelling would lose it. Nor where another request has since been told
    /// that the put's content is there.
    fn may_take_back(&self, put: &Put, taken: &[Put], fallbacks: &Fallbacks) -> Result<bool> {
        let row = self.document(&document_id(put.document.clone())?)?;
        if row.is_none_or(|row| row.current != Some(put.sequence)) {
            return Ok(true);
        }
        let version = self.version(put.sequence)?;
        if version.kept {
            return Ok(false);
        }
        let mut replaced = version.replaces;
        while let Some(sequence) = replaced
            && taken
                .binary_search_by_key(&sequence, |put| put.sequence)
                .is_ok()
        {
            replaced = self.version(sequence)?.replaces;
        }
        Ok(fallbacks.get(&put.document).copied().flatten() == replaced)
    }

    fn take_back(&mut self, put: &Put, fallbacks: &Fallbacks) -> Result<()> {
        let sequence = Sequence(put.sequence);
        self.log_failed(sequence, REASON)?;
        self.put_done(put.sequence)?;
        self.retire(&put.slots);
        let failure = FailureRow {
            document: Some(put.document.clone()),
            reason: REASON.to_owned(),
            at_ms: self.store.now_ms(),
            cancelled: true,
        };
        let key = keys::sequence(self.id, sequence);
        self.tables().failures.put(self.txn, &key, &failure)?;
        let id = document_id(put.document.clone())?;
        let before = self.document(&id)?;
        if let Some(row) = before {
            self.relink(row, put.sequence)?;
        }
        let fallback = fallbacks.get(&put.document).copied().flatten();
        let after = before.and_then(|row| without(row, put.sequence, fallback));
        if before != after {
            self.set_document(&id, before, after)?;
        }
        self.drop_unused_version(after, put.sequence)
    }
}

/// A document's row without one of its versions, which `fallback` stands in for; none where
/// nothing is left of it.
fn without(row: DocumentRow, sequence: u64, fallback: Option<u64>) -> Option<DocumentRow> {
    if row.newest == sequence {
        return fallback.map(|newest| DocumentRow {
            newest,
            current: Some(newest),
            live: row.live,
        });
    }
    let current = if row.current == Some(sequence) {
        fallback
    } else {
        row.current
    };
    Some(DocumentRow { current, ..row })
}
