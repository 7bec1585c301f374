//! The one writer of an index: opened by the first batch, closed by a failure or after idling.

use std::sync::Arc;

use braid_core::{IndexBatch, LexicalEntry, Result};
use tantivy::directory::Directory;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::{Index, IndexWriter, TantivyDocument, TantivyError, Term};

use crate::document::document;
use crate::error::{io_error, lexical_error};
use crate::schema::{CommitPayload, Fields};
use braid_text::Analyzers;

/// A segment of which more than this share is deleted is rewritten.
const MAX_DELETED_SHARE: f32 = 0.2;

/// What a batch is written with.
pub(crate) struct WriterSettings {
    pub(crate) fields: Fields,
    pub(crate) analyzers: Arc<Analyzers>,
    pub(crate) memory_bytes: usize,
}

/// The writer, if it is open. A closed one holds no memory, no thread and no lock.
pub(crate) struct BatchWriter {
    index: Index,
    settings: WriterSettings,
    writer: Option<IndexWriter>,
    /// No document of the index has a greater slot. Slots rise, so that most added ones are
    /// greater and need no delete first.
    highest_slot: Option<u32>,
}

impl BatchWriter {
    pub(crate) fn new(index: Index, settings: WriterSettings, highest_slot: Option<u32>) -> Self {
        Self {
            index,
            settings,
            writer: None,
            highest_slot,
        }
    }

    /// Writes and commits a batch. After an error nothing of it is, or will be, in the index: the
    /// writer is dropped with all it held (Tantivy's `rollback` can panic), the next batch opens
    /// another.
    pub(crate) fn apply(&mut self, batch: &IndexBatch<LexicalEntry>) -> Result<()> {
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.open()?,
        };
        self.write(&mut writer, batch)?;
        self.writer = Some(writer);
        Ok(())
    }

    /// Waits for merges and closes the writer.
    pub(crate) fn close(&mut self) -> Result<()> {
        match self.writer.take() {
            Some(writer) => writer.wait_merging_threads().map_err(|error| {
                lexical_error("cannot merge segments of the lexical index", error)
            }),
            None => Ok(()),
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.writer.is_some()
    }

    fn open(&self) -> Result<IndexWriter> {
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .num_merge_threads(1)
            .memory_budget_per_thread(self.settings.memory_bytes)
            .build();
        let writer: IndexWriter<TantivyDocument> = self
            .index
            .writer_with_options(options)
            .map_err(|error| lexical_error("cannot open the writer of the lexical index", error))?;
        // A failed or killed writer may have left files whose names this one would use again
        // (deletes are named after the operation's number, which starts over).
        writer.garbage_collect_files().wait().map_err(write_error)?;
        let mut policy = LogMergePolicy::default();
        policy.set_del_docs_ratio_before_merge(MAX_DELETED_SHARE);
        writer.set_merge_policy(Box::new(policy));
        Ok(writer)
    }

    fn write(&mut self, writer: &mut IndexWriter, batch: &IndexBatch<LexicalEntry>) -> Result<()> {
        for slot in &batch.delete {
            self.delete(writer, slot);
        }
        for entry in &batch.add {
            self.delete(writer, entry.slot.0);
            self.highest_slot = self.highest_slot.max(Some(entry.slot.0));
            let document = document(entry, &self.settings.fields, &self.settings.analyzers);
            if let Err(error) = writer.add_document(document) {
                // The worker died; joining it tells of what.
                let cause = writer.prepare_commit().err().unwrap_or(error);
                return Err(write_error(cause));
            }
        }
        let payload = CommitPayload::new(&self.settings.analyzers.fingerprint(), batch.watermark);
        let payload = payload.to_json()?;
        let mut commit = writer.prepare_commit().map_err(write_error)?;
        commit.set_payload(&payload);
        commit.commit().map_err(write_error)?;
        // Tantivy syncs the files and then renames the list of them into place: the rename itself
        // is durable only now.
        let directory = self.index.directory();
        directory
            .sync_directory()
            .map_err(|error| io_error("cannot sync the lexical index", error))
    }

    fn delete(&self, writer: &IndexWriter, slot: u32) {
        if self.highest_slot.is_some_and(|highest| slot <= highest) {
            writer.delete_term(Term::from_field_u64(
                self.settings.fields.slot,
                u64::from(slot),
            ));
        }
    }
}

fn write_error(error: TantivyError) -> braid_core::Error {
    lexical_error("cannot write to the lexical index", error)
}
