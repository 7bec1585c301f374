//! One index in one directory: opening, applying batches, pinning views.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use braid_core::{
    Error, IndexBatch, LanguageSetting, LexicalEntry, LexicalIndex, LexicalView, Result, Sequence,
    SlotSet,
};
use braid_runtime::{Blocking, CpuPool};
use braid_text::Analyzers;
use braid_text::lexical::{SynonymForms, Weights};
use parking_lot::Mutex;
use tantivy::directory::{Directory, MmapDirectory};
use tantivy::{Index, IndexReader, IndexSettings, ReloadPolicy, Searcher};

use crate::error::{io_error, lexical_error, with_rebuild_help};
use crate::schema::{CommitPayload, Fields, schema};
use crate::scoring::{slot_column, slot_of};
use crate::statistics::LatestStatistics;
use crate::terms;
use crate::view::{Reading, TantivyView};
use crate::writer::{BatchWriter, WriterSettings};

/// How an index is opened.
#[derive(Clone, Copy, Debug)]
pub struct LexicalOptions {
    /// In which language entries are analyzed; fixed for the life of the index.
    pub language: LanguageSetting,
    /// Memory of the writer while it is open, in bytes: at least 15 MB.
    pub writer_memory_bytes: usize,
    /// The writer is closed when nothing was applied for so long.
    pub writer_idle: Duration,
    /// What matches count; may change from one opening to the next.
    pub weights: Weights,
}

impl Default for LexicalOptions {
    fn default() -> Self {
        Self {
            language: LanguageSetting::default(),
            writer_memory_bytes: 64 << 20,
            writer_idle: Duration::from_secs(30),
            weights: Weights::default(),
        }
    }
}

/// A [`LexicalIndex`] on Tantivy.
///
/// After a crash or a failed batch, files of segments that no commit names may stay behind. They
/// are never read, and are deleted when a writer is opened and at every commit, as far as Tantivy's
/// own list of files (`.managed.json`) names them; others stay until the index is removed.
pub struct TantivyIndex {
    inner: Arc<Inner>,
}

struct Inner {
    reader: IndexReader,
    reading: Arc<Reading>,
    writing: Mutex<Writing>,
    watermark: Mutex<Sequence>,
    writer_idle: Duration,
    closes_when_idle: AtomicBool,
}

struct Writing {
    writer: BatchWriter,
    last_used: Instant,
}

impl TantivyIndex {
    /// Opens the index in `directory`, an empty one where there is none. Blocking: call it from
    /// `spawn_blocking`. One process at a time may write.
    ///
    /// # Errors
    /// [`Corrupt`](braid_core::ErrorCode::Corrupt), [`UnsupportedVersion`](braid_core::ErrorCode::UnsupportedVersion)
    /// or [`FingerprintMismatch`](braid_core::ErrorCode::FingerprintMismatch) with the command that rebuilds it;
    /// [`StorageFull`](braid_core::ErrorCode::StorageFull).
    pub fn open(
        directory: &Path,
        options: LexicalOptions,
        pool: Arc<CpuPool>,
    ) -> Result<Arc<Self>> {
        std::fs::create_dir_all(directory)
            .map_err(|error| io_error("cannot create the directory of the lexical index", error))?;
        let directory = MmapDirectory::open(directory).map_err(|error| open_error(error.into()))?;
        Self::open_directory(Box::new(directory), options, pool)
    }

    /// As [`TantivyIndex::open`], on any of Tantivy's directories.
    pub(crate) fn open_directory(
        directory: Box<dyn Directory>,
        options: LexicalOptions,
        pool: Arc<CpuPool>,
    ) -> Result<Arc<Self>> {
        let (index, fields) = open_or_create(directory)?;
        let analyzers = Arc::new(Analyzers::new(options.language));
        let metas = index.load_metas().map_err(open_error)?;
        let watermark = CommitPayload::read(metas.payload.as_deref(), &analyzers.fingerprint())?;
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()
            .map_err(open_error)?;
        let settings = WriterSettings {
            fields,
            analyzers: Arc::clone(&analyzers),
            memory_bytes: options.writer_memory_bytes,
        };
        let highest_slot = highest_slot(&reader.searcher())?;
        let inner = Inner {
            writing: Mutex::new(Writing {
                writer: BatchWriter::new(index, settings, highest_slot),
                last_used: Instant::now(),
            }),
            reader,
            reading: Arc::new(Reading {
                analyzers,
                fields,
                weights: options.weights,
                synonyms: SynonymForms::default(),
                statistics: LatestStatistics::default(),
                pool,
            }),
            watermark: Mutex::new(watermark),
            writer_idle: options.writer_idle,
            closes_when_idle: AtomicBool::new(false),
        };
        Ok(Arc::new(Self {
            inner: Arc::new(inner),
        }))
    }

    /// Closes the writer now, having waited for merges; the next batch opens it again.
    ///
    /// # Errors
    /// What stopped a merge. The index is sound all the same.
    pub async fn close_writer(&self) -> Result<()> {
        let inner = Arc::clone(&self.inner);
        let close = move || inner.writing.lock().writer.close();
        self.blocking().run(close).await
    }

