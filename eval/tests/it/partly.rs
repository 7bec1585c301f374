//! What failed, or could not be searched, is named with its reason, and a command that measured in
//! part says so.

use std::path::Path;

use braid_core::ErrorCode;
use braid_eval::cli::{AblateArgs, DataArgs, LossesArgs, SweepArgs, TuneArgs};
use braid_eval::harness::write_runs;
use braid_eval::table::{Answer, Verdict};
use braid_eval::tune::Validation;
use braid_testkit::{Call, Fault, Faulty, HashEmbedder};
use serde_json::Value;
use tempfile::TempDir;

use crate::world::{World, mini};

/// A document whose line has no text.
const BAD: &str = "{\"_id\":\"mute\"}\n";

/// The committed collection with `corpus` and `queries` at the ends of its files, and `qrels`.
fn with(corpus: &str, queries: &str, qrels: &str) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let to = place.path();
    std::fs::create_dir_all(to.join("qrels")).unwrap();
    for (file, more) in [
        ("corpus.jsonl", corpus),
        ("queries.jsonl", queries),
        ("qrels/test.tsv", qrels),
    ] {
        let text = std::fs::read_to_string(mini().join(file)).unwrap();
        let text = format!("{}\n{more}", text.trim_end());
        std::fs::write(to.join(file), text).unwrap();
    }
    place
}

fn data(dataset: &Path) -> DataArgs {
    DataArgs {
        dataset: dataset.to_owned(),
        split: "test".to_owned(),
    }
}

async fn losses(world: &World, dataset: &Path) -> Answer {
    let args = LossesArgs {
        data: data(dataset),
        top_k: None,
        deep: 1000,
        filter: Vec::new(),
        json: true,
    };
    let plan = args.prepare(&world.settings).unwrap();
    args.answer(&world.engine, &plan).await.unwrap()
}

async fn swept(world: &World, dataset: &Path, grid: &str) -> Answer {
    let args = SweepArgs {
        data: data(dataset),
        grid: vec![grid.parse().unwrap()],
        metrics: vec!["nDCG@10".to_owned()],
        json: false,
    };
    let plan = args.prepare(&world.settings).unwrap();
    args.answer(&world.engine, &plan).await.unwrap()
}

/// The only line that names `what`.
#[track_caller]
fn line<'a>(answer: &'a Answer, what: &str) -> &'a str {
    let mut lines = answer.text.lines().filter(|line| line.contains(what));
    let found = lines
        .next()
        .unwrap_or_else(|| panic!("no {what} in {}", answer.text));
    assert_eq!(lines.next(), None);
    found
}

/// The documents that the only collection which lacks any lacks.
#[track_caller]
fn lacking(answer: &Answer) -> &Value {
    let collections = answer.json["not_searched"].as_object().unwrap();
    assert_eq!(collections.len(), 1, "{}", answer.json);
    collections.values().next().unwrap()
}

#[tokio::test]
async fn a_run_that_lacks_documents_is_done_in_part_and_names_them() {
    let world = World::new(40).await;
    let whole = world.run(&world.args(&mini())).await;
    assert_eq!(whole.answer().unwrap().verdict, Verdict::Done);
    let place = with(BAD, "", "");
    let answer = world.run(&world.args(place.path())).await.answer().unwrap();
    assert_eq!(answer.verdict, Verdict::Partly);
    let line = line(&answer, "not searched: ");
    let (document, reason) = answer.json["not_searched"]
        .as_object()
        .unwrap()
        .iter()
        .next()
        .unwrap();
    assert_eq!(
        line,
        format!("not searched: {document}: {}", reason.as_str().unwrap())
    );
}

#[tokio::test]
async fn every_failed_topic_of_a_run_is_named() {
    let mut faulty = Faulty::new(HashEmbedder::new(256));
    for nth in 1..=9 {
        let fault = Fault::FailBefore(ErrorCode::Unavailable);
        faulty = faulty.on(Call::EmbedQuery, nth, fault);
    }
    let world = World::with_embedder(40, faulty).await;
    let answer = world.run(&world.args(&mini())).await.answer().unwrap();
    assert_eq!(answer.verdict, Verdict::Partly);
    for topic in 1..=9 {
        assert!(line(&answer, &format!("t0{topic}: ")).contains("scripted fault"));
    }
}

