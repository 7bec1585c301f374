//! `braid plan`.

use serde_json::Value;

use crate::run::Place;

const ASKED: [&str; 5] = ["plan", "--chunks", "1e9", "--qps", "2000"];

#[test]
fn a_plan_says_what_it_takes_for_granted_and_what_is_missing() {
    let place = Place::new();
    let text = place.ok(&ASKED);
    for word in [
        "Braid, nodes: ",
        "disk of each, GiB",
        "CPU of a query, ms",
        "ingestion, hours: ",
        "assumed: ",
        "error: ",
    ] {
        assert!(text.contains(word), "no {word:?} in {text}");
    }
    assert!(!place.path().join("data").exists(), "nothing is opened");
}

/// Every number is there, or is named as not measured.
#[test]
fn json_has_every_part_and_what_is_null_is_named() {
    let place = Place::new();
    for more in [
        &[][..],
        &[
            "--profile",
            "qdrant",
            "--quantization",
            "scalar",
            "--replicas",
            "2",
        ],
        &["--profile", "cluster", "--workers", "8"],
    ] {
        let plan = place.json(&[&ASKED[..], more].concat(), 0);
        assert_eq!(plan["wanted"]["chunks"], 1_000_000_000_u64);
        assert_eq!(plan["qdrant"].is_null(), more.is_empty());
        let unknown = plan["not_measured"].as_array().unwrap();
        let groups = [&plan["braid"], &plan["qdrant"]]
            .into_iter()
            .filter(|group| !group.is_null());
        for group in groups {
            for (sum, parts) in [
                ("memory_gib", "memory"),
                ("disk_gib", "disk"),
                ("query_cpu_ms", "query_cpu"),
            ] {
                let parts = group[parts].as_array().unwrap();
                let missing: Vec<&Value> = parts
                    .iter()
                    .filter(|part| part["value"].is_null())
                    .collect();
                assert_eq!(group[sum].is_null(), !missing.is_empty(), "{plan}");
                for part in missing {
                    assert!(unknown.contains(&part["what"]), "{part} in {unknown:?}");
                }
            }
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let place = Place::new();
    place.fails(&["plan", "--chunks", "10"], 2, &["--qps"]);
    place.fails(
        &["plan", "--chunks", "1.5", "--qps", "1"],
        2,
        &["whole number"],
    );
    place.fails(&["plan", "--chunks", "0", "--qps", "1"], 2, &["--chunks"]);
    place.fails(&["plan", "--chunks", "1", "--qps", "nan"], 2, &["--qps"]);
    place.fails(&["plan", "--chunks", "1", "--qps=-1"], 2, &["--qps"]);
    let asked = ["plan", "--chunks", "1", "--qps", "1"];
    let with = |more: [&'static str; 2]| [&asked[..], &more[..]].concat();
    let known = &["embedded", "qdrant", "cluster"];
    place.fails(&with(["--profile", "galaxy"]), 2, known);
    place.fails(&with(["--workers", "2"]), 2, &["--profile cluster"]);
    let scalar = with(["--quantization", "scalar"]);
    place.fails(&scalar, 2, &["--profile qdrant"]);
}
