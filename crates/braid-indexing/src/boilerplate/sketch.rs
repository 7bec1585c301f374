//! A count of texts by document, in a fixed amount of memory.

use std::collections::HashSet;

use braid_core::DocumentId;

use super::SharedKind;

/// Counters in a row. Two rows of four bytes each are 8 MiB.
const COUNTERS: usize = 1 << 20;
/// A line of fewer characters is too common to mean anything: a closing bracket, a heading.
const LEAST_CHARACTERS: usize = 16;

/// A text, by hash and kind.
pub(super) type Key = (SharedKind, u128);

/// A text of a chunk.
pub(super) struct Unit<'t> {
    pub(super) key: Key,
    /// White space folded.
    pub(super) text: &'t str,
    pub(super) characters: u64,
}

/// Calls `visit` with the chunk and each of its lines, the short ones left out, and returns the
/// characters of all lines.
pub(super) fn visit_units(text: &str, mut visit: impl FnMut(Unit<'_>)) -> u64 {
    let mut characters = 0;
    let mut whole = String::with_capacity(text.len());
    let mut folded = String::new();
    for line in text.lines() {
        folded.clear();
        fold(line, &mut folded);
        if folded.is_empty() {
            continue;
        }
        characters += unit(SharedKind::Line, &folded, &mut visit);
        if !whole.is_empty() {
            whole.push('\n');
        }
        whole.push_str(&folded);
    }
    unit(SharedKind::Chunk, &whole, &mut visit);
    characters
}

fn unit(kind: SharedKind, text: &str, visit: &mut impl FnMut(Unit<'_>)) -> u64 {
    let characters = text.chars().count();
    if characters >= LEAST_CHARACTERS {
        visit(Unit {
            key: (kind, hash(text)),
            text,
            characters: characters as u64,
        });
    }
    characters as u64
}

fn fold(line: &str, folded: &mut String) {
    for word in line.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.push_str(word);
    }
}

fn hash(text: &str) -> u128 {
    let hash = blake3::hash(text.as_bytes());
    let first = hash.as_bytes().first_chunk::<16>();
    first.map_or(0, |bytes| u128::from_le_bytes(*bytes))
}

/// What was seen of the document that is being read: its chunks come one after the other.
#[derive(Default)]
pub(super) struct Current {
    document: Option<DocumentId>,
    seen: HashSet<Key>,
}

impl Current {
    /// Moves on to `document` if it is another one.
    pub(super) fn enter(&mut self, document: &DocumentId) {
        if self.document.as_ref() != Some(document) {
            self.document = Some(document.clone());
            self.seen.clear();
        }
    }

    /// Whether the document has not shown this text before.
    pub(super) fn is_new(&mut self, key: Key) -> bool {
        self.seen.insert(key)
    }
}

/// In how many documents each text stands: never too few, too many only where texts share both
/// their counters with others.
pub(super) struct Sketch {
    rows: [Vec<u32>; 2],
    current: Current,
}

impl Default for Sketch {
    fn default() -> Self {
        Self {
            rows: [vec![0; COUNTERS], vec![0; COUNTERS]],
            current: Current::default(),
        }
    }
}

impl Sketch {
    /// Counts a chunk of `document`.
    pub(super) fn add(&mut self, document: &DocumentId, text: &str) {
        self.current.enter(document);
        let (rows, current) = (&mut self.rows, &mut self.current);
        visit_units(text, |unit| {
            if current.is_new(unit.key) {
                for (row, index) in rows.iter_mut().zip(indexes(unit.key)) {
                    row[index] = row[index].saturating_add(1);
                }
            }
        });
    }

    /// At least as many documents as have the text.
    pub(super) fn most_documents(&self, key: Key) -> u64 {
        let counters = self.rows.iter().zip(indexes(key));
        let counts = counters.map(|(row, index)| u64::from(row[index]));
        counts.min().unwrap_or(0)
    }
}

fn indexes((kind, hash): Key) -> [usize; 2] {
    let hash = hash ^ u128::from(kind == SharedKind::Chunk);
    let mask = COUNTERS - 1;
    [hash as usize & mask, (hash >> 64) as usize & mask]
}
