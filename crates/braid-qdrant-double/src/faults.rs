//! Faults on demand.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::watch;
use tonic::{Code, Status};

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Searching.
    Query,
    /// Reading points and descriptions.
    Read,
    /// Writing points, and making and removing collections and indexes.
    Write,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// None: it is answered, and the next fault is for the next call.
    Nothing,
    /// `UNAVAILABLE`, as of a node that starts or lost its peers.
    Unavailable,
    /// It waits until [`release`](crate::QdrantDouble::release), then does its work.
    Held,
    /// Refused because the disk is full.
    DiskFull,
    /// Refused because of a rate limit.
    RateLimited,
    /// The work is done and the answer is lost.
    LostAnswer,
    /// Taken, and not applied before the answer.
    NotAppliedYet,
}

/// Faults that wait for their calls.
#[derive(Debug)]
pub(crate) struct Faults {
    planned: Mutex<VecDeque<(Kind, Fault)>>,
    /// How often held calls were released.
    released: watch::Sender<u64>,
    /// How many calls are held.
    held: watch::Sender<usize>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            planned: Mutex::default(),
            released: watch::Sender::new(0),
            held: watch::Sender::new(0),
        }
    }
}

impl Faults {
    pub(crate) fn plan(&self, kind: Kind, fault: Fault, times: usize) {
        let mut planned = self.planned.lock();
        planned.extend(std::iter::repeat_n((kind, fault), times));
    }

    pub(crate) fn clear(&self) {
        self.planned.lock().clear();
        self.release();
    }

    pub(crate) fn release(&self) {
        self.released.send_modify(|times| *times += 1);
    }

    pub(crate) fn held(&self) -> watch::Receiver<usize> {
        self.held.subscribe()
    }

    /// The fault of this call, if there is one.
    fn take(&self, kind: Kind) -> Option<Fault> {
        let mut planned = self.planned.lock();
        let at = planned.iter().position(|(of, _)| *of == kind)?;
        planned.remove(at).map(|(_, fault)| fault)
    }

    /// What happens before the work of a call, and what is left for after it.
    pub(crate) async fn before(&self, kind: Kind) -> Result<Option<Fault>, Status> {
        let fault = self.take(kind);
        match fault {
            None | Some(Fault::Nothing) => Ok(None),
            Some(Fault::Unavailable) => Err(unavailable()),
            Some(Fault::DiskFull) => Err(Status::internal(
                "Service internal error: No space left on device: WAL buffer size exceeds available disk space",
            )),
            Some(Fault::RateLimited) => Err(Status::new(
                Code::ResourceExhausted,
                "Rate limiting exceeded: Write rate limit exceeded",
            )),
            Some(Fault::Held) => {
                let mut released = self.released.subscribe();
                self.held.send_modify(|held| *held += 1);
                // Its sender is this; it does not end before.
                let _ = released.changed().await;
                self.held.send_modify(|held| *held -= 1);
                Ok(None)
            }
            Some(Fault::LostAnswer | Fault::NotAppliedYet) => Ok(fault),
        }
    }
}

/// What a node says that lost its peers.
pub(crate) fn unavailable() -> Status {
    Status::unavailable("Shard temporarily unavailable: the node is starting")
}
