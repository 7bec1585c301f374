//! What is held between being found and being handed over.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Counts the bytes that are held and lets threads wait until there is room.
#[derive(Debug)]
pub(super) struct Flight {
    most: u64,
    held: Mutex<Held>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Held {
    bytes: u64,
    /// Number of the item that is handed over next.
    front: u64,
    is_over: bool,
}

impl Flight {
    pub(super) fn new(most: u64) -> Self {
        Self {
            most,
            held: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Takes room for an item that was found; refuses where there is none, unless it is the `only`
    /// one.
    pub(super) fn take_off(&self, bytes: u64, only: bool) -> bool {
        let mut held = self.held();
        let is_taken = only || held.bytes.saturating_add(bytes) <= self.most;
        if is_taken {
            held.bytes += bytes;
        }
        is_taken
    }

    /// Waits until there is room to read the item numbered so. Items that turned out larger than
    /// expected may have taken it all; the one that is handed over next is read all the same, so
    /// things go on. False when nobody wants it any more.
    pub(super) fn await_turn(&self, number: u64) -> bool {
        let blocked =
            |held: &mut Held| !held.is_over && held.bytes > self.most && held.front != number;
        let held = self.changed.wait_while(self.held(), blocked);
        !held.unwrap_or_else(PoisonError::into_inner).is_over
    }

    /// An item that was `expected` to take so many bytes takes `actual` ones.
    pub(super) fn correct(&self, expected: u64, actual: u64) {
        let mut held = self.held();
        held.bytes = (held.bytes + actual).saturating_sub(expected);
        self.changed.notify_all();
    }

    /// The next item was handed over.
    pub(super) fn land(&self, bytes: u64) {
        let mut held = self.held();
        held.bytes = held.bytes.saturating_sub(bytes);
        held.front += 1;
        self.changed.notify_all();
    }

    /// Nobody wants anything any more.
    pub(super) fn end(&self) {
        self.held().is_over = true;
        self.changed.notify_all();
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Invariant: nothing panics while holding it.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
