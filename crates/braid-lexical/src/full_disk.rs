//! A full disk: nothing of the refused batch stays, and writing goes on once there is room.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use braid_core::{
    ChunkId, ErrorCode, IndexBatch, LexicalEntry, LexicalIndex, Metadata, Selection, Sequence,
    Slot, SlotSet,
};
use braid_runtime::CpuPool;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, Directory, DirectoryLock, FileHandle, Lock, MmapDirectory, TerminatingWrite,
    WatchCallback, WatchHandle, WritePtr,
};

use crate::{LexicalOptions, TantivyIndex};

/// Writes left before the disk is full.
#[derive(Debug, Default)]
struct Disk {
    is_limited: AtomicBool,
    writes_left: AtomicUsize,
}

impl Disk {
    fn limit(&self, writes: usize) {
        self.writes_left.store(writes, Ordering::SeqCst);
        self.is_limited.store(true, Ordering::SeqCst);
    }

    fn write(&self) -> io::Result<()> {
        let take = |left: usize| left.checked_sub(1);
        if self.is_limited.load(Ordering::SeqCst)
            && self
                .writes_left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
                .is_err()
        {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Ok(())
    }
}

/// A directory on a [`Disk`].
#[derive(Clone, Debug)]
struct LimitedDirectory {
    inner: MmapDirectory,
    disk: Arc<Disk>,
}

struct LimitedWriter {
    inner: WritePtr,
    disk: Arc<Disk>,
}

impl Write for LimitedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.write()?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl TerminatingWrite for LimitedWriter {
    fn terminate_ref(&mut self, token: AntiCallToken) -> io::Result<()> {
        self.disk.write()?;
        self.inner.get_mut().terminate_ref(token)
    }
}

impl Directory for LimitedDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.inner.get_file_handle(path)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.inner.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.inner.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let full = |error| OpenWriteError::wrap_io_error(error, path.to_owned());
        self.disk.write().map_err(full)?;
        let inner = self.inner.open_write(path)?;
        let disk = Arc::clone(&self.disk);
        Ok(BufWriter::new(Box::new(LimitedWriter { inner, disk })))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.inner.atomic_read(path)
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        self.disk.write()?;
        self.inner.atomic_write(path, data)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.inner.sync_directory()
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        self.inner.acquire_lock(lock)
    }

    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.inner.watch(callback)
    }
}

fn batch(number: u32) -> IndexBatch<LexicalEntry> {
    let entry = |slot: u32| LexicalEntry {
        slot: Slot(slot),
        chunk: ChunkId(uuid::Uuid::from_u128(u128::from(slot))),
        title: String::new(),
        headings: Vec::new(),
        body: format!("amber basil cedar{slot}"),
        metadata: Arc::new(Metadata::default()),
        language: None,
    };
    IndexBatch {
        add: (10 * number..10 * number + 10).map(entry).collect(),
        delete: SlotSet::from([10 * number - 1]),
        watermark: Sequence(u64::from(number)),
    }
}

#[tokio::test]
async fn a_refused_batch_leaves_nothing_and_can_be_repeated() {
    let path = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk::default());
    let directory = LimitedDirectory {
        inner: MmapDirectory::open(path.path()).unwrap(),
        disk: Arc::clone(&disk),
    };
    let options = LexicalOptions::default();
    let pool = CpuPool::new(1).unwrap();
    let index = TantivyIndex::open_directory(Box::new(directory), options, pool).unwrap();
    index.apply(batch(1)).await.unwrap();
    let before = index.slots().await.unwrap();
    let mut refusals = 0;
    // The disk fills up at every write of a batch in turn.
    for writes in 0.. {
        disk.limit(writes);
        let refused = index.apply(batch(2)).await;
        disk.is_limited.store(false, Ordering::SeqCst);
        let Err(error) = refused else { break };
        assert_eq!(
            error.code(),
            ErrorCode::StorageFull,
            "{writes}: {}",
            error.chain()
        );
        assert_eq!(
            index.slots().await.unwrap(),
            before,
            "after {writes} writes"
        );
        assert_eq!(index.watermark().await.unwrap(), Sequence(1));
        refusals += 1;
    }
    assert!(
        refusals > 5,
        "{refusals} writes only: the disk was hardly used"
    );
    assert_eq!(
        index.slots().await.unwrap(),
        (10..30).filter(|slot| *slot != 19).collect()
    );
    let view = index.pin().await.unwrap();
    let found = view
        .search("cedar25", &Selection::default(), 10)
        .await
        .unwrap();
    assert_eq!(found.candidates[0].slot, Slot(25));
}
