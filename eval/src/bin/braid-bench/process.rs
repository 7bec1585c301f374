//! A server process: start-up time and memory.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::machine::{Machine, field};
use crate::{Cli, say};

/// Starts measured; the median is reported.
const STARTS: usize = 5;

/// A running server, killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    pub(crate) ready_after: Duration,
}

impl Server {
    /// Starts the binary on the data directory and waits until it is ready.
    pub(crate) fn start(braid: &Path, data_dir: &Path, port: u16) -> Result<Self> {
        let mut command = Command::new(braid);
        command.arg("serve").arg("--data-dir").arg(data_dir);
        Self::start_with(command, port)
    }

    /// As [`Server::start`], with a command that ends in what else `braid serve` is to be told.
    pub(crate) fn start_with(mut command: Command, port: u16) -> Result<Self> {
        let start = Instant::now();
        let mut child = command
            .args([
                "--listen",
                &format!("127.0.0.1:{port}"),
                "--log-level",
                "warn",
            ])
            // What is measured is the work, not the memory of having done it.
            .args(["--set", "cache.answers_mib=0"])
            .args(["--set", "cache.query_embeddings=0"])
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let url = format!("http://127.0.0.1:{port}");
        while start.elapsed() < Duration::from_secs(60) {
            if get_ready(&url) {
                return Ok(Self {
                    child,
                    url,
                    ready_after: start.elapsed(),
                });
            }
            if let Some(status) = child.try_wait()? {
                bail!("the server stopped at once: {status}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = child.kill();
        bail!("the server was not ready within a minute")
    }

    /// Anonymous memory in MiB: what is not backed by files.
    pub(crate) fn anonymous_mib(&self) -> Result<f64> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = field(&path, "RssAnon").context("no RssAnon in /proc/PID/status")?;
        let kib: f64 = text.split(' ').next().unwrap_or("").parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get_ready(url: &str) -> bool {
    ureq::get(format!("{url}/readyz")).call().is_ok()
}

#[derive(Serialize)]
struct StartupResult {
    machine: Machine,
    starts: usize,
    median_seconds: f64,
    longest_seconds: f64,
    anonymous_mib_idle: f64,
}

pub(crate) fn measure(cli: &Cli) -> Result<()> {
    let mut seconds = Vec::new();
    let mut memory: f64 = 0.0;
    for _ in 0..STARTS {
        let server = Server::start(&cli.braid, &cli.data_dir(), 18_080)?;
        seconds.push(server.ready_after.as_secs_f64());
        memory = memory.max(server.anonymous_mib()?);
    }
    seconds.sort_unstable_by(f64::total_cmp);
    say(format!(
        "ready after {:.2} s, {memory:.0} MiB anonymous",
        seconds[STARTS / 2]
    ));
    cli.save(
        "startup",
        &StartupResult {
            machine: Machine::this(),
            starts: STARTS,
            median_seconds: seconds[STARTS / 2],
            longest_seconds: seconds[STARTS - 1],
            anonymous_mib_idle: memory,
        },
    )
}
