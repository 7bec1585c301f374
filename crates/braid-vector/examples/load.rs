//! Measures loading and searching an embedded store: 50,000 clustered vectors of 384 numbers.
//!
//!     cargo run --release -p braid-vector --example load -- [VECTORS] [BATCH]...
//!
//! For each batch size: seconds to apply everything, the longest apply, bytes on disk; then for
//! several filters the p50 and p95 of top-50 searches and recall@10 against the exact answer; then a
//! single-vector apply and a delete of a twentieth.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use braid_core::{
    ChunkId, Embedding, IndexBatch, Selection, Sequence, Slot, SlotSet, VectorEntry, VectorStore,
    VectorView,
};
use braid_runtime::CpuPool;
use braid_vector::{EmbeddedVectors, FlatVectors, VectorOptions};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const DIMENSION: usize = 384;
const QUERIES: usize = 200;
const EXTRA: usize = 700;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse().unwrap());
    let count = arguments.next().unwrap_or(50_000);
    let mut batches: Vec<usize> = arguments.collect();
    if batches.is_empty() {
        batches = vec![500, 2000, 10_000];
    }
    let vectors = clustered(count + EXTRA, 1);
    let queries = clustered(QUERIES, 2);
    let pool = CpuPool::with_available_cores().unwrap();
    let flat = FlatVectors::new(DIMENSION, Arc::clone(&pool));
    flat.apply(batch(1, &vectors, 0..count, SlotSet::new()))
        .await
        .unwrap();
    for size in batches {
        let home = tempfile::tempdir().unwrap();
        let options = VectorOptions {
            dimension: DIMENSION,
            ..VectorOptions::default()
        };
        let store = EmbeddedVectors::open(home.path(), options, Arc::clone(&pool)).unwrap();
        let before = anonymous_megabytes();
        load(&*store, &vectors[..count], size).await;
        let grown = anonymous_megabytes().saturating_sub(before);
        let disk = disk_megabytes(home.path());
        println!("  {disk} MB on disk, anonymous memory grew by {grown} MB");
        compare(&*store, &flat, &queries, count).await;
        change(&*store, &vectors, count).await;
    }
}

async fn load(store: &dyn VectorStore, vectors: &[Embedding], size: usize) {
    let begin = Instant::now();
    let mut longest = Duration::ZERO;
    for start in (0..vectors.len()).step_by(size) {
        let range = start..(start + size).min(vectors.len());
        let applying = Instant::now();
        let watermark = start as u64;
        store
            .apply(batch(watermark, vectors, range, SlotSet::new()))
            .await
            .unwrap();
        longest = longest.max(applying.elapsed());
    }
    let seconds = begin.elapsed().as_secs_f64();
    let rate = vectors.len() as f64 / seconds;
    println!("batches of {size}: {seconds:.1} s, {rate:.0}/s, longest apply {longest:.1?}");
}

async fn compare(
    store: &dyn VectorStore,
    flat: &dyn VectorStore,
    queries: &[Embedding],
    count: usize,
) {
    let (view, exact) = (store.pin().await.unwrap(), flat.pin().await.unwrap());
    for modulus in [1, 2, 5, 20, 200] {
        let slots: SlotSet = (0..count as u32)
            .filter(|slot| slot % modulus == 0)
            .collect();
        let selection = Selection {
            filter: None,
            slots: Some(Arc::new(slots)),
            ..Selection::default()
        };
        let mut latencies = Vec::new();
        let mut hits = 0;
        for query in queries {
            let begin = Instant::now();
            let found = top(&*view, query, &selection).await;
            latencies.push(begin.elapsed().as_secs_f64() * 1e3);
            let truth = top(&*exact, query, &selection).await;
            hits += found
                .iter()
                .take(10)
                .filter(|slot| truth[..10].contains(slot))
                .count();
        }
        latencies.sort_by(f64::total_cmp);
        let percentile = |share: usize| latencies[(latencies.len() - 1) * share / 100];
        let recall = hits as f64 / (10 * queries.len()) as f64;
        println!(
            "  1/{modulus}: p50 {:.2} ms, p95 {:.2} ms, recall@10 {recall:.4}",
            percentile(50),
            percentile(95)
        );
    }
}

