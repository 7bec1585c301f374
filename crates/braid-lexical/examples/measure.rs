//! Measures the lexical leg alone on BEIR folders (`corpus.jsonl`, `queries.jsonl`,
//! `qrels/SPLIT.tsv`), one document one entry: nDCG@10, recall@100, the time of a search and of checking
//! the condition that a passage says the first two words of the query in a row, and the size of the index.
//!
//! `cargo run -p braid-lexical --example measure -- [--weights T,H,W,P]... [--typos] [--misspelt] FOLDER[:SPLIT]...`
//!
//! Weights are those of title, headings, whole identifiers and pieces; without any, the defaults. With
//! `--typos` words that the index does not have are corrected; with `--misspelt` the longest word of each
//! query that is made of small letters has two neighbours in its middle exchanged.

#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use std::collections::HashMap;
use std::error::Error;
use std::fs::read_to_string;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use braid_core::{
    ChunkId, IndexBatch, LexicalEntry, LexicalIndex, LexicalQuery, Metadata, Selection, Sequence,
    Slot, SlotSet, TextCondition,
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
    let mut asking = Asking::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--weights" {
            weights.push(parse_weights(
                &arguments.next().ok_or("--weights needs a value")?,
            )?);
        } else if argument == "--typos" {
            asking.typos = true;
        } else if argument == "--misspelt" {
            asking.misspelt = true;
        } else {
            folders.push(argument);
        }
    }
    if weights.is_empty() {
        weights.push(Weights::default());
    }
    println!(
        "{:<22} {:>23} {:>8} {:>8} {:>9} {:>13} {:>9} {:>7}",
        "folder", "weights", "nDCG@10", "R@100", "p50 ms", "phrase p50 ms", "docs/s", "MiB"
    );
    for folder in folders {
        measure(&folder, &weights, asking).await?;
    }
    Ok(())
}

/// How the queries are asked.
#[derive(Clone, Copy, Default)]
struct Asking {
    typos: bool,
    misspelt: bool,
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

async fn measure(folder: &str, weights: &[Weights], asking: Asking) -> Outcome<()> {
    let (path, split) = folder.rsplit_once(':').unwrap_or((folder, "test"));
    let mut collection = read(Path::new(path), split)?;
    if asking.misspelt {
        for (query, _) in &mut collection.queries {
            *query = misspelt(query);
        }
    }
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
    let mut bytes = 0;
    for file in std::fs::read_dir(directory.path())? {
        bytes += file?.metadata()?.len();
    }
    let size = bytes as f64 / f64::from(1 << 20);
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
        let (ndcg, recall, median) = run(&index, &collection, asking).await?;
        let phrase = milliseconds(check_phrases(&index, &collection).await?);
        let Weights {
            title,
            heading,
            whole,
            piece,
        } = weights;
        let shown = format!("{title} {heading} {whole} {piece}");
        println!(
            "{name:<22} {shown:>23} {ndcg:>8.4} {recall:>8.4} {:>9.3} {phrase:>13.3} {rate:>9.0} {size:>7.2}",
            milliseconds(median)
        );
    }
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The query with two neighbours in the middle of its longest word exchanged.
fn misspelt(query: &str) -> String {
    let mut words: Vec<String> = query.split(' ').map(str::to_owned).collect();
    let is_plain = |word: &&mut String| word.bytes().all(|byte| byte.is_ascii_lowercase());
    let longest = words
        .iter_mut()
        .filter(is_plain)
        .max_by_key(|word| word.len());
    if let Some(word) = longest.filter(|word| word.len() > 3) {
        let middle = word.len() / 2;
        let mut letters: Vec<char> = word.chars().collect();
        letters.swap(middle - 1, middle);
        *word = letters.into_iter().collect();
    }
    words.join(" ")
}

/// Median time of checking that passages say the first two words of a query in a row.
async fn check_phrases(index: &TantivyIndex, collection: &Collection) -> Outcome<Duration> {
    let view = index.pin().await?;
    let selection = Selection {
        filter: None,
        slots: Some(Arc::new(index.slots().await?)),
        ..Selection::default()
    };
    let mut times = Vec::new();
    for (query, _) in &collection.queries {
        let words: Vec<&str> = query.split_whitespace().take(2).collect();
        let condition = TextCondition {
            text: words.join(" "),
            field: None,
            is_excluded: false,
        };
        let started = Instant::now();
        view.narrow(&[condition], &selection).await?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

/// Mean nDCG@10, mean recall@100 and median time of all queries.
async fn run(
    index: &TantivyIndex,
    collection: &Collection,
    asking: Asking,
) -> Outcome<(f64, f64, Duration)> {
    let view = index.pin().await?;
    let selection = Selection::default();
    let (mut ndcg, mut recall) = (0.0, 0.0);
    let mut times = Vec::new();
    for (query, grades) in &collection.queries {
        let query = LexicalQuery {
            typos: asking.typos,
            ..LexicalQuery::plain(query)
        };
        let started = Instant::now();
        let found = view.find(&query, &selection, DEPTH).await?;
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
