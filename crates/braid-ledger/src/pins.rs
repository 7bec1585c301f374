//! Who reads which state: the epochs of the pins that are held.
//!
//! An epoch rises in every transaction that retires slots. A pin is registered under the epoch it
//! read *before* it opened its snapshot, so its snapshot is of that epoch or a later one, and slots
//! retired at an epoch no pin precedes cannot be live in any pinned snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// Epochs of the pins that are held, with how many hold each.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    held: Mutex<BTreeMap<u64, usize>>,
}

impl Pins {
    /// Registers a pin until the guard is dropped.
    pub(crate) fn hold(self: &Arc<Self>, epoch: u64) -> PinGuard {
        *self.held.lock().entry(epoch).or_default() += 1;
        PinGuard {
            epoch,
            pins: Arc::clone(self),
        }
    }

    /// The oldest epoch that is pinned.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.held.lock().keys().next().copied()
    }
}

/// Keeps a pin registered.
#[derive(Debug)]
pub(crate) struct PinGuard {
    epoch: u64,
    pins: Arc<Pins>,
}

impl Drop for PinGuard {
    fn drop(&mut self) {
        let mut held = self.pins.held.lock();
        if let Some(count) = held.get_mut(&self.epoch) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.epoch);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_pin_counts() {
        let pins = Arc::new(Pins::default());
        let (old, twin, new) = (pins.hold(3), pins.hold(3), pins.hold(5));
        drop(old);
        assert_eq!(pins.oldest(), Some(3));
        drop(twin);
        assert_eq!(pins.oldest(), Some(5));
        drop(new);
        assert_eq!(pins.oldest(), None);
    }
}
