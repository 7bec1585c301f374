//! Retrieval in process over the loaded collection: 1,000 distinct queries, one at a time.

use anyhow::Result;
use braid_config::Settings;
use braid_core::CollectionName;
use braid_engine::query::{RetrieveRequest, Timings};
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
/// Queries asked before measuring: files and code are then in memory, as on a server that runs.
const WARM_UP: usize = 50;

#[derive(Serialize)]
struct LatencyResult {
    machine: Machine,
    chunks: u64,
    queries: usize,
    fused: Breakdown,
    reranked: Breakdown,
}

#[derive(Serialize)]
struct Breakdown {
    total: Latency,
    embed: Latency,
    lexical: Latency,
    dense: Latency,
    /// Total minus the longer of lexical and embed + dense.
    own: Latency,
    rerank: Latency,
}

pub(crate) async fn measure(cli: &Cli) -> Result<()> {
    let queries = corpus(&cli.train, 0, QUERIES + WARM_UP)?.queries;
    let mut settings = Settings::default();
    settings.storage.data_dir = cli.data_dir();
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
    engine.close().await;
    let queries = queries.len().saturating_sub(WARM_UP);
    let result = LatencyResult {
        machine: Machine::this(),
        chunks,
        queries,
        fused,
        reranked,
    };
    cli.save("latency", &result)
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
        rerank: part(|t| t.rerank),
    }
}
