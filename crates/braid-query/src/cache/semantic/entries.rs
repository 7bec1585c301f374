//! The entries: found by space and similarity, bounded in number and bytes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use braid_core::{CollectionId, DocumentId, Embedding};
use rustc_hash::FxHashMap;

use crate::cache::guard::Reading;

/// Numbers added side by side: lets the compiler use vector registers.
const LANES: usize = 16;
/// Most candidates that are looked at, the most similar first: bounds the time of a lookup.
const MOST_CANDIDATES: usize = 32;
/// Bytes of an entry beside its texts and its embedding.
const FIXED_BYTES: usize = 512;

/// Where an answer may be found: entries of one space are never looked at for another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Space {
    collection: CollectionId,
    scope: Option<String>,
}

impl Space {
    pub(super) fn new(collection: CollectionId, scope: Option<String>) -> Self {
        Self { collection, scope }
    }
}

/// A question with its answer.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) query: Arc<str>,
    pub(super) reading: Reading,
    pub(super) embedding: Embedding,
    pub(super) answer: Arc<str>,
    pub(super) documents: Arc<[DocumentId]>,
    pub(super) state: String,
    pub(super) stored: Instant,
    pub(super) expires: Instant,
}

impl Entry {
    /// Bytes of memory, about: the reading of a question has some words of it again.
    fn bytes(&self, space: &Space) -> usize {
        let documents = self.documents.iter();
        let documents: usize = documents.map(|id| id.as_str().len() + 24).sum();
        let scope = space.scope.as_ref().map_or(0, String::len);
        let texts = 24 * self.query.len() + self.answer.len() + self.state.len();
        FIXED_BYTES + texts + scope + documents + size_of_val(&*self.embedding)
    }
}

/// What went to make room, or because its time had run out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Evicted {
    pub(super) by_limit: usize,
    pub(super) expired: usize,
}

/// What [`Entries::insert`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inserted {
    pub(super) replaced: bool,
    pub(super) evicted: Evicted,
}

#[derive(Debug)]
struct Kept {
    entry: Entry,
    space: Space,
    bytes: usize,
    /// Place in the order of use.
    used: u64,
}

/// What a scan reads of an entry.
#[derive(Debug)]
struct Row {
    id: u64,
    expires: Instant,
    embedding: Embedding,
}

/// Every entry. Where there are too many, those that were stored or given longest ago go.
#[derive(Debug)]
pub(super) struct Entries {
    most_entries: usize,
    most_bytes: usize,
    bytes: usize,
    /// Numbers entries and uses; rises.
    clock: u64,
    entries: FxHashMap<u64, Kept>,
    spaces: HashMap<Space, Vec<Row>>,
    /// By place in the order of use.
    order: BTreeMap<u64, u64>,
    expiries: BTreeSet<(Instant, u64)>,
}

