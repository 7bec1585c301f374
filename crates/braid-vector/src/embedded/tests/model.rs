//! Random applies and reopenings against a map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const DIMENSION: usize = 6;
const SLOTS: u32 = 48;

/// One apply, and whether the store is opened again after it.
#[derive(Clone, Debug)]
struct Step {
    /// Slots to add, each with the number of its vector.
    add: BTreeMap<u32, usize>,
    delete: Vec<u32>,
    reopen: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let add = prop::collection::btree_map(0..SLOTS, 0_usize..3, 0..16);
    let delete = prop::collection::vec(0..SLOTS, 0..16);
    let step = (add, delete, any::<bool>()).prop_map(|(add, delete, reopen)| Step {
        add,
        delete,
        reopen,
    });
    prop::collection::vec(step, 1..10)
}

/// Slots and scores of everything in the model, best first.
fn ranked(model: &BTreeMap<u32, &Embedding>, query: &Embedding) -> RankedList {
    let query = crate::cosine::unit(query, DIMENSION).unwrap();
    let mut nearest = Nearest::new(model.len());
    for (slot, vector) in model {
        let vector = crate::cosine::unit(vector, DIMENSION).unwrap();
        nearest.offer(*slot, crate::cosine::similarity(&query, &vector));
    }
    nearest.into_ranked()
}

async fn check(steps: Vec<Step>, segment_vectors: usize) {
    let vectors = random_vectors(3, DIMENSION, 9);
    let home = TempDir::new().unwrap();
    let options = VectorOptions {
        segment_vectors,
        ..small(DIMENSION, 8)
    };
    let mut store = open(home.path(), options.clone());
    let mut model = BTreeMap::new();
    for (watermark, step) in (1..).zip(steps) {
        let added = step
            .add
            .iter()
            .map(|(slot, vector)| (*slot, &vectors[*vector]));
        let mut batch = batch(watermark, added.clone());
        batch.delete = step.delete.iter().copied().collect();
        store.apply(batch).await.unwrap();
        model.retain(|slot, _| !step.delete.contains(slot));
        model.extend(added);
        if step.reopen {
            drop(store);
            store = open(home.path(), options.clone());
        }
        assert_eq!(store.watermark().await.unwrap(), Sequence(watermark));
        assert_eq!(
            store.slots().await.unwrap(),
            model.keys().copied().collect()
        );
        let found = search(&store, &vectors[0], SLOTS as usize).await;
        assert_eq!(found, ranked(&model, &vectors[0]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_history_leaves_what_it_says(steps in steps(), segment_vectors in 5_usize..40) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(check(steps, segment_vectors));
    }
}

#[tokio::test]
async fn the_graph_is_built_only_when_it_is_due() {
    let home = TempDir::new().unwrap();
    let store = open(home.path(), small(DIMENSION, 100));
    let vectors = random_vectors(400, DIMENSION, 10);
    let mut sizes = Vec::new();
    for (watermark, start) in (1..).zip((0..200).step_by(20)) {
        let numbered = (start as u32..).zip(&vectors[start..start + 20]);
        store.apply(batch(watermark, numbered)).await.unwrap();
        let snapshot = Snapshot::take(&store.storage, &store.options).unwrap();
        sizes.push(snapshot.segment_sizes());
    }
    // Above 100 vectors there is a graph; it then grows whenever more than half of that waits.
    let none = Vec::<u64>::new;
    let built = |size| vec![size];
    let first = std::iter::repeat_with(none).take(5);
    let then = [120, 120, 120, 180, 180].map(built);
    assert_eq!(sizes, first.chain(then).collect::<Vec<_>>());
    let mut deletes = batch(20, []);
    deletes.delete = (0..180).collect();
    store.apply(deletes).await.unwrap();
    let snapshot = Snapshot::take(&store.storage, &store.options).unwrap();
    assert!(
        snapshot.segment_sizes().is_empty(),
        "a small store has no graph"
    );
    assert_eq!(store.slots().await.unwrap(), (180..200).collect());
}

#[tokio::test]
async fn a_full_segment_is_not_built_again() {
    let home = TempDir::new().unwrap();
    let options = VectorOptions {
        segment_vectors: 100,
        ..small(DIMENSION, 40)
    };
    let store = open(home.path(), options);
    let vectors = random_vectors(400, DIMENSION, 11);
    let sizes = || {
        let snapshot = Snapshot::take(&store.storage, &store.options).unwrap();
        snapshot.segment_sizes()
    };
    let mut seen = Vec::new();
    for (watermark, start) in (1..).zip((0..300).step_by(50)) {
        let numbered = (start as u32..).zip(&vectors[start..start + 50]);
        store.apply(batch(watermark, numbered)).await.unwrap();
        seen.push(sizes());
    }
    let expected: [&[u64]; 6] = [
        &[50],
        &[100],
        &[100, 50],
        &[100, 100],
        &[100, 100, 50],
        &[100, 100, 100],
    ];
    assert_eq!(seen, expected);
    // Far more than a segment at once: none is larger than it may be, and a small rest waits.
    store
        .apply(batch(7, (300..).zip(&vectors[..205])))
        .await
        .unwrap();
    assert_eq!(sizes(), [100; 5]);
    assert_eq!(store.slots().await.unwrap(), (0..505).collect());
    // A segment of which little is left goes, and its number is free for the next.
    let mut deletes = batch(8, []);
    deletes.delete = (100..195).collect();
    store.apply(deletes).await.unwrap();
    assert_eq!(sizes(), [100; 4]);
    store
        .apply(batch(9, (505..).zip(&vectors[..50])))
        .await
        .unwrap();
    assert_eq!(sizes(), [100, 60, 100, 100, 100]);
    for slot in [0, 195, 250, 299, 504, 554] {
        let vector = &vectors[if slot < 300 { slot } else { slot - 300 } as usize];
        let vector = if slot >= 505 {
            &vectors[slot as usize - 505]
        } else {
            vector
        };
        let found = search(&store, vector, 3).await;
        assert!(found.iter().any(|hit| hit.slot == Slot(slot)), "{slot}");
    }
}

#[tokio::test]
async fn a_store_of_the_first_format_is_read_and_goes_on() {
    let home = TempDir::new().unwrap();
    let vectors = random_vectors(300, DIMENSION, 12);
    let options = VectorOptions {
        segment_vectors: 150,
        ..small(DIMENSION, 40)
    };
    let store = open(home.path(), options.clone());
    let first = (0..).zip(&vectors[..100]);
    store.apply(batch(1, first)).await.unwrap();
    store.storage.make_first_format();
    drop(store);
    let store = open(home.path(), options);
    assert_eq!(store.slots().await.unwrap(), (0..100).collect());
    let second = (100..).zip(&vectors[100..]);
    store.apply(batch(2, second)).await.unwrap();
    for slot in [5_u32, 99, 100, 299] {
        let found = search(&store, &vectors[slot as usize], 1).await;
        assert_eq!(found[0].slot, Slot(slot));
    }
    assert_eq!(search(&store, &vectors[0], 400).await.len(), 300);
}
