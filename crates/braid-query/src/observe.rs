//! Metrics of a retrieval.

use crate::response::{Degradation, Timings};

/// Records the stages that ran and those that fell short.
pub(crate) fn record(timings: &Timings, degraded: &[Degradation]) {
    let stages = [
        ("embed", timings.embed),
        ("lexical", timings.lexical),
        ("dense", timings.dense),
        ("fuse", timings.fuse),
        ("hydrate", timings.hydrate),
        ("rerank", timings.rerank),
        ("assemble", timings.assemble),
        ("total", timings.total),
    ];
    for (stage, milliseconds) in stages.into_iter().filter(|(_, spent)| *spent > 0.0) {
        metrics::histogram!("braid_retrieve_stage_seconds", "stage" => stage)
            .record(milliseconds / 1e3);
    }
    for degradation in degraded {
        metrics::counter!("braid_retrieve_degraded_total", "stage" => degradation.stage)
            .increment(1);
        log(degradation);
    }
}

/// A leg that fails wants somebody's attention. A missed deadline is a trade the operator made, and
/// may come with every request.
fn log(degradation: &Degradation) {
    let (stage, reason) = (degradation.stage, &degradation.reason);
    if stage == "rerank" {
        tracing::debug!(stage, reason, "retrieval is degraded");
    } else {
        tracing::warn!(stage, reason, "retrieval is degraded");
    }
}

/// Records whether a cache had what was asked.
pub(crate) fn cache(name: &'static str, hit: bool) {
    let found = if hit { "hit" } else { "miss" };
    metrics::counter!("braid_cache_lookups_total", "cache" => name, "found" => found).increment(1);
}

/// Records a lookup of a stored answer, and what refused it.
pub(crate) fn semantic_lookup(miss: Option<&'static str>) {
    cache("semantic", miss.is_none());
    if let Some(reason) = miss {
        metrics::counter!("braid_semantic_cache_misses_total", "reason" => reason).increment(1);
    }
}

/// Records how many stored answers went, and why.
pub(crate) fn semantic_evictions(cause: &'static str, gone: usize) {
    if gone > 0 {
        metrics::counter!("braid_semantic_cache_evictions_total", "cause" => cause)
            .increment(gone as u64);
    }
}

/// Records how full the cache of stored answers is.
pub(crate) fn semantic_size(entries: usize, bytes: usize) {
    metrics::gauge!("braid_semantic_cache_entries").set(entries as f64);
    metrics::gauge!("braid_semantic_cache_bytes").set(bytes as f64);
}
