use std::collections::BTreeMap;

use super::*;
use crate::losses::{Losses, Sighting};
use crate::report::{Latency, MetricReport, ReportSettings};

/// A name that would be markup.
const EVIL: &str = "<script>alert(\"x\")</script>&'";

fn stage(name: &str, values: &[f64]) -> StageReport {
    let metric = |metric: &str| MetricReport {
        metric: metric.to_owned(),
        mean: mean(values),
        low: 0.1,
        high: 0.9,
        values: values.to_vec(),
    };
    StageReport {
        stage: name.to_owned(),
        metrics: vec![metric("nDCG@10"), metric("AP")],
        recall_at: vec![(1, 0.2), (10, 0.5), (100, 0.8)],
    }
}

fn report() -> Report {
    let mut losses = Losses::new(8, 1000);
    losses.add("t1", EVIL, 1, Fate::Demoted, Sighting::default());
    losses.add("t1", "d", 1, Fate::Found, Sighting::default());
    Report {
        dataset: EVIL.to_owned(),
        split: "test".to_owned(),
        version: "1".to_owned(),
        topics: 3,
        topic_ids: vec![EVIL.to_owned(), "t1".to_owned(), "t2".to_owned()],
        failed: BTreeMap::new(),
        not_searched: BTreeMap::new(),
        settings: ReportSettings {
            depth: 100,
            fusion_method: "dbsf",
            leg_trust: "auto",
            fusion_k: 60.0,
            weight_lexical: 1.0,
            weight_dense: 1.0,
            rerank_candidates: 30,
            blend: None,
            deadline_ms: None,
            documents: 7,
            chunks: 9,
            embedder: EVIL.to_owned(),
            chunker: "c".to_owned(),
            analyzer: "a".to_owned(),
            reranker: None,
            served: None,
        },
        stages: vec![
            stage("lexical", &[0.5, 0.2, 0.3]),
            stage("dense", &[0.1, 0.2, 0.4]),
            stage("hybrid", &[0.9, 0.2, 0.1]),
        ],
        latency_ms: [("embed".to_owned(), Latency { p50: 1.0, p95: 2.0 })].into(),
        latency_values_ms: [("embed".to_owned(), vec![0.5, 1.0, 2.0, 0.0])].into(),
        losses: Some(losses),
        missed_deadline: None,
    }
}

#[test]
fn a_page_refers_to_nothing_outside_itself_and_runs_nothing() {
    let page = page(&report()).to_ascii_lowercase();
    for outside in [
        "http:",
        "https:",
        "//",
        "src=",
        "href",
        "@import",
        "url(",
        "<script",
        "<link",
        "<iframe",
        "<img",
        "<object",
        "onload",
        "onclick",
        "javascript:",
    ] {
        assert!(!page.contains(outside), "{outside} in the page");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn names_are_text_wherever_they_stand() {
    let page = page(&report());
    assert!(!page.contains("<script"), "{page}");
    let escaped = "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;&#39;";
    // The heading, the page's title, the settings, and a query's bar and row for each gain over a leg.
    assert!(
        page.matches(escaped).count() >= 5,
        "{}",
        page.matches(escaped).count()
    );
}

#[test]
fn every_plot_is_there_with_what_it_shows() {
    let page = page(&report());
    assert_eq!(
        page.matches("<svg").count(),
        6,
        "quality, recall, two gains, losses, latency"
    );
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    for shown in [
        "hybrid nDCG@10: 0.4000 [0.1000, 0.9000]",
        "R@100: 0.8000",
        "hybrid over lexical, nDCG@10: 1 better, 1 worse, 1 the same",
        "demoted: 1",
        "found: 1",
        "t2: -0.300",
        "embed: 1 queries",
        ">0.400 [0.100, 0.900]<",
    ] {
        assert!(page.contains(shown), "no {shown:?}");
    }
    assert!(
        !page.contains("NaN") && !page.contains("inf"),
        "a number that is none"
    );
}

#[test]
fn a_report_of_nothing_is_a_page_too() {
    let empty = Report {
        stages: Vec::new(),
        latency_ms: BTreeMap::new(),
        latency_values_ms: BTreeMap::new(),
        losses: None,
        topic_ids: Vec::new(),
        ..report()
    };
    let page = page(&empty);
    assert!(page.contains("<h2>Settings</h2>") && !page.contains("Latency"));
    assert!(!page.contains("NaN"));
    let mut one = report();
    one.latency_values_ms = [("embed".to_owned(), vec![0.0])].into();
    one.stages.truncate(1);
    one.stages[0].recall_at = vec![(1, 0.5)];
    assert!(!super::page(&one).contains("NaN"));
}
