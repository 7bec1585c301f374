//! Loading many documents: batched staging with one report.

use braid_core::operation::ChangeOutcome;
use braid_core::ports::{JobChange, JobItemStatus, NewJob, Recorded};
use braid_core::{
    CollectionName, DocumentId, Duplicate, Error, JobId, NewDocument, Result, Sequence,
};
use braid_indexing::{IngestOutcome, IngestRequest};
use braid_readers::source::{Documents, Parallel, ReadAhead, SourceDocument, SourceFailure};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::engine::Engine;

/// Reads a source on threads of their own, in order and a bounded number of documents and bytes ahead
/// ([`ReadAhead`]).
pub fn read_ahead(documents: Documents) -> mpsc::Receiver<SourceStep> {
    let mut items = Parallel::new(documents, ReadAhead::default());
    // What is ahead is held, and bounded, by the threads that read.
    let (sender, receiver) = mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        for item in items.by_ref() {
            if sender
                .blocking_send(SourceStep::Item(Box::new(item)))
                .is_err()
            {
                return;
            }
        }
        // The reader may have stopped listening: then nobody wants the counts.
        let _ = sender.blocking_send(SourceStep::Skipped(items.skipped().clone()));
    });
    receiver
}

/// One step of a source that is read ahead.
#[derive(Debug)]
pub enum SourceStep {
    /// A document, or why there is none.
    Item(Box<Result<SourceDocument, SourceFailure>>),
    /// The last step: files that were passed over, counted by reason.
    Skipped(std::collections::BTreeMap<String, u64>),
}

/// Most bytes of text staged in one transaction.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// A document that is a duplicate of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundDuplicate {
    /// Its id.
    pub document: String,
    /// Which document it is like, and how much.
    pub duplicate: Duplicate,
    /// Whether it was not stored.
    pub skipped: bool,
}

/// What a load did so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Documents that were not there before.
    pub added: usize,
    /// Documents whose content changed.
    pub replaced: usize,
    /// Documents that were stored already: nothing was embedded or written for them.
    pub unchanged: usize,
    /// Documents deleted because their source is gone.
    pub deleted: usize,
    /// Documents that are duplicates of others, as far as they were looked at now.
    pub duplicates: Vec<FoundDuplicate>,
    /// Documents that could not be taken, with the reason: by id, or as [`Loader::fail`] names them.
    pub failed: Vec<(String, String)>,
    /// The newest operation this load waits for.
    pub newest: Sequence,
}

impl LoadReport {
    /// Documents looked at.
    pub fn seen(&self) -> usize {
        self.added
            + self.replaced
            + self.unchanged
            + self.duplicates.iter().filter(|it| it.skipped).count()
            + self.failed.len()
    }

    /// A document counts once: as failed where it was stored and could not be indexed, or skipped as a
    /// duplicate of one that could not be.
    fn take_back(&mut self, document: &str, change: Option<JobChange>) {
        match change {
            Some(JobChange::Created) => self.added -= 1,
            Some(JobChange::Replaced) => self.replaced -= 1,
            Some(JobChange::Duplicate) => {
                let is_it = |it: &FoundDuplicate| it.skipped && it.document == document;
                self.duplicates.retain(|it| !is_it(it));
            }
            Some(JobChange::Deleted | JobChange::Unchanged) | None => {}
        }
    }

    fn note_duplicate(&mut self, id: &DocumentId, duplicate: Option<&Duplicate>, skipped: bool) {
        self.duplicates
            .extend(duplicate.map(|duplicate| FoundDuplicate {
                document: id.to_string(),
                duplicate: duplicate.clone(),
                skipped,
            }));
    }

    fn add(&mut self, outcome: IngestOutcome) -> Result<()> {
        let Recorded::Done(receipt) = outcome.staged else {
            return Err(Error::internal("an unguarded write was replayed"));
        };
        for (id, change) in outcome.accepted.iter().zip(&receipt.outcomes) {
            match change {
                ChangeOutcome::Staged {
                    replaced,
                    duplicate,
                    ..
                } => {
                    self.note_duplicate(id, duplicate.as_ref(), false);
                    *(if *replaced {
                        &mut self.replaced
                    } else {
                        &mut self.added
                    }) += 1;
                }
                ChangeOutcome::Duplicate(duplicate) => {
                    self.note_duplicate(id, Some(duplicate), true);
                }
                ChangeOutcome::Unchanged { .. } => self.unchanged += 1,
                ChangeOutcome::Deleted { .. } => self.deleted += 1,
                ChangeOutcome::Absent | ChangeOutcome::Unmet => {}
            }
        }
        for (id, error) in outcome.rejected {
            self.failed
                .push((id.as_str().to_owned(), error.to_string()));
        }
        self.newest = self.newest.max(receipt.newest);
        Ok(())
    }
}

