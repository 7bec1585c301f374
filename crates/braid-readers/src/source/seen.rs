//! Ids seen so far, by hash: 16 bytes an id however long it is.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use braid_core::DocumentId;

/// Where an id was first seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Index of the source.
    pub(super) source: usize,
    pub(super) position: Position,
}

/// Where in a source something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// The source has no finer places.
    Anywhere,
    /// A line, counted from 1.
    Line(u64),
    /// An element of an array, counted from 0.
    Element(u64),
}

#[derive(Debug, Default)]
pub(super) struct Seen {
    hashers: [RandomState; 2],
    places: HashMap<[u64; 2], Place>,
}

impl Seen {
    /// Notes `id`; where it was seen before, says where first. Two ids share 128 random bits with a
    /// probability that no corpus makes worth considering.
    pub(super) fn insert(&mut self, id: &DocumentId, place: Place) -> Option<Place> {
        let key = self.hashers.each_ref().map(|hasher| hasher.hash_one(id));
        if let Some(first) = self.places.get(&key) {
            return Some(*first);
        }
        self.places.insert(key, place);
        None
    }
}
