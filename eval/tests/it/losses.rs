//! Where relevant documents are lost, over real pipelines: each bucket is reached by making its stage lose
//! something, and the buckets always add up.

use std::collections::BTreeSet;
use std::path::Path;

use braid_core::{DocumentId, ErrorCode};
use braid_engine::query::{ExplainRequest, RetrieveRequest, Syntax};
use braid_eval::cli::{DataArgs, LossesArgs};
use braid_testkit::{Call, Fault, Faulty, HashEmbedder};
use serde_json::Value;

use crate::world::{World, mini};

/// Relevant pairs of topic and document of the committed collection.
const RELEVANT: u64 = 21;

fn args(dataset: &Path, top_k: usize) -> LossesArgs {
    LossesArgs {
        data: DataArgs {
            dataset: dataset.to_owned(),
            split: "test".to_owned(),
        },
        top_k: Some(top_k),
        deep: 1000,
        filter: Vec::new(),
        json: true,
    }
}

/// The account; that it adds up is checked here, every time.
async fn account(world: &World, args: &LossesArgs) -> Value {
    let plan = args.prepare(&world.settings).unwrap();
    let answer = args.answer(&world.engine, &plan).await.unwrap();
    let losses = answer.json;
    let buckets = losses["buckets"].as_object().unwrap();
    assert_eq!(buckets.len(), 13);
    let sum: u64 = buckets.values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(sum, losses["relevant"].as_u64().unwrap(), "{}", answer.text);
    let topics = losses["lost"].as_object().unwrap();
    let lost: usize = topics
        .values()
        .map(|lost| lost.as_array().unwrap().len())
        .sum();
    assert_eq!(lost as u64, sum - count(&losses, "found"));
    losses
}

#[track_caller]
fn count(losses: &Value, stage: &str) -> u64 {
    losses["buckets"][stage].as_u64().unwrap()
}

/// A dataset of its own: documents by id and text, and what is relevant to the one query `fox den`.
fn written(place: &Path, documents: &[(&str, &str)], relevant: &[&str]) {
    std::fs::create_dir_all(place.join("qrels")).unwrap();
    let corpus = documents
        .iter()
        .map(|(id, text)| format!("{}\n", serde_json::json!({"_id": id, "text": text})));
    std::fs::write(place.join("corpus.jsonl"), corpus.collect::<String>()).unwrap();
    std::fs::write(
        place.join("queries.jsonl"),
        "{\"_id\":\"q\",\"text\":\"fox den\"}\n",
    )
    .unwrap();
    let qrels = relevant.iter().map(|id| format!("q\t{id}\t1\n"));
    let qrels = format!("query-id\tcorpus-id\tscore\n{}", qrels.collect::<String>());
    std::fs::write(place.join("qrels/test.tsv"), qrels).unwrap();
}

#[tokio::test]
async fn everything_is_found_where_everything_is_returned() {
    let mut world = World::new(40).await;
    world.settings.retrieve.context_max_tokens = 0;
    let losses = account(&world, &args(&mini(), 100)).await;
    assert_eq!(
        (
            count(&losses, "found"),
            losses["relevant"].as_u64().unwrap()
        ),
        (RELEVANT, RELEVANT)
    );
    // A smaller context holds fewer of them.
    world.settings.retrieve.context_max_tokens = 60;
    let losses = account(&world, &args(&mini(), 100)).await;
    assert!(count(&losses, "cut_by_budget") > 0, "{losses}");
    assert_eq!(
        count(&losses, "cut_by_budget") + count(&losses, "found"),
        RELEVANT
    );
}

#[tokio::test]
async fn what_is_not_in_the_corpus_was_not_ingested() {
    let world = World::new(40).await;
    let place = tempfile::tempdir().unwrap();
    written(
        place.path(),
        &[("a", "fox den"), ("b", "owl nest")],
        &["a", "gone", "b"],
    );
    let losses = account(&world, &args(place.path(), 8)).await;
    assert_eq!(
        (count(&losses, "not_ingested"), count(&losses, "found")),
        (1, 2)
    );
    assert_eq!(losses["lost"]["q"][0]["document"], "gone");
    assert_eq!(losses["lost"]["q"][0]["stage"], "not_ingested");
}

