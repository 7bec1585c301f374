//! Ablation, sweeps and tuning over the committed collection: what they measure is what is served, and what
//! is the same for many settings is done once.

use std::fmt::Write;
use std::path::Path;

use braid_core::ErrorCode;
use braid_engine::query::RetrieveRequest;
use braid_eval::cli::{AblateArgs, DataArgs, SweepArgs, TuneArgs};
use braid_eval::dataset::Dataset;
use braid_eval::harness::collection_of;
use braid_eval::metrics::Metric;
use braid_eval::table::{Answer, Verdict};
use braid_eval::trec::read_run;
use braid_eval::tune::Validation;
use braid_testkit::{Call, Fault, Faulty, HashEmbedder};
use serde_json::Value;

use crate::world::{self, World, mini};

fn data() -> DataArgs {
    DataArgs {
        dataset: mini(),
        split: "test".to_owned(),
    }
}

fn sweep(grid: &[&str]) -> SweepArgs {
    SweepArgs {
        data: data(),
        grid: grid.iter().map(|axis| axis.parse().unwrap()).collect(),
        metrics: vec!["nDCG@10".to_owned(), "P@5".to_owned()],
        json: false,
    }
}

async fn swept(world: &World, grid: &[&str]) -> Answer {
    let args = sweep(grid);
    let plan = args.prepare(&world.settings).unwrap();
    args.answer(&world.engine, &plan).await.unwrap()
}

fn trial<'a>(answer: &'a Answer, name: &str) -> &'a Value {
    let trials = answer.json["trials"].as_array().unwrap();
    let found = trials.iter().find(|trial| trial["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {}", answer.text))
}

fn mean(trial: &Value) -> f64 {
    trial["metrics"][0]["mean"].as_f64().unwrap()
}

/// nDCG@10 of what is served with these settings, document by document.
async fn served(world: &World, change: impl Fn(&mut RetrieveRequest)) -> f64 {
    let dataset = Dataset::open(&mini(), "test").unwrap();
    let collection = collection_of(&world.engine, &dataset).unwrap();
    let mut sum = 0.0;
    for topic in &dataset.topics {
        let mut request = RetrieveRequest::new(&topic.text, collection.clone());
        // Every passage is returned: the corpus has 38.
        request.top_k = 50;
        request.rerank.deadline_ms = None;
        change(&mut request);
        let hits = world.engine.retrieve(request).await.unwrap().hits;
        let mut ranking: Vec<String> = Vec::new();
        for hit in hits {
            let id = hit.passage.record.document.as_str().to_owned();
            if !ranking.contains(&id) {
                ranking.push(id);
            }
        }
        sum += Metric::ndcg(10).measure(&ranking, &dataset.qrels[&topic.id]);
    }
    sum / dataset.qrels.len() as f64
}

#[tokio::test]
async fn a_sweep_measures_what_is_served_and_searches_each_query_once() {
    let world = World::new(40).await;
    let answer = swept(
        &world,
        &[
            "retrieve.fusion_k=1,60",
            "retrieve.weight_lexical=1,4",
            "retrieve.rerank_blend=0,1",
        ],
    )
    .await;
    assert_eq!(answer.verdict, Verdict::Done);
    assert_eq!(answer.json["searches"], 12);
    assert_eq!(answer.json["rankings"], 9 * 12);
    // 12 queries with at most 38 passages each, however many settings asked for them.
    assert!(answer.json["scored_pairs"].as_u64().unwrap() <= 12 * 38);
    let as_set = mean(trial(&answer, "as set"));
    assert!((as_set - served(&world, |_| {}).await).abs() < 1e-12);
    let other = mean(trial(&answer, "fusion_k=1 weight_lexical=4 rerank_blend=0"));
    let expected = served(&world, |request| {
        request.fusion.k = 1.0;
        request.fusion.weights.lexical = 4.0;
        request.rerank.blend = Some(0.0);
    })
    .await;
    assert!((other - expected).abs() < 1e-12, "{other} {expected}");
    let means: Vec<f64> = answer.json["trials"]
        .as_array()
        .unwrap()
        .iter()
        .map(mean)
        .collect();
    assert!(
        means.windows(2).all(|pair| pair[0] >= pair[1]),
        "best first"
    );
    let row = trial(&answer, "fusion_k=1 weight_lexical=4 rerank_blend=0");
    let against = &row["metrics"][0]["against_baseline"];
    assert!((against["difference"].as_f64().unwrap() - (other - as_set)).abs() < 1e-12);
    assert!(against["p_holm"].as_f64() >= against["p"].as_f64());
    assert!(trial(&answer, "as set")["metrics"][0]["against_baseline"].is_null());
}

