//! `braid eval` over files: what it prints and how it ends.

use crate::run::Place;

const QRELS: &str = "query-id\tcorpus-id\tscore\nq1\ta\t2\nq1\tb\t1\nq2\tc\t1\n";
const GOOD: &str = "q1 Q0 a 1 2.0 x\nq1 Q0 b 2 1.0 x\nq2 Q0 c 1 1.0 x\n";
const BAD: &str = "q1 Q0 z 1 2.0 x\nq1 Q0 a 2 1.0 x\n";

fn place() -> Place {
    let place = Place::new();
    place.write("qrels.tsv", QRELS);
    place.write("good.trec", GOOD);
    place.write("bad.trec", BAD);
    place
}

#[test]
fn runs_are_scored_and_compared_by_any_metric() {
    let place = place();
    let scored = [
        "eval",
        "score",
        "good.trec",
        "bad.trec",
        "--qrels",
        "qrels.tsv",
        "--metrics",
        "P@1,Success@2,P(rel=2)@1",
    ];
    let rows = place.json(&scored, 0);
    let means: Vec<f64> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["mean"].as_f64().unwrap())
        .collect();
    assert_eq!(means, [1.0, 1.0, 0.5, 0.0, 0.5, 0.0]);
    assert!(place.ok(&scored).starts_with("run        P@1 "));
    let compared = [
        "eval",
        "compare",
        "bad.trec",
        "good.trec",
        "bad.trec",
        "--qrels",
        "qrels.tsv",
        "--metrics",
        "RR",
    ];
    let rows = place.json(&compared, 0);
    assert_eq!(
        (
            rows[0]["difference"].as_f64(),
            rows[1]["difference"].as_f64()
        ),
        (Some(0.75), Some(0.0))
    );
    assert!(place.ok(&compared).contains("p Holm"));
    let unknown = [
        "eval",
        "score",
        "good.trec",
        "--qrels",
        "qrels.tsv",
        "--metrics",
        "ERR@5",
    ];
    place.fails(&unknown, 2, &["unknown metric \"ERR@5\"", "nDCG@10"]);
}

#[test]
fn files_go_from_one_layout_to_the_other_and_back() {
    let place = place();
    place.ok(&[
        "eval",
        "convert",
        "good.trec",
        "--to",
        "beir",
        "--out",
        "good.json",
    ]);
    assert_eq!(
        place
            .ok(&["eval", "convert", "good.json", "--to", "trec"])
            .lines()
            .count(),
        3
    );
    let qrels = place.ok(&["eval", "convert", "qrels.tsv", "--to", "trec"]);
    assert_eq!(qrels, "q1 0 a 2\nq1 0 b 1\nq2 0 c 1\n");
    place.write("qrels.trec", qrels);
    let scored = [
        "eval",
        "score",
        "good.json",
        "--qrels",
        "qrels.trec",
        "--metrics",
        "nDCG@10",
    ];
    assert_eq!(place.json(&scored, 0)[0]["mean"], 1.0);
}

/// A report of one stage with these values.
fn report(values: [f64; 6]) -> String {
    serde_json::json!({
        "dataset": "d", "split": "test", "topic_ids": ["1", "2", "3", "4", "5", "6"],
        "stages": [{"stage": "hybrid", "metrics": [{"metric": "nDCG@10", "values": values}]}],
    })
    .to_string()
}

#[test]
fn the_gate_ends_with_1_when_quality_fell() {
    let place = place();
    place.write("before.json", report([0.5; 6]));
    place.write("same.json", report([0.5, 0.5, 0.5, 0.5, 0.5, 0.495]));
    place.write("worse.json", report([0.5, 0.4, 0.3, 0.4, 0.5, 0.5]));
    let gate = |report: &'static str| ["eval", "gate", report, "--baseline", "before.json"];
    assert!(place.ok(&gate("same.json")).contains("passed"));
    let ran = place.braid(&gate("worse.json"));
    assert_eq!(ran.status, 1);
    assert!(
        ran.stdout.contains("failed") && ran.stdout.contains("fell"),
        "{}",
        ran.stdout
    );
    assert_eq!(place.json(&gate("worse.json"), 1)["passed"], false);
    let lenient = [&gate("worse.json")[..], &["--tolerance", "0.1"]].concat();
    assert_eq!(place.json(&lenient, 0)["passed"], true);
    let floor = [
        &gate("same.json")[..],
        &["--at-least", "hybrid:nDCG@10=0.6"],
    ]
    .concat();
    assert_eq!(place.json(&floor, 1)["checks"][1]["verdict"], "too low");
    place.fails(
        &["eval", "gate", "absent.json", "--baseline", "before.json"],
        2,
        &["absent.json", "eval run"],
    );
}

#[test]
fn what_cannot_be_tried_is_refused_before_anything_is_ingested() {
    let place = place();
    let sweep = [
        "eval",
        "sweep",
        "--dataset",
        ".",
        "--grid",
        "models.threads=1,2",
    ];
    place.fails(&sweep, 2, &["models.threads", "whole process"]);
    let tune = ["eval", "tune", "--dataset", "."];
    place.fails(&tune, 2, &["corpus.jsonl is missing"]);
}

#[test]
fn pairs_that_cannot_be_read_are_named_before_anything_is_opened() {
    let place = place();
    place.write("bad.tsv", "one\tother\tsame\na\tb\t2\n");
    let measured = ["eval", "cache", "--pairs", "bad.tsv"];
    place.fails(&measured, 2, &["bad.tsv:2", "expected 0 or 1"]);
    let missing = ["eval", "cache", "--pairs", "none.tsv"];
    place.fails(&missing, 2, &["none.tsv cannot be read"]);
}