#[tokio::test]
async fn legs_lose_below_their_depth_and_by_missing() {
    let mut world = World::new(40).await;
    let place = tempfile::tempdir().unwrap();
    let documents = [
        ("a", "fox den"),
        ("b", "fox den deep"),
        ("c", "a den of a fox and other things"),
        ("d", "owl nest"),
    ];
    written(place.path(), &documents, &["a", "c", "d"]);
    world.settings.retrieve.candidates_lexical = 1;
    world.settings.retrieve.candidates_dense = 1;
    let losses = account(&world, &args(place.path(), 1)).await;
    assert_eq!(
        (
            count(&losses, "found"),
            count(&losses, "below_depth"),
            count(&losses, "lexical_miss")
        ),
        (1, 1, 1),
        "{losses}"
    );
    // No word of the query is in it, and the vectors are of words: a leg alone loses it by itself.
    let mut alone = args(place.path(), 1);
    alone.deep = 2;
    let losses = account(&world, &alone).await;
    assert_eq!(count(&losses, "missed"), 2, "{losses}");
    world.settings.retrieve.mode = braid_config::RetrieveMode::Lexical;
    let losses = account(&world, &args(place.path(), 1)).await;
    assert_eq!(
        (
            count(&losses, "below_depth"),
            count(&losses, "lexical_miss")
        ),
        (1, 1),
        "{losses}"
    );
}

#[tokio::test]
async fn fusion_loses_what_it_places_too_far_down_and_the_re_ranker_what_it_scored() {
    let mut world = World::new(40).await;
    let place = tempfile::tempdir().unwrap();
    let documents = [
        ("a", "fox den"),
        ("b", "fox den deep"),
        ("c", "a den of a fox and other things"),
    ];
    written(place.path(), &documents, &["a", "b", "c"]);
    world.settings.retrieve.rerank_candidates = 2;
    let losses = account(&world, &args(place.path(), 1)).await;
    // All three say as much of the query: the re-ranker leaves them as they are.
    let counts = ["found", "demoted", "fused_out"].map(|stage| count(&losses, stage));
    assert_eq!(counts, [1, 0, 2], "{losses}");
    world.settings.retrieve.rerank = false;
    let losses = account(&world, &args(place.path(), 1)).await;
    assert_eq!(
        (count(&losses, "demoted"), count(&losses, "fused_out")),
        (0, 2),
        "{losses}"
    );
    // A leg without a vote: what it alone has among its candidates is lost by fusion.
    world.settings.retrieve.weight_lexical = 0.0;
    world.settings.retrieve.candidates_dense = 1;
    let losses = account(&world, &args(place.path(), 1)).await;
    assert_eq!(count(&losses, "fused_out"), 2, "{losses}");
}

#[tokio::test]
async fn the_re_ranker_loses_what_would_be_returned_without_it() {
    let mut world = World::new(40).await;
    let place = tempfile::tempdir().unwrap();
    let long = "a den that a fox dug under an old tree by the water long ago, and left again";
    written(place.path(), &[("a", "fox"), ("b", long)], &["a", "b"]);
    world.settings.retrieve.weight_lexical = 0.0;
    world.settings.retrieve.rerank_blend = Some(1.0);
    let losses = account(&world, &args(place.path(), 1)).await;
    let counts = ["found", "demoted", "fused_out"].map(|stage| count(&losses, stage));
    assert_eq!(counts, [1, 1, 0], "{losses}");
    assert_eq!(losses["lost"]["q"][0]["document"], "a");
    world.settings.retrieve.rerank = false;
    let losses = account(&world, &args(place.path(), 1)).await;
    let counts = ["found", "demoted", "fused_out"].map(|stage| count(&losses, stage));
    assert_eq!(counts, [1, 0, 1], "{losses}");
    assert_eq!(losses["lost"]["q"][0]["document"], "b");
}

#[tokio::test]
async fn what_the_context_leaves_out_as_nearly_the_same_is_no_matter_of_room() {
    let world = World::new(40).await;
    let place = tempfile::tempdir().unwrap();
    let said = "a fox has a den under the old tree by the water where it sleeps all day";
    let nearly = format!("{said} long");
    let documents = [("a", said), ("b", &nearly), ("c", "fox")];
    written(place.path(), &documents, &["a", "b"]);
    let losses = account(&world, &args(place.path(), 3)).await;
    let counts = ["found", "deduplicated", "cut_by_budget"].map(|stage| count(&losses, stage));
    assert_eq!(counts, [1, 1, 0], "{losses}");
}

/// What `braid explain` calls the stage of a lost document, of which it tells fewer apart.
fn is_the_same(cut: &str, fate: &str) -> bool {
    match cut {
        "not_found" => fate == "not_ingested",
        "below_depth" => ["below_depth", "lexical_miss", "dense_miss", "truncated"].contains(&fate),
        "lexical_miss" | "dense_miss" => {
            ["missed", "lexical_miss", "dense_miss", "truncated"].contains(&fate)
        }
        "near_duplicate" => fate == "deduplicated",
        "budget" => fate == "cut_by_budget",
        cut => cut == fate,
    }
}

