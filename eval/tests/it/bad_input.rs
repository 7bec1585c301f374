//! What is refused before anything is ingested, and how.

use std::path::Path;

use braid_core::{CollectionName, Error, ErrorCode};
use braid_engine::query::RetrieveRequest;
use braid_eval::cli::{CompareArgs, RunArgs};
use braid_eval::metrics::Metric;

use crate::world::mini;

fn refusal(change: impl FnOnce(&mut RunArgs)) -> Error {
    let mut args = RunArgs {
        dataset: mini(),
        split: "test".to_owned(),
        stages: vec!["lexical".to_owned()],
        depth: 100,
        deadline: false,
        metrics: Metric::REPORTED.map(Metric::name).to_vec(),
        losses: false,
        html: None,
        out: None,
        json: false,
    };
    change(&mut args);
    let defaults = RetrieveRequest::new("q", CollectionName::new("default").unwrap());
    let error = args.prepare(&defaults).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidRequest);
    error
}

#[test]
fn a_folder_that_is_no_dataset_is_named_with_what_it_lacks() {
    let error = refusal(|args| args.dataset = mini().join("qrels"));
    assert!(
        error.to_string().contains("corpus.jsonl is missing"),
        "{error}"
    );
    assert!(error.help().unwrap().contains("BEIR folder"));
}

#[test]
fn an_unknown_split_is_refused_with_those_there_are() {
    let error = refusal(|args| args.split = "dev".to_owned());
    assert!(error.to_string().contains("no split \"dev\""), "{error}");
    assert!(error.help().unwrap().contains("one of: test"));
}

#[test]
fn an_unknown_stage_is_refused_with_those_there_are() {
    let error = refusal(|args| args.stages.push("fused".to_owned()));
    let message = error.to_string();
    assert!(message.contains("unknown stage \"fused\""), "{message}");
    assert!(
        message.contains("lexical, dense, hybrid, rerank, served"),
        "{message}"
    );
}

#[test]
fn a_depth_no_leg_can_reach_is_refused() {
    for depth in [0, 2001] {
        let error = refusal(|args| args.depth = depth);
        let message = error.to_string();
        assert!(
            message.contains(&format!("--depth is {depth}")),
            "{message}"
        );
    }
}

#[test]
fn a_metric_deeper_than_the_depth_is_refused_with_the_depth_it_needs() {
    for (metric, depth) in [("R@50", 2), ("P@5", 4), ("nDCG@101", 100)] {
        let error = refusal(|args| {
            args.metrics = vec!["AP".to_owned(), metric.to_owned()];
            args.depth = depth;
        });
        let message = error.to_string();
        let cut = metric.split_once('@').unwrap().1;
        assert!(message.starts_with(metric), "{message}");
        assert!(message.contains(&format!("--depth {cut}")), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn a_malformed_line_is_named() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    std::fs::create_dir(folder.join("qrels")).unwrap();
    std::fs::write(folder.join("corpus.jsonl"), "").unwrap();
    let good = "{\"_id\":\"q\",\"text\":\"t\"}\n";
    let judged = "query-id\tcorpus-id\tscore\nq\td\t1\n";
    for (queries, qrels, named) in [
        (
            format!("{good}{{\"_id\":1}}\n"),
            judged.to_owned(),
            "queries.jsonl:2:",
        ),
        (
            good.to_owned(),
            format!("{judged}q\td2\tx\n"),
            "test.tsv:3:",
        ),
        (good.to_owned(), format!("{judged}q\n"), "test.tsv:3:"),
        (
            good.to_owned(),
            "query-id\tcorpus-id\tscore\n".to_owned(),
            "has no judgements",
        ),
    ] {
        std::fs::write(folder.join("queries.jsonl"), queries).unwrap();
        std::fs::write(folder.join("qrels/test.tsv"), qrels).unwrap();
        let error = refusal(|args| args.dataset = folder.to_owned());
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[test]
fn a_run_file_that_is_not_there_is_named() {
    let compare = CompareArgs {
        a: Path::new("absent.trec").to_owned(),
        b: vec![Path::new("absent.trec").to_owned()],
        metrics: vec!["AP".to_owned()],
        qrels: mini().join("qrels/test.tsv"),
        json: false,
    };
    let error = compare.run().unwrap_err();
    assert!(
        error.to_string().contains("cannot read absent.trec"),
        "{error}"
    );
}
