//! Tracing and metrics set-up, done once by the binary.

use std::io::IsTerminal;
use std::time::Duration;

use braid_core::{Error, Result};
pub use metrics_exporter_prometheus::PrometheusHandle;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Upper bounds of latency histograms, in seconds: from 0.5 ms to 10 s.
const LATENCY_BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Sends log lines to standard error. `level` is a `tracing` filter directive such as `info` or
/// `braid_query=debug,info`.
///
/// # Errors
/// `InvalidRequest` for a bad directive, `Internal` when a subscriber is already installed.
pub fn install_tracing(level: &str, format: LogFormat) -> Result<()> {
    let filter = EnvFilter::try_new(level)
        .map_err(|error| Error::invalid(format!("bad log level {level:?}")).with_source(error))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let installed = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    installed.map_err(|error| Error::internal(format!("cannot install tracing: {error}")))
}

/// Installs the process-wide metrics recorder; render it with [`PrometheusHandle::render`].
///
/// # Errors
/// `Internal` when a recorder is already installed.
pub fn install_metrics() -> Result<PrometheusHandle> {
    let failed = |error| Error::internal("cannot install metrics").with_source(error);
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &LATENCY_BUCKETS)
        .map_err(failed)?
        .install_recorder()
        .map_err(failed)
}

/// How often samples are folded into their histograms.
const UPKEEP: Duration = Duration::from_secs(5);

/// Folds samples into histograms for as long as the process runs: without it they pile up in memory
/// until somebody reads the metrics.
pub async fn keep_upkeep(metrics: PrometheusHandle) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        metrics.run_upkeep();
    }
}
