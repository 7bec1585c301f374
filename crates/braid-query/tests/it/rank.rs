//! Rankings per stage.

use braid_core::ErrorCode;
use braid_query::fusion::fuse;
use braid_query::{
    FusionMethod, LegTrust, RankRequest, RankedDocument, RerankSummary, Stage, StageRankings,
};
use braid_testkit::{Call, Fault, Faulty, Gate, OverlapReranker};
use expect_test::expect;

use crate::setup::{Setup, documents};

/// Document `long` has nine chunks that beat every other document.
const CROWDED: &str = "
    long: fox fox | fox fox | fox fox | fox fox | fox fox | fox fox | fox fox | fox fox | fox fox
    d1: fox one
    d2: fox two
    d3: fox three
    d4: owl";

fn names(documents: &Option<Vec<RankedDocument>>) -> Vec<String> {
    let documents = documents.iter().flatten();
    documents
        .map(|ranked| ranked.document.to_string())
        .collect()
}

fn show(rankings: &StageRankings) -> String {
    let stages = [
        ("lexical", &rankings.lexical),
        ("dense", &rankings.dense),
        ("hybrid", &rankings.hybrid),
        ("rerank", &rankings.rerank),
    ];
    let lines = stages.map(|(name, documents)| {
        let documents = documents.iter().flatten();
        let shown = documents.map(|ranked| format!(" {}={:.4}", ranked.document, ranked.score));
        format!("{name}:{}\n", shown.collect::<String>())
    });
    lines.concat()
}

fn request(setup: &Setup, query: &str, depth: usize) -> RankRequest {
    RankRequest {
        depth,
        ..RankRequest::new(query, setup.corpus.name())
    }
}

#[tokio::test]
async fn every_stage_ranks_documents_by_their_best_chunk() {
    let setup = Setup::new(CROWDED)
        .await
        .with_reranker(OverlapReranker::new());
    let rankings = setup
        .retriever()
        .rank(request(&setup, "fox two", 3))
        .await
        .unwrap();
    expect![[r#"
        lexical: d2=1.0000 long=0.6667 d1=0.5000
        dense: d2=1.0000 long=0.7070 d1=0.4999
        hybrid: d2=2.7113 long=-0.0926 d1=-1.8778
        rerank: d2=3.1623 long=-0.3162 d1=-0.3162
    "#]]
    .assert_eq(&show(&rankings));
    let every_fused_chunk = Some(RerankSummary { scored: 11, of: 11 });
    assert_eq!(rankings.reranked, every_fused_chunk);
}

#[tokio::test]
async fn a_leg_is_widened_until_enough_documents_are_ranked() {
    let setup = Setup::new(CROWDED).await;
    let lexical = setup.script_lexical(|index| index).await;
    let mut request = request(&setup, "fox", 2);
    request.stages = vec![Stage::Lexical];
    let rankings = setup.retriever().rank(request.clone()).await.unwrap();
    assert_eq!(names(&rankings.lexical)[0], "long");
    assert_eq!(names(&rankings.lexical).len(), 2);
    assert_eq!(lexical.count(Call::Search), 4, "depths 2, 4, 8 and 12");
    assert!(rankings.dense.is_none() && rankings.hybrid.is_none());
    assert_eq!(setup.corpus.embedder.queries_embedded(), 0);

    request.depth = 50;
    let rankings = setup.retriever().rank(request).await.unwrap();
    assert_eq!(names(&rankings.lexical).len(), 4, "until it is exhausted");
    assert_eq!(lexical.count(Call::Search), 5, "asked for all at once");
}

#[tokio::test]
async fn with_one_chunk_a_document_hybrid_is_rrf_of_the_document_lists() {
    let words = ["fox", "owl", "den", "ice", "sun"];
    let line = |n: usize| {
        let text: Vec<&str> = (0..1 + n % 4)
            .map(|at| words[(n * 7 + at * at * n) % 5])
            .collect();
        format!("d{n}: {} number{n}\n", text.join(" "))
    };
    let lines: String = (0..40).map(line).collect();
    let setup = Setup::new(&lines).await;
    let mut request = request(&setup, "fox den", 10);
    request.stages = vec![Stage::Lexical, Stage::Dense, Stage::Hybrid];
    request.fusion.method = FusionMethod::Rrf;
    request.fusion.leg_trust = LegTrust::Off;
    let rankings = setup.retriever().rank(request).await.unwrap();

    let chunks = |list: &Option<Vec<RankedDocument>>| -> Vec<_> {
        list.iter().flatten().map(|ranked| ranked.chunk).collect()
    };
    let (lexical, dense) = (chunks(&rankings.lexical), chunks(&rankings.dense));
    assert_eq!((lexical.len(), dense.len()), (10, 10));
    let expected = fuse(&[(1.0, &lexical), (1.0, &dense)], 60.0);
    let expected: Vec<_> = expected.iter().take(10).map(|fused| fused.key).collect();
    assert_eq!(chunks(&rankings.hybrid), expected);
}

#[tokio::test]
async fn what_is_ranked_is_what_is_served() {
    let lines: String = (0..30)
        .map(|n| format!("d{n}: fox number{n} {}\n", "den ".repeat(n % 5)))
        .collect();
    let reranker = OverlapReranker::new().with_blend(0.4);
    let setup = Setup::new(&lines).await.with_reranker(reranker);
    let ranked = setup
        .retriever()
        .rank(request(&setup, "fox den number7", 20))
        .await;
    let ranked = ranked.unwrap();
    let mut served = setup.request("fox den number7");
    served.candidates.lexical = 20;
    served.candidates.dense = 20;
    served.top_k = 20;
    for (stage, enabled) in [(&ranked.hybrid, false), (&ranked.rerank, true)] {
        served.rerank.enabled = enabled;
        let response = setup.retrieve(served.clone()).await;
        assert_eq!(names(stage).join(" "), documents(&response));
    }
}

#[tokio::test]
async fn a_degraded_pipeline_is_not_measured() {
    let fail = || Fault::FailBefore(ErrorCode::Unavailable);
    let reranker = Faulty::new(OverlapReranker::new()).on(Call::Score, 1, fail());
    let setup = Setup::new(CROWDED).await.with_reranker(reranker);
    let ranked = setup.retriever().rank(request(&setup, "fox", 2)).await;
    assert_eq!(ranked.unwrap_err().code(), ErrorCode::Unavailable);
    setup
        .script_vector(|store| store.on(Call::Search, 1, fail()))
        .await;
    let ranked = setup.retriever().rank(request(&setup, "fox", 2)).await;
    assert_eq!(ranked.unwrap_err().code(), ErrorCode::Unavailable);
    let bare = Setup::new(CROWDED).await;
    let ranked = bare.retriever().rank(request(&bare, "fox", 2)).await;
    assert_eq!(ranked.unwrap_err().code(), ErrorCode::ModelUnavailable);
}

#[tokio::test]
async fn a_missed_deadline_is_counted_and_no_error() {
    let hang = Fault::HoldBefore(Gate::new());
    let reranker = Faulty::new(OverlapReranker::new()).on(Call::Score, 1, hang);
    let setup = Setup::new(CROWDED).await.with_reranker(reranker);
    let mut request = request(&setup, "fox", 2);
    request.rerank.deadline_ms = Some(2);
    let rankings = setup.retriever().rank(request).await.unwrap();
    assert_eq!(rankings.reranked.unwrap().scored, 0);
    assert_eq!(names(&rankings.rerank), names(&rankings.hybrid));
}
