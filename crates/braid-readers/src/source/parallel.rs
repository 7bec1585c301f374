//! Reading on several threads, in order: a bounded number of documents ahead, in bounded memory.

mod flight;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use self::flight::Flight;
use super::seen::Place;
use super::unread::{Unread, Work, cost};
use super::{Documents, Item, SourceFailure};

/// How far ahead documents are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadAhead {
    /// Threads that read. Each may run a parser in a process of its own.
    pub threads: usize,
    /// Documents that are found before the oldest of them is asked for.
    pub documents: usize,
    /// Bytes of those documents. Each thread may exceed it by the one document that it reads: nobody
    /// knows its size before.
    pub bytes: u64,
}

impl Default for ReadAhead {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self {
            threads: cores.min(8),
            documents: 256,
            bytes: 64 * 1024 * 1024,
        }
    }
}

/// The items of [`Documents`], the same and in the same order, read on several threads.
#[derive(Debug)]
pub struct Parallel {
    documents: Documents,
    bounds: ReadAhead,
    tasks: SyncSender<Task>,
    flight: Arc<Flight>,
    ahead: VecDeque<Ahead>,
    /// Found, and beyond the bounds for now.
    waiting: Option<Unread>,
    found: u64,
}

/// An item that is read, or that somebody reads.
#[derive(Debug)]
struct Ahead {
    place: Place,
    state: State,
}

#[derive(Debug)]
enum State {
    Read(Item),
    Reading(Receiver<Item>),
}

/// What a thread is to read, and where it says what was there.
#[derive(Debug)]
struct Task {
    number: u64,
    work: Work,
    done: SyncSender<Item>,
}

impl Parallel {
    /// Reads `documents` on threads that end with the iterator.
    pub fn new(documents: Documents, bounds: ReadAhead) -> Self {
        // Room for all that can be ahead: sending never blocks.
        let (tasks, waiting) = mpsc::sync_channel(bounds.documents.max(1));
        let waiting = Arc::new(Mutex::new(waiting));
        let flight = Arc::new(Flight::new(bounds.bytes));
        for number in 0..bounds.threads {
            let (waiting, flight) = (Arc::clone(&waiting), Arc::clone(&flight));
            let thread = thread::Builder::new().name(format!("braid-read-{number}"));
            // What no thread can be had for is read by whoever asks.
            let _ = thread.spawn(move || work(&waiting, &flight));
        }
        Self {
            documents,
            bounds,
            tasks,
            flight,
            ahead: VecDeque::new(),
            waiting: None,
            found: 0,
        }
    }

    /// As [`Documents::skipped`].
    pub fn skipped(&self) -> &BTreeMap<String, u64> {
        self.documents.skipped()
    }

    /// Finds as much as the bounds allow, and at least one.
    fn fill(&mut self) {
        while self.ahead.len() < self.bounds.documents.max(1) {
            let Some(found) = self.waiting.take().or_else(|| self.documents.find()) else {
                return;
            };
            let cost = found.work.cost();
            if !self.flight.take_off(cost, self.ahead.is_empty()) {
                self.waiting = Some(found);
                return;
            }
            let place = found.place;
            let state = self.start(found.work);
            self.ahead.push_back(Ahead { place, state });
        }
    }

    fn start(&mut self, work: Work) -> State {
        let number = self.found;
        self.found += 1;
        if let Work::Done(item) = work {
            return State::Read(item);
        }
        let (done, read) = mpsc::sync_channel(1);
        let task = Task { number, work, done };
        if let Err(unsent) = self.tasks.send(task) {
            unsent.0.perform(&self.flight);
        }
        State::Reading(read)
    }
}

impl Iterator for Parallel {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        self.fill();
        let Ahead { place, state } = self.ahead.pop_front()?;
        let item = match state {
            State::Read(item) => item,
            State::Reading(read) => read.recv().unwrap_or_else(|_| Err(unexpected())),
        };
        self.flight.land(cost(&item));
        Some(self.documents.complete(item, place))
    }
}

impl Drop for Parallel {
    fn drop(&mut self) {
        self.flight.end();
    }
}

/// Reads what there is to read until there is no more.
fn work(waiting: &Mutex<Receiver<Task>>, flight: &Flight) {
    loop {
        // One thread at a time waits for a task, holding the lock: the others wait for the lock.
        let task = waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        match task {
            Ok(task) if flight.await_turn(task.number) => task.perform(flight),
            Ok(_) | Err(_) => return,
        }
    }
}

impl Task {
    fn perform(self, flight: &Flight) {
        let Self { work, done, .. } = self;
        let expected = work.cost();
        let item = catch_unwind(AssertUnwindSafe(|| work.read()));
        let item = item.unwrap_or_else(|_| Err(unexpected()));
        flight.correct(expected, cost(&item));
        // Nobody listens any more where the iterator is gone.
        let _ = done.send(item);
    }
}

fn unexpected() -> SourceFailure {
    SourceFailure {
        name: "a document".to_owned(),
        id: None,
        reason: "reading it failed unexpectedly".to_owned(),
        bytes: 0,
    }
}
