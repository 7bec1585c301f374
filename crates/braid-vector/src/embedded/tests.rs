mod model;

use std::cell::Cell;

use braid_core::{ChunkId, Embedding, ErrorCode, RankedList, Selection, Slot};
use braid_testkit::{RecallCase, vector_durability_suite, vector_recall_suite, vector_store_suite};
use heed::EnvFlags;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

use super::view::{Plan, SegmentSearch, Snapshot, plan};
use super::*;
use crate::nearest::Nearest;

/// Small enough that most suites build, walk, prune and dissolve a graph.
fn small(dimension: usize, exact_threshold: usize) -> VectorOptions {
    VectorOptions {
        dimension,
        map_size: 256 << 20,
        exact_threshold,
        ..VectorOptions::default()
    }
}

fn open(dir: &Path, options: VectorOptions) -> Arc<EmbeddedVectors> {
    EmbeddedVectors::open(dir, options, CpuPool::new(1).unwrap()).unwrap()
}

/// Makes stores in numbered directories of `home`.
fn factory(home: &TempDir, exact_threshold: usize) -> impl Fn(usize) -> Arc<dyn VectorStore> {
    let made = Cell::new(0);
    let home = home.path().to_owned();
    move |dimension| {
        made.set(made.get() + 1);
        let dir = home.join(made.get().to_string());
        open(&dir, small(dimension, exact_threshold))
    }
}

fn random_vectors(count: usize, dimension: usize, seed: u64) -> Vec<Embedding> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..count)
        .map(|_| {
            (0..dimension)
                .map(|_| rng.random::<f32>() - 0.5)
                .collect::<Embedding>()
        })
        .collect()
}

fn batch<'v>(
    watermark: u64,
    vectors: impl IntoIterator<Item = (u32, &'v Embedding)>,
) -> IndexBatch<VectorEntry> {
    let entries = vectors.into_iter().map(|(slot, vector)| VectorEntry {
        slot: Slot(slot),
        chunk: ChunkId(uuid::Uuid::nil()),
        embedding: Arc::clone(vector),
        metadata: Arc::default(),
        language: None,
    });
    IndexBatch {
        add: entries.collect(),
        delete: SlotSet::new(),
        watermark: Sequence(watermark),
    }
}

async fn search(store: &EmbeddedVectors, query: &Embedding, depth: usize) -> RankedList {
    let view = store.pin().await.unwrap();
    view.search(query, &Selection::default(), depth)
        .await
        .unwrap()
}

#[tokio::test]
async fn conforms_without_a_graph() {
    let home = TempDir::new().unwrap();
    vector_store_suite(&factory(&home, 4000)).await;
}

#[tokio::test]
async fn conforms_with_a_graph() {
    let home = TempDir::new().unwrap();
    vector_store_suite(&factory(&home, 8)).await;
}

#[tokio::test]
async fn finds_the_true_nearest() {
    let home = TempDir::new().unwrap();
    vector_recall_suite(&factory(&home, 200), RecallCase::default()).await;
}

#[tokio::test]
async fn keeps_everything_over_a_reopening() {
    for exact_threshold in [4000, 8] {
        let home = TempDir::new().unwrap();
        let reopen = || -> Arc<dyn VectorStore> { open(home.path(), small(16, exact_threshold)) };
        vector_durability_suite(&reopen, 16).await;
    }
}

#[test]
fn nothing_weakens_durability() {
    let home = TempDir::new().unwrap();
    let store = open(home.path(), small(4, 8));
    let flags = store.storage.env().flags().unwrap().unwrap();
    let weak = EnvFlags::NO_SYNC | EnvFlags::NO_META_SYNC | EnvFlags::MAP_ASYNC | EnvFlags::NO_LOCK;
    assert!(!flags.intersects(weak | EnvFlags::WRITE_MAP), "{flags:?}");
}