    /// Whether the writer is open.
    pub fn is_writer_open(&self) -> bool {
        self.inner.writing.lock().writer.is_open()
    }

    /// Names of files whose checksum does not hold. Reads the whole index.
    ///
    /// # Errors
    /// As [`TantivyIndex::open`].
    pub async fn damaged_files(&self) -> Result<Vec<String>> {
        let inner = Arc::clone(&self.inner);
        let check = move || {
            let damaged = inner
                .reader
                .searcher()
                .index()
                .validate_checksum()
                .map_err(open_error)?;
            let mut names: Vec<String> = damaged
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            names.sort_unstable();
            Ok(names)
        };
        self.blocking().run(check).await
    }
}

#[async_trait]
impl LexicalIndex for TantivyIndex {
    /// # Cancel safety
    /// A batch that has begun is carried through, whoever waits for it.
    async fn apply(&self, batch: IndexBatch<LexicalEntry>) -> Result<()> {
        let inner = Arc::clone(&self.inner);
        self.blocking().run(move || inner.apply(&batch)).await?;
        self.close_when_idle();
        Ok(())
    }

    async fn watermark(&self) -> Result<Sequence> {
        Ok(*self.inner.watermark.lock())
    }

    async fn slots(&self) -> Result<SlotSet> {
        let searcher = self.inner.reader.searcher();
        self.blocking().run(move || slots(&searcher)).await
    }

    async fn pin(&self) -> Result<Arc<dyn LexicalView>> {
        Ok(Arc::new(TantivyView {
            searcher: self.inner.reader.searcher(),
            reading: Arc::clone(&self.inner.reading),
        }))
    }
}

impl TantivyIndex {
    fn blocking(&self) -> &Blocking {
        self.inner.reading.pool.blocking()
    }

    /// Sees to it that one task waits for the writer to idle.
    fn close_when_idle(&self) {
        if self.inner.closes_when_idle.swap(true, Ordering::AcqRel) {
            return;
        }
        let weak = Arc::downgrade(&self.inner);
        let idle = self.inner.writer_idle;
        let blocking = self.blocking().clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(idle).await;
                let Some(inner) = weak.upgrade() else { return };
                let closed = blocking.run(move || Ok(inner.close_if_idle())).await;
                if closed.unwrap_or(true) {
                    return;
                }
            }
        });
    }
}

impl Inner {
    fn apply(&self, batch: &IndexBatch<LexicalEntry>) -> Result<()> {
        let mut writing = self.writing.lock();
        writing.writer.apply(batch)?;
        writing.last_used = Instant::now();
        self.reader
            .reload()
            .map_err(|error| lexical_error("cannot read what was just committed", error))?;
        *self.watermark.lock() = batch.watermark;
        Ok(())
    }

    /// Closes the writer if nothing was applied for long enough; says whether it did.
    fn close_if_idle(&self) -> bool {
        let mut writing = self.writing.lock();
        if writing.last_used.elapsed() < self.writer_idle {
            return false;
        }
        if let Err(error) = writing.writer.close() {
            tracing::warn!(
                error = error.chain(),
                "cannot finish merges of an idle lexical index"
            );
        }
        self.closes_when_idle.store(false, Ordering::Release);
        true
    }
}

impl fmt::Debug for TantivyIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TantivyIndex")
            .field("language", &self.inner.reading.analyzers.setting())
            .field("watermark", &*self.inner.watermark.lock())
            .finish_non_exhaustive()
    }
}

fn open_or_create(directory: Box<dyn Directory>) -> Result<(Index, Fields)> {
    let (wanted, fields) = schema();
    let exists = Index::exists(&*directory).map_err(|error| open_error(error.into()))?;
    if !exists {
        let index = Index::create(directory, wanted, IndexSettings::default())
            .map_err(|error| lexical_error("cannot create the lexical index", error))?;
        terms::register(&index);
        return Ok((index, fields));
    }
    let index = Index::open(directory).map_err(open_error)?;
    if index.schema() != wanted {
        return Err(with_rebuild_help(Error::new(
            braid_core::ErrorCode::UnsupportedVersion,
            "the lexical index has the schema of another version",
        )));
    }
    terms::register(&index);
    Ok((index, fields))
}

fn open_error(error: tantivy::TantivyError) -> Error {
    lexical_error("cannot open the lexical index", error)
}

pub(crate) fn slots(searcher: &Searcher) -> Result<SlotSet> {
    let mut slots = SlotSet::new();
    for segment in searcher.segment_readers() {
        let column = slot_column(segment)?;
        slots.extend(
            segment
                .doc_ids_alive()
                .map(|document| slot_of(&*column, document).0),
        );
    }
    Ok(slots)
}

/// An upper bound of the slots there ever were: deleted ones may count.
fn highest_slot(searcher: &Searcher) -> Result<Option<u32>> {
    let mut highest = None;
    for segment in searcher.segment_readers() {
        let bound = slot_column(segment)?.max_value();
        highest = highest.max(Some(u32::try_from(bound).unwrap_or(u32::MAX)));
    }
    Ok(highest)
}