async fn change(store: &dyn VectorStore, vectors: &[Embedding], count: usize) {
    let mut slowest = Duration::ZERO;
    for slot in count..count + 20 {
        let begin = Instant::now();
        let one = batch(slot as u64, vectors, slot..slot + 1, SlotSet::new());
        store.apply(one).await.unwrap();
        slowest = slowest.max(begin.elapsed());
    }
    let begin = Instant::now();
    let more = batch(1, vectors, count + 20..count + EXTRA, SlotSet::new());
    store.apply(more).await.unwrap();
    let many = begin.elapsed();
    let begin = Instant::now();
    let delete = (0..count as u32).filter(|slot| slot % 20 == 3).collect();
    store.apply(batch(2, vectors, 0..0, delete)).await.unwrap();
    let deleted = begin.elapsed();
    println!(
        "  +1: slowest of 20 {slowest:.1?}; +{}: {many:.1?}; delete 1/20: {deleted:.1?}",
        EXTRA - 20
    );
}

async fn top(view: &dyn VectorView, query: &Embedding, selection: &Selection) -> Vec<Slot> {
    let found = view.search(query, selection, 50).await.unwrap();
    found.into_iter().map(|candidate| candidate.slot).collect()
}

fn batch(
    watermark: u64,
    vectors: &[Embedding],
    range: std::ops::Range<usize>,
    delete: SlotSet,
) -> IndexBatch<VectorEntry> {
    let entries = range.map(|slot| VectorEntry {
        slot: Slot(slot as u32),
        chunk: ChunkId(uuid::Uuid::nil()),
        embedding: Arc::clone(&vectors[slot]),
        metadata: Arc::default(),
        language: None,
    });
    IndexBatch {
        add: entries.collect(),
        delete,
        watermark: Sequence(watermark),
    }
}

/// 200 centres on a 48-dimensional subspace, plus noise: shaped like embeddings of text.
fn clustered(count: usize, seed: u64) -> Vec<Embedding> {
    let mut shape = StdRng::seed_from_u64(42);
    let basis: Vec<Vec<f32>> = (0..48).map(|_| gaussians(&mut shape, DIMENSION)).collect();
    let centres: Vec<Vec<f32>> = (0..200).map(|_| gaussians(&mut shape, 48)).collect();
    let mut rng = StdRng::seed_from_u64(seed);
    let near = |_| {
        let centre = &centres[rng.random_range(0..200)];
        let mut vector: Vec<f32> = (0..DIMENSION).map(|_| 0.4 * gaussian(&mut rng)).collect();
        for (axis, weight) in basis.iter().zip(centre) {
            let weight = weight + 0.7 * gaussian(&mut rng);
            vector
                .iter_mut()
                .zip(axis)
                .for_each(|(x, y)| *x += weight * y);
        }
        vector.into()
    };
    (0..count).map(near).collect()
}

fn gaussians(rng: &mut StdRng, count: usize) -> Vec<f32> {
    (0..count).map(|_| gaussian(rng)).collect()
}

fn gaussian(rng: &mut StdRng) -> f32 {
    let radius: f32 = rng.random::<f32>().max(1e-9);
    let angle: f32 = rng.random();
    (-2.0 * radius.ln()).sqrt() * (std::f32::consts::TAU * angle).cos()
}

fn disk_megabytes(dir: &std::path::Path) -> u64 {
    std::fs::metadata(dir.join("data.mdb")).unwrap().len() >> 20
}

/// Anonymous memory of this process, the oracle's vectors included.
fn anonymous_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("RssAnon"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    kilobytes.map_or(0, |text| text.parse::<u64>().unwrap() >> 10)
}
