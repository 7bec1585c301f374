//! Measures what the choices in braid-models rest on: bulk throughput, query latency alone and
//! under bulk load, re-ranking latency, memory.
//!
//! `cargo run --release -p braid-models --example measure [THREADS [URL]]`; with the URL of a Braid its
//! models are measured, through the network, instead of those in the process.

use std::error::Error;
use std::fs;
use std::sync::Arc;
use std::time::Instant;

use braid_core::{Embedder, Reranker};
use braid_models::{
    DEFAULT_EMBEDDER, DEFAULT_RERANKER, EmbedderOptions, Endpoint, ModelKind, ModelPlace,
    ModelStore, RemoteOptions, RerankerOptions, StoreOptions,
};
use futures::StreamExt;

/// Words of made-up prose, about 130 tokens in the bundled models' tokenizer.
const WORDS_PER_PASSAGE: usize = 100;
const VOCABULARY: &str = "the system stores every document in a durable ledger before it answers and \
    the index is derived from it so that a crash between two steps loses nothing while readers see \
    the old version or the new one never both of them because publishing is one transaction";

fn main() -> Result<(), Box<dyn Error>> {
    let threads = std::env::args()
        .nth(1)
        .map_or(Ok(2), |argument| argument.parse())?;
    let runtime = tokio::runtime::Runtime::new()?;
    let started = Instant::now();
    let store = ModelStore::new(StoreOptions::default());
    let url = std::env::args().nth(2);
    let place = |path: &str, kind| match &url {
        None => Ok(ModelPlace::Here),
        Some(url) => Endpoint::new(&format!("{url}{path}"), kind).map(ModelPlace::At),
    };
    let remote = RemoteOptions::default();
    let embedder = store.load_embedder_at(
        DEFAULT_EMBEDDER,
        &[place("/v1/embeddings", ModelKind::Embedder)?],
        &EmbedderOptions {
            threads,
            ..Default::default()
        },
        &remote,
    )?;
    let reranker = store.load_reranker_at(
        DEFAULT_RERANKER,
        &[place("/v1/rerank", ModelKind::Reranker)?],
        &RerankerOptions {
            threads,
            ..Default::default()
        },
        &remote,
    )?;
    report(
        "load both models",
        format!("{:.0} ms", milliseconds(started)),
    );
    report("threads", threads.to_string());
    memory("after loading")?;
    runtime.block_on(measure(embedder, reranker))
}

async fn measure(
    embedder: Arc<dyn Embedder>,
    reranker: Arc<dyn Reranker>,
) -> Result<(), Box<dyn Error>> {
    count_tokens(&*embedder);
    let alone = query_latencies(&*embedder, 200).await?;
    report("query of 8 words, idle", percentiles(alone));
    rerank(&*reranker).await?;
    memory("after queries and re-ranking")?;
    bulk(&*embedder, 400).await?;
    memory("after bulk")?;
    let busy = Arc::clone(&embedder);
    let load = tokio::spawn(async move {
        busy.embed_passages(passages(600))
            .await
            .map(|_| Instant::now())
    });
    let started = Instant::now();
    let loaded = query_latencies(&*embedder, 100).await?;
    report("query of 8 words, under bulk load", percentiles(loaded));
    rerank(&*reranker).await?;
    load.await??;
    report(
        "600 passages with those beside them",
        format!("{:.1} texts/s", 600e3 / milliseconds(started)),
    );
    memory("at the end")
}

fn count_tokens(embedder: &dyn Embedder) {
    let counter = embedder.token_counter();
    let texts = passages(200);
    let started = Instant::now();
    let tokens: usize = texts.iter().map(|text| counter.count(text)).sum();
    let per_token = milliseconds(started) * 1e3 / tokens as f64;
    report(
        "count tokens",
        format!(
            "{per_token:.2} us a token, {} tokens a passage",
            tokens / 200
        ),
    );
}

async fn query_latencies(
    embedder: &dyn Embedder,
    count: usize,
) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut latencies = Vec::with_capacity(count);
    for seed in 0..count {
        let query = prose(seed, 8);
        let started = Instant::now();
        embedder.embed_query(&query).await?;
        latencies.push(milliseconds(started));
        // Think time, so that bulk work beside it is seen to go on.
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    Ok(latencies)
}

/// 30 pairs in windows of eight, as the retrieval pipeline sends them.
async fn rerank(reranker: &dyn Reranker) -> Result<(), Box<dyn Error>> {
    let passages = passages(30);
    let mut latencies = Vec::new();
    for seed in 0..20 {
        let query = prose(seed, 8);
        let started = Instant::now();
        let windows = futures::stream::iter(passages.chunks(8))
            .map(|window| reranker.score(&query, window))
            .buffer_unordered(reranker.concurrency());
        let scored: Vec<_> = windows.collect().await;
        scored.into_iter().collect::<Result<Vec<_>, _>>()?;
        latencies.push(milliseconds(started));
    }
    report("re-rank 30 pairs of ~140 tokens", percentiles(latencies));
    Ok(())
}

async fn bulk(embedder: &dyn Embedder, count: usize) -> Result<(), Box<dyn Error>> {
    embedder.embed_passages(passages(8)).await?;
    let (started, cpu) = (Instant::now(), cpu_seconds()?);
    embedder.embed_passages(passages(count)).await?;
    let (wall, cpu) = (milliseconds(started) / 1e3, cpu_seconds()? - cpu);
    let rates = format!(
        "{:.1} texts/s, {:.1} texts per CPU-second",
        count as f64 / wall,
        count as f64 / cpu
    );
    report("bulk passages of ~130 tokens", rates);
    Ok(())
}

fn passages(count: usize) -> Vec<String> {
    (0..count)
        .map(|seed| prose(seed, WORDS_PER_PASSAGE - 20 + seed % 41))
        .collect()
}

fn prose(seed: usize, words: usize) -> String {
    let vocabulary: Vec<&str> = VOCABULARY.split_whitespace().collect();
    let word = |n: usize| vocabulary[(seed * 31 + n * n * 7 + n) % vocabulary.len()];
    (0..words).map(word).collect::<Vec<_>>().join(" ")
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn percentiles(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[((values.len() - 1) as f64 * share) as usize];
    format!("p50 {:.1} ms, p95 {:.1} ms", at(0.5), at(0.95))
}

fn memory(when: &str) -> Result<(), Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<usize>().ok()
    };
    let megabytes = |name| field(name).unwrap_or(0) / 1024;
    let text = format!(
        "{} MB anonymous, {} MB resident",
        megabytes("RssAnon"),
        megabytes("VmRSS")
    );
    report(&format!("memory {when}"), text);
    Ok(())
}

/// CPU time of the process so far, from its clock ticks of 10 ms.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
}

#[expect(clippy::print_stdout, reason = "a measuring program")]
fn report(what: &str, result: String) {
    println!("{what}: {result}");
}
