//! Measures the lexical leg alone on BEIR folders (`corpus.jsonl`, `queries.jsonl`,
//! `qrels/SPLIT.tsv`), one document one entry: nDCG@10, recall@100 and the time of a search.
//!
//! `cargo run -p braid-lexical --example measure -- [--weights T,H,W,P]... FOLDER[:SPLIT]...`
//!
//! Weights are those of title, headings, whole identifiers and pieces; without any, the defaults.

#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use std::collections::HashMap;
use std::error::Error;
use std::fs::read_to_string;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use braid_core::{
    ChunkId, IndexBatch, LexicalEntry, LexicalIndex, Metadata, Selection, Sequence, Slot, SlotSet,
};
use braid_lexical::{LexicalOptions, TantivyIndex, Weights};
use braid_runtime::CpuPool;
use serde_json::Value;

type Outcome<T> = Result<T, Box<dyn Error>>;

const DEPTH: usize = 100;
const BATCH: usize = 1000;

/// A test collection; documents are named by their position, which is their slot.
struct Collection {
    entries: Vec<LexicalEntry>,
    /// Query text with the grades of its judged documents.
    queries: Vec<(String, HashMap<u32, f64>)>,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut weights = Vec::new();
    let mut folders = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--weights" {
            weights.push(parse_weights(
                &arguments.next().ok_or("--weights needs a value")?,
            )?);
        } else {
            folders.push(argument);
        }
    }
    if weights.is_empty() {
        weights.push(Weights::default());
    }
    println!(
        "{:<22} {:>23} {:>8} {:>8} {:>9} {:>9}",
        "folder", "weights", "nDCG@10", "R@100", "p50 ms", "docs/s"
    );
    for folder in folders {
        measure(&folder, &weights).await?;
    }
    Ok(())
}

fn parse_weights(text: &str) -> Outcome<Weights> {
    let values: Vec<f32> = text.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let [title, heading, whole, piece] = values[..] else {
        return Err("weights are four numbers: title,heading,whole,piece".into());
    };
    Ok(Weights {
        title,
        heading,
        whole,
        piece,
    })
}

async fn measure(folder: &str, weights: &[Weights]) -> Outcome<()> {
    let (path, split) = folder.rsplit_once(':').unwrap_or((folder, "test"));
    let collection = read(Path::new(path), split)?;
    let directory = tempfile::tempdir()?;
    let pool = CpuPool::new(1)?;
    let options = LexicalOptions::default();
    let started = Instant::now();
    let index = TantivyIndex::open(directory.path(), options, Arc::clone(&pool))?;
    for (entries, number) in collection.entries.chunks(BATCH).zip(1..) {
        let batch = IndexBatch {
            add: entries.to_vec(),
            delete: SlotSet::new(),
            watermark: Sequence(number),
        };
        index.apply(batch).await?;
    }
    let rate = collection.entries.len() as f64 / started.elapsed().as_secs_f64();
    index.close_writer().await?;
    let name = Path::new(path)
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    for weights in weights {
        let options = LexicalOptions {
            weights: *weights,
            ..options
        };
        let index = TantivyIndex::open(directory.path(), options, Arc::clone(&pool))?;
        let (ndcg, recall, median) = run(&index, &collection).await?;
        let Weights {
            title,
            heading,
            whole,
            piece,
        } = weights;
        let shown = format!("{title} {heading} {whole} {piece}");
        println!(
            "{name:<22} {shown:>23} {ndcg:>8.4} {recall:>8.4} {:>9.3} {rate:>9.0}",
            median.as_secs_f64() * 1e3
        );
    }
    Ok(())
}

/// Mean nDCG@10, mean recall@100 and median time of all queries.
async fn run(index: &TantivyIndex, collection: &Collection) -> Outcome<(f64, f64, Duration)> {
    let view = index.pin().await?;
    let selection = Selection::default();
    let (mut ndcg, mut recall) = (0.0, 0.0);
    let mut times = Vec::new();
    for (query, grades) in &collection.queries {
        let started = Instant::now();
        let found = view.search(query, &selection, DEPTH).await?;
        times.push(started.elapsed());
        let gain = |slot: &u32| grades.get(slot).copied().unwrap_or(0.0);
        let ranked: Vec<f64> = found.candidates.iter().map(|c| gain(&c.slot.0)).collect();
        let mut ideal: Vec<f64> = grades
            .values()
            .copied()
            .filter(|grade| *grade > 0.0)
            .collect();
        ideal.sort_by(|a, b| b.total_cmp(a));
        ndcg += discounted(&ranked) / discounted(&ideal);
        recall += ranked.iter().filter(|grade| **grade > 0.0).count() as f64 / ideal.len() as f64;
    }
    let count = collection.queries.len() as f64;
    times.sort_unstable();
    Ok((ndcg / count, recall / count, times[times.len() / 2]))
}

fn discounted(gains: &[f64]) -> f64 {
    let ranked = gains.iter().take(10).zip(2_u32..);
    ranked
        .map(|(gain, rank)| gain / f64::from(rank).log2())
        .sum()
}

fn read(folder: &Path, split: &str) -> Outcome<Collection> {
    let mut slots = HashMap::new();
    let mut entries = Vec::new();
    for (line, slot) in read_to_string(folder.join("corpus.jsonl"))?
        .lines()
        .zip(0..)
    {
        let document: Value = serde_json::from_str(line)?;
        slots.insert(text(&document, "_id"), slot);
        entries.push(entry(slot, &document));
    }
    let mut grades: HashMap<String, HashMap<u32, f64>> = HashMap::new();
    let qrels = read_to_string(folder.join("qrels").join(format!("{split}.tsv")))?;
    for line in qrels.lines().skip(1) {
        let [query, document, grade] = line.split('\t').collect::<Vec<_>>()[..] else {
            return Err(format!("not a judgement: {line:?}").into());
        };
        // A judged document that the corpus lacks cannot be found, but counts.
        let slot = slots.get(document).copied().unwrap_or(u32::MAX);
        grades
            .entry(query.to_owned())
            .or_default()
            .insert(slot, grade.parse()?);
    }
    grades.retain(|_, grades| grades.values().any(|grade| *grade > 0.0));
    let mut queries = Vec::new();
    for line in read_to_string(folder.join("queries.jsonl"))?.lines() {
        let query: Value = serde_json::from_str(line)?;
        if let Some(grades) = grades.remove(&text(&query, "_id")) {
            queries.push((text(&query, "text"), grades));
        }
    }
    Ok(Collection { entries, queries })
}

fn text(object: &Value, key: &str) -> String {
    object[key].as_str().unwrap_or_default().to_owned()
}

fn entry(slot: u32, document: &Value) -> LexicalEntry {
    LexicalEntry {
        slot: Slot(slot),
        chunk: ChunkId(uuid::Uuid::from_u128(u128::from(slot))),
        title: text(document, "title"),
        headings: Vec::new(),
        body: text(document, "text"),
        metadata: Arc::new(Metadata::default()),
        language: None,
    }
}
