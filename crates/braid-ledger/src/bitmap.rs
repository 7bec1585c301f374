//! Slot sets as stored: a short list for few slots, a Roaring bitmap for many.

use std::borrow::Cow;

use braid_core::{Result, SlotSet};

use crate::error::corrupt;
use crate::table::Row;

/// Up to this many slots a list is smaller and faster to read than a bitmap. Most metadata values
/// belong to one document.
const LONGEST_LIST: u64 = 16;

const LIST: u8 = 0;
const ROARING: u8 = 1;

impl Row for SlotSet {
    fn encode(&self) -> Result<Cow<'_, [u8]>> {
        let mut bytes = Vec::with_capacity(1 + self.serialized_size());
        if self.len() <= LONGEST_LIST {
            bytes.push(LIST);
            bytes.extend(self.iter().flat_map(u32::to_le_bytes));
        } else {
            bytes.push(ROARING);
            self.serialize_into(&mut bytes)
                .map_err(|error| corrupt("a slot set cannot be encoded").with_source(error))?;
        }
        Ok(Cow::Owned(bytes))
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        match bytes.split_first() {
            Some((&LIST, list)) if list.len() % 4 == 0 => {
                let (slots, _) = list.as_chunks::<4>();
                Ok(slots.iter().map(|slot| u32::from_le_bytes(*slot)).collect())
            }
            Some((&ROARING, bitmap)) => Self::deserialize_from(bitmap)
                .map_err(|error| corrupt("a stored slot set is damaged").with_source(error)),
            Some(_) | None => Err(corrupt("a stored slot set is damaged")),
        }
    }
}

/// Puts every slot of an undecoded set into `slots`.
pub(crate) fn union_into(slots: &mut SlotSet, bytes: &[u8]) -> Result<()> {
    match bytes.split_first() {
        Some((&LIST, list)) if list.len() % 4 == 0 => {
            let (listed, _) = list.as_chunks::<4>();
            slots.extend(listed.iter().map(|slot| u32::from_le_bytes(*slot)));
        }
        Some(_) | None => *slots |= SlotSet::decode(bytes)?,
    }
    Ok(())
}

/// Slots to take out of a stored set and slots to put in.
#[derive(Debug, Default)]
pub(crate) struct BitmapChange {
    added: SlotSet,
    removed: SlotSet,
}

impl BitmapChange {
    /// Puts slots in.
    pub(crate) fn add(&mut self, slots: &SlotSet) {
        self.removed -= slots;
        self.added |= slots;
    }

    /// Takes slots out.
    pub(crate) fn remove(&mut self, slots: &SlotSet) {
        self.added -= slots;
        self.removed |= slots;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }

    /// Does both.
    pub(crate) fn apply(&self, slots: &mut SlotSet) {
        *slots -= &self.removed;
        *slots |= &self.added;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_round_trip_in_both_forms() {
        for count in [0, 1, 16, 17, 70_000] {
            let set: SlotSet = (0..count).map(|slot| slot * 3).collect();
            let bytes = set.encode().unwrap().into_owned();
            assert_eq!(SlotSet::decode(&bytes).unwrap(), set);
            let mut union = SlotSet::from([1]);
            union_into(&mut union, &bytes).unwrap();
            assert_eq!(union, set | SlotSet::from([1]));
        }
        let single = SlotSet::from([7]);
        assert_eq!(single.encode().unwrap().len(), 5);
    }

    #[test]
    fn damaged_sets_are_refused() {
        for bytes in [&[][..], &[LIST, 1], &[ROARING, 1, 2], &[9]] {
            assert!(SlotSet::decode(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn the_last_change_of_a_slot_holds() {
        let mut change = BitmapChange::default();
        change.add(&SlotSet::from([1, 2]));
        change.remove(&SlotSet::from([2, 3]));
        change.add(&SlotSet::from([3]));
        let mut slots = SlotSet::from([2, 3, 4]);
        change.apply(&mut slots);
        assert_eq!(slots, SlotSet::from([1, 3, 4]));
    }
}
