//! What a running server knows of itself.

use braid_core::{Error, Result, StorageUse};
use braid_ingest::remote::Remote;
use braid_server::dto::collections::CollectionsAnswer;
use serde::Deserialize;

use super::{Finding, Report, directory};
use crate::commands::ask;

#[derive(Deserialize)]
struct Health {
    version: String,
}

#[derive(Deserialize)]
struct Ready {
    reconciling: Vec<String>,
    stalled: Vec<Stalled>,
    #[serde(default)]
    vectors_unreachable: Option<String>,
}

#[derive(Deserialize)]
struct Stalled {
    collection: String,
    reason: String,
}

/// Checks the server at `url`, one request at a time, each on its own.
pub(super) async fn check(url: &str, report: &mut Report) {
    match ask::<Health>(url, |remote| remote.get("/healthz")).await {
        Ok(health) => report.add(version(url, &health.version)),
        Err(error) => {
            // The other requests would fail in the same way.
            report.add(Finding::error("server", &error));
            return;
        }
    }
    match ask::<Ready>(url, |remote| remote.get("/readyz")).await {
        Ok(ready) => readiness(&ready, report),
        Err(error) => report.add(Finding::error("readiness", &error)),
    }
    match ask::<CollectionsAnswer>(url, |remote| remote.get("/v1/collections")).await {
        Ok(listed) => collections(&listed, report),
        Err(error) => report.add(Finding::error("collections", &error)),
    }
    match metrics(url).await {
        Ok(text) => counters(&text, report),
        Err(error) => report.add(Finding::error("metrics", &error)),
    }
}

fn version(url: &str, served: &str) -> Finding {
    let own = env!("CARGO_PKG_VERSION");
    if served == own {
        return Finding::ok("server", format!("{url} runs braid {served}"));
    }
    let message = format!("{url} runs braid {served}, this is braid {own}");
    Finding::warning("server", message).remedy("use the same version on both sides")
}

fn readiness(ready: &Ready, report: &mut Report) {
    for Stalled { collection, reason } in &ready.stalled {
        let finding = Finding::problem("indexing", format!("it cannot go on: {reason}"));
        let remedy = "do what the reason says; the server goes on by itself, or after a restart";
        report.add(finding.remedy(remedy).about(collection));
    }
    for collection in &ready.reconciling {
        let message = "its indexes are being compared with the ledger; hits may be missing";
        let finding = Finding::warning("indexing", message);
        report.add(finding.remedy("wait: it ends by itself").about(collection));
    }
    if let Some(reason) = &ready.vectors_unreachable {
        let message = format!("cannot be reached, so only words are searched: {reason}");
        let remedy = "start it or mend the network; the server goes on by itself";
        report.add(Finding::problem("qdrant", message).remedy(remedy));
    }
    if ready.stalled.is_empty() && ready.reconciling.is_empty() {
        report.add(Finding::ok("indexing", "no collection is stalled"));
    }
}

fn collections(listed: &CollectionsAnswer, report: &mut Report) {
    for collection in &listed.collections {
        let lag = collection.lag;
        let message = format!("{lag} operations are acknowledged and not retrievable yet");
        report.add(Finding::ok("lag", message).about(&collection.name));
        let failed = collection.failed;
        let finding = if failed == 0 {
            Finding::ok("failed documents", "none")
        } else {
            let name = &collection.name;
            let list =
                format!("see why with `braid job failures --collection {name} --server URL`");
            Finding::warning("failed documents", failed.to_string()).remedy(list)
        };
        report.add(finding.about(&collection.name));
    }
}

async fn metrics(url: &str) -> Result<String> {
    let remote = Remote::new(url)?;
    let asked = tokio::task::spawn_blocking(move || remote.get_text("/metrics"));
    let stopped = |error| Error::internal("request stopped").with_source(error);
    asked.await.map_err(stopped)?
}

/// What the counters say of the time since the server started.
fn counters(text: &str, report: &mut Report) {
    let gauge = |name: &str| sum(text, name, "").map(|number| number as u64);
    let in_use = gauge("braid_ledger_used_bytes").zip(gauge("braid_ledger_limit_bytes"));
    if let Some((used_bytes, limit_bytes)) = in_use {
        report.add(directory::ledger(StorageUse {
            used_bytes,
            limit_bytes,
        }));
    }
    report.add(errors(text));
    report.add(degraded(text));
}

