//! The same queries over the same chunks, one at a time.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;
use braid_config::Settings;
use braid_core::CollectionName;
use braid_engine::query::{Mode, RetrieveRequest, RetrieveResponse};
use braid_engine::{Engine, Migrated, OpenOptions, migrate, retrieve_defaults};
use braid_eval::report::{Latency, percentiles};
use braid_runtime::Shutdown;
use serde::Serialize;

use super::server::{Ours, forget, settle};
use super::servers::{self, Servers};
use super::{clustered, copy, remote};
use crate::load::COLLECTION;
use crate::passages::corpus;
use crate::{Cli, say};

/// Distinct queries of each mode.
const QUERIES: usize = 500;
/// Queries asked before measuring.
const WARM_UP: usize = 100;
/// Clients that ask at once, where queries a second are counted.
const CLIENTS: usize = 8;
/// Hits that are compared.
const NEAREST: usize = 10;

#[derive(Serialize)]
pub(super) struct Latencies {
    chunks: u64,
    queries: usize,
    /// Seconds that `braid migrate` took to copy all chunks into the cluster, comparing them included.
    migrate_seconds: f64,
    clients: usize,
    /// By mode.
    modes: BTreeMap<&'static str, Compared>,
    /// One query server of profile `cluster`, and two.
    servers: Option<Servers>,
}

#[derive(Serialize)]
struct Compared {
    embedded: Times,
    /// By profile.
    remote: BTreeMap<&'static str, Remote>,
}

#[derive(Serialize)]
struct Remote {
    #[serde(flatten)]
    times: Times,
    /// Milliseconds that it takes longer than embedded at the median.
    added_p50: f64,
    /// Share of the ten best hits that are the same.
    overlap: f64,
}

#[derive(Serialize)]
struct Times {
    total: Latency,
    lexical: Latency,
    dense: Latency,
    /// Queries a second of several clients at once.
    per_second: f64,
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
    let shared = clustered(&settings, url);
    // What an interrupted run left would be taken for this one's.
    forget(rest, &Ours::of(&shared)?)?;
    let start = Instant::now();
    let migrated = migrate(&shared, Some(&name), &Shutdown::new(), &|_, _| ()).await?;
    let migrate_seconds = start.elapsed().as_secs_f64();
    let is_same = migrated.values().all(Migrated::agrees);
    anyhow::ensure!(is_same, "what was copied differs: {migrated:?}");
    settle(rest, &Ours::of(&shared)?).await?;
    say(format!("copied into the cluster in {migrate_seconds:.1} s"));
    let local = Engine::open(&settings, OpenOptions::default()).await?;
    let cluster = Engine::open(&shared, OpenOptions::default()).await?;
    let chunks = local.collection_info(&name).await?.stats.chunks;
    let defaults = RetrieveRequest {
        collection: name,
        ..retrieve_defaults(&settings)?
    };
    let queries = corpus(&cli.train, 0, QUERIES + WARM_UP)?.queries;
    let sides = [&local, &away, &cluster];
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
        let compared = compare(sides, &request, &queries).await?;
        for (profile, remote) in &compared.remote {
            say(format!(
                "{name} {profile}: p50 {:+.2} ms, overlap@10 {:.3}",
                remote.added_p50, remote.overlap
            ));
        }
        modes.insert(name, compared);
    }
    for engine in [local, away, cluster] {
        engine.close().await;
    }
    let servers = tokio::task::block_in_place(|| servers::measure(cli, &shared, &queries))?;
    forget(rest, &Ours::of(&far)?)?;
    forget(rest, &Ours::of(&shared)?)?;
    Ok(Some(Latencies {
        chunks,
        queries: queries.len() - WARM_UP.min(queries.len()),
        migrate_seconds,
        clients: CLIENTS,
        modes,
        servers,
    }))
}

/// Asks all, each first in turn; then each by several clients at once.
async fn compare(
    sides: [&Engine; 3],
    request: &RetrieveRequest,
    queries: &[String],
) -> Result<Compared> {
    let mut answers = [Vec::new(), Vec::new(), Vec::new()];
    for (index, query) in queries.iter().enumerate() {
        let request = RetrieveRequest {
            query: query.clone(),
            ..request.clone()
        };
        for turn in 0..sides.len() {
            let side = (index + turn) % sides.len();
            let answer = ask(sides[side], &request).await?;
            if index >= WARM_UP {
                answers[side].push(answer);
            }
        }
    }
    let mut rates = [0.0; 3];
    for (rate, side) in rates.iter_mut().zip(sides) {
        *rate = throughput(side, request, queries).await?;
    }
    let [here, away, cluster] = &answers;
    let embedded = times(here, rates[0]);
    let remote = |answers: &[RetrieveResponse], rate| {
        let times = times(answers, rate);
        Remote {
            added_p50: times.total.p50 - embedded.total.p50,
            times,
            overlap: overlap(here, answers),
        }
    };
    let remote = [
        ("qdrant", remote(away, rates[1])),
        ("cluster", remote(cluster, rates[2])),
    ];
    Ok(Compared {
        remote: remote.into(),
        embedded,
    })
}

/// Queries a second of [`CLIENTS`] that each ask one after the other.
async fn throughput(engine: &Engine, request: &RetrieveRequest, queries: &[String]) -> Result<f64> {
    let start = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let (engine, request) = (engine.clone(), request.clone());
        let queries: Vec<String> = queries
            .iter()
            .skip(client)
            .step_by(CLIENTS)
            .cloned()
            .collect();
        clients.spawn(async move {
            for query in queries {
                let request = RetrieveRequest {
                    query,
                    ..request.clone()
                };
                ask(&engine, &request).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = clients.join_next().await {
        done??;
    }
    Ok(queries.len() as f64 / start.elapsed().as_secs_f64())
}

/// Share of the best of `here` that are among the best of `there`.
fn overlap(here: &[RetrieveResponse], there: &[RetrieveResponse]) -> f64 {
    let (mut same, mut of) = (0, 0);
    for (here, there) in here.iter().zip(there) {
        let (here, there) = (best(here), best(there));
        of += here.len();
        same += here.iter().filter(|id| there.contains(id)).count();
    }
    same as f64 / of.max(1) as f64
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

fn times(answers: &[RetrieveResponse], per_second: f64) -> Times {
    let part = |part: fn(&RetrieveResponse) -> f64| percentiles(answers.iter().map(part).collect());
    Times {
        total: part(|it| it.timings.total),
        lexical: part(|it| it.timings.lexical),
        dense: part(|it| it.timings.dense),
        per_second,
    }
}