/// Collects documents and stages them a batch at a time.
#[derive(Debug)]
pub struct Loader {
    engine: Engine,
    collection: CollectionName,
    batch: Vec<NewDocument>,
    batch_bytes: usize,
    most_documents: usize,
    jobs: Vec<JobId>,
    report: LoadReport,
}

impl Loader {
    /// A loader into `collection`, which must exist, of at most `most_documents` a batch.
    pub fn new(engine: Engine, collection: CollectionName, most_documents: usize) -> Self {
        Self {
            engine,
            collection,
            batch: Vec::new(),
            batch_bytes: 0,
            most_documents: most_documents.max(1),
            jobs: Vec::new(),
            report: LoadReport::default(),
        }
    }

    /// Adds a document; stages the batch when it is full.
    ///
    /// # Errors
    /// As [`Engine::ingest`]; the batch is then not stored.
    pub async fn push(&mut self, document: NewDocument) -> Result<()> {
        self.batch_bytes += document.text.len();
        self.batch.push(document);
        if self.batch.len() >= self.most_documents || self.batch_bytes >= BATCH_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    /// Stages what is collected. Everything pushed so far is durable when this returns.
    ///
    /// # Errors
    /// As [`Loader::push`].
    pub async fn flush(&mut self) -> Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let documents = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        let job = JobId(Uuid::now_v7());
        let new_job = NewJob {
            id: job,
            rejected: Vec::new(),
        };
        let request = IngestRequest {
            documents,
            job: Some(new_job),
            guard: None,
        };
        let outcome = self.engine.ingest(&self.collection, request).await?;
        self.jobs.push(job);
        self.report.add(outcome)
    }

    /// Notes a document that never became one.
    pub fn fail(&mut self, name: impl Into<String>, reason: impl Into<String>) {
        self.report.failed.push((name.into(), reason.into()));
    }

    /// Deletes these documents.
    ///
    /// # Errors
    /// As [`Engine::delete_documents`].
    pub async fn delete(&mut self, ids: Vec<DocumentId>) -> Result<()> {
        let staged = self
            .engine
            .delete_documents(&self.collection, ids, None, None)
            .await?;
        let Recorded::Done(receipt) = staged else {
            return Err(Error::internal("an unguarded write was replayed"));
        };
        let deleted = |outcome: &&ChangeOutcome| matches!(outcome, ChangeOutcome::Deleted { .. });
        self.report.deleted += receipt.outcomes.iter().filter(deleted).count();
        self.report.newest = self.report.newest.max(receipt.newest);
        Ok(())
    }

    /// What was done so far.
    pub fn report(&self) -> &LoadReport {
        &self.report
    }

    /// Stages the rest and waits until everything is retrievable. Where [workers](Engine::has_workers)
    /// index, that is as long as they take.
    ///
    /// # Errors
    /// As [`Loader::push`] and [`Engine::wait_published`].
    pub async fn finish(mut self) -> Result<LoadReport> {
        self.flush().await?;
        let progress = self.engine.progress(&self.collection).await?;
        self.engine
            .wait_published(&self.collection, self.report.newest)
            .await?;
        let failed = progress.borrow().operations_failed;
        if failed > 0 || self.engine.has_workers() {
            self.collect_failures().await?;
        }
        Ok(self.report)
    }

    /// Stages the rest and does not wait for it to be indexed.
    ///
    /// # Errors
    /// As [`Loader::push`].
    pub async fn stage(mut self) -> Result<LoadReport> {
        self.flush().await?;
        Ok(self.report)
    }

    /// Documents that were staged and could not be indexed.
    async fn collect_failures(&mut self) -> Result<()> {
        for job in std::mem::take(&mut self.jobs) {
            for item in self.engine.job(job).await?.items {
                if let JobItemStatus::Failed(reason) = item.status {
                    self.report.take_back(&item.document, item.change);
                    self.report.failed.push((item.document, reason));
                }
            }
        }
        Ok(())
    }
}