#[tokio::test]
async fn a_full_map_is_refused_and_nothing_is_lost() {
    let home = TempDir::new().unwrap();
    for exact_threshold in [8, 100_000] {
        let options = VectorOptions {
            map_size: 1 << 20,
            ..small(128, exact_threshold)
        };
        let store = open(&home.path().join(exact_threshold.to_string()), options);
        let vectors = random_vectors(4000, 128, 1);
        let first: Vec<_> = (0..).zip(&vectors[..100]).collect();
        store.apply(batch(1, first)).await.unwrap();
        let all: Vec<_> = (0..).zip(&vectors).collect();
        let full = store.apply(batch(2, all)).await.unwrap_err();
        assert_eq!(full.code(), ErrorCode::StorageFull, "{}", full.chain());
        assert!(full.help().unwrap().contains("storage.map_size_gib"));
        assert_eq!(store.slots().await.unwrap(), (0..100).collect());
        assert_eq!(store.watermark().await.unwrap(), Sequence(1));
        store.apply(batch(2, [(100, &vectors[100])])).await.unwrap();
        assert_eq!(search(&store, &vectors[100], 1).await[0].slot, Slot(100));
        assert_eq!(search(&store, &vectors[3], 200).await.len(), 101);
    }
}

#[tokio::test]
async fn damaged_files_are_corrupt_and_say_how_to_mend_it() {
    let home = TempDir::new().unwrap();
    let vectors = random_vectors(500, 32, 2);
    let store = open(home.path(), small(32, 8));
    store.apply(batch(1, (0..).zip(&vectors))).await.unwrap();
    drop(store);
    let file = home.path().join("data.mdb");
    let sound = std::fs::read(&file).unwrap();
    let garbage: Vec<u8> = (0..sound.len()).map(|i| (i * 31 % 251) as u8).collect();
    for damaged in [&garbage[..], &sound[..2 * 4096], &sound[..100]] {
        std::fs::write(&file, damaged).unwrap();
        let pool = CpuPool::new(1).unwrap();
        let error = EmbeddedVectors::open(home.path(), small(32, 8), pool).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Corrupt, "{}", error.chain());
        assert!(error.help().unwrap().contains("braid collection rebuild"));
    }
    std::fs::write(&file, &sound).unwrap();
    let store = open(home.path(), small(32, 8));
    assert_eq!(search(&store, &vectors[9], 1).await[0].slot, Slot(9));
}

#[tokio::test]
async fn another_dimension_or_a_newer_format_is_refused() {
    let home = TempDir::new().unwrap();
    drop(open(home.path(), small(32, 8)));
    let pool = CpuPool::new(1).unwrap();
    let error = EmbeddedVectors::open(home.path(), small(33, 8), Arc::clone(&pool)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidRequest);
    assert!(error.message().contains("32") && error.message().contains("33"));
    let store = open(home.path(), small(32, 8));
    store.storage.set_format(99);
    drop(store);
    let error = EmbeddedVectors::open(home.path(), small(32, 8), pool).unwrap_err();
    assert_eq!(error.code(), ErrorCode::UnsupportedVersion);
    assert!(error.message().contains("99"), "{error}");
}

#[test]
fn senseless_options_are_refused() {
    let good = small(4, 8);
    let bad = [
        VectorOptions {
            dimension: 0,
            ..good.clone()
        },
        VectorOptions {
            map_size: 1,
            ..good.clone()
        },
        VectorOptions {
            ef_construction: 1,
            ..good.clone()
        },
        VectorOptions {
            ef_search: 0,
            ..good.clone()
        },
        VectorOptions {
            segment_vectors: 0,
            ..good
        },
    ];
    for options in bad {
        let home = TempDir::new().unwrap();
        let pool = CpuPool::new(1).unwrap();
        let error = EmbeddedVectors::open(home.path(), options, pool).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidRequest);
    }
}

#[test]
fn the_cheaper_way_is_planned() {
    let options = VectorOptions {
        ef_search: 96,
        ..small(4, 1000)
    };
    assert_eq!(
        plan(1000, 1_000_000, 10, &options),
        Plan::Scan,
        "few are scanned"
    );
    assert_eq!(
        plan(50_000, 50_000, 10, &options),
        Plan::Walk(96),
        "all are walked"
    );
    assert_eq!(plan(25_000, 50_000, 10, &options), Plan::Walk(192));
    assert_eq!(plan(50_000, 50_000, 500, &options), Plan::Walk(500));
    assert_eq!(
        plan(2_500, 50_000, 10, &options),
        Plan::Scan,
        "a long walk is not worth it"
    );
    assert_eq!(plan(20_000, 1_000_000, 10, &options), Plan::Scan);
    assert_eq!(plan(200_000, 1_000_000, 10, &options), Plan::Walk(480));
}

