//! What the server says over REST.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use braid_config::{Settings, StorageProfile};
use serde_json::Value;

/// How long it may build graphs after a load.
const SETTLING: Duration = Duration::from_secs(600);

/// The REST address beside a gRPC address: the port below.
pub(super) fn rest_of(url: &str) -> Result<String> {
    let (host, port) = url
        .trim_end_matches('/')
        .rsplit_once(':')
        .unwrap_or((url, ""));
    let port: u16 = port.parse().with_context(|| format!("{url} has no port"))?;
    Ok(format!("{host}:{}", port.saturating_sub(1)))
}

/// What the names of a profile's collections have in them.
pub(super) struct Ours(String);

impl Ours {
    /// The id of the data directory, or the prefix where there is none.
    pub(super) fn of(settings: &Settings) -> Result<Self> {
        if settings.storage.profile == StorageProfile::Cluster {
            return Ok(Self(format!("{}-", settings.qdrant.prefix)));
        }
        let id = settings.storage.data_dir.join("qdrant-id");
        Ok(Self(std::fs::read_to_string(id)?.trim().to_owned()))
    }

    fn has(&self, name: &str) -> bool {
        name.contains(&self.0)
    }
}

/// Its version.
pub(super) fn version(rest: &str) -> Result<String> {
    let said = get(rest)?;
    Ok(said["version"].as_str().context("no version")?.to_owned())
}

/// Waits until the server has built what it builds beside writes: the seconds it took.
pub(super) async fn settle(rest: &str, ours: &Ours) -> Result<f64> {
    let start = Instant::now();
    loop {
        if is_settled(rest, ours)? {
            return Ok(start.elapsed().as_secs_f64());
        }
        ensure!(
            start.elapsed() < SETTLING,
            "the server is not done within {SETTLING:?}"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn is_settled(rest: &str, ours: &Ours) -> Result<bool> {
    let all = get(&format!("{rest}/collections"))?;
    let all = all["result"]["collections"]
        .as_array()
        .context("no collections")?;
    for name in all.iter().filter_map(|it| it["name"].as_str()) {
        let is_ours = ours.has(name);
        if is_ours && get(&format!("{rest}/collections/{name}"))?["result"]["status"] != "green" {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes collections that are no longer needed.
pub(super) fn forget(rest: &str, ours: &Ours) -> Result<()> {
    let all = get(&format!("{rest}/collections"))?;
    let all = all["result"]["collections"]
        .as_array()
        .context("no collections")?;
    for name in all.iter().filter_map(|it| it["name"].as_str()) {
        if ours.has(name) {
            ureq::delete(format!("{rest}/collections/{name}")).call()?;
        }
    }
    Ok(())
}

fn get(url: &str) -> Result<Value> {
    let mut answer = ureq::get(url)
        .call()
        .with_context(|| format!("Qdrant does not answer at {url}"))?;
    Ok(serde_json::from_str(&answer.body_mut().read_to_string()?)?)
}
