//! Entries and selections for the suite.

use std::ops::Range;
use std::sync::Arc;

use braid_core::{
    ChunkId, Condition, Filter, LexicalEntry, Metadata, MetadataValue, Predicate, Selection, Slot,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

/// Words that no analyzer changes or drops, common ones first.
pub(super) const WORDS: [&str; 9] = [
    "amber", "basil", "cedar", "delta", "ember", "fjord", "garnet", "indigo", "zephyr",
];

/// Entries are in one of so many groups, by slot.
pub(super) const GROUPS: u32 = 7;

pub(super) fn entry(slot: u32, title: &str, headings: &[&str], body: &str) -> LexicalEntry {
    let group = MetadataValue::Number(f64::from(slot % GROUPS));
    LexicalEntry {
        slot: Slot(slot),
        chunk: ChunkId(Uuid::from_u128(u128::from(slot))),
        title: title.to_owned(),
        headings: headings
            .iter()
            .map(|heading| (*heading).to_owned())
            .collect(),
        body: body.to_owned(),
        metadata: Arc::new(Metadata::new([("group".to_owned(), group)].into()).unwrap()),
        language: None,
    }
}

/// Entries with these slots and bodies of one to twelve words.
pub(super) fn random_entries(slots: Range<u32>, seed: u64) -> Vec<LexicalEntry> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut word = || {
        // The smaller of two: word frequencies fall along the list.
        let index = rng
            .random_range(0..WORDS.len())
            .min(rng.random_range(0..WORDS.len()));
        (WORDS[index], rng.random_range(0..5_u32))
    };
    let mut text = |most: usize| {
        let mut words = Vec::new();
        while words.len() < most {
            let (word, dice) = word();
            words.push(word);
            if dice == 0 {
                break;
            }
        }
        words.join(" ")
    };
    slots
        .map(|slot| entry(slot, &text(2), &[&text(2)], &text(12)))
        .collect()
}

/// Whether an entry says `word`.
pub(super) fn says(entry: &LexicalEntry, word: &str) -> bool {
    let texts = entry.headings.iter().chain([&entry.title, &entry.body]);
    texts
        .flat_map(|text| text.split(' '))
        .any(|said| said == word)
}

/// The entries of these groups with slots below `end`, said as slots and as a filter.
pub(super) fn select(groups: &[u32], end: u32) -> Selection {
    let wanted = groups
        .iter()
        .map(|group| MetadataValue::Number(f64::from(*group)));
    let condition = Condition {
        key: "group".to_owned(),
        predicate: Predicate::Any(wanted.collect()),
    };
    let filter = Filter {
        must: vec![condition],
        ..Filter::default()
    };
    let slots = (0..end)
        .filter(|slot| groups.contains(&(slot % GROUPS)))
        .collect();
    Selection {
        filter: Some(Arc::new(filter)),
        slots: Some(Arc::new(slots)),
        ..Selection::default()
    }
}
