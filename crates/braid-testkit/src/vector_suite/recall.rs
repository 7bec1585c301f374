//! How much of the true nearest a store finds, after it has lived: several batches, deletes,
//! replacements, and filters of every width.

use std::ops::Range;

use braid_core::{Embedding, RankedList, Selection, VectorStore};

use super::corpus::{Oracle, clustered, entry, select_every};
use super::{FreshVectorStore, apply, search, slots};

/// Candidates compared per query.
const DEPTH: usize = 10;

/// Size of the recall check and what it demands.
#[derive(Clone, Copy, Debug)]
pub struct RecallCase {
    /// Vectors stored at first.
    pub vectors: usize,
    /// Numbers in each.
    pub dimension: usize,
    /// Queries per selection.
    pub queries: usize,
    /// Least mean recall@10 for every selection.
    pub floor: f64,
}

impl Default for RecallCase {
    fn default() -> Self {
        Self {
            vectors: 3600,
            dimension: 48,
            queries: 25,
            floor: 0.98,
        }
    }
}

/// Checks recall@10 against the exact answer with no filter and with filters that keep 1/2, 1/20 and
/// 1/200, first on a loaded store and again after a third was deleted and some was added.
pub async fn vector_recall_suite(fresh: FreshVectorStore<'_>, case: RecallCase) {
    let store = fresh(case.dimension);
    let vectors = clustered(case.vectors, case.dimension, 21);
    let loaded = vectors.len() * 5 / 6;
    for (round, start) in (0..loaded).step_by(900).enumerate() {
        let range = start..(start + 900).min(loaded);
        load(&*store, round as u64 + 1, &vectors, range).await;
    }
    let mut oracle = Oracle::new(&vectors[..loaded]);
    check_recall(&*store, &oracle, case, "loaded").await;

    let mut oracle_after = Oracle::new(&vectors);
    let deleted: Vec<u32> = (0..loaded as u32).filter(|slot| slot % 3 == 1).collect();
    for slot in &deleted {
        oracle.remove(*slot);
        oracle_after.remove(*slot);
    }
    apply(&*store, 100, Vec::new(), &deleted).await;
    check_recall(&*store, &oracle, case, "after deletes").await;
    load(&*store, 101, &vectors, loaded..vectors.len()).await;
    check_recall(&*store, &oracle_after, case, "after deletes and adds").await;
    let expected = vectors.len() - deleted.len();
    assert_eq!(slots(&*store).await.len(), expected as u64);
}

async fn load(store: &dyn VectorStore, watermark: u64, vectors: &[Embedding], range: Range<usize>) {
    let entries = range.map(|slot| entry(slot as u32, &vectors[slot]));
    apply(store, watermark, entries.collect(), &[]).await;
}

async fn check_recall(store: &dyn VectorStore, oracle: &Oracle, case: RecallCase, state: &str) {
    let queries = clustered(case.queries, case.dimension, 22);
    let view = store.pin().await.expect("a view can be pinned");
    for modulus in [1, 2, 20, 200] {
        let selection = match modulus {
            1 => Selection::default(),
            _ => select_every(modulus, case.vectors as u32),
        };
        let mut recall = 0.0;
        for query in &queries {
            let found = search(&*view, query, &selection, DEPTH).await;
            let exact = oracle.nearest(query, |slot| slot % modulus == 0, DEPTH);
            assert!(
                found
                    .iter()
                    .all(|candidate| candidate.slot.0 % modulus == 0)
            );
            recall += share_found(&found, &exact);
        }
        let recall = recall / queries.len() as f64;
        let floor = case.floor;
        assert!(
            recall >= floor,
            "recall@10 of 1/{modulus} {state} is {recall:.3}, not {floor}"
        );
    }
}

/// The share of `exact` in `found`; a candidate as near as the last exact one counts as found.
fn share_found(found: &RankedList, exact: &[(u32, f32)]) -> f64 {
    let Some((_, farthest)) = exact.last() else {
        return if found.is_empty() { 1.0 } else { 0.0 };
    };
    let hits = found
        .iter()
        .filter(|candidate| candidate.score >= farthest - 1e-6);
    hits.count().min(exact.len()) as f64 / exact.len() as f64
}
