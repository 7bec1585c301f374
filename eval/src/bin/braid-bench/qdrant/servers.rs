//! One query server of profile `cluster`, and two: each on cores of its own, as on a machine of its own.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use braid_config::Settings;
use serde::Serialize;

use crate::http::{Throughput, run};
use crate::machine::Machine;
use crate::process::Server;
use crate::{Cli, say};

/// With fewer there is no room for two servers, Qdrant and the clients.
const CORES: usize = 8;
/// Requests before measuring, and of one measurement, a server.
const REQUESTS: (usize, usize) = (200, 1000);
/// Ports of the servers.
const PORTS: [u16; 2] = [18_082, 18_083];

#[derive(Serialize)]
pub(super) struct Servers {
    /// Of each server.
    cores: usize,
    one: Throughput,
    two: Throughput,
}

/// `None` where the machine has fewer than [`CORES`] and nothing else was said. The collection is to be
/// there.
pub(super) fn measure(cli: &Cli, shared: &Settings, queries: &[String]) -> Result<Option<Servers>> {
    let cores = match (cli.qdrant.server_cores, Machine::this().cores) {
        (Some(said), _) => said.max(1),
        (None, have) if have >= CORES => have / 4,
        (None, have) => {
            say(format!(
                "skipping two query servers: {have} cores, it takes {CORES}"
            ));
            return Ok(None);
        }
    };
    let first = start(cli, shared, 0, cores)?;
    let (warm_up, requests) = REQUESTS;
    run(&[&first.url], queries, false, warm_up)?;
    let one = run(&[&first.url], queries, false, requests)?;
    let second = start(cli, shared, 1, cores)?;
    let both = [first.url.as_str(), second.url.as_str()];
    run(&both, queries, false, 2 * warm_up)?;
    let two = run(&both, queries, false, 2 * requests)?;
    ensure!(one.failed + two.failed == 0, "requests failed");
    let (alone, together) = (one.requests_per_second, two.requests_per_second);
    say(format!(
        "one query server {alone:.0} requests/s, two {together:.0}: {:.2} times",
        together / alone
    ));
    Ok(Some(Servers { cores, one, two }))
}

/// A server on cores of its own.
fn start(cli: &Cli, shared: &Settings, index: usize, cores: usize) -> Result<Server> {
    let mut command = Command::new("taskset");
    let (from, to) = (index * cores, (index + 1) * cores - 1);
    command.args(["--cpu-list", &format!("{from}-{to}")]);
    command.arg(&cli.braid).arg("serve");
    for (key, value) in [
        ("storage.profile", "cluster"),
        ("qdrant.url", &shared.qdrant.url),
        ("qdrant.prefix", &shared.qdrant.prefix),
    ] {
        command.args(["--set", &format!("{key}={value}")]);
    }
    Server::start_with(command, PORTS[index]).context("is taskset (util-linux) there?")
}