#[tokio::test]
async fn the_stage_served_asks_the_mode_the_depths_and_the_count_that_are_set() {
    let mut world = World::new(40).await;
    let mut args = world.args(&mini());
    args.stages = vec!["served".to_owned()];
    let as_set = world.run(&args).await;
    let expected = served(&world, |_| {}).await;
    assert!((world::mean(&as_set, "served", "nDCG@10") - expected).abs() < 1e-12);
    let section = &mut world.settings.retrieve;
    (section.candidates_lexical, section.candidates_dense) = (2, 1);
    (section.top_k, section.rerank) = (1, false);
    let narrow = world.run(&args).await;
    let in_settings = narrow.settings.served.as_ref().unwrap();
    assert_eq!(
        (in_settings.candidates_lexical, in_settings.candidates_dense),
        (2, 1)
    );
    // No more than two passages of one leg and one of the other can be found.
    assert!(narrow.failed.is_empty() && as_set.failed.is_empty());
    let run = world.out().join("run.served.trec");
    let longest = read_run(&run).unwrap().values().map(Vec::len).max();
    assert_eq!(longest, Some(3));
    world.settings.retrieve.mode = braid_config::RetrieveMode::Dense;
    let dense = world.run(&args).await;
    let longest = read_run(&run).unwrap().values().map(Vec::len).max();
    assert_eq!(
        (longest, dense.settings.served.unwrap().mode),
        (Some(1), "dense")
    );
}

#[tokio::test]
async fn settings_of_a_collection_ingest_once_for_each_value() {
    let world = World::new(40).await;
    let answer = swept(
        &world,
        &["chunking.target_tokens=8,40", "retrieve.fusion_k=1,60"],
    )
    .await;
    assert_eq!(answer.json["searches"], 2 * 12, "{}", answer.text);
    assert_eq!(answer.json["rankings"], 4 * 12);
    let names = world.collection_names().await;
    assert_eq!(
        names,
        [
            "eval-mini-structure-40-0-auto",
            "eval-mini-structure-8-0-auto"
        ]
    );
}

#[tokio::test]
async fn ablation_takes_out_one_stage_at_a_time() {
    let world = World::new(40).await;
    let args = AblateArgs {
        data: data(),
        reingest: true,
        metrics: vec!["nDCG@10".to_owned()],
        json: false,
    };
    let plan = args.prepare(&world.settings).unwrap();
    assert!(plan.needs_reranker());
    let answer = args.answer(&world.engine, &plan).await.unwrap();
    assert_eq!(
        answer.json["searches"],
        4 * 12,
        "as set, words not corrected, whole documents, no analysis"
    );
    let full = served(&world, |_| {}).await;
    assert!((mean(trial(&answer, "full")) - full).abs() < 1e-12);
    let without = served(&world, |request| request.rerank.enabled = false).await;
    assert!((mean(trial(&answer, "without re-ranking")) - without).abs() < 1e-12);
    let alone = served(&world, |request| {
        request.mode = braid_engine::query::Mode::Dense;
        request.rerank.enabled = false;
    })
    .await;
    assert!((mean(trial(&answer, "dense leg alone")) - alone).abs() < 1e-12);
    assert!(alone < full, "the test has something to take out");
    assert!(answer.text.contains("without chunking"));
}

#[tokio::test]
async fn trials_that_search_otherwise_share_no_recording() {
    let world = World::new(40).await;
    let place = tempfile::tempdir().unwrap();
    let dataset = place.path().join("misspelt");
    misspell(&mini(), &dataset);
    let mut args = sweep(&["retrieve.typos=auto,off", "retrieve.fusion_k=1,60"]);
    args.data.dataset = dataset.clone();
    let mut settings = world.settings.clone();
    (settings.retrieve.mode, settings.retrieve.rerank) =
        (braid_config::RetrieveMode::Lexical, false);
    let plan = args.prepare(&settings).unwrap();
    let answer = args.answer(&world.engine, &plan).await.unwrap();
    assert_eq!(answer.json["searches"], 2 * 12, "{}", answer.text);
    let corrected = mean(trial(&answer, "as set"));
    let as_written = mean(trial(&answer, "typos=off fusion_k=60"));
    assert!(as_written < corrected - 0.05, "{}", answer.text);
}

/// Copies a dataset with a letter doubled in every longer word of its queries.
fn misspell(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.join("qrels")).unwrap();
    for file in ["corpus.jsonl", "qrels/test.tsv"] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
    let queries = std::fs::read_to_string(from.join("queries.jsonl")).unwrap();
    let mut written = String::new();
    for line in queries.lines() {
        let mut query: Value = serde_json::from_str(line).unwrap();
        let words = query["text"].as_str().unwrap().split(' ');
        let misspelt: Vec<String> = words
            .map(|word| match word.char_indices().nth(3) {
                Some((at, letter)) if word.len() > 5 => {
                    format!("{}{letter}{}", &word[..at], &word[at..])
                }
                _ => word.to_owned(),
            })
            .collect();
        query["text"] = misspelt.join(" ").into();
        writeln!(written, "{query}").unwrap();
    }
    std::fs::write(to.join("queries.jsonl"), written).unwrap();
}

