//! Why a document is missing: the stage that lost it, and changes that return it.

use std::sync::Arc;

use braid_core::{Condition, DocumentId, Filter, MetadataValue, Predicate};
use braid_query::{
    ContextOptions, Cut, ExplainRequest, Explanation, LegTrace, Mode, OptionChange, OptionValue,
    PhrasingTrace, Remedy, RetrieveRequest,
};
use braid_testkit::OverlapReranker;
use expect_test::{Expect, expect};

use crate::setup::{Setup, block_on};

const ANIMALS: &str = "
    d1 {lang=en}: red fox
    d2 {lang=de}: blue fox
    d3 {lang=en}: green owl
    d4 {lang=en}: red red wine
    d5 {lang=en}: red fox";

pub(crate) fn document(id: &str) -> DocumentId {
    DocumentId::new(id).unwrap()
}

async fn explain(setup: &Setup, id: &str, request: RetrieveRequest) -> Explanation {
    let request = ExplainRequest::new(document(id), request);
    setup.retriever().explain(request).await.unwrap()
}

fn show_value(value: &OptionValue) -> String {
    match value {
        OptionValue::Absent => "absent".to_owned(),
        OptionValue::Set => "set".to_owned(),
        OptionValue::Count(count) => count.to_string(),
        OptionValue::Number(number) => number.to_string(),
        OptionValue::Switch(on) => on.to_string(),
        OptionValue::Mode(mode) => mode.as_str().to_owned(),
        OptionValue::Named(name) => (*name).to_owned(),
        OptionValue::Texts(texts) => texts.join("/"),
    }
}

pub(crate) fn show_remedy(remedy: &Remedy) -> String {
    let changes = remedy
        .changes
        .iter()
        .map(|OptionChange { option, from, to }| {
            format!("{option} {} -> {}", show_value(from), show_value(to))
        });
    let changes: Vec<String> = changes.collect();
    format!("  {}: rank {}\n", changes.join(", "), remedy.rank)
}

fn show_legs(legs: &[LegTrace]) -> String {
    let legs = legs.iter().map(|leg| {
        let at = leg.at.map_or(String::new(), |at| format!("@{}", at.rank));
        format!(" {} {}{at}", leg.leg, leg.outcome.as_str())
    });
    legs.collect()
}

fn show_phrasing(one: &PhrasingTrace) -> String {
    let legs = show_legs(&one.legs);
    let place = one
        .place
        .map_or(String::new(), |place| format!(" list@{}", place.rank));
    let failed = one
        .failed_conditions
        .iter()
        .map(|failed| format!(" excluded by {failed}"));
    let failed: String = failed.collect();
    format!("  {}:{legs}{place}{failed}\n", one.phrasing)
}

/// Where it was lost, what each leg says, and what would return it.
pub(crate) fn show(explanation: &Explanation) -> String {
    let cut = explanation.cut.as_ref();
    let legs = show_legs(&explanation.legs);
    let fused = explanation
        .fused
        .map_or(String::new(), |at| format!(" fused@{}", at.rank));
    let rerank = explanation
        .rerank
        .map_or(String::new(), |seen| format!(" rerank@{}", seen.at.rank));
    let phrasings: String = explanation.phrasings.iter().map(show_phrasing).collect();
    let remedies: String = explanation.remedies.iter().map(show_remedy).collect();
    let name = cut.map_or("returned", |cut| cut.as_str());
    format!("{name}:{legs}{fused}{rerank}\n{phrasings}{remedies}")
}

#[track_caller]
fn check(id: &str, change: impl FnOnce(&mut RetrieveRequest), expected: Expect) {
    let explanation = block_on(async {
        let setup = Setup::new(ANIMALS).await;
        let setup = setup.with_reranker(OverlapReranker::new());
        let mut request = setup.request("red fox");
        change(&mut request);
        explain(&setup, id, request).await
    });
    expected.assert_eq(&show(&explanation));
}

