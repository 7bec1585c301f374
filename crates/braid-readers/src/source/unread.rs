//! What a source has found and nobody has read yet: reading it takes the time, needs nothing but
//! itself, and so can be done on any thread.

use braid_core::limits::MAX_DOCUMENT_BYTES;

use super::Item;
use super::content::UnreadFile;
use super::fields::Record;
use super::seen::Place;

/// One step of a source, before it is read.
#[derive(Debug)]
pub(super) struct Unread {
    pub(super) work: Work,
    pub(super) place: Place,
}

/// What is left to do.
#[derive(Debug)]
pub(super) enum Work {
    Done(Item),
    File(UnreadFile),
    Record(Record),
}

impl Work {
    pub(super) fn read(self) -> Item {
        match self {
            Self::Done(item) => item,
            Self::File(file) => file.read(),
            Self::Record(record) => record.read(),
        }
    }

    /// Bytes of memory that it, or what it is read to, is expected to take.
    pub(super) fn cost(&self) -> u64 {
        match self {
            Self::Done(item) => cost(item),
            Self::File(file) => file.bytes.min(MAX_DOCUMENT_BYTES as u64),
            Self::Record(record) => record.json.len() as u64,
        }
    }
}

/// Bytes of memory that an item takes, its smaller parts apart.
pub(super) fn cost(item: &Item) -> u64 {
    match item {
        Ok(found) => found.document.text.len() as u64,
        Err(_) => 0,
    }
}
