//! What every vector store must do.
//!
//! [`vector_store_suite`] checks the contract, [`vector_recall_suite`] how much an approximate store
//! may miss, [`vector_durability_suite`] what a durable one keeps over a reopening. Selections carry
//! the filter and the slots that mean the same, so that stores which honour either pass.
//!
//! [`remote_vector_store_suite`] is for stores behind a network. They promise everything but two
//! things, for which a server would have to keep old states and take transactions: a view that is
//! pinned does not change, and a batch is visible as a whole or not at all. Neither shows within the
//! slots of a selection, which is checked of every store. In return they must honour a filter alone,
//! where no slots say what it means.

// A suite is test code: a failed unwrap is a failed check.
#![allow(clippy::unwrap_used)]

mod corpus;
mod filters;
mod recall;
mod stale;

use std::sync::Arc;

use braid_core::{
    Embedding, ErrorCode, IndexBatch, RankedList, Selection, Sequence, Slot, SlotSet, VectorEntry,
    VectorStore, VectorView,
};

use corpus::{Oracle, clustered, entry, select_every, select_none};
pub use recall::{RecallCase, vector_recall_suite};

/// Makes an empty store of vectors of the given dimension.
pub type FreshVectorStore<'f> = &'f dyn Fn(usize) -> Arc<dyn VectorStore>;

const DIMENSION: usize = 24;

/// Checks the contract of [`VectorStore`] on fresh stores.
pub async fn vector_store_suite(fresh: FreshVectorStore<'_>) {
    every_store(fresh).await;
    pinned_views_do_not_change(&*fresh(DIMENSION)).await;
}

/// Checks the contract as far as a store behind a network can keep it, and its filters.
pub async fn remote_vector_store_suite(fresh: FreshVectorStore<'_>) {
    every_store(fresh).await;
    filters::mean_what_they_say(&*fresh(DIMENSION)).await;
}

/// What every store promises.
async fn every_store(fresh: FreshVectorStore<'_>) {
    starts_empty(&*fresh(DIMENSION)).await;
    ranks_like_the_oracle(&*fresh(DIMENSION)).await;
    breaks_ties_by_slot(&*fresh(DIMENSION)).await;
    returns_at_most_what_is_there(&*fresh(DIMENSION)).await;
    honours_selections(&*fresh(DIMENSION)).await;
    later_batches_do_not_show_within_a_selection(&*fresh(DIMENSION)).await;
    stale::uses_up_no_depth(&*fresh(DIMENSION)).await;
    deletes_before_adds(&*fresh(DIMENSION)).await;
    batches_can_be_replayed(&*fresh(DIMENSION)).await;
    refuses_bad_vectors(&*fresh(DIMENSION)).await;
    can_be_emptied_and_filled_again(&*fresh(DIMENSION)).await;
}

/// Checks that a store opened again in the same place, by `open`, has what was applied.
pub async fn vector_durability_suite(open: &dyn Fn() -> Arc<dyn VectorStore>, dimension: usize) {
    let vectors = clustered(60, dimension, 3);
    let store = open();
    apply(&*store, 1, numbered(&vectors), &[]).await;
    apply(&*store, 9, Vec::new(), &[4, 7]).await;
    let (before, slots) = (everything(&*store, &vectors[0]).await, slots(&*store).await);
    drop(store);
    let store = open();
    assert_eq!(store.watermark().await.unwrap(), Sequence(9), "watermark");
    assert_eq!(self::slots(&*store).await, slots, "slots");
    assert_eq!(everything(&*store, &vectors[0]).await, before, "ranking");
    assert_eq!(slots.len(), 58);
}

async fn starts_empty(store: &dyn VectorStore) {
    assert_eq!(store.watermark().await.unwrap(), Sequence::ZERO);
    assert!(slots(store).await.is_empty());
    let query = clustered(1, DIMENSION, 1).remove(0);
    assert!(everything(store, &query).await.is_empty(), "an empty store");
    apply(store, 1, Vec::new(), &[3]).await;
    assert_eq!(store.watermark().await.unwrap(), Sequence(1));
    assert!(everything(store, &query).await.is_empty(), "still empty");
}

async fn ranks_like_the_oracle(store: &dyn VectorStore) {
    let vectors = clustered(200, DIMENSION, 5);
    apply(store, 7, numbered(&vectors), &[]).await;
    assert_eq!(store.watermark().await.unwrap(), Sequence(7));
    assert_eq!(slots(store).await, (0..200).collect());
    let oracle = Oracle::new(&vectors);
    let view = store.pin().await.unwrap();
    for query in clustered(10, DIMENSION, 6) {
        let found = search(&*view, &query, &Selection::default(), 20).await;
        oracle.check(&query, |_| true, 20, &found);
    }
}