#[test]
fn what_the_context_leaves_out_as_nearly_the_same_is_no_matter_of_room() {
    let said = "red fox blue owl wine green sea sun red owl blue fox";
    let lines = format!("d1: {said}\nd2: {said} sea\nd3: wine");
    let asked = |max_tokens: usize| {
        block_on(async {
            let setup = Setup::new(&lines).await;
            let mut request = setup.request("red fox");
            request.context = ContextOptions {
                max_tokens,
                ..ContextOptions::default()
            };
            show(&explain(&setup, "d2", request).await)
        })
    };
    expect![[r#"
        near_duplicate: lexical found@2 dense found@2 fused@2
          context.max_similarity 0.9 -> 1: rank 2
    "#]]
    .assert_eq(&asked(1000));
    // Without room for either it is nearly the same all the same.
    expect![[r#"
        near_duplicate: lexical found@2 dense found@2 fused@2
          context.max_similarity 0.9 -> 1, context.max_tokens 1 -> 29: rank 2
    "#]]
    .assert_eq(&asked(1));
}

#[test]
fn every_stage_that_can_lose_a_document_is_named() {
    check(
        "d1",
        |_| (),
        expect![[r#"
        deduplicated: lexical found@2 dense found@2 fused@2
          distinct true -> false: rank 2
    "#]],
    );
    check(
        "d9",
        |_| (),
        expect![[r#"
        not_found:
    "#]],
    );
    check(
        "d3",
        |request| request.top_k = 2,
        expect![[r#"
        fused_out: lexical miss dense found@5 fused@5
          top_k 2 -> 4: rank 4
    "#]],
    );
    check(
        "d5",
        |_| (),
        expect![[r#"
        returned: lexical found@1 dense found@1 fused@1
    "#]],
    );
    let german = Filter {
        must: vec![Condition {
            key: "lang".to_owned(),
            predicate: Predicate::Match(MetadataValue::String("de".to_owned())),
        }],
        ..Filter::default()
    };
    check(
        "d1",
        |request| request.filter = Some(Arc::new(german)),
        expect![[r#"
        filtered: lexical found@2 dense found@2
          filter.must.0 set -> absent, distinct true -> false: rank 2
    "#]],
    );
    check(
        "d3",
        |request| request.mode = Mode::Lexical,
        expect![[r#"
        lexical_miss: lexical miss dense found@5
          mode lexical -> hybrid: rank 4
    "#]],
    );
    check(
        "d3",
        |request| {
            request.top_k = 1;
            request.candidates.dense = 2;
        },
        expect![[r#"
            below_depth: lexical miss dense below_depth@5
              top_k 1 -> 5: rank 4
        "#]],
    );
    check(
        "d4",
        |request| {
            request.top_k = 1;
            request.mode = Mode::Lexical;
            request.thresholds.lexical = Some(0.9);
        },
        expect![[r#"
            below_threshold: lexical below_threshold@3 dense found@3
              mode lexical -> hybrid, top_k 1 -> 2: rank 2
              thresholds.lexical 0.9 -> 0.6666, top_k 1 -> 2: rank 2
        "#]],
    );
    check(
        "d2",
        |request| {
            request.rerank.enabled = true;
            request.thresholds.rerank = Some(0.9);
        },
        expect![[r#"
            below_threshold: lexical found@4 dense found@4 fused@4 rerank@4
              thresholds.rerank 0.9 -> 0.5: rank 3
        "#]],
    );
    check(
        "d2",
        |request| {
            request.context.max_tokens = 6;
            request.mode = Mode::Lexical;
        },
        expect![[r#"
            budget: lexical found@4 dense found@4
              context.max_tokens 6 -> 13: rank 3
        "#]],
    );
}

#[tokio::test]
async fn a_document_that_the_re_ranker_demotes_is_said_to_be() {
    let setup = Setup::new("a: x y z x y z | q\nb: red fox runs").await;
    let setup = setup.with_reranker(OverlapReranker::new().with_odd("runs", -9.0));
    let mut request = setup.request("red fox");
    request.rerank.enabled = true;
    request.rerank.blend = Some(1.0);
    request.top_k = 1;
    let explanation = explain(&setup, "b", request).await;
    expect![[r#"
        demoted: lexical found@1 dense found@1 fused@1 rerank@3
          top_k 1 -> 3: rank 3
          rerank.enabled true -> false: rank 1
    "#]]
    .assert_eq(&show(&explanation));
}

#[tokio::test]
async fn what_is_not_indexed_yet_is_told_apart_from_what_is_not_there() {
    let setup = Setup::new("d1: red fox").await;
    setup.corpus.stage("d2: red owl").await;
    let explanation = explain(&setup, "d2", setup.request("red")).await;
    assert!(matches!(explanation.cut, Some(Cut::NotIndexed(_))));
    assert_eq!(explanation.lag, 1);
    let explanation = explain(&setup, "d3", setup.request("red")).await;
    assert_eq!(explanation.cut, Some(Cut::NotFound));
}

#[tokio::test]
async fn the_depth_is_within_limits() {
    let setup = Setup::new("d1: red fox").await;
    for depth in [0, 2001] {
        let request = ExplainRequest {
            depth,
            ..ExplainRequest::new(document("d1"), setup.request("red"))
        };
        let error = setup.retriever().explain(request).await.unwrap_err();
        assert_eq!(error.fields()[0].pointer, "/depth");
    }
}

#[test]
fn conditions_of_the_query_that_keep_it_out_are_told() {
    let cut = |id: &'static str, query: &'static str| {
        block_on(async {
            let setup = Setup::new(ANIMALS).await;
            explain(&setup, id, setup.request(query)).await
        })
    };
    let explanation = cut("d2", "fox \"red fox\" -wine");
    let told = explanation.cut.clone().unwrap();
    assert_eq!(told, Cut::ConditionsUnmet(vec!["\"red fox\"".to_owned()]));
    assert_eq!(
        told.detail(),
        "no passage of the document meets the query's \"red fox\""
    );
    assert!(show(&explanation).contains("  syntax auto -> off: rank"));
    let explanation = cut("d4", "red -wine");
    assert_eq!(
        explanation.cut,
        Some(Cut::ConditionsUnmet(vec!["-\"wine\"".to_owned()]))
    );
    assert_eq!(cut("d4", "\"red red\"").cut, None);
}

#[test]
fn several_phrasings_are_told_each_and_together() {
    let also = |phrasings: &[&str]| {
        let also: Vec<String> = phrasings.iter().map(|&text| text.to_owned()).collect();
        move |request: &mut RetrieveRequest| request.also = also
    };
    // The query does not find it, another phrasing does.
    check(
        "d3",
        |request| {
            also(&["green owl", "blue"])(request);
            (request.mode, request.top_k) = (Mode::Lexical, 2);
        },
        expect![[r#"
            returned: lexical found@1 dense found@1 fused@2
              0: lexical miss dense found@5
              1: lexical found@1 dense found@1 list@1
              2: lexical miss dense found@5
        "#]],
    );
    // One excludes it, which the others need not heed.
    check(
        "d4",
        |request| {
            also(&["wine -red", "blue owl"])(request);
            (request.mode, request.top_k) = (Mode::Lexical, 1);
        },
        expect![[r#"
            fused_out: lexical found@1 dense found@1 fused@5
              0: lexical found@3 dense found@3 list@3
              1: lexical found@1 dense found@1 excluded by -"red"
              2: lexical miss dense found@3
              top_k 1 -> 4: rank 4
        "#]],
    );
    // The one phrasing that would find it excludes it.
    check(
        "d3",
        |request| {
            also(&["green -owl"])(request);
            request.mode = Mode::Lexical;
        },
        expect![[r#"
            conditions_unmet: lexical found@1 dense found@1
              0: lexical miss dense found@5
              1: lexical found@1 dense found@1 excluded by -"owl"
              syntax auto -> off: rank 1
              mode lexical -> hybrid: rank 4
        "#]],
    );
    // What the query excludes no phrasing brings back.
    check(
        "d4",
        |request| {
            request.query += " -wine";
            also(&["wine"])(request);
        },
        expect![[r#"
            conditions_unmet: lexical found@1 dense found@1
              0: lexical found@1 dense found@3 excluded by -"wine"
              1: lexical found@1 dense found@1 excluded by -"wine"
              syntax auto -> off: rank 1
        "#]],
    );
    // Other phrasings put others before it.
    check(
        "d4",
        |request| {
            request.query = "red red wine".to_owned();
            also(&["blue fox", "fox"])(request);
            (request.mode, request.top_k) = (Mode::Lexical, 1);
        },
        expect![[r#"
            fused_out: lexical found@1 dense found@1 fused@4
              0: lexical found@1 dense found@1 list@1
              1: lexical miss dense found@4
              2: lexical miss dense found@4
              top_k 1 -> 3: rank 3
              also blue fox/fox -> absent: rank 1
        "#]],
    );
    // The phrasing that finds it does so below its candidates.
    check(
        "d1",
        |request| {
            request.query = "green".to_owned();
            also(&["red"])(request);
            (request.mode, request.top_k) = (Mode::Lexical, 1);
            request.candidates.lexical = 1;
        },
        expect![[r#"
            below_depth: lexical below_depth@3 dense found@3
              0: lexical miss dense found@4
              1: lexical below_depth@3 dense found@3
              distinct true -> false, top_k 1 -> 4: rank 4
        "#]],
    );
}
