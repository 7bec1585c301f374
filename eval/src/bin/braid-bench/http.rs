//! Requests per second over HTTP on loopback: 8 clients, each asking one query after another.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};
use braid_eval::report::percentiles;
use serde::Serialize;
use serde_json::json;

use crate::load::COLLECTION;
use crate::machine::Machine;
use crate::passages::corpus;
use crate::process::Server;
use crate::{Cli, say};

/// Clients that ask at once.
const CLIENTS: usize = 8;
/// Requests of one measurement: bounded, so that it stops by itself.
const REQUESTS: usize = 2000;

#[derive(Serialize)]
struct HttpResult {
    machine: Machine,
    clients: usize,
    fused: Throughput,
    reranked: Throughput,
    anonymous_mib_after: f64,
}

/// What clients were answered.
#[derive(Serialize)]
pub(crate) struct Throughput {
    requests: usize,
    pub(crate) requests_per_second: f64,
    p50_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    /// Answers in which a stage fell short: re-ranking, of its deadline.
    cut_short: usize,
    pub(crate) failed: usize,
}

/// What one client was answered.
#[derive(Default)]
struct Answers {
    /// Milliseconds that each took.
    times: Vec<f64>,
    cut_short: usize,
    failed: usize,
}

pub(crate) async fn measure(cli: &Cli) -> Result<()> {
    let queries = corpus(&cli.train, 0, 1000)?.queries;
    let (braid, data_dir) = (cli.braid.clone(), cli.data_dir());
    let measured = tokio::task::spawn_blocking(move || -> Result<HttpResult> {
        let server = Server::start(&braid, &data_dir, 18_081)?;
        let url = [server.url.as_str()];
        run(&url, &queries, false, CLIENTS * 25)?;
        let fused = run(&url, &queries, false, REQUESTS)?;
        let reranked = run(&url, &queries, true, REQUESTS / 10)?;
        Ok(HttpResult {
            machine: Machine::this(),
            clients: CLIENTS,
            fused,
            reranked,
            anonymous_mib_after: server.anonymous_mib()?,
        })
    });
    let result = measured.await.context("the clients stopped")??;
    say(format!(
        "HTTP: {:.0} requests/s, p99 {:.1} ms; re-ranked {:.0} requests/s, p99 {:.1} ms; {:.0} MiB anonymous",
        result.fused.requests_per_second,
        result.fused.p99_ms,
        result.reranked.requests_per_second,
        result.reranked.p99_ms,
        result.anonymous_mib_after
    ));
    cli.save("http", &result)
}

/// What servers that serve the same answer together, each asked by [`CLIENTS`].
pub(crate) fn run(
    urls: &[&str],
    queries: &[String],
    rerank: bool,
    requests: usize,
) -> Result<Throughput> {
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    let clients: Vec<Answers> = std::thread::scope(|scope| {
        let next = &next;
        let client = |url| scope.spawn(move || ask(url, queries, rerank, (next, requests)));
        let clients = urls.iter().cycle().take(CLIENTS * urls.len());
        let clients: Vec<_> = clients.map(|url| client(url)).collect();
        clients
            .into_iter()
            .filter_map(|client| client.join().ok())
            .collect()
    });
    let seconds = start.elapsed().as_secs_f64();
    let failed = clients.iter().map(|client| client.failed).sum();
    let cut_short = clients.iter().map(|client| client.cut_short).sum();
    let mut times: Vec<f64> = clients
        .into_iter()
        .flat_map(|client| client.times)
        .collect();
    times.sort_unstable_by(f64::total_cmp);
    let p99 = times
        .get((times.len() as f64 * 0.99).ceil() as usize - 1)
        .copied();
    let latency = percentiles(times.clone());
    Ok(Throughput {
        requests: times.len(),
        requests_per_second: times.len() as f64 / seconds,
        p50_ms: latency.p50,
        p95_ms: latency.p95,
        p99_ms: p99.context("no request succeeded")?,
        cut_short,
        failed,
    })
}

/// Asks until all requests are taken.
fn ask(
    url: &str,
    queries: &[String],
    rerank: bool,
    (next, requests): (&AtomicUsize, usize),
) -> Answers {
    let agent = ureq::Agent::new_with_defaults();
    let mut answers = Answers::default();
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        if index >= requests {
            return answers;
        }
        let body = json!({
            "query": queries[index % queries.len()],
            "collection": COLLECTION,
            "rerank": { "enabled": rerank },
        });
        let start = Instant::now();
        let answered = agent
            .post(format!("{url}/retrieve"))
            .send_json(&body)
            .and_then(|mut answer| answer.body_mut().read_to_string());
        let elapsed = start.elapsed();
        match answered {
            Ok(answer) => {
                answers.times.push(elapsed.as_secs_f64() * 1e3);
                // Looked for and not parsed: the clients share the server's cores.
                answers.cut_short += usize::from(!answer.contains(r#""degraded":[]"#));
            }
            Err(_) => answers.failed += 1,
        }
    }
}
