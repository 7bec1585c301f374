//! Filters alone, without slots that say what they mean, against [`Filter::matches`].

use std::collections::BTreeMap;
use std::sync::Arc;

use braid_core::{
    Condition, Filter, LANGUAGE_KEY, Language, Metadata, MetadataValue, Predicate, Range,
    Selection, Slot, SlotSet, VectorEntry, VectorStore,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::corpus::{clustered, entry};
use super::{DIMENSION, apply, search, slots_of};

const ENTRIES: u32 = 150;
const FILTERS: usize = 300;

/// Fields whose values are of every type, with names that need care.
const KEYS: [&str; 5] = ["plain", "with.dot", "a \"b\" [0]", "größe", LANGUAGE_KEY];

/// Checks that a filter lets pass what it means, with and without the slots beside it.
pub(super) async fn mean_what_they_say(store: &dyn VectorStore) {
    let mut rng = StdRng::seed_from_u64(31);
    let vectors = clustered(ENTRIES as usize, DIMENSION, 30);
    let numbered = (0..).zip(&vectors);
    let entries: Vec<VectorEntry> = numbered
        .map(|(slot, vector)| VectorEntry {
            metadata: Arc::new(metadata(&mut rng)),
            language: [None, Some(Language::German), Some(Language::English)]
                [rng.random_range(0..3)],
            ..entry(slot, vector)
        })
        .collect();
    apply(store, 1, entries.clone(), &[]).await;
    let view = store.pin().await.expect("a view can be pinned");
    let mut widths = Vec::new();
    for _ in 0..FILTERS {
        let filter = Arc::new(filter(&mut rng));
        filter.check().expect("a good filter");
        let passing = entries
            .iter()
            .filter(|entry| filter.matches(&entry.metadata, entry.language));
        let passing: SlotSet = passing.map(|entry| entry.slot.0).collect();
        for slots in [None, Some(Arc::new(passing.clone()))] {
            let selection = Selection {
                filter: Some(Arc::clone(&filter)),
                slots,
                ..Selection::default()
            };
            let found = search(&*view, &vectors[0], &selection, ENTRIES as usize).await;
            let found: SlotSet = slots_of(&found).into_iter().collect();
            assert_eq!(found, passing, "{filter:?}");
        }
        widths.push(passing.len());
    }
    let some = widths.iter().filter(|width| (1..140).contains(*width));
    assert!(some.count() > FILTERS / 3, "filters that say something");
    let Slot(last) = entries[entries.len() - 1].slot;
    assert_eq!(last, ENTRIES - 1);
}

fn metadata(rng: &mut StdRng) -> Metadata {
    let mut fields = BTreeMap::new();
    for key in KEYS {
        let value = match rng.random_range(0..6) {
            0 => continue,
            1 => MetadataValue::Strings((0..rng.random_range(0..3)).map(|_| text(rng)).collect()),
            _ => scalar(rng),
        };
        fields.insert(key.to_owned(), value);
    }
    Metadata::new(fields).expect("good metadata")
}

fn text(rng: &mut StdRng) -> String {
    ["a", "b", "A", "1", "true", "german", "zwei Wörter"][rng.random_range(0..7)].to_owned()
}

fn number(rng: &mut StdRng) -> f64 {
    [0.0, -0.0, 1.0, -2.5, 1e300, 9_007_199_254_740_993.0, 1.5][rng.random_range(0..7)]
}

fn scalar(rng: &mut StdRng) -> MetadataValue {
    match rng.random_range(0..3) {
        0 => MetadataValue::String(text(rng)),
        1 => MetadataValue::Number(number(rng)),
        _ => MetadataValue::Bool(rng.random()),
    }
}

fn filter(rng: &mut StdRng) -> Filter {
    let mut conditions = |most: usize| -> Vec<Condition> {
        (0..rng.random_range(0..=most))
            .map(|_| condition(rng))
            .collect()
    };
    Filter {
        must: conditions(1),
        should: conditions(3),
        must_not: conditions(1),
    }
}

fn condition(rng: &mut StdRng) -> Condition {
    let key = match rng.random_range(0..12) {
        0 => "nobody has it",
        _ => KEYS[rng.random_range(0..KEYS.len())],
    };
    let predicate = match rng.random_range(0..5) {
        0 | 1 => Predicate::Match(scalar(rng)),
        2 => Predicate::Any((0..rng.random_range(0..4)).map(|_| scalar(rng)).collect()),
        3 => Predicate::Range(range(rng)),
        _ => Predicate::Exists(rng.random()),
    };
    Condition {
        key: key.to_owned(),
        predicate,
    }
}

fn range(rng: &mut StdRng) -> Range {
    let bound = Some(number(rng));
    let other = rng.random::<bool>().then(|| number(rng));
    if rng.random() {
        Range {
            gte: bound,
            lt: other,
            ..Range::default()
        }
    } else {
        Range {
            lte: bound,
            gt: other,
            ..Range::default()
        }
    }
}
