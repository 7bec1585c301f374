//! Fusion methods and leg trust, as a request asks for them.

use braid_core::Script;
use braid_query::{FusionMethod, LegTrust, LegWeights, RankRequest, Stage, TRUST_MODEL};
use braid_testkit::HashEmbedder;

use crate::setup::{Setup, documents};

const ANIMALS: &str = "
    d1: red fox
    d2: blue fox
    d3: green owl
    d4: red red wine";

const METHODS: [FusionMethod; 3] = [FusionMethod::Rrf, FusionMethod::MinMax, FusionMethod::Dbsf];

/// The lexical leg finds d1 1.0, d4 0.6667, d2 0.5 and nothing else; the dense leg d1 1.0, d4 0.7071,
/// d2 0.6707, d3 -0.2237.
#[tokio::test]
async fn scores_are_fused_by_the_method_asked_for() {
    let setup = Setup::new(ANIMALS).await;
    let mut request = setup.request("red fox");
    request.fusion.leg_trust = LegTrust::Off;
    let mut shown = Vec::new();
    for method in METHODS {
        request.fusion.method = method;
        let response = setup.retrieve(request.clone()).await;
        let scores = response.hits.iter().map(|hit| format!("{:.4}", hit.score));
        let scores: Vec<String> = scores.collect();
        shown.push(format!("{} {}", documents(&response), scores.join(" ")));
    }
    assert_eq!(
        shown,
        [
            "d1 d4 d2 d3 0.0328 0.0323 0.0317 0.0156",
            "d1 d4 d2 d3 1.0000 0.7136 0.6155 0.0000",
            "d1 d4 d2 d3 1.1386 0.3571 0.0865 -1.5823",
        ]
    );
}

#[tokio::test]
async fn trust_shifts_weights_and_is_shown_where_both_legs_are_asked() {
    let setup = Setup::new(ANIMALS).await;
    let mut request = setup.request("red fox");
    let weights = LegWeights {
        lexical: 3.0,
        dense: 1.0,
    };
    request.fusion.weights = weights;
    let response = setup.retrieve(request.clone()).await;
    let trust = response.trust.unwrap();
    assert_eq!((trust.rule, trust.before), (TRUST_MODEL, weights));
    let (lexical, dense) = (trust.after.lexical / 3.0, trust.after.dense);
    assert!((lexical + dense - 2.0).abs() < 1e-9, "{lexical} {dense}");
    assert!(lexical != 1.0, "the legs are not equally spread");

    request.fusion.leg_trust = LegTrust::Off;
    let trust = setup.retrieve(request.clone()).await.trust.unwrap();
    assert_eq!((trust.rule, trust.after), ("off", weights));
    request.mode = braid_query::Mode::Lexical;
    assert_eq!(setup.retrieve(request).await.trust, None);
}

#[tokio::test]
async fn a_leg_that_found_nothing_has_no_say() {
    let setup = Setup::new(ANIMALS).await;
    for method in METHODS {
        let mut request = setup.request("zebra");
        request.fusion.method = method;
        let response = setup.retrieve(request.clone()).await;
        assert_eq!(response.trust.as_ref().unwrap().rule, "lexical_blind");
        request.mode = braid_query::Mode::Dense;
        let dense = setup.retrieve(request).await;
        assert_eq!(documents(&response), documents(&dense), "{method:?}");
    }
}

/// The dense leg has d2 first; whether it is believed depends on what the embedder reads.
#[tokio::test]
async fn a_script_that_the_embedder_does_not_read_is_left_to_the_lexical_leg() {
    let setup = Setup::new("d1: лиса лиса лес\nd2: сова\nd3: лес").await;
    let query = "лиса сова";
    let plain = setup.retrieve(setup.request(query)).await;
    assert_eq!(plain.trust.unwrap().rule, TRUST_MODEL);
    let latin_alone = HashEmbedder::new(64).with_scripts(&[Script::LATIN]);
    let setup = setup.with_embedder(latin_alone);
    for method in METHODS {
        let mut request = setup.request(query);
        request.fusion.method = method;
        let response = setup.retrieve(request.clone()).await;
        assert_eq!(documents(&response), "d1 d2 d3", "{method:?}");
        let trust = response.trust.unwrap();
        assert_eq!(trust.rule, "script_not_read");
        assert!((trust.after.lexical + trust.after.dense - 2.0).abs() < 1e-9);
        assert!(trust.after.lexical > 40.0 * trust.after.dense, "{trust:?}");
        request.mode = braid_query::Mode::Dense;
        let dense = setup.retrieve(request).await;
        assert_eq!(documents(&dense), "d2 d1 d3");
    }
    let mostly_latin = setup.retrieve(setup.request("the red fox лиса")).await;
    assert_eq!(mostly_latin.trust.unwrap().rule, TRUST_MODEL);
}

/// What is measured is what is served, by any method.
#[tokio::test]
async fn evaluation_ranks_by_the_same_method_and_trust() {
    let lines: String = (0..30)
        .map(|n| format!("d{n}: fox number{n} {}\n", "den ".repeat(n % 5)))
        .collect();
    let setup = Setup::new(&lines).await;
    for method in METHODS {
        for leg_trust in [LegTrust::Auto, LegTrust::Off] {
            let mut served = setup.request("fox den number7");
            (served.fusion.method, served.fusion.leg_trust) = (method, leg_trust);
            (served.candidates.lexical, served.candidates.dense) = (20, 20);
            served.top_k = 20;
            let ranked = RankRequest {
                depth: 20,
                stages: vec![Stage::Hybrid],
                fusion: served.fusion,
                ..RankRequest::new(served.query.as_str(), setup.corpus.name())
            };
            let ranked = setup.retriever().rank(ranked).await.unwrap();
            let ranked = ranked.hybrid.iter().flatten();
            let ranked: Vec<String> = ranked.map(|one| one.document.to_string()).collect();
            let response = setup.retrieve(served).await;
            assert_eq!(
                ranked.join(" "),
                documents(&response),
                "{method:?} {leg_trust:?}"
            );
        }
    }
}