impl Entries {
    pub(super) fn new(most_entries: usize, most_bytes: usize) -> Self {
        Self {
            most_entries,
            most_bytes,
            bytes: 0,
            clock: 0,
            entries: FxHashMap::default(),
            spaces: HashMap::new(),
            order: BTreeMap::new(),
            expiries: BTreeSet::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn get(&self, id: u64) -> Option<&Entry> {
        self.entries.get(&id).map(|kept| &kept.entry)
    }

    /// Entries of `space` by falling similarity, newest first where equal: all that are similar enough
    /// or, where none is, the most similar one; 32 at most.
    pub(super) fn nearest(
        &self,
        space: &Space,
        query: &[f32],
        threshold: f64,
        now: Instant,
    ) -> Vec<(u64, f64)> {
        let rows = self.spaces.get(space).map_or(&[][..], Vec::as_slice);
        let rows = rows.iter().filter(|row| row.expires > now);
        let mut scored: Vec<(u64, f64)> = rows
            .map(|row| (row.id, similarity(query, &row.embedding)))
            .collect();
        let order = |one: &(u64, f64), other: &(u64, f64)| {
            other.1.total_cmp(&one.1).then(other.0.cmp(&one.0))
        };
        if scored.len() > MOST_CANDIDATES {
            scored.select_nth_unstable_by(MOST_CANDIDATES, order);
            scored.truncate(MOST_CANDIDATES);
        }
        scored.sort_unstable_by(order);
        let enough = scored.iter().take_while(|(_, score)| *score >= threshold);
        scored.truncate(enough.count().max(1));
        scored
    }

    /// Keeps an entry, in the place of one to the same question.
    pub(super) fn insert(&mut self, space: Space, entry: Entry, now: Instant) -> Inserted {
        let mut evicted = Evicted {
            expired: self.expire(now),
            by_limit: 0,
        };
        let same = self.same_question(&space, &entry.query);
        let replaced = same.is_some_and(|id| self.drop_entry(id));
        let bytes = entry.bytes(&space);
        while !self.entries.is_empty()
            && (self.len() >= self.most_entries || self.bytes + bytes > self.most_bytes)
        {
            evicted.by_limit += usize::from(self.drop_oldest());
        }
        self.put(space, entry, bytes);
        Inserted { replaced, evicted }
    }

    /// Notes that an entry was given.
    pub(super) fn touch(&mut self, id: u64) {
        let used = self.tick();
        // It may have gone since it was found.
        if let Some(kept) = self.entries.get_mut(&id) {
            self.order.remove(&kept.used);
            self.order.insert(used, id);
            kept.used = used;
        }
    }

    /// Drops the entries of a collection and a scope, each any where `None`; says how many.
    pub(super) fn remove(
        &mut self,
        collection: Option<CollectionId>,
        scope: Option<&str>,
    ) -> usize {
        let meant = |space: &Space| {
            collection.is_none_or(|id| space.collection == id)
                && scope.is_none_or(|scope| space.scope.as_deref() == Some(scope))
        };
        let spaces = self.spaces.iter().filter(|(space, _)| meant(space));
        let ids: Vec<u64> = spaces
            .flat_map(|(_, rows)| rows.iter().map(|row| row.id))
            .collect();
        ids.into_iter().filter(|id| self.drop_entry(*id)).count()
    }

    fn put(&mut self, space: Space, entry: Entry, bytes: usize) {
        let id = self.tick();
        let row = Row {
            id,
            expires: entry.expires,
            embedding: Arc::clone(&entry.embedding),
        };
        self.spaces.entry(space.clone()).or_default().push(row);
        self.order.insert(id, id);
        self.expiries.insert((entry.expires, id));
        self.bytes += bytes;
        let kept = Kept {
            entry,
            space,
            bytes,
            used: id,
        };
        self.entries.insert(id, kept);
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn same_question(&self, space: &Space, query: &str) -> Option<u64> {
        let mut rows = self.spaces.get(space)?.iter().map(|row| row.id);
        rows.find(|id| self.get(*id).is_some_and(|entry| *entry.query == *query))
    }

    fn drop_oldest(&mut self) -> bool {
        let oldest = self.order.first_key_value().map(|(_, id)| *id);
        oldest.is_some_and(|id| self.drop_entry(id))
    }

    fn expire(&mut self, now: Instant) -> usize {
        let mut gone = 0;
        while let Some((expires, id)) = self.expiries.first().copied()
            && expires <= now
        {
            gone += usize::from(self.drop_entry(id));
        }
        gone
    }

    fn drop_entry(&mut self, id: u64) -> bool {
        let Some(kept) = self.entries.remove(&id) else {
            return false;
        };
        self.order.remove(&kept.used);
        self.expiries.remove(&(kept.entry.expires, id));
        self.bytes -= kept.bytes;
        if let Some(rows) = self.spaces.get_mut(&kept.space) {
            rows.retain(|row| row.id != id);
            if rows.is_empty() {
                self.spaces.remove(&kept.space);
            }
        }
        true
    }
}

/// Cosine similarity of two embeddings, which have length 1.
pub(super) fn similarity(one: &[f32], other: &[f32]) -> f64 {
    let (ones, one_rest) = one.as_chunks::<LANES>();
    let (others, other_rest) = other.as_chunks::<LANES>();
    let mut lanes = [0.0_f32; LANES];
    for (x, y) in ones.iter().zip(others) {
        for lane in 0..LANES {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = one_rest.iter().zip(other_rest).map(|(x, y)| x * y).sum();
    f64::from(lanes.iter().sum::<f32>() + rest).clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests;
