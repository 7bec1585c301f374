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

async fn check(steps: Vec<Step>) {
    let vectors = random_vectors(3, DIMENSION, 9);
    let home = TempDir::new().unwrap();
    let mut store = open(home.path(), small(DIMENSION, 8));
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
            store = open(home.path(), small(DIMENSION, 8));
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
    fn any_history_leaves_what_it_says(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(check(steps));
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
        sizes.push(snapshot.graph_size());
    }
    // Above 100 vectors there is a graph; it then grows whenever more than a quarter of that waits.
    assert_eq!(sizes, [0, 0, 0, 0, 0, 120, 120, 160, 160, 200]);
    let mut deletes = batch(20, []);
    deletes.delete = (0..180).collect();
    store.apply(deletes).await.unwrap();
    let snapshot = Snapshot::take(&store.storage, &store.options).unwrap();
    assert_eq!(snapshot.graph_size(), 0, "a small store has no graph");
    assert_eq!(store.slots().await.unwrap(), (180..200).collect());
}
