//! The same queries over the same chunks, one at a time.

use std::collections::BTreeMap;

use anyhow::Result;
use braid_config::Settings;
use braid_core::CollectionName;
use braid_engine::query::{Mode, RetrieveRequest, RetrieveResponse};
use braid_engine::{Engine, OpenOptions, retrieve_defaults};
use braid_eval::report::{Latency, percentiles};
use serde::Serialize;

use super::server::{Ours, forget, settle};
use super::{copy, remote};
use crate::load::COLLECTION;
use crate::passages::corpus;
use crate::{Cli, say};

/// Distinct queries of each mode.
const QUERIES: usize = 500;
/// Queries asked before measuring.
const WARM_UP: usize = 100;
/// Hits that are compared.
const NEAREST: usize = 10;

#[derive(Serialize)]
pub(super) struct Latencies {
    chunks: u64,
    queries: usize,
    /// By mode.
    modes: BTreeMap<&'static str, Compared>,
}

#[derive(Default, Serialize)]
struct Compared {
    embedded: Option<Times>,
    qdrant: Option<Times>,
    /// Milliseconds that qdrant takes longer at the median.
    added_p50: f64,
    /// Share of the ten best hits that are the same.
    overlap: f64,
}

#[derive(Serialize)]
struct Times {
    total: Latency,
    lexical: Latency,
    dense: Latency,
}

/// `None` where nothing was loaded.
pub(super) async fn measure(cli: &Cli, url: &str, rest: &str) -> Result<Option<Latencies>> {
    if !cli.data_dir().is_dir() {
        say("skipping latency with qdrant: the load part was not measured");
        return Ok(None);
    }
    let mut settings = Settings::default();
    settings.storage.data_dir = cli.data_dir();
    settings.cache.answers_mib = 0;
    settings.cache.query_embeddings = 0;
    let mut far = remote(&settings, url);
    far.storage.data_dir = cli.work.join("qdrant-data");
    copy(&settings.storage.data_dir, &far.storage.data_dir)?;
    let name = CollectionName::new(COLLECTION)?;
    let away = Engine::open(&far, OpenOptions::default()).await?;
    away.indexer()
        .wait_idle(away.collection(&name).await?.id)
        .await?;
    let seconds = settle(rest, &Ours::of(&far)?).await?;
    say(format!(
        "vectors are in Qdrant; its graphs took another {seconds:.1} s"
    ));
    let local = Engine::open(&settings, OpenOptions::default()).await?;
    let chunks = local.collection_info(&name).await?.stats.chunks;
    let defaults = RetrieveRequest {
        collection: name,
        ..retrieve_defaults(&settings)?
    };
    let queries = corpus(&cli.train, 0, QUERIES + WARM_UP)?.queries;
    let mut modes = BTreeMap::new();
    for (name, mode) in [
        ("lexical", Mode::Lexical),
        ("dense", Mode::Dense),
        ("hybrid", Mode::Hybrid),
    ] {
        let mut request = RetrieveRequest {
            mode,
            ..defaults.clone()
        };
        request.rerank.enabled = false;
        let compared = compare((&local, &away), &request, &queries).await?;
        say(format!(
            "{name}: p50 {:+.2} ms, overlap@10 {:.3}",
            compared.added_p50, compared.overlap
        ));
        modes.insert(name, compared);
    }
    local.close().await;
    away.close().await;
    forget(rest, &Ours::of(&far)?)?;
    Ok(Some(Latencies {
        chunks,
        queries: queries.len() - WARM_UP.min(queries.len()),
        modes,
    }))
}

/// Asks both, each first in turn.
async fn compare(
    (local, away): (&Engine, &Engine),
    request: &RetrieveRequest,
    queries: &[String],
) -> Result<Compared> {
    let (mut here, mut there) = (Vec::new(), Vec::new());
    let (mut same, mut of) = (0, 0);
    for (index, query) in queries.iter().enumerate() {
        let request = RetrieveRequest {
            query: query.clone(),
            ..request.clone()
        };
        let (near, far) = if index % 2 == 0 {
            let near = ask(local, &request).await?;
            (near, ask(away, &request).await?)
        } else {
            let far = ask(away, &request).await?;
            (ask(local, &request).await?, far)
        };
        if index >= WARM_UP {
            let best = best(&near);
            of += best.len();
            same += self::best(&far)
                .iter()
                .filter(|id| best.contains(id))
                .count();
            here.push(near);
            there.push(far);
        }
    }
    let (here, there) = (times(&here), times(&there));
    Ok(Compared {
        added_p50: there.total.p50 - here.total.p50,
        overlap: same as f64 / of.max(1) as f64,
        embedded: Some(here),
        qdrant: Some(there),
    })
}

async fn ask(engine: &Engine, request: &RetrieveRequest) -> Result<RetrieveResponse> {
    let answer = engine.retrieve(request.clone()).await?;
    anyhow::ensure!(
        answer.degraded.is_empty(),
        "degraded: {:?}",
        answer.degraded
    );
    Ok(answer)
}

fn best(answer: &RetrieveResponse) -> Vec<String> {
    let hits = answer.hits.iter().take(NEAREST);
    hits.map(|hit| hit.passage.record.id.to_string()).collect()
}

fn times(answers: &[RetrieveResponse]) -> Times {
    let part = |part: fn(&RetrieveResponse) -> f64| percentiles(answers.iter().map(part).collect());
    Times {
        total: part(|it| it.timings.total),
        lexical: part(|it| it.timings.lexical),
        dense: part(|it| it.timings.dense),
    }
}