#[tokio::test]
async fn an_account_of_losses_says_why_a_topic_was_not_answered() {
    let world = World::new(40).await;
    assert_eq!(losses(&world, &mini()).await.verdict, Verdict::Done);
    // Judged, and not among the queries; the corpus has a document that cannot be read.
    let place = with(BAD, "", "t98\td01\t1\n");
    let answer = losses(&world, place.path()).await;
    assert_eq!(answer.verdict, Verdict::Partly);
    assert_eq!(answer.json["buckets"]["unanswered"], 1);
    assert!(line(&answer, "unanswered: t98: ").contains("queries.jsonl"));
    assert_eq!(answer.json["not_searched"].as_object().unwrap().len(), 1);
    assert!(line(&answer, "not searched: ").contains("corpus.jsonl"));
    let fault = Fault::FailBefore(ErrorCode::Unavailable);
    let faulty = Faulty::new(HashEmbedder::new(256)).on(Call::EmbedQuery, 1, fault.clone());
    // Both the served query and the recorded one.
    let faulty = faulty.on(Call::EmbedQuery, 2, fault);
    let world = World::with_embedder(40, faulty).await;
    let answer = losses(&world, &mini()).await;
    assert_eq!(answer.verdict, Verdict::Partly);
    let reason = answer.json["failed"]["t01"].as_str().unwrap();
    assert!(reason.contains("scripted fault"), "{reason}");
    assert_eq!(
        line(&answer, "unanswered: t01"),
        format!("unanswered: t01: {reason}")
    );
}

#[tokio::test]
async fn trials_name_what_their_collections_lack() {
    let world = World::new(40).await;
    let place = with(BAD, "", "");
    let answer = swept(&world, place.path(), "retrieve.weight_lexical=1,2").await;
    assert_eq!(answer.verdict, Verdict::Partly);
    assert_eq!(lacking(&answer).as_object().unwrap().len(), 1);
    assert!(line(&answer, "not searched: eval-").contains("corpus.jsonl"));
    let args = AblateArgs {
        data: data(place.path()),
        reingest: false,
        metrics: vec!["nDCG@10".to_owned()],
        json: false,
    };
    let plan = args.prepare(&world.settings).unwrap();
    let answer = args.answer(&world.engine, &plan).await.unwrap();
    assert_eq!(answer.verdict, Verdict::Partly);
    lacking(&answer);
    let args = TuneArgs {
        data: data(place.path()),
        grid: vec!["retrieve.weight_lexical=1,2".parse().unwrap()],
        metric: "nDCG@10".to_owned(),
        validation: Validation::Nested,
        random_labels: 0,
        seed: 1,
        json: false,
    };
    let plan = args.prepare(&world.settings).unwrap();
    let answer = args.answer(&world.engine, &plan).await.unwrap();
    assert_eq!(answer.verdict, Verdict::Partly);
    lacking(&answer);
    line(&answer, "not searched: eval-");
}

#[tokio::test]
async fn topics_that_a_run_file_cannot_hold_are_refused_before_anything_is_ranked() {
    let world = World::new(40).await;
    let place = with(
        "",
        "{\"_id\":\"t 1\",\"text\":\"red fox\"}\n",
        "t 1\td01\t1\n",
    );
    let defaults = braid_engine::retrieve_defaults(&world.settings).unwrap();
    let mut args = world.args(place.path());
    let error = args.prepare(&defaults).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidRequest);
    assert!(error.to_string().contains("\"t 1\""), "{error}");
    // Without files it is measured as any other.
    args.out = None;
    let report = world.run(&args).await;
    assert!(report.topic_ids.contains(&"t 1".to_owned()));
    assert!(report.failed.is_empty());
    let result = braid_eval::harness::TopicResult {
        topic: braid_eval::dataset::Topic {
            id: "t 1".to_owned(),
            text: "red fox".to_owned(),
        },
        rankings: Err("not asked".to_owned()),
    };
    let error = write_runs(place.path(), &[], &[result]).unwrap_err();
    assert!(error.to_string().contains("white space"), "{error}");
}