/// Error codes that a healthy server does not answer with, and what to do about each.
const BAD_CODES: [(&str, &str); 5] = [
    ("STORAGE_FULL", "free space or raise storage.map_size_gib"),
    ("MODEL_UNAVAILABLE", "run `braid doctor` beside the server"),
    ("CORRUPT", "stop the server and run `braid verify --repair`"),
    ("INTERNAL", "look for the request in the server's log"),
    (
        "OVERLOADED",
        "send fewer requests at once, or raise server.max_concurrent_requests",
    ),
];

fn errors(text: &str) -> Finding {
    let count = |code: &str| {
        let label = format!("code=\"{code}\"");
        sum(text, "braid_http_errors_total", &label).unwrap_or(0.0)
    };
    let worst = BAD_CODES.iter().find(|(code, _)| count(code) > 0.0);
    match worst {
        None => Finding::ok("errors", "none that the server is to blame for"),
        Some((code, remedy)) => {
            let message = format!(
                "{} requests were answered {code} since the start",
                count(code)
            );
            Finding::warning("errors", message).remedy(*remedy)
        }
    }
}

fn degraded(text: &str) -> Finding {
    let count = sum(text, "braid_retrieve_degraded_total", "").unwrap_or(0.0);
    if count == 0.0 {
        return Finding::ok("degraded retrievals", "none since the start");
    }
    let message = format!("{count} since the start");
    let remedy = "`degraded` of an answer says which stage and why; slow stages have \
                  retrieve.leg_timeout_ms and retrieve.rerank_deadline_ms";
    Finding::warning("degraded retrievals", message).remedy(remedy)
}

/// The sum of a metric over all label sets that have `label`; `None` where there is none.
fn sum(text: &str, name: &str, label: &str) -> Option<f64> {
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let (labels, value) = rest.rsplit_once(' ')?;
        let is_whole_name = labels.is_empty() || labels.starts_with('{');
        (is_whole_name && labels.contains(label)).then(|| value.parse::<f64>().ok())?
    });
    values.reduce(|sum, value| sum + value)
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    const TEXT: &str = "# TYPE braid_http_errors_total counter\n\
        braid_http_errors_total{code=\"STORAGE_FULL\"} 3\n\
        braid_http_errors_total{code=\"INVALID_REQUEST\"} 40\n\
        braid_ledger_used_bytes 99\n\
        braid_ledger_limit_bytes 100\n\
        braid_retrieve_degraded_total{stage=\"rerank\"} 2\n\
        braid_retrieve_degraded_total{stage=\"dense\"} 1\n";

    #[test]
    fn counters_are_judged() {
        let mut report = Report {
            json: true,
            findings: Vec::new(),
        };
        counters(TEXT, &mut report);
        let levels: Vec<_> = report
            .findings
            .iter()
            .map(|it| (it.check, it.level))
            .collect();
        let expected = [
            ("ledger", Level::Problem),
            ("errors", Level::Warning),
            ("degraded retrievals", Level::Warning),
        ];
        assert_eq!(levels, expected);
        assert!(
            report.findings[1].message.starts_with("3 requests"),
            "{report:?}"
        );
        assert!(
            report.findings[2].message.starts_with("3 since"),
            "{report:?}"
        );
        assert_eq!(errors("").level, Level::Ok);
    }

    #[test]
    fn stalled_collections_are_problems() {
        let mut report = Report {
            json: true,
            findings: Vec::new(),
        };
        let ready = Ready {
            reconciling: vec!["a".to_owned()],
            stalled: vec![Stalled {
                collection: "b".to_owned(),
                reason: "another model".to_owned(),
            }],
            vectors_unreachable: None,
        };
        readiness(&ready, &mut report);
        let levels: Vec<_> = report.findings.iter().map(|it| it.level).collect();
        assert_eq!(levels, [Level::Problem, Level::Warning]);
        assert_eq!(report.findings[0].collection.as_deref(), Some("b"));
    }
}
