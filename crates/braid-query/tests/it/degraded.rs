//! Legs that fail, hang, or may not be mixed.

use std::sync::Arc;
use std::time::Duration;

use braid_core::ErrorCode;
use braid_query::{Mode, RetrieveRequest};
use braid_testkit::{Call, Fault, Faulty, Gate, HashEmbedder};
use expect_test::expect;

use crate::setup::{Setup, show};

const ANIMALS: &str = "d1: red fox\nd2: blue fox\nd3: green owl";

fn in_mode(setup: &Setup, mode: Mode) -> RetrieveRequest {
    RetrieveRequest {
        mode,
        ..setup.request("red fox")
    }
}

/// The corpus's embedder with scripted faults.
fn with_embedder_script(
    setup: Setup,
    script: impl FnOnce(Faulty<HashEmbedder>) -> Faulty<HashEmbedder>,
) -> Setup {
    let embedder: Arc<HashEmbedder> = Arc::clone(&setup.corpus.embedder);
    setup.with_embedder(script(Faulty::shared(embedder)))
}

#[tokio::test]
async fn a_lexical_leg_that_fails_is_named_and_the_dense_one_serves() {
    let setup = Setup::new(ANIMALS).await;
    let fail = Fault::FailBefore(ErrorCode::Corrupt);
    setup
        .script_lexical(|index| index.on_from(Call::Search, 1, fail))
        .await;
    let response = setup.retrieve(setup.request("red fox")).await;
    expect![[r#"
        1 d1#0 fused 1.0012: dense@1=1.0000 fused@1=1.0012
        2 d2#0 fused 0.3644: dense@2=0.6707 fused@2=0.3644
        3 d3#0 fused -1.3656: dense@3=-0.2237 fused@3=-1.3656
        ! lexical: scripted fault on Search call 1
    "#]]
    .assert_eq(&show(&response));
    let error = setup
        .retriever()
        .retrieve(in_mode(&setup, Mode::Lexical))
        .await;
    assert_eq!(error.unwrap_err().code(), ErrorCode::Corrupt);
}

#[tokio::test]
async fn a_store_that_cannot_be_pinned_fails_its_leg_alone() {
    let setup = Setup::new(ANIMALS).await;
    let fail = Fault::FailBefore(ErrorCode::Unavailable);
    setup
        .script_vector(|store| store.on_from(Call::Pin, 1, fail))
        .await;
    let response = setup.retrieve(setup.request("red fox")).await;
    expect![[r#"
        1 d1#0 fused 1.0000: lexical@1=1.0000 fused@1=1.0000
        2 d2#0 fused -1.0000: lexical@2=0.5000 fused@2=-1.0000
        ! dense: scripted fault on Pin call 1
    "#]]
    .assert_eq(&show(&response));
    assert_eq!(response.terms, ["fox", "red"]);
}

#[tokio::test]
async fn a_query_that_cannot_be_embedded_fails_the_dense_leg() {
    let setup = Setup::new(ANIMALS).await;
    let fail = Fault::FailBefore(ErrorCode::ModelUnavailable);
    let setup = with_embedder_script(setup, |embedder| {
        embedder.on_from(Call::EmbedQuery, 1, fail)
    });
    let response = setup.retrieve(setup.request("red fox")).await;
    expect![[r#"
        1 d1#0 fused 1.0000: lexical@1=1.0000 fused@1=1.0000
        2 d2#0 fused -1.0000: lexical@2=0.5000 fused@2=-1.0000
        ! dense: embedding the query: scripted fault on EmbedQuery call 1
    "#]]
    .assert_eq(&show(&response));
    let error = setup
        .retriever()
        .retrieve(in_mode(&setup, Mode::Dense))
        .await;
    assert_eq!(error.unwrap_err().code(), ErrorCode::ModelUnavailable);
}

#[tokio::test]
async fn both_legs_failing_is_the_more_telling_error() {
    for (lexical, dense, telling) in [
        (ErrorCode::Timeout, ErrorCode::Corrupt, ErrorCode::Corrupt),
        (ErrorCode::Corrupt, ErrorCode::Timeout, ErrorCode::Corrupt),
        (
            ErrorCode::Internal,
            ErrorCode::Overloaded,
            ErrorCode::Overloaded,
        ),
    ] {
        let setup = Setup::new(ANIMALS).await;
        let fail = Fault::FailBefore;
        setup
            .script_lexical(|index| index.on(Call::Search, 1, fail(lexical)))
            .await;
        setup
            .script_vector(|store| store.on(Call::Search, 1, fail(dense)))
            .await;
        let request = setup.request("red fox");
        let error = setup.retriever().retrieve(request).await.unwrap_err();
        assert_eq!(error.code(), telling);
        let message = error.message();
        assert!(
            message.contains("lexical") && message.contains("dense"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_leg_that_hangs_is_left_behind() {
    for hanging in [Call::Search, Call::EmbedQuery] {
        let setup = Setup::new(ANIMALS)
            .await
            .with_leg_timeout(Duration::from_millis(5));
        let hang = Fault::HoldBefore(Gate::new());
        setup
            .script_vector(|store| store.on_from(hanging, 1, hang.clone()))
            .await;
        let setup = with_embedder_script(setup, |embedder| embedder.on_from(hanging, 1, hang));
        let response = setup.retrieve(setup.request("red fox")).await;
        expect![[r#"
            1 d1#0 fused 1.0000: lexical@1=1.0000 fused@1=1.0000
            2 d2#0 fused -1.0000: lexical@2=0.5000 fused@2=-1.0000
            ! dense: no answer within the 5 ms of retrieve.leg_timeout_ms
        "#]]
        .assert_eq(&show(&response));
        let error = setup
            .retriever()
            .retrieve(in_mode(&setup, Mode::Dense))
            .await;
        assert_eq!(error.unwrap_err().code(), ErrorCode::Timeout);
    }
}

#[tokio::test]
async fn the_lexical_leg_is_searched_once_the_query_is_embedded() {
    let setup = Setup::new(ANIMALS).await;
    let gate = Gate::new();
    let hold = Fault::HoldBefore(gate.clone());
    let index = setup.script_lexical(|index| index).await;
    let setup = with_embedder_script(setup, |embedder| embedder.on(Call::EmbedQuery, 1, hold));
    let retriever = setup.retriever();
    let request = setup.request("red fox");
    let retrieval = tokio::spawn(async move { retriever.retrieve(request).await });
    gate.arrived().await;
    assert_eq!(index.count(Call::Search), 0);
    gate.open();
    assert_eq!(retrieval.await.unwrap().unwrap().hits.len(), 3);
    assert_eq!(index.count(Call::Search), 1);
}

#[tokio::test]
async fn vectors_of_two_models_are_never_compared() {
    let setup = Setup::new(ANIMALS)
        .await
        .with_embedder(HashEmbedder::named("another", 64));
    for mode in [Mode::Dense, Mode::Hybrid] {
        let retrieved = setup.retriever().retrieve(in_mode(&setup, mode)).await;
        let error = retrieved.unwrap_err();
        assert_eq!(error.code(), ErrorCode::FingerprintMismatch);
        assert!(
            error
                .help()
                .unwrap()
                .contains("braid collection rebuild mini")
        );
    }
    let lexical = setup.retrieve(in_mode(&setup, Mode::Lexical)).await;
    assert_eq!(lexical.hits.len(), 2, "the lexical leg needs no embedder");
}

#[tokio::test]
async fn the_query_is_embedded_while_the_state_is_pinned() {
    let setup = Setup::new(ANIMALS).await;
    let gate = Gate::new();
    let index = setup
        .script_lexical(|index| index.on(Call::Pin, 1, Fault::HoldBefore(gate.clone())))
        .await;
    let retriever = setup.retriever();
    let request = setup.request("red fox");
    let retrieval = tokio::spawn(async move { retriever.retrieve(request).await });
    gate.arrived().await;
    assert_eq!(setup.corpus.embedder.queries_embedded(), 1);
    gate.open();
    assert_eq!(retrieval.await.unwrap().unwrap().hits.len(), 3);
    assert_eq!(index.count(Call::Search), 1);
}
