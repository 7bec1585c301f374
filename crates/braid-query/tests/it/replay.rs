//! What a recording replays is what is served.

use braid_core::ErrorCode;
use braid_query::{
    CandidateDepths, FusionMethod, LegWeights, Mode, Place, RetrieveRequest, Thresholds,
};
use braid_testkit::OverlapReranker;
use proptest::prelude::*;

use crate::setup::Setup;

const CORPUS: &str = "
    d1: red fox | fox den | blue fox jumps
    d2: red owl | owl night
    d3: fox owl red | red red fox
    d4: red fox
    d5: blue whale | whale fox
    d6: night den | owl den fox
    d7: jumps red night | owl night";

fn request(setup: &Setup, query: &str) -> RetrieveRequest {
    let mut request = setup.request(query);
    request.rerank.deadline_ms = None;
    request
}

fn names(places: &[Place]) -> Vec<(String, Vec<String>)> {
    let places = places.iter();
    places
        .map(|place| {
            let same = place.same.iter().map(ToString::to_string).collect();
            (place.chunk.0.to_string(), same)
        })
        .collect()
}

async fn served(setup: &Setup, request: RetrieveRequest) -> Vec<(String, Vec<String>)> {
    let hits = setup.retrieve(request).await.hits.into_iter();
    hits.map(|hit| {
        let same = hit
            .same
            .iter()
            .map(|same| same.document.to_string())
            .collect();
        (hit.passage.record.id.0.to_string(), same)
    })
    .collect()
}

fn any_request()
-> impl Strategy<Value = (usize, usize, usize, f64, f64, f64, usize, bool, usize, f64)> {
    (
        0..3usize,
        1..12usize,
        1..12usize,
        0.0..80.0_f64,
        0.0..3.0_f64,
        0.1..3.0_f64,
        1..9usize,
        any::<bool>(),
        1..12usize,
        0.0..=1.0_f64,
    )
}

const METHODS: [FusionMethod; 3] = [FusionMethod::Dbsf, FusionMethod::Rrf, FusionMethod::MinMax];

/// Fusion, whether the same is told once, and thresholds: of BM25, of cosines, of relevance.
fn any_choice() -> impl Strategy<Value = (usize, bool, Option<f64>, Option<f64>, Option<f64>)> {
    (
        0..METHODS.len(),
        any::<bool>(),
        prop::option::weighted(0.3, 0.0..2.0_f64),
        prop::option::weighted(0.3, 0.0..1.0_f64),
        prop::option::weighted(0.3, 0.0..=1.0_f64),
    )
}

/// Whether nothing beyond `depth` scores the same as what is before it: an index may take either.
async fn is_clear(setup: &Setup, query: &str, mode: Mode, depth: usize) -> bool {
    let mut all = request(setup, query);
    (all.mode, all.top_k, all.distinct) = (mode, 50, false);
    let hits = setup.retrieve(all).await.hits;
    match (hits.get(depth - 1), hits.get(depth)) {
        (Some(kept), Some(cut)) => kept.score > cut.score,
        (Some(_) | None, _) => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn a_replay_returns_what_is_served(
        query in prop::sample::select(vec!["red fox", "owl night den", "whale", "nothing known"]),
        (mode, lexical, dense, k, weight, other, top_k, reranks, candidates, blend) in any_request(),
        (method, distinct, least_lexical, least_dense, least) in any_choice(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let setup = Setup::new(CORPUS).await.with_reranker(OverlapReranker::new());
            let mut asked = RetrieveRequest {
                mode: [Mode::Hybrid, Mode::Lexical, Mode::Dense][mode],
                candidates: CandidateDepths { lexical, dense },
                top_k,
                ..request(&setup, query)
            };
            asked.distinct = distinct;
            asked.thresholds = Thresholds {
                lexical: least_lexical,
                dense: least_dense,
                rerank: least.filter(|_| reranks),
            };
            asked.fusion.method = METHODS[method];
            asked.fusion.k = k;
            asked.fusion.weights = LegWeights { lexical: weight, dense: other };
            asked.rerank.enabled = reranks;
            asked.rerank.candidates = candidates;
            asked.rerank.blend = Some(blend);
            // As deep as it is asked: where a cut is between equal scores, an index may take either.
            let depths = CandidateDepths { lexical: lexical.max(top_k), dense: dense.max(top_k) };
            let exactly = RetrieveRequest { candidates: depths, ..asked.clone() };
            let recording = setup.retriever().record(&exactly).await.unwrap();
            let reranker = setup.parts.reranker.as_deref();
            let replay = recording.replay(&asked, reranker).await.unwrap();
            let replayed = names(&replay.distinct[..top_k.min(replay.distinct.len())]);
            let deeper = CandidateDepths { lexical: 50, dense: 50 };
            let deeper = RetrieveRequest { candidates: deeper, ..asked.clone() };
            let deeper = setup.retriever().record(&deeper).await.unwrap();
            let cut = deeper.replay(&asked, reranker).await.unwrap();
            if mode > 0 {
                assert_eq!(cut.base.len(), replay.base.len());
            }
            let served = served(&setup, asked).await;
            let ids = |places: &[(String, Vec<String>)]| {
                places.iter().map(|place| place.0.clone()).collect::<Vec<_>>()
            };
            assert_eq!(ids(&replayed), ids(&served));
            if is_clear(&setup, query, Mode::Lexical, depths.lexical).await
                && is_clear(&setup, query, Mode::Dense, depths.dense).await
            {
                let cut = names(&cut.distinct[..top_k.min(cut.distinct.len())]);
                assert_eq!(ids(&cut), ids(&served));
            }
            assert_eq!(replay.window > 0, reranks && !replay.base.is_empty());
            assert_eq!(replay.reranked.is_some(), reranks);
        });
    }
}