async fn breaks_ties_by_slot(store: &dyn VectorStore) {
    let vectors = clustered(3, DIMENSION, 7);
    let twins = [9_u32, 2, 30, 5, 17].map(|slot| entry(slot, &vectors[0]));
    apply(store, 1, twins.to_vec(), &[]).await;
    apply(
        store,
        2,
        vec![entry(1, &vectors[1]), entry(4, &vectors[0])],
        &[],
    )
    .await;
    let view = store.pin().await.unwrap();
    let found = search(&*view, &vectors[0], &Selection::default(), 4).await;
    assert_eq!(
        slots_of(&found),
        [2, 4, 5, 9],
        "equal scores go by rising slot"
    );
    assert!(
        (found[0].score - 1.0).abs() < 1e-4,
        "a vector is most like itself"
    );
}

async fn returns_at_most_what_is_there(store: &dyn VectorStore) {
    let vectors = clustered(5, DIMENSION, 8);
    apply(store, 1, numbered(&vectors), &[]).await;
    let view = store.pin().await.unwrap();
    let everything = Selection::default();
    assert_eq!(
        search(&*view, &vectors[0], &everything, 1000).await.len(),
        5
    );
    assert!(search(&*view, &vectors[0], &everything, 0).await.is_empty());
}

async fn honours_selections(store: &dyn VectorStore) {
    let vectors = clustered(100, DIMENSION, 9);
    apply(store, 1, numbered(&vectors), &[]).await;
    let oracle = Oracle::new(&vectors);
    let view = store.pin().await.unwrap();
    let every_fourth = select_every(4, 100);
    let found = search(&*view, &vectors[3], &every_fourth, 10).await;
    oracle.check(&vectors[3], |slot| slot % 4 == 0, 10, &found);
    let all_of_them = search(&*view, &vectors[3], &every_fourth, 1000).await;
    assert_eq!(
        all_of_them.len(),
        25,
        "depth is filled from the selection alone"
    );
    let nothing = search(&*view, &vectors[3], &select_none(), 10).await;
    assert!(nothing.is_empty(), "an empty selection gives an empty list");
}

/// Slots that a pin may see are not purged, and others are not in its selection.
async fn later_batches_do_not_show_within_a_selection(store: &dyn VectorStore) {
    let vectors = clustered(60, DIMENSION, 15);
    let (old, new) = vectors.split_at(40);
    apply(store, 1, numbered(old), &[]).await;
    let pinned = store.pin().await.unwrap();
    let live = Selection {
        filter: None,
        slots: Some(Arc::new((3..40).collect())),
        ..Selection::default()
    };
    let before = search(&*pinned, &old[0], &live, 50).await;
    assert_eq!(before.len(), 37);
    let added = (40..).zip(new).map(|(slot, vector)| entry(slot, vector));
    apply(store, 2, added.collect(), &[0, 1, 2]).await;
    let after = search(&*pinned, &old[0], &live, 50).await;
    assert_eq!(after, before, "nothing of the selection has changed");
}

async fn pinned_views_do_not_change(store: &dyn VectorStore) {
    let vectors = clustered(40, DIMENSION, 10);
    let (old, new) = vectors.split_at(20);
    apply(store, 1, numbered(old), &[]).await;
    let pinned = store.pin().await.unwrap();
    let before = search(&*pinned, &old[0], &Selection::default(), 50).await;
    let added = (20..).zip(new).map(|(slot, vector)| entry(slot, vector));
    apply(store, 2, added.collect(), &[0, 1, 2]).await;
    let after = search(&*pinned, &old[0], &Selection::default(), 50).await;
    assert_eq!(
        after, before,
        "a pinned view is not changed by later batches"
    );
    let fresh = everything(store, &old[0]).await;
    assert_eq!(fresh.len(), 37, "a new view sees the batch");
    assert!(slots_of(&fresh).iter().all(|slot| *slot > 2));
}

async fn deletes_before_adds(store: &dyn VectorStore) {
    let vectors = clustered(2, DIMENSION, 11);
    apply(store, 1, vec![entry(1, &vectors[0])], &[]).await;
    apply(store, 2, vec![entry(1, &vectors[1])], &[1]).await;
    let found = everything(store, &vectors[1]).await;
    assert_eq!(slots_of(&found), [1], "the added entry stays");
    assert!((found[0].score - 1.0).abs() < 1e-4, "with its new vector");
    apply(store, 3, vec![entry(1, &vectors[0])], &[]).await;
    let found = everything(store, &vectors[0]).await;
    assert_eq!(slots_of(&found), [1], "adding again replaces");
    assert!((found[0].score - 1.0).abs() < 1e-4);
}