fn tune(grid: &[&str], random_labels: u64) -> TuneArgs {
    TuneArgs {
        data: data(),
        grid: grid.iter().map(|axis| axis.parse().unwrap()).collect(),
        metric: "nDCG@10".to_owned(),
        validation: Validation::Nested,
        random_labels,
        seed: 1,
        json: false,
    }
}

#[tokio::test]
async fn tuning_says_what_it_tried_and_what_held() {
    let mut world = World::new(40).await;
    // From a bad start there is much to gain.
    world.settings.retrieve.mode = braid_config::RetrieveMode::Dense;
    world.settings.retrieve.rerank = false;
    let args = tune(&["retrieve.mode=lexical,hybrid"], 20);
    let plan = args.prepare(&world.settings).unwrap();
    let answer = args.answer(&world.engine, &plan).await.unwrap();
    assert_eq!(
        (&answer.json["trials"], &answer.json["searches"]),
        (&Value::from(3), &Value::from(12))
    );
    let number = |name: &str| answer.json[name].as_f64().unwrap();
    assert_eq!(
        answer.json["chosen"],
        serde_json::json!({"retrieve.mode": "lexical"}),
        "{}",
        answer.text
    );
    assert!(number("held_out_gain") > 0.05, "{}", answer.text);
    assert!(number("chosen_mean") > number("baseline_mean") + 0.05);
    assert_eq!(answer.json["random_labels"]["seeds"], 20);
    assert!(
        answer.json["random_labels"]["recommended"]
            .as_u64()
            .unwrap()
            <= 1,
        "{}",
        answer.text
    );
    let again = args.answer(&world.engine, &plan).await.unwrap();
    assert_eq!(
        answer, again,
        "the same labels and seed give the same answer"
    );
}

#[tokio::test]
async fn a_half_that_chooses_is_told_with_its_own_mean() {
    let mut world = World::new(40).await;
    world.settings.retrieve.mode = braid_config::RetrieveMode::Dense;
    world.settings.retrieve.rerank = false;
    let mut args = tune(&["retrieve.mode=lexical,hybrid"], 0);
    args.validation = Validation::SplitHalf;
    let plan = args.prepare(&world.settings).unwrap();
    let answer = args.answer(&world.engine, &plan).await.unwrap();
    let number = |name: &str| answer.json[name].as_f64().unwrap();
    assert!((number("choosing_mean") - number("chosen_mean")).abs() > 1e-4);
    let told = answer.text.lines().find(|line| line.starts_with("best on"));
    let mean = format!("({:.4})", number("choosing_mean"));
    assert!(told.unwrap().ends_with(&mean), "{}", answer.text);
}

#[tokio::test]
async fn what_is_as_good_as_set_is_not_recommended() {
    let world = World::new(40).await;
    // A deeper leg than there are passages changes nothing.
    let args = tune(&["retrieve.candidates_dense=60,70"], 0);
    let plan = args.prepare(&world.settings).unwrap();
    let answer = args.answer(&world.engine, &plan).await.unwrap();
    assert_eq!(answer.json["recommended"], false);
    assert!(
        answer.text.contains("nothing is recommended"),
        "{}",
        answer.text
    );
    assert_eq!(answer.json["chosen"], serde_json::json!({}));
}

#[tokio::test]
async fn a_query_that_fails_counts_nothing_for_every_trial_and_is_named() {
    let fault = Fault::FailBefore(ErrorCode::Unavailable);
    let faulty = Faulty::new(HashEmbedder::new(256)).on(Call::EmbedQuery, 3, fault);
    let world = World::with_embedder(40, faulty).await;
    let answer = swept(&world, &["retrieve.fusion_k=1,60"]).await;
    assert_eq!(answer.verdict, Verdict::Partly);
    assert!(
        answer.json["failed"]["t03"]
            .as_str()
            .unwrap()
            .contains("scripted fault")
    );
    assert_eq!(answer.json["searches"], 11);
    let healthy = World::new(40).await;
    let whole = swept(&healthy, &["retrieve.fusion_k=1,60"]).await;
    assert!(mean(trial(&answer, "as set")) < mean(trial(&whole, "as set")));
}

#[test]
fn bad_grids_are_refused_before_anything_is_opened() {
    let settings = braid_config::Settings::default();
    for (axis, why) in [
        ("dense.ef_search=1,2", "whole process"),
        ("retrieve.fusion_k=-1", "fusion"),
    ] {
        let error = sweep(&[axis]).prepare(&settings).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
    let mut args = tune(&[], 0);
    assert!(args.prepare(&settings).unwrap().trials.len() > 100);
    args.metric = "nonsense".to_owned();
    assert!(args.prepare(&settings).is_err());
}
