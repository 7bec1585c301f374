//! Retrieval in process over the loaded collection: 1,000 distinct queries, one at a time.

use anyhow::Result;
use braid_config::{CacheSection, Settings};
use braid_core::CollectionName;
use braid_engine::query::{Mode, RetrieveRequest, Timings};
use braid_engine::{Engine, OpenOptions, retrieve_defaults};
use braid_eval::report::{Latency, percentiles};
use serde::Serialize;

use crate::load::COLLECTION;
use crate::machine::Machine;
use crate::passages::corpus;
use crate::{Cli, say};

/// Distinct queries.
const QUERIES: usize = 1000;
/// Queries asked with re-ranking: each takes about its deadline.
const RERANKED: usize = 150;
/// Queries asked of the graph and of exact search, and how many hits are compared.
const COMPARED: usize = 400;
const NEAREST: usize = 10;
/// Queries asked before measuring: files and code are then in memory, as on a server that runs.
const WARM_UP: usize = 50;

#[derive(Serialize)]
struct LatencyResult {
    machine: Machine,
    chunks: u64,
    queries: usize,
    fused: Breakdown,
    reranked: Breakdown,
    /// Queries that were asked a second time.
    asked_again: usize,
    /// Total of an answer that is given again.
    cached: Latency,
    /// Queries whose dense leg was compared with exact search.
    compared: usize,
    /// Recall@10 of the dense leg against exact search.
    dense_recall: f64,
}

#[derive(Serialize)]
struct Breakdown {
    total: Latency,
    embed: Latency,
    lexical: Latency,
    dense: Latency,
    /// Total minus the longer of lexical and embed + dense.
    own: Latency,
    /// Of the own share: reading the hits.
    hydrate: Latency,
    /// Of the own share: building the context.
    assemble: Latency,
    rerank: Latency,
}

pub(crate) async fn measure(cli: &Cli) -> Result<()> {
    let queries = corpus(&cli.train, 0, QUERIES + WARM_UP)?.queries;
    let mut settings = Settings::default();
    settings.storage.data_dir = cli.data_dir();
    let cache = std::mem::take(&mut settings.cache);
    settings.cache.answers_mib = 0;
    settings.cache.query_embeddings = 0;
    let engine = Engine::open(&settings, OpenOptions::default()).await?;
    let name = CollectionName::new(COLLECTION)?;
    let chunks = engine.collection_info(&name).await?.stats.chunks;
    let defaults = RetrieveRequest {
        collection: name,
        ..retrieve_defaults(&settings)?
    };
    let fused = breakdown(&ask_all(&engine, &defaults, &queries, false).await?);
    say(format!(
        "in process: p50 {:.2} ms, p95 {:.2} ms",
        fused.total.p50, fused.total.p95
    ));
    let reranked = breakdown(
        &ask_all(
            &engine,
            &defaults,
            &queries[..queries.len().min(RERANKED)],
            true,
        )
        .await?,
    );
    let asked = &queries[..queries.len().min(COMPARED)];
    let near = dense_scores(&engine, &defaults, asked).await?;
    engine.close().await;
    drop(engine);
    let again = asked_again(cache, &settings, &defaults, asked).await?;
    settings.dense.exact_threshold = usize::MAX;
    let engine = Engine::open(&settings, OpenOptions::default()).await?;
    let nearest = dense_scores(&engine, &defaults, asked).await?;
    engine.close().await;
    let result = LatencyResult {
        machine: Machine::this(),
        chunks,
        queries: queries.len().saturating_sub(WARM_UP),
        fused,
        reranked,
        asked_again: again.len(),
        cached: percentiles(again),
        compared: asked.len(),
        dense_recall: recall(&near, &nearest),
    };
    say(format!("dense recall@10 {:.4}", result.dense_recall));
    cli.save("latency", &result)
}

/// Milliseconds of the second answer to each query.
async fn asked_again(
    cache: CacheSection,
    settings: &Settings,
    defaults: &RetrieveRequest,
    queries: &[String],
) -> Result<Vec<f64>> {
    let settings = Settings {
        cache,
        ..settings.clone()
    };
    let engine = Engine::open(&settings, OpenOptions::default()).await?;
    let mut again = Vec::with_capacity(queries.len());
    for round in 0..2 {
        for query in queries {
            let mut request = RetrieveRequest {
                query: query.clone(),
                ..defaults.clone()
            };
            request.rerank.enabled = false;
            let answer = engine.retrieve(request).await?;
            if round == 1 {
                anyhow::ensure!(answer.cached, "the cache had no answer to {query:?}");
                again.push(answer.timings.total);
            }
        }
    }
    engine.close().await;
    Ok(again)
}

/// Scores of the dense leg's best [`NEAREST`] hits for each query.
async fn dense_scores(
    engine: &Engine,
    defaults: &RetrieveRequest,
    queries: &[String],
) -> Result<Vec<Vec<f64>>> {
    let mut scores = Vec::with_capacity(queries.len());
    for query in queries {
        let mut request = RetrieveRequest {
            query: query.clone(),
            mode: Mode::Dense,
            top_k: NEAREST,
            ..defaults.clone()
        };
        request.rerank.enabled = false;
        request.context.max_tokens = 0;
        let hits = engine.retrieve(request).await?.hits;
        scores.push(hits.iter().map(|hit| hit.score).collect());
    }
    Ok(scores)
}

/// Share of `found` that is as near as what comparing every vector finds. Of vectors that are
/// equally near, any will do.
fn recall(found: &[Vec<f64>], exact: &[Vec<f64>]) -> f64 {
    let (mut near, mut of) = (0, 0);
    for (found, exact) in found.iter().zip(exact) {
        let Some(least) = exact.last() else { continue };
        let count = found.iter().filter(|score| **score >= least - 1e-6).count();
        near += count.min(exact.len());
        of += exact.len();
    }
    near as f64 / of.max(1) as f64
}

async fn ask_all(
    engine: &Engine,
    defaults: &RetrieveRequest,
    queries: &[String],
    rerank: bool,
) -> Result<Vec<Timings>> {
    let mut timings = Vec::with_capacity(queries.len());
    for query in queries {
        let mut request = RetrieveRequest {
            query: query.clone(),
            ..defaults.clone()
        };
        request.rerank.enabled = rerank;
        let response = engine.retrieve(request).await?;
        anyhow::ensure!(
            response
                .degraded
                .iter()
                .all(|degraded| degraded.stage == "rerank"),
            "a leg was degraded: {:?}",
            response.degraded
        );
        timings.push(response.timings);
    }
    Ok(timings.split_off(WARM_UP.min(timings.len())))
}

fn breakdown(timings: &[Timings]) -> Breakdown {
    let part = |part: fn(&Timings) -> f64| percentiles(timings.iter().map(part).collect());
    Breakdown {
        total: part(|t| t.total),
        embed: part(|t| t.embed),
        lexical: part(|t| t.lexical),
        dense: part(|t| t.dense),
        own: part(|t| t.total - t.lexical.max(t.embed + t.dense)),
        hydrate: part(|t| t.hydrate),
        assemble: part(|t| t.assemble),
        rerank: part(|t| t.rerank),
    }
}