#[tokio::test]
async fn explain_names_the_same_stage() {
    let mut world = World::new(12).await;
    let retrieve = &mut world.settings.retrieve;
    retrieve.candidates_lexical = 4;
    retrieve.candidates_dense = 4;
    retrieve.rerank_candidates = 4;
    retrieve.rerank_blend = Some(1.0);
    retrieve.context_max_tokens = 30;
    let mut stages = BTreeSet::new();
    for (top_k, weight) in [(1, 1.0), (2, 1.0), (3, 1.0), (1, 0.0), (2, 0.0), (3, 0.0)] {
        world.settings.retrieve.weight_lexical = weight;
        let args = args(&mini(), top_k);
        let losses = account(&world, &args).await;
        let plan = args.prepare(&world.settings).unwrap();
        let names = world.engine.collection_names().await.unwrap();
        let [collection] = &names[..] else {
            panic!("{names:?}")
        };
        for (topic, lost) in losses["lost"].as_object().unwrap() {
            let mut topics = plan.dataset.topics.iter();
            let asked = topics.find(|one| one.id == *topic).unwrap();
            for lost in lost.as_array().unwrap() {
                let request = RetrieveRequest {
                    collection: collection.clone(),
                    query: asked.text.clone(),
                    syntax: Syntax::Off,
                    ..plan.request.clone()
                };
                let id = DocumentId::new(lost["document"].as_str().unwrap()).unwrap();
                let explained = world.engine.explain(ExplainRequest::new(id, request)).await;
                let cut = explained.unwrap().cut.unwrap();
                let fate = lost["stage"].as_str().unwrap();
                assert!(
                    is_the_same(cut.as_str(), fate),
                    "{topic}, {lost}: explained as {}",
                    cut.as_str()
                );
                stages.insert(fate.to_owned());
            }
        }
    }
    // Not one stage alone.
    for stage in ["demoted", "fused_out", "cut_by_budget"] {
        assert!(stages.contains(stage), "{stages:?}");
    }
}

#[tokio::test]
async fn of_documents_that_say_the_same_one_is_told() {
    let world = World::new(40).await;
    let place = tempfile::tempdir().unwrap();
    written(
        place.path(),
        &[("a", "fox den"), ("b", "fox den"), ("c", "owl")],
        &["a", "b"],
    );
    let losses = account(&world, &args(place.path(), 2)).await;
    assert_eq!(
        (count(&losses, "found"), count(&losses, "deduplicated")),
        (1, 1),
        "{losses}"
    );
}

#[tokio::test]
async fn a_filter_loses_what_it_excludes() {
    let world = World::new(40).await;
    let mut filtered = args(&mini(), 8);
    filtered.filter = vec!["lang=en".parse().unwrap()];
    let losses = account(&world, &filtered).await;
    assert_eq!(
        count(&losses, "filtered"),
        RELEVANT,
        "no document has metadata: {losses}"
    );
}

#[tokio::test]
async fn a_query_that_fails_answers_for_all_that_is_relevant_to_it() {
    let fault = Fault::FailBefore(ErrorCode::Unavailable);
    // Both the served query and the recorded one.
    let faulty = Faulty::new(HashEmbedder::new(256)).on(Call::EmbedQuery, 1, fault);
    let faulty = faulty.on(
        Call::EmbedQuery,
        2,
        Fault::FailBefore(ErrorCode::Unavailable),
    );
    let world = World::with_embedder(40, faulty).await;
    let losses = account(&world, &args(&mini(), 8)).await;
    assert_eq!(count(&losses, "unanswered"), 2, "t01 has two: {losses}");
}

#[tokio::test]
async fn the_account_is_part_of_a_report_and_of_its_page() {
    let world = World::new(40).await;
    let mut run = world.args(&mini());
    run.losses = true;
    run.metrics = vec!["P@5".to_owned(), "nDCG@10".to_owned()];
    run.html = Some(world.out().join("page.html"));
    let report = world.run(&run).await;
    let losses = report.losses.as_ref().unwrap();
    assert_eq!(losses.relevant as u64, RELEVANT);
    assert!(report.table().contains("cut_by_budget"));
    let names: Vec<&str> = report.stages[0]
        .metrics
        .iter()
        .map(|metric| metric.metric.as_str())
        .collect();
    assert_eq!(names, ["P@5", "nDCG@10"]);
    let page = std::fs::read_to_string(world.out().join("page.html")).unwrap();
    for section in [
        "Quality of each stage",
        "Recall against depth",
        "Gains and losses",
        "were lost",
        "Latency",
    ] {
        assert!(page.contains(section), "no {section}");
    }
    assert!(!page.contains("//") && page.contains("mini (test)"));
}

#[test]
fn bad_counts_are_refused() {
    let settings = braid_config::Settings::default();
    let error = args(&mini(), 0).prepare(&settings).unwrap_err();
    assert!(error.to_string().contains("--top-k is 0"), "{error}");
    let mut deep = args(&mini(), 8);
    deep.deep = 5000;
    assert!(
        deep.prepare(&settings)
            .unwrap_err()
            .to_string()
            .contains("--deep is 5000")
    );
}