async fn batches_can_be_replayed(store: &dyn VectorStore) {
    let vectors = clustered(30, DIMENSION, 12);
    for _ in 0..3 {
        apply(store, 5, numbered(&vectors), &[70]).await;
        apply(store, 6, Vec::new(), &[0, 29]).await;
        assert_eq!(slots(store).await, (1..29).collect());
        assert_eq!(everything(store, &vectors[3]).await.len(), 28);
        assert_eq!(store.watermark().await.unwrap(), Sequence(6));
    }
}

async fn refuses_bad_vectors(store: &dyn VectorStore) {
    let good = clustered(1, DIMENSION, 13).remove(0);
    apply(store, 1, vec![entry(1, &good)], &[]).await;
    let mut not_finite = good.to_vec();
    not_finite[2] = f32::NAN;
    let mut endless = good.to_vec();
    endless[0] = f32::INFINITY;
    for bad in [vec![1.0; DIMENSION + 1], not_finite, endless] {
        let batch = batch(2, vec![entry(2, &good), entry(3, &bad.into())], &[1]);
        let refused = store.apply(batch).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::InvalidRequest, "{refused}");
        assert_eq!(
            slots(store).await,
            SlotSet::from([1]),
            "nothing of it is visible"
        );
        assert_eq!(store.watermark().await.unwrap(), Sequence(1));
    }
    let view = store.pin().await.unwrap();
    let short: Embedding = vec![1.0; 3].into();
    let refused = view.search(&short, &Selection::default(), 5).await;
    let message = refused.unwrap_err().to_string();
    assert!(message.contains('3') && message.contains("24"), "{message}");
}

async fn can_be_emptied_and_filled_again(store: &dyn VectorStore) {
    let vectors = clustered(50, DIMENSION, 14);
    let all: Vec<u32> = (0..50).collect();
    for round in 1..4 {
        apply(store, round * 2, numbered(&vectors), &[]).await;
        assert_eq!(everything(store, &vectors[0]).await.len(), 50);
        apply(store, round * 2 + 1, Vec::new(), &all).await;
        assert!(everything(store, &vectors[0]).await.is_empty());
        assert!(slots(store).await.is_empty());
    }
}

fn numbered(vectors: &[Embedding]) -> Vec<VectorEntry> {
    let numbered = (0..).zip(vectors);
    numbered.map(|(slot, vector)| entry(slot, vector)).collect()
}

fn batch(watermark: u64, add: Vec<VectorEntry>, delete: &[u32]) -> IndexBatch<VectorEntry> {
    IndexBatch {
        add,
        delete: delete.iter().copied().collect(),
        watermark: Sequence(watermark),
    }
}

async fn apply(store: &dyn VectorStore, watermark: u64, add: Vec<VectorEntry>, delete: &[u32]) {
    let applied = store.apply(batch(watermark, add, delete)).await;
    applied.expect("a good batch is applied");
}

async fn slots(store: &dyn VectorStore) -> SlotSet {
    store.slots().await.expect("slots can be listed")
}

async fn search(
    view: &dyn VectorView,
    query: &Embedding,
    selection: &Selection,
    depth: usize,
) -> RankedList {
    let found = view.search(query, selection, depth).await;
    found.expect("a good query is searched")
}

async fn everything(store: &dyn VectorStore, query: &Embedding) -> RankedList {
    let view = store.pin().await.expect("a view can be pinned");
    search(&*view, query, &Selection::default(), 10_000).await
}

fn slots_of(found: &RankedList) -> Vec<u32> {
    found
        .iter()
        .map(|candidate| {
            let Slot(slot) = candidate.slot;
            slot
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RamVectorStore;

    #[tokio::test]
    async fn the_store_in_memory_conforms() {
        vector_store_suite(&|dimension| Arc::new(RamVectorStore::new(dimension))).await;
    }

    #[tokio::test]
    async fn the_store_in_memory_misses_nothing() {
        let case = RecallCase {
            vectors: 1200,
            floor: 1.0,
            ..RecallCase::default()
        };
        vector_recall_suite(&|dimension| Arc::new(RamVectorStore::new(dimension)), case).await;
    }
}
