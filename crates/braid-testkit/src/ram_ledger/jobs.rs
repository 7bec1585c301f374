//! Listing and cancelling jobs in memory, and the dead letters.

use std::collections::BTreeSet;

use braid_core::operation::OperationKind;
use braid_core::ports::{CancelReceipt, FailedDocument, JobSummary, Page};
use braid_core::{CollectionId, DocumentId, Error, ErrorCode, JobId, Result, Sequence};

use super::state::{Data, DocumentRow, JobOutcome, State};

impl State {
    pub(super) fn jobs(
        &self,
        collection: Option<CollectionId>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<JobSummary>> {
        let cursor = cursor.map(|cursor| cursor.parse().map(JobId));
        let cursor = cursor.transpose().map_err(|_| bad_cursor())?;
        let mut wanted = self.jobs.iter().rev().filter(|(id, job)| {
            cursor.is_none_or(|cursor| **id < cursor)
                && collection.is_none_or(|wanted| job.collection == wanted)
        });
        let mut items = Vec::new();
        for (id, job) in wanted.by_ref().take(limit) {
            items.push(JobSummary::from(&job.read(*id, self.data(job.collection)?)));
        }
        let last = items.last().map(|last: &JobSummary| last.id.to_string());
        let next = last.filter(|_| wanted.next().is_some());
        Ok(Page { items, next })
    }

    pub(super) fn cancel_job(&mut self, id: JobId) -> Result<CancelReceipt> {
        let unknown = || Error::new(ErrorCode::JobNotFound, format!("no job {id}"));
        let job = self.jobs.get(&id).ok_or_else(unknown)?;
        let staged = job.items.iter().filter_map(|(_, outcome)| match outcome {
            JobOutcome::Staged(sequence, ..) => Some(*sequence),
            JobOutcome::Skipped | JobOutcome::Rejected(_) | JobOutcome::Duplicate(_) => None,
        });
        let staged: BTreeSet<Sequence> = staged.collect();
        let (collection, now_ms) = (job.collection, self.now_ms);
        self.change(collection, |data, epoch| {
            Ok(data.take_back((epoch, now_ms), &staged))
        })
    }
}

impl Data {
    fn take_back(&mut self, at: (u64, i64), staged: &BTreeSet<Sequence>) -> CancelReceipt {
        let is_put = |sequence: &&Sequence| {
            matches!(
                self.operations.get(sequence),
                Some(OperationKind::Put { .. })
            )
        };
        let puts: Vec<Sequence> = staged.iter().filter(is_put).copied().collect();
        let mut cancelled = 0;
        for sequence in &puts {
            if self.is_kept(*sequence) {
                continue;
            }
            let before = self.clone();
            self.fail_operation(at, *sequence, "its job was cancelled");
            if let Some(failure) = self.failures.get_mut(sequence) {
                failure.cancelled = true;
            }
            if self.stands_as(*sequence, before.replaced(*sequence)) {
                self.forget_newest(*sequence);
                cancelled += 1;
            } else {
                *self = before;
            }
        }
        CancelReceipt { cancelled }
    }

    /// Whether a document would miss its newest version.
    fn is_kept(&self, sequence: Sequence) -> bool {
        self.versions.get(&sequence).is_some_and(|version| {
            let row = self.documents.get(&version.document);
            version.kept && row.is_some_and(|row| row.current == Some(sequence))
        })
    }

    /// What the newest version of a document replaced, if that is the one named.
    fn replaced(&self, sequence: Sequence) -> Option<Option<Sequence>> {
        let version = self.versions.get(&sequence)?;
        let row = self.documents.get(&version.document)?;
        (row.current == Some(sequence)).then_some(version.replaces)
    }

    /// Whether the document of a version that was taken out is as what that version replaced.
    fn stands_as(&self, taken: Sequence, replaced: Option<Option<Sequence>>) -> bool {
        let failure = self.failures.get(&taken);
        let document = failure.and_then(|failure| failure.document.as_ref());
        let row = document.and_then(|document| self.documents.get(document));
        match (replaced, row) {
            (Some(replaced), Some(row)) => row.current == replaced,
            (Some(_), None) | (None, _) => true,
        }
    }

    /// A document whose newest version was taken back is as its newest that stays.
    fn forget_newest(&mut self, taken: Sequence) {
        let named = |(_, row): &(&DocumentId, &DocumentRow)| row.newest == taken;
        let Some((id, row)) = self.documents.iter().find(named) else {
            return;
        };
        let (id, row) = (id.clone(), *row);
        match row.current {
            Some(newest) => {
                self.documents.insert(id, DocumentRow { newest, ..row });
            }
            None => {
                self.documents.remove(&id);
                self.release_duplicates(&id);
            }
        }
        self.drop_unused_version(Some(taken));
    }

    pub(super) fn failed_documents(
        &self,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<FailedDocument>> {
        let after = cursor.map_or(Ok(0), str::parse).map_err(|_| bad_cursor())?;
        let failed = |sequence: &Sequence| {
            let failure = self.failures.get(sequence)?;
            let id = failure.document.clone().filter(|_| !failure.cancelled)?;
            let is_newest = self.documents.get(&id)?.newest == *sequence;
            is_newest.then(|| FailedDocument {
                id,
                sequence: *sequence,
                reason: failure.reason.clone(),
                failed_at_ms: failure.at_ms,
            })
        };
        let later = self.failures.range(Sequence(after).next()..);
        let mut found = later.filter_map(|(sequence, _)| failed(sequence));
        let items: Vec<_> = found.by_ref().take(limit).collect();
        let last = items.last().map(|last| last.sequence.0.to_string());
        let next = last.filter(|_| found.next().is_some());
        Ok(Page { items, next })
    }
}

fn bad_cursor() -> Error {
    Error::invalid("the cursor is not one that a page gave")
}