#[tokio::test]
async fn a_deeper_recording_that_is_cut_is_the_leg_searched_so_deep() {
    let setup = Setup::new(CORPUS).await;
    let setup = setup.with_reranker(OverlapReranker::new());
    let reranker = setup.parts.reranker.as_deref();
    let mut compared = 0;
    for query in ["whale", "whale fox", "owl night den", "red fox"] {
        let deep = request(&setup, query);
        let recording = setup.retriever().record(&deep).await.unwrap();
        for (lexical, dense) in [(2, 2), (2, 5), (3, 4), (5, 3), (7, 7), (9, 12)] {
            if !is_clear(&setup, query, Mode::Lexical, lexical).await
                || !is_clear(&setup, query, Mode::Dense, dense).await
            {
                continue;
            }
            for (method, blend) in METHODS.into_iter().zip([0.2, 0.5, 0.8]) {
                let mut asked = request(&setup, query);
                asked.candidates = CandidateDepths { lexical, dense };
                asked.top_k = lexical.min(dense);
                asked.fusion.method = method;
                (asked.rerank.enabled, asked.rerank.blend) = (true, Some(blend));
                let replay = recording.replay(&asked, reranker).await.unwrap();
                let replayed = names(&replay.distinct[..asked.top_k.min(replay.distinct.len())]);
                let wanted = served(&setup, asked).await;
                let ids = |places: Vec<(String, Vec<String>)>| -> Vec<String> {
                    places.into_iter().map(|place| place.0).collect()
                };
                assert_eq!(
                    ids(replayed),
                    ids(wanted),
                    "{query} {lexical} {dense} {method:?}"
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 12, "only {compared} compared");
}

#[tokio::test]
async fn a_replay_that_would_be_degraded_is_an_error() {
    let setup = Setup::new(CORPUS).await;
    let mut asked = request(&setup, "fox");
    let recording = setup.retriever().record(&asked).await.unwrap();
    assert!(
        recording
            .replay(&asked, None)
            .await
            .unwrap()
            .reranked
            .is_none()
    );
    asked.rerank.enabled = true;
    let error = recording.replay(&asked, None).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::ModelUnavailable);
    asked.top_k = 0;
    assert!(setup.retriever().record(&asked).await.is_err());
}

#[tokio::test]
async fn both_legs_are_recorded_whatever_the_mode() {
    let setup = Setup::new(CORPUS).await;
    let mut asked = request(&setup, "owl");
    asked.mode = Mode::Lexical;
    let recording = setup.retriever().record(&asked).await.unwrap();
    assert!(!recording.leg(braid_core::Leg::Dense).is_empty());
    assert!(recording.passages().count() >= recording.leg(braid_core::Leg::Dense).len());
    let replay = recording.replay(&asked, None).await.unwrap();
    assert_eq!(replay.base, recording.leg(braid_core::Leg::Lexical));
}
