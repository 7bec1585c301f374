//! Re-ranking within a retrieval.

use braid_core::{ErrorCode, Language, Ledger};
use braid_query::{
    FusionMethod, LegTrust, LegWeights, RerankSummary, RetrieveRequest, RetrieveResponse,
    ScoreStage, StageScore, StageScores,
};
use braid_testkit::{Call, Fault, Faulty, Gate, OverlapReranker};
use expect_test::expect;

use crate::setup::{Setup, documents, show};

/// The more often `fox` stands in a text, the better it is for both legs; only the last says `den`.
const FOXES: &str = "
    d1: fox fox fox fox
    d2: fox fox fox x
    d3: fox fox x y
    d4: fox den x y";

fn reranked(setup: &Setup, query: &str) -> RetrieveRequest {
    RetrieveRequest::new(query, setup.corpus.name())
}

#[tokio::test]
async fn the_blend_orders_and_raw_scores_are_explained() {
    let setup = Setup::new(FOXES)
        .await
        .with_reranker(OverlapReranker::new());
    let response = setup.retrieve(reranked(&setup, "fox den")).await;
    expect![[r#"
        1 d4#0 rerank 1.7321: lexical@1=1.0000 dense@1=0.7071 fused@1=1.1986 rerank@1=1.0000
        2 d1#0 rerank -0.5774: lexical@2=0.8000 dense@2=0.7070 fused@2=0.3649 rerank@2=0.5000
        3 d2#0 rerank -0.5774: lexical@3=0.7500 dense@3=0.6707 fused@3=-0.1777 rerank@3=0.5000
        4 d3#0 rerank -0.5774: lexical@4=0.6667 dense@4=0.5773 fused@4=-1.3858 rerank@4=0.5000
    "#]]
    .assert_eq(&show(&response));
    assert_eq!(response.rerank, Some(RerankSummary { scored: 4, of: 4 }));
    assert!(response.timings.rerank > 0.0);
}

#[tokio::test]
async fn a_model_of_another_language_has_no_say_unless_asked() {
    let foreign = || OverlapReranker::new().with_language(Language::French);
    let setup = Setup::new(FOXES).await.with_reranker(foreign());
    let mut request = reranked(&setup, "fox den");
    let unasked = setup.retrieve(request.clone()).await;
    request.rerank.blend = Some(1.0);
    let asked = setup.retrieve(request.clone()).await;
    request.rerank.blend = Some(0.0);
    let by_legs = setup.retrieve(request).await;
    assert_eq!(show(&unasked), show(&by_legs));
    assert_ne!(show(&unasked), show(&asked));
}

#[tokio::test]
async fn the_models_blend_is_the_default_and_the_request_overrides_it() {
    let reranker = OverlapReranker::new().with_blend(0.0);
    let setup = Setup::new(FOXES).await.with_reranker(reranker);
    let fused = setup.retrieve(setup.request("fox")).await;
    let mut request = reranked(&setup, "fox");
    let response = setup.retrieve(request.clone()).await;
    assert_eq!(
        documents(&response),
        documents(&fused),
        "blend 0 is the fused order"
    );
    let sum: f64 = response.hits.iter().map(|hit| hit.score).sum();
    assert!(sum.abs() < 1e-9, "deviations of the fused score");
    request.rerank.blend = Some(1.0);
    let response = setup.retrieve(request).await;
    let scores: Vec<f64> = response.hits.iter().map(|hit| hit.score).collect();
    assert_eq!(scores, [0.0; 4], "every text has every word of the query");
    assert_eq!(
        documents(&response),
        documents(&fused),
        "ties keep the fused order"
    );
}

/// One text far ahead in one leg and last in the other is, by ranks, no better than one that is in
/// the middle of both.
#[tokio::test]
async fn what_is_blended_in_knows_distances_whatever_the_fusion() {
    let lines = "
        d1: fox x y z
        d2: fox x y w
        d3: fox x v u
        d4: fox den den den";
    let reranker = OverlapReranker::new().with_blend(0.0);
    let setup = Setup::new(lines).await.with_reranker(reranker);
    for method in [FusionMethod::Rrf, FusionMethod::MinMax, FusionMethod::Dbsf] {
        for leg_trust in [LegTrust::Auto, LegTrust::Off] {
            let mut request = reranked(&setup, "fox x y z den");
            request.fusion.weights.lexical = 2.0;
            (request.fusion.method, request.fusion.leg_trust) = (method, leg_trust);
            let response = setup.retrieve(request).await;
            let weights = response.trust.as_ref().unwrap().after;
            let expected = match method {
                FusionMethod::Rrf => by_legs(&response, weights),
                FusionMethod::MinMax | FusionMethod::Dbsf => of(&response, |scores| scores.fused),
            };
            let scores: Vec<f64> = response.hits.iter().map(|hit| hit.score).collect();
            for (score, expected) in scores.iter().zip(expected) {
                assert!((score - expected).abs() < 1e-9, "{method:?} {scores:?}");
            }
            assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
        }
    }
}

/// A model without a say leaves the order that the hits were fused to.
#[tokio::test]
async fn a_blend_of_0_is_the_fused_order() {
    let lines: String = (0..40)
        .map(|n| format!("d{n}: fox number{n} {}\n", "den ".repeat(n % 7)))
        .collect();
    let setup = Setup::new(&lines)
        .await
        .with_reranker(OverlapReranker::new().with_blend(0.0));
    let query = "fox den number7";
    let fused = setup.retrieve(setup.request(query)).await;
    let blended = setup.retrieve(reranked(&setup, query)).await;
    assert_eq!(documents(&blended), documents(&fused));
}

/// A stage's scores, in standard deviations over the hits.
fn of(response: &RetrieveResponse, stage: fn(&StageScores) -> Option<StageScore>) -> Vec<f64> {
    let scores = response.hits.iter().map(|hit| stage(&hit.scores));
    let scores: Vec<f64> = scores.map(|seen| seen.unwrap().score).collect();
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    let squares = scores.iter().map(|score| (score - mean).powi(2));
    let spread = (squares.sum::<f64>() / scores.len() as f64).sqrt();
    scores.iter().map(|score| (score - mean) / spread).collect()
}

fn by_legs(response: &RetrieveResponse, weights: LegWeights) -> Vec<f64> {
    let lexical = of(response, |scores| scores.lexical);
    let dense = of(response, |scores| scores.dense);
    let total = weights.lexical + weights.dense;
    let both = lexical.iter().zip(&dense);
    both.map(|(a, b)| (weights.lexical * a + weights.dense * b) / total)
        .collect()
}

#[tokio::test]
async fn what_is_beyond_the_candidates_follows_unscored() {
    let setup = Setup::new(FOXES)
        .await
        .with_reranker(OverlapReranker::new());
    let mut request = reranked(&setup, "fox den");
    request.rerank.candidates = 2;
    let response = setup.retrieve(request).await;
    let stages: Vec<ScoreStage> = response.hits.iter().map(|hit| hit.score_stage).collect();
    let (rerank, fused) = (ScoreStage::Rerank, ScoreStage::Fused);
    assert_eq!(stages, [rerank, rerank, fused, fused]);
    assert_eq!(response.rerank, Some(RerankSummary { scored: 2, of: 2 }));
    assert!(response.degraded.is_empty());
}

#[tokio::test]
async fn without_a_model_the_fused_order_stands_and_it_is_said() {
    let setup = Setup::new(FOXES).await;
    let response = setup.retrieve(reranked(&setup, "fox den")).await;
    let plain = setup.retrieve(setup.request("fox den")).await;
    assert_eq!(documents(&response), documents(&plain));
    assert_eq!(response.rerank, Some(RerankSummary { scored: 0, of: 4 }));
    assert_eq!(response.degraded[0].stage, "rerank");
    let reason = &response.degraded[0].reason;
    assert!(
        reason.starts_with("no re-ranker is loaded: set "),
        "{reason}"
    );
}

#[tokio::test]
async fn a_missed_deadline_keeps_what_was_scored() {
    let lines: String = (0..20).map(|n| format!("d{n}: fox number{n}\n")).collect();
    let hang = Fault::HoldBefore(Gate::new());
    let reranker = Faulty::new(OverlapReranker::new()).on(Call::Score, 2, hang);
    let setup = Setup::new(&lines).await.with_reranker(reranker);
    let mut request = reranked(&setup, "fox");
    request.rerank.deadline_ms = Some(5);
    request.top_k = 20;
    let response = setup.retrieve(request).await;
    assert_eq!(response.rerank, Some(RerankSummary { scored: 8, of: 20 }));
    let reason = &response.degraded[0].reason;
    assert_eq!(reason, "re-ranked 8 of 20 before the deadline of 5 ms");
    let scored = response.hits.iter().map(|hit| hit.scores.rerank.is_some());
    let scored: Vec<bool> = scored.collect();
    assert!(scored[..8].iter().all(|scored| *scored) && !scored[8..].contains(&true));
    let unscored = response.hits[8..].iter().filter_map(|hit| hit.scores.fused);
    assert!(unscored.is_sorted_by_key(|fused| fused.rank), "fused order");
}

#[tokio::test]
async fn a_failing_model_is_named_and_the_fused_order_stands() {
    let fail = Fault::FailBefore(ErrorCode::Overloaded);
    let reranker = Faulty::new(OverlapReranker::new()).on(Call::Score, 1, fail);
    let setup = Setup::new(FOXES).await.with_reranker(reranker);
    let response = setup.retrieve(reranked(&setup, "fox den")).await;
    let plain = setup.retrieve(setup.request("fox den")).await;
    assert_eq!(documents(&response), documents(&plain));
    assert_eq!(
        response.degraded[0].reason,
        "re-ranked 0 of 4: scripted fault on Score call 1"
    );
}

#[tokio::test]
async fn a_passage_without_a_score_costs_the_others_nothing() {
    let lines = "
        d1: fox odd fox fox
        d2: fox x y
        d3: fox den z";
    let setup = Setup::new(lines)
        .await
        .with_reranker(OverlapReranker::new().with_odd("odd", f32::NAN));
    let response = setup.retrieve(reranked(&setup, "fox den")).await;
    assert_eq!(documents(&response), "d3 d2 d1");
    assert_eq!(response.rerank, Some(RerankSummary { scored: 2, of: 3 }));
    assert_eq!(
        response.degraded[0].reason,
        "re-ranked 2 of 3: the model gave no finite score for 1"
    );
    assert!(response.hits.iter().all(|hit| hit.score.is_finite()));
}

#[tokio::test]
async fn the_best_of_equal_texts_is_chosen_by_the_final_order() {
    let lines = "d1 (Cats): they hunt fox fox\nd2 (Den): they hunt fox fox\nd3: x";
    let setup = Setup::new(lines)
        .await
        .with_reranker(OverlapReranker::new());
    let response = setup.retrieve(reranked(&setup, "fox hunt den")).await;
    assert_eq!(documents(&response), "d2 d3", "the title of d2 says den");
}

#[tokio::test]
async fn the_pinned_state_is_released_before_re_ranking() {
    let (searching, scoring) = (Gate::new(), Gate::new());
    let hold = Fault::HoldBefore(scoring.clone());
    let reranker = Faulty::new(OverlapReranker::new()).on(Call::Score, 1, hold);
    let setup = Setup::new(FOXES).await.with_reranker(reranker);
    let hold = Fault::HoldBefore(searching.clone());
    setup
        .script_lexical(|index| index.on(Call::Search, 1, hold))
        .await;
    let (retriever, mut request) = (setup.retriever(), reranked(&setup, "fox"));
    request.rerank.deadline_ms = None;
    let retrieval = tokio::spawn(async move { retriever.retrieve(request).await });

    searching.arrived().await;
    setup.corpus.delete(&["d4"]).await;
    setup.corpus.apply().await;
    assert!(!setup.can_purge().await, "the retrieval still reads d4");
    searching.open();
    scoring.arrived().await;
    assert!(
        setup.can_purge().await,
        "nothing is pinned while the model works"
    );
    scoring.open();
    let response = retrieval.await.unwrap().unwrap();
    assert!(
        documents(&response).contains("d4"),
        "it answers from its own state"
    );
    let live = setup.corpus.ledger.live_slots(setup.corpus.collection.id);
    assert_eq!(live.await.unwrap().len(), 3);
}
