//! Seconds of each step, from the metrics that `/metrics` has.

use std::collections::BTreeMap;

use anyhow::Result;
use braid_runtime::telemetry::{PrometheusHandle, install_metrics};

/// The sums of the histograms of the write path.
const HISTOGRAMS: [&str; 3] = [
    "braid_index_step_seconds_sum",
    "braid_index_apply_seconds_sum",
    "braid_index_embed_seconds_sum",
];

/// The recorder of this process.
pub(super) struct Steps(PrometheusHandle);

impl Steps {
    pub(super) fn install() -> Result<Self> {
        Ok(Self(install_metrics()?))
    }

    /// Seconds so far, by label: a step's name, or the leg that was applied to.
    pub(super) fn seconds(&self) -> BTreeMap<String, f64> {
        let text = self.0.render();
        text.lines().filter_map(read).collect()
    }
}

fn read(line: &str) -> Option<(String, f64)> {
    let (name, seconds) = line.rsplit_once(' ')?;
    let histogram = HISTOGRAMS.iter().find(|known| name.starts_with(**known))?;
    let label = name.split('"').nth(1).unwrap_or("embed");
    let label = match *histogram {
        "braid_index_apply_seconds_sum" => format!("apply {label}"),
        _ => label.to_owned(),
    };
    Some((label, seconds.parse().ok()?))
}
