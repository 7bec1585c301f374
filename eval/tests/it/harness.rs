//! What an evaluation measures and writes, over the committed collection and doubles.

use std::collections::HashSet;
use std::fmt::Write;
use std::path::Path;

use braid_core::ErrorCode;
use braid_eval::cli::CompareArgs;
use braid_eval::compare::per_topic;
use braid_eval::metrics::Metric;
use braid_eval::report::Report;
use braid_eval::trec::{Qrels, Run, read_qrels, read_run};
use braid_testkit::{Call, Fault, Faulty, HashEmbedder};
use expect_test::expect;

use crate::world::{World, mean, mini};

const STAGES: [&str; 4] = ["lexical", "dense", "hybrid", "rerank"];

fn qrels() -> Qrels {
    read_qrels(&mini().join("qrels/test.tsv")).unwrap()
}

fn run_of(world: &World, stage: &str) -> Run {
    read_run(&world.out().join(format!("run.{stage}.trec"))).unwrap()
}

fn show(report: &Report) -> String {
    let settings = &report.settings;
    let mut shown = format!(
        "{} {}: {} topics, {} documents, {} chunks\n",
        report.dataset, report.split, report.topics, settings.documents, settings.chunks
    );
    for stage in &report.stages {
        for metric in &stage.metrics {
            let (name, mean) = (&metric.metric, metric.mean);
            writeln!(shown, "{} {name} {mean:.4}", stage.stage).unwrap();
        }
    }
    shown
}

#[tokio::test]
async fn every_number_of_the_small_collection_is_known() {
    let world = World::new(40).await;
    let report = world.run(&world.args(&mini())).await;
    assert!(report.failed.is_empty() && report.not_searched.is_empty());
    // A change of these is a change of ranking: look at the run files before accepting it.
    expect![[r#"
        mini test: 12 topics, 31 documents, 38 chunks
        lexical nDCG@10 0.9556
        lexical R@10 0.9028
        lexical R@50 0.9028
        lexical R@100 0.9028
        lexical RR@10 1.0000
        lexical AP 0.9028
        dense nDCG@10 0.8222
        dense R@10 0.8750
        dense R@50 1.0000
        dense R@100 1.0000
        dense RR@10 0.8750
        dense AP 0.7523
        hybrid nDCG@10 0.9360
        hybrid R@10 0.9444
        hybrid R@50 1.0000
        hybrid R@100 1.0000
        hybrid RR@10 1.0000
        hybrid AP 0.8714
        rerank nDCG@10 0.9424
        rerank R@10 0.9444
        rerank R@50 1.0000
        rerank R@100 1.0000
        rerank RR@10 1.0000
        rerank AP 0.8659
    "#]]
    .assert_eq(&show(&report));
}

#[tokio::test]
async fn the_report_file_and_the_run_files_say_what_the_report_says() {
    let world = World::new(40).await;
    let report = world.run(&world.args(&mini())).await;
    let file = std::fs::read_to_string(world.out().join("report.json")).unwrap();
    let written: serde_json::Value = serde_json::from_str(&file).unwrap();
    assert_eq!(written, serde_json::to_value(&report).unwrap());
    for stage in STAGES {
        let run = run_of(&world, stage);
        for metric in Metric::REPORTED {
            let values = per_topic(metric, &run, &qrels());
            let from_file = values.iter().sum::<f64>() / values.len() as f64;
            let reported = mean(&report, stage, &metric.name());
            assert!((from_file - reported).abs() < 1e-12, "{stage} {metric:?}");
        }
    }
}

#[tokio::test]
async fn run_files_name_each_document_once_with_falling_scores() {
    // Chunks of eight words: nearly every document is several chunks.
    let world = World::new(8).await;
    let report = world.run(&world.args(&mini())).await;
    assert!(report.settings.chunks > 3 * report.settings.documents);
    for stage in STAGES {
        let path = world.out().join(format!("run.{stage}.trec"));
        let text = std::fs::read_to_string(path).unwrap();
        let mut topics: Vec<(String, HashSet<String>, f32)> = Vec::new();
        for line in text.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            let [topic, "Q0", document, rank, score, tag] = fields[..] else {
                panic!("{line}");
            };
            assert_eq!(tag, format!("braid-{stage}"));
            if topics.last().is_none_or(|(last, _, _)| last != topic) {
                topics.push((topic.to_owned(), HashSet::new(), f32::INFINITY));
            }
            let (_, seen, previous) = topics.last_mut().unwrap();
            let score: f32 = score.parse().unwrap();
            assert!(score < *previous, "{line}");
            assert!(seen.insert(document.to_owned()), "twice: {line}");
            assert_eq!(rank, seen.len().to_string());
            *previous = score;
        }
        assert_eq!(topics.len(), 12, "{stage} ranks every judged topic");
    }
}

#[tokio::test]
async fn a_leg_is_widened_to_so_many_documents_however_many_chunks_they_are() {
    let world = World::new(8).await;
    let mut args = world.args(&mini());
    args.depth = 10;
    let report = world.run(&args).await;
    let names = report.stages[0].metrics.iter().map(|m| m.metric.as_str());
    assert_eq!(
        names.collect::<Vec<_>>(),
        ["nDCG@10", "R@10", "RR@10", "AP"],
        "recall at 50 and 100 is not that of 10 documents"
    );
    let narrow = run_of(&world, "dense");
    args.depth = 2000;
    let report = world.run(&args).await;
    let wide = run_of(&world, "dense");
    for (topic, ranking) in &narrow {
        assert_eq!(ranking.len(), 10, "{topic}");
        // Every document has a vector, so an exhausted leg has ranked all of them.
        assert_eq!(wide[topic].len() as u64, report.settings.documents);
        assert_eq!(ranking[..], wide[topic][..10], "{topic}");
    }
}

#[tokio::test]
async fn a_query_that_fails_scores_zero_and_is_counted() {
    let healthy = World::new(40).await;
    let whole = healthy.run(&healthy.args(&mini())).await;
    let embedder = HashEmbedder::new(256);
    let fault = Fault::FailBefore(ErrorCode::Unavailable);
    let faulty = Faulty::new(embedder).on(Call::EmbedQuery, 3, fault);
    let world = World::with_embedder(40, faulty).await;
    let report = world.run(&world.args(&mini())).await;
    let failed: Vec<_> = report.failed.iter().collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].0, "t03", "topics are ranked in order");
    assert!(failed[0].1.contains("scripted fault"), "{failed:?}");
    assert_eq!(report.topics, 12);
    for stage in STAGES {
        assert!(!run_of(&world, stage).contains_key("t03"), "{stage}");
        let lost = per_topic(Metric::ndcg(10), &run_of(&healthy, stage), &qrels())[2];
        assert!(lost > 0.0, "the test has something to lose");
        let expected = mean(&whole, stage, "nDCG@10") - lost / 12.0;
        assert!((mean(&report, stage, "nDCG@10") - expected).abs() < 1e-12);
    }
    assert!(report.table().contains("failed, scored 0: t03"));
}