/// Walks the graph whatever the plan would be, and compares with a scan.
fn walked_recall(snapshot: &Snapshot, queries: &[Embedding], eligible: &SlotSet) -> f64 {
    let (segments, txn) = snapshot.segments_and_txn();
    let mut hits = 0;
    for query in queries {
        let query = crate::cosine::unit(query, query.len()).unwrap();
        let (mut exact, mut walked) = (Nearest::new(10), Nearest::new(10));
        for segment in segments {
            let search = SegmentSearch {
                segment,
                txn: &txn,
                query: &query,
                depth: 10,
            };
            let eligible = eligible & segment.reader.item_ids();
            search.scan(&eligible, &mut exact).unwrap();
            let fetch = 96 * segment.reader.n_items() / eligible.len().max(1);
            search.walk(&eligible, fetch as usize, &mut walked).unwrap();
        }
        let (exact, walked) = (exact.into_ranked(), walked.into_ranked());
        assert_eq!(walked.len(), 10);
        hits += walked.iter().filter(|found| exact.contains(found)).count();
    }
    hits as f64 / (10 * queries.len()) as f64
}

#[tokio::test]
async fn walks_find_what_scans_find_in_any_selection() {
    let home = TempDir::new().unwrap();
    let store = open(home.path(), small(24, 8));
    let vectors = random_vectors(2000, 24, 3);
    for (watermark, start) in (0..2000).step_by(500).enumerate() {
        let numbered = (start as u32..).zip(&vectors[start..start + 500]);
        store
            .apply(batch(watermark as u64, numbered))
            .await
            .unwrap();
    }
    let snapshot = Snapshot::take(&store.storage, &store.options).unwrap();
    let queries = random_vectors(20, 24, 4);
    for modulus in [1, 2, 20, 200] {
        let eligible = (0..2000).filter(|slot| slot % modulus == 0).collect();
        let recall = walked_recall(&snapshot, &queries, &eligible);
        assert!(recall >= 0.98, "1/{modulus}: {recall}");
    }
    let dead = (0..2000).filter(|slot| slot % 10 < 3).collect();
    let mut deletes = batch(9, []);
    deletes.delete = dead;
    store.apply(deletes).await.unwrap();
    let snapshot = Snapshot::take(&store.storage, &store.options).unwrap();
    let living: SlotSet = (0..2000).filter(|slot| slot % 10 >= 3).collect();
    assert_eq!(snapshot.segment_sizes().iter().sum::<u64>(), living.len());
    let recall = walked_recall(&snapshot, &queries, &living);
    assert!(recall >= 0.98, "after deletes: {recall}");
    // A selection far from the query: those whose first number points strongly the other way.
    let far = |query: &Embedding| -> SlotSet {
        let numbered = (0..).zip(&vectors);
        let far = numbered.filter(|(_, vector)| vector[0] * -query[0].signum() > 0.4);
        let far: SlotSet = far.map(|(slot, _)| slot).collect();
        far & &living
    };
    for query in &queries {
        let recall = walked_recall(&snapshot, std::slice::from_ref(query), &far(query));
        assert!(recall >= 0.9, "far: {recall}");
    }
}

#[tokio::test]
async fn many_equal_vectors_hide_nothing() {
    let home = TempDir::new().unwrap();
    let store = open(home.path(), small(24, 8));
    let mut vectors = random_vectors(2000, 24, 5);
    let boilerplate = Arc::clone(&vectors[0]);
    for slot in (0..2000).filter(|slot| slot % 5 == 0) {
        vectors[slot] = Arc::clone(&boilerplate);
    }
    for (watermark, start) in (0..2000).step_by(500).enumerate() {
        let numbered = (start as u32..).zip(&vectors[start..start + 500]);
        store
            .apply(batch(watermark as u64, numbered))
            .await
            .unwrap();
    }
    let snapshot = Snapshot::take(&store.storage, &store.options).unwrap();
    let everything: SlotSet = (0..2000).collect();
    let queries = random_vectors(50, 24, 6);
    let recall = walked_recall(&snapshot, &queries, &everything);
    assert!(recall >= 0.98, "{recall}");
    let found = search(&store, &boilerplate, 20).await;
    assert!(
        found.iter().all(|candidate| candidate.slot.0 % 5 == 0),
        "{found:?}"
    );
    assert!(
        found.is_sorted_by_key(|candidate| candidate.slot),
        "equal ones are in slot order"
    );
}
