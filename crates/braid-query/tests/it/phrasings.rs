//! Several phrasings of a query: one list, and which phrasing found what.

use std::collections::BTreeMap;

use braid_core::{ChunkId, ErrorCode};
use braid_query::{
    Mode, MoveCause, Note, RetrieveRequest, RetrieveResponse, RetrievedHit, ScoreStage,
};
use braid_testkit::{Call, Fault, OverlapReranker};
use expect_test::expect;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::setup::{Setup, block_on, documents, show};

const ANIMALS: &str = "
    d1: red fox
    d2: blue owl
    d3: green whale
    d4: red red wine";

fn phrased(setup: &Setup, query: &str, also: &[&str]) -> RetrieveRequest {
    RetrieveRequest {
        also: also.iter().map(|&text| text.to_owned()).collect(),
        ..setup.request(query)
    }
}

fn found_by(hit: &RetrievedHit) -> Vec<usize> {
    hit.phrasings.iter().map(|found| found.phrasing).collect()
}

#[tokio::test]
async fn what_any_phrasing_finds_is_one_list_and_says_which_found_it() {
    let setup = Setup::new(ANIMALS).await;
    let mut request = phrased(&setup, "fox", &["owl", "red fox"]);
    request.mode = Mode::Lexical;
    let response = setup.retrieve(request).await;
    // d1 is first for two phrasings, 2/61; d2 for one; d4 second for one, 1/62.
    expect![[r#"
        1 d1#0 fused 0.0328: lexical@1=0.5000 fused@1=0.0328
        2 d2#0 fused 0.0164: lexical@1=0.5000 fused@2=0.0164
        3 d4#0 fused 0.0161: lexical@2=0.6667 fused@3=0.0161
    "#]]
    .assert_eq(&show(&response));
    let found: Vec<_> = response.hits.iter().map(found_by).collect();
    assert_eq!(found, [vec![0, 2], vec![1], vec![2]]);
    assert_eq!(response.hits[0].score_stage, ScoreStage::Fused);
    assert_eq!(response.terms, ["fox", "owl", "red"]);
    let moves = response.hits[2].moves(false);
    assert_eq!(moves[0].cause, MoveCause::Phrasings { found: 1 });
    assert_eq!((moves[0].from, moves[0].to), (2, 3));
    let alone = setup.retrieve(setup.request("fox")).await;
    assert!(alone.hits.iter().all(|hit| hit.phrasings.is_empty()));
}

#[tokio::test]
async fn a_phrasing_that_repeats_another_counts_once() {
    let setup = Setup::new(ANIMALS).await;
    let once = setup.retrieve(phrased(&setup, "fox", &["owl"])).await;
    let repeated = phrased(&setup, "fox", &["owl", " fox ", "owl"]);
    let repeated = setup.retrieve(repeated).await;
    assert_eq!(show(&once), show(&repeated));
    assert_eq!(setup.corpus.embedder.queries_embedded(), 4);
}

#[tokio::test]
async fn hits_are_re_ranked_for_the_query_itself() {
    let setup = Setup::new(ANIMALS)
        .await
        .with_reranker(OverlapReranker::new());
    let mut request = phrased(&setup, "blue owl", &["red fox", "wine"]);
    request.rerank.enabled = true;
    let response = setup.retrieve(request.clone()).await;
    let raw = |hit: &RetrievedHit| hit.scores.rerank.map(|at| at.score);
    for hit in &response.hits {
        let is_owl = hit.passage.record.document.as_str() == "d2";
        assert_eq!(raw(hit), Some(f64::from(u8::from(is_owl))));
    }
    assert!(documents(&response).starts_with("d2"));
    // Without the re-ranker's say the phrasings' distances decide, each phrasing as much as another.
    request.rerank.blend = Some(0.0);
    let blended = setup.retrieve(request).await;
    let scores: Vec<f64> = blended.hits.iter().map(|hit| hit.score).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    let of = |id: &str| {
        let place = documents(&blended);
        place.split(' ').position(|document| document == id)
    };
    assert!(of("d1") < of("d3"), "a phrasing is about d1, none about d3");
}

#[tokio::test]
async fn a_leg_that_fails_for_one_phrasing_is_named_with_it() {
    let setup = Setup::new(ANIMALS).await;
    let fault = Fault::FailBefore(ErrorCode::Unavailable);
    setup
        .script_lexical(|index| index.on(Call::Search, 2, fault))
        .await;
    let response = setup.retrieve(phrased(&setup, "fox", &["owl"])).await;
    assert_eq!(response.degraded.len(), 1);
    assert_eq!(response.degraded[0].stage, "lexical");
    let reason = &response.degraded[0].reason;
    assert!(reason.starts_with("phrasing 1: "), "{reason}");
}

#[tokio::test]
async fn a_query_without_terms_is_noted_where_no_phrasing_has_any() {
    let setup = Setup::new(ANIMALS).await;
    let response = setup.retrieve(phrased(&setup, "???", &["owl"])).await;
    assert!(response.notes.is_empty());
    let response = setup.retrieve(phrased(&setup, "???", &["!!!"])).await;
    assert_eq!(response.notes, [Note::NoLexicalTerms]);
}

#[tokio::test]
async fn phrasings_have_limits() {
    let setup = Setup::new(ANIMALS).await;
    let long = "x".repeat(8193);
    for (also, pointers) in [
        (vec!["fox"; 9], vec!["/also"]),
        (vec!["fox", " ", &long], vec!["/also/1", "/also/2"]),
    ] {
        let request = phrased(&setup, "fox", &also);
        let error = setup.retriever().retrieve(request).await.unwrap_err();
        let named: Vec<_> = error.fields().iter().map(|one| &one.pointer).collect();
        assert_eq!(named, pointers);
    }
}

#[tokio::test]
async fn one_phrasing_is_recorded_at_a_time() {
    let setup = Setup::new(ANIMALS).await;
    let request = phrased(&setup, "fox", &["owl"]);
    let error = setup.retriever().record(&request).await.unwrap_err();
    assert_eq!(error.fields()[0].pointer, "/also");
}

const WORDS: [&str; 6] = ["red", "fox", "blue", "owl", "wine", "sea"];

fn any_text() -> impl Strategy<Value = String> {
    vec(prop::sample::select(WORDS.to_vec()), 1..4).prop_map(|words| words.join(" "))
}

fn ranks(response: &RetrieveResponse) -> impl Iterator<Item = (ChunkId, usize)> {
    let hits = response.hits.iter();
    hits.map(|hit| (hit.passage.record.id, hit.rank))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    /// The list is Reciprocal Rank Fusion of what each phrasing finds alone, whatever their order.
    #[test]
    fn phrasings_are_fused_by_rank(
        texts in vec(any_text(), 1..12),
        phrasings in prop::collection::btree_set(any_text(), 2..5),
        mode in prop::sample::select(vec![Mode::Lexical, Mode::Dense, Mode::Hybrid]),
        turn in any::<prop::sample::Index>(),
    ) {
        let lines: Vec<String> =
            texts.iter().enumerate().map(|(at, text)| format!("d{at}: {text}")).collect();
        let phrasings: Vec<String> = phrasings.into_iter().collect();
        let (fused, turned, expected) = block_on(async {
            let setup = Setup::new(&lines.join("\n")).await;
            let ask = async |query: &str, also: &[String]| {
                let mut request = setup.request(query);
                request.also = also.to_vec();
                (request.mode, request.top_k, request.distinct) = (mode, 100, false);
                setup.retrieve(request).await
            };
            let mut votes: BTreeMap<ChunkId, f64> = BTreeMap::new();
            for phrasing in &phrasings {
                for (chunk, rank) in ranks(&ask(phrasing, &[]).await) {
                    *votes.entry(chunk).or_default() += 1.0 / (60.0 + rank as f64);
                }
            }
            let mut turned = phrasings.clone();
            turned.rotate_left(turn.index(phrasings.len()));
            let fused = ask(&phrasings[0], &phrasings[1..]).await;
            (fused, ask(&turned[0], &turned[1..]).await, votes)
        });
        prop_assert_eq!(fused.hits.len(), expected.len());
        for hit in &fused.hits {
            let vote = expected[&hit.passage.record.id];
            prop_assert!((hit.score - vote).abs() < 1e-12, "{} {}", hit.score, vote);
        }
        let order = |response: &RetrieveResponse| ranks(response).collect::<Vec<_>>();
        prop_assert_eq!(order(&fused), order(&turned));
    }
}
