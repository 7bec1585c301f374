//! What is not relevant enough is left out, and an empty answer says why.

use braid_query::{EmptyReason, Mode, RetrieveRequest, RetrieveResponse};
use braid_testkit::OverlapReranker;
use expect_test::{Expect, expect};

use crate::setup::{Setup, block_on, documents};

const ANIMALS: &str = "
    d1: red fox
    d2: blue fox
    d3: green owl
    d4: red red wine";

fn ask(change: impl FnOnce(&mut RetrieveRequest)) -> RetrieveResponse {
    block_on(async {
        let setup = Setup::new(ANIMALS).await;
        let setup = setup.with_reranker(OverlapReranker::new());
        let mut request = setup.request("red fox");
        change(&mut request);
        setup.retrieve(request).await
    })
}

/// Documents with their relevance, why there are none, what is degraded.
#[track_caller]
fn check(change: impl FnOnce(&mut RetrieveRequest), expected: Expect) {
    let response = ask(change);
    let mut shown = String::new();
    for hit in &response.hits {
        let relevance = hit
            .relevance
            .map_or(String::new(), |it| format!(" {it:.3}"));
        shown += &format!("{} {}{relevance}\n", hit.rank, hit.passage.record.document);
    }
    if let Some(reason) = &response.reason {
        shown += &format!("{}: {}\n", reason.as_str(), reason.detail());
    }
    for degraded in &response.degraded {
        shown += &format!("! {}: {}\n", degraded.stage, degraded.reason);
    }
    assert_eq!(response.hits.is_empty(), response.reason.is_some());
    expected.assert_eq(&shown);
}

#[test]
fn a_leg_votes_only_for_what_is_good_enough_for_it() {
    check(
        |request| request.thresholds.lexical = Some(0.6),
        expect![[r#"
        1 d1
        2 d4
        3 d2
        4 d3
    "#]],
    );
    check(
        |request| {
            request.thresholds.lexical = Some(0.6);
            request.thresholds.dense = Some(0.7);
        },
        expect![[r#"
            1 d1
            2 d4
        "#]],
    );
}

#[test]
fn a_probability_cuts_what_the_re_ranker_finds_irrelevant() {
    check(
        |request| request.rerank.enabled = true,
        expect![[r#"
        1 d1 0.982
        2 d4 0.500
        3 d2 0.500
        4 d3 0.018
    "#]],
    );
    check(
        |request| {
            request.rerank.enabled = true;
            request.thresholds.rerank = Some(0.6);
        },
        expect![[r#"
            1 d1 0.982
        "#]],
    );
    check(
        |request| {
            request.rerank.enabled = true;
            request.rerank.candidates = 1;
            request.thresholds.rerank = Some(0.6);
        },
        expect![[r#"
            1 d1 0.982
        "#]],
    );
}

#[test]
fn nothing_relevant_is_said_rather_than_the_least_bad() {
    check(
        |request| {
            request.rerank.enabled = true;
            request.thresholds.rerank = Some(0.99);
        },
        expect![[r#"
            nothing_relevant: nothing is relevant enough: thresholds.rerank 0.99 left out 4, the best at 0.9820
        "#]],
    );
    check(
        |request| {
            request.thresholds.lexical = Some(7.0);
            request.thresholds.dense = Some(1.5);
        },
        expect![[r#"
            nothing_relevant: nothing is relevant enough: thresholds.lexical 7 left out 3, the best at 1.0000; thresholds.dense 1.5 left out 4, the best at 1.0000
        "#]],
    );
    check(
        |request| {
            request.query = "zebra".to_owned();
            request.mode = Mode::Lexical;
        },
        expect![[r#"
            no_match: nothing that may be returned matches the query
        "#]],
    );
    let response = ask(|request| request.thresholds.dense = Some(2.0));
    assert_eq!(
        documents(&response),
        "d1 d4 d2",
        "the other leg still votes"
    );
}

#[test]
fn a_threshold_that_cannot_be_applied_leaves_nothing_out_and_is_named() {
    let lines = ANIMALS;
    let response = block_on(async {
        let setup = Setup::new(lines).await;
        let mut request = setup.request("red fox");
        request.rerank.enabled = true;
        request.thresholds.rerank = Some(0.9);
        setup.retrieve(request).await
    });
    assert_eq!(response.hits.len(), 4);
    let reasons: Vec<&str> = response
        .degraded
        .iter()
        .map(|one| one.reason.as_str())
        .collect();
    assert!(
        reasons[0].starts_with("no re-ranker is loaded: set "),
        "{reasons:?}"
    );
    assert!(
        reasons[1].starts_with("thresholds.rerank was not applied to 4 hits"),
        "{reasons:?}"
    );
}

#[test]
fn thresholds_that_mean_nothing_are_refused() {
    let pointers = |change: fn(&mut RetrieveRequest)| {
        block_on(async {
            let setup = Setup::new(ANIMALS).await;
            let mut request = setup.request("red");
            change(&mut request);
            let error = setup.retriever().retrieve(request).await.unwrap_err();
            let fields = error.fields().iter().map(|field| field.pointer.clone());
            fields.collect::<Vec<_>>()
        })
    };
    assert_eq!(
        pointers(|request| {
            request.rerank.enabled = true;
            request.thresholds.rerank = Some(1.1);
            request.thresholds.dense = Some(f64::NAN);
        }),
        ["/thresholds/dense", "/thresholds/rerank"]
    );
    let without = pointers(|request| request.thresholds.rerank = Some(0.5));
    assert_eq!(without, ["/thresholds/rerank"], "there is no re-ranking");
}

#[test]
fn the_reason_carries_what_was_left_out() {
    let response = ask(|request| {
        request.mode = Mode::Dense;
        request.thresholds.dense = Some(1.5);
    });
    let Some(EmptyReason::NothingRelevant(below)) = response.reason else {
        panic!("{:?}", response.reason);
    };
    assert_eq!((below[0].stage, below[0].left_out), ("dense", 4));
    assert!((below[0].best - 1.0).abs() < 1e-6);
}