#[tokio::test]
async fn only_the_stages_asked_for_are_ranked_written_and_timed() {
    let world = World::new(40).await;
    let mut args = world.args(&mini());
    args.stages = ["dense", "lexical", "dense"].map(str::to_owned).to_vec();
    let report = world.run(&args).await;
    let stages: Vec<&str> = report.stages.iter().map(|s| s.stage.as_str()).collect();
    assert_eq!(stages, ["lexical", "dense"], "once each, in pipeline order");
    let mut files: Vec<String> = std::fs::read_dir(world.out())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["report.json", "run.dense.trec", "run.lexical.trec"]);
    let timed: Vec<&String> = report.latency_ms.keys().collect();
    assert_eq!(timed, ["dense", "embed", "lexical"]);
    assert_eq!(report.missed_deadline, None);
}

#[tokio::test]
async fn the_share_of_queries_past_the_served_deadline_is_reported() {
    let world = World::new(40).await;
    let report = world.run(&world.args(&mini())).await;
    // Counting words takes microseconds, the served deadline is 150 ms.
    assert_eq!(report.missed_deadline, Some(0.0));
    assert_eq!(report.settings.deadline_ms, None);
    let mut args = world.args(&mini());
    args.deadline = true;
    assert_eq!(world.run(&args).await.settings.deadline_ms, Some(150));
}

#[tokio::test]
async fn a_changed_corpus_and_another_dataset_are_not_mixed_with_what_is_there() {
    let world = World::new(40).await;
    assert_eq!(world.run(&world.args(&mini())).await.settings.documents, 31);
    // The same folder name elsewhere, without the last documents.
    let place = tempfile::tempdir().unwrap();
    let smaller = place.path().join("mini");
    copy(&mini(), &smaller, 20);
    let report = world.run(&world.args(&smaller)).await;
    assert_eq!(report.settings.documents, 20, "what is gone is deleted");
    let other = place.path().join("Other Set");
    copy(&mini(), &other, 5);
    let report = world.run(&world.args(&other)).await;
    assert_eq!(report.settings.documents, 5);
    let names = world.collection_names().await;
    assert_eq!(
        names,
        [
            "eval-mini-structure-40-0-auto",
            "eval-other-set-structure-40-0-auto"
        ]
    );
}

/// Copies a dataset with the first `documents` of its corpus.
fn copy(from: &Path, to: &Path, documents: usize) {
    std::fs::create_dir_all(to.join("qrels")).unwrap();
    for file in ["queries.jsonl", "qrels/test.tsv"] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
    let corpus = std::fs::read_to_string(from.join("corpus.jsonl")).unwrap();
    let kept: Vec<&str> = corpus.lines().take(documents).collect();
    std::fs::write(to.join("corpus.jsonl"), kept.join("\n")).unwrap();
}

#[tokio::test]
async fn two_runs_are_compared_topic_by_topic() {
    let world = World::new(40).await;
    let report = world.run(&world.args(&mini())).await;
    let compare = CompareArgs {
        a: world.out().join("run.dense.trec"),
        b: vec![world.out().join("run.hybrid.trec")],
        metrics: Metric::REPORTED.map(Metric::name).to_vec(),
        qrels: mini().join("qrels/test.tsv"),
        json: false,
    };
    let rows = compare.run().unwrap();
    assert_eq!(rows.len(), Metric::REPORTED.len());
    let row = &rows[0];
    assert_eq!(row.metric, "nDCG@10");
    assert!((row.a - mean(&report, "dense", "nDCG@10")).abs() < 1e-12);
    assert!((row.b - mean(&report, "hybrid", "nDCG@10")).abs() < 1e-12);
    assert!((row.difference - (row.b - row.a)).abs() < 1e-12);
    assert!(row.low <= row.difference && row.difference <= row.high);
    assert!(row.wins + row.losses <= 12);
    let same = CompareArgs {
        b: vec![compare.a.clone()],
        ..compare
    };
    let rows = same.run().unwrap();
    assert!(rows.iter().all(|row| row.difference == 0.0 && row.p == 1.0));
}
