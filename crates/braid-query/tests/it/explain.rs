//! Why a document is missing: the stage that lost it, and changes that return it.

use std::sync::Arc;

use braid_core::{Condition, DocumentId, Filter, MetadataValue, Predicate};
use braid_query::{
    ContextExpansion, ContextOptions, Cut, ExplainRequest, Explanation, Mode, OptionChange,
    OptionValue, Remedy, RetrieveRequest, Thresholds,
};
use braid_testkit::OverlapReranker;
use expect_test::{Expect, expect};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::setup::{Setup, block_on};

const ANIMALS: &str = "
    d1 {lang=en}: red fox
    d2 {lang=de}: blue fox
    d3 {lang=en}: green owl
    d4 {lang=en}: red red wine
    d5 {lang=en}: red fox";

fn document(id: &str) -> DocumentId {
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
    }
}

fn show_remedy(remedy: &Remedy) -> String {
    let changes = remedy
        .changes
        .iter()
        .map(|OptionChange { option, from, to }| {
            format!("{option} {} -> {}", show_value(from), show_value(to))
        });
    let changes: Vec<String> = changes.collect();
    format!("  {}: rank {}\n", changes.join(", "), remedy.rank)
}

/// Where it was lost, what each leg says, and what would return it.
fn show(explanation: &Explanation) -> String {
    let cut = explanation.cut.as_ref();
    let legs = explanation.legs.iter().map(|leg| {
        let at = leg.at.map_or(String::new(), |at| format!("@{}", at.rank));
        format!(" {} {}{at}", leg.leg, leg.outcome.as_str())
    });
    let legs: String = legs.collect();
    let fused = explanation
        .fused
        .map_or(String::new(), |at| format!(" fused@{}", at.rank));
    let rerank = explanation
        .rerank
        .map_or(String::new(), |seen| format!(" rerank@{}", seen.at.rank));
    let remedies: String = explanation.remedies.iter().map(show_remedy).collect();
    let name = cut.map_or("returned", |cut| cut.as_str());
    format!("{name}:{legs}{fused}{rerank}\n{remedies}")
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
              rerank.enabled true -> false, thresholds.rerank 0.9 -> absent: rank 3
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

const WORDS: [&str; 8] = ["red", "fox", "blue", "owl", "wine", "green", "sea", "sun"];

fn any_text() -> impl Strategy<Value = String> {
    vec(prop::sample::select(WORDS.to_vec()), 1..6).prop_map(|words| words.join(" "))
}

/// Words, some with operators.
fn any_query() -> impl Strategy<Value = String> {
    let operator = prop_oneof![
        any_text().prop_map(|text| format!(" \"{text}\"")),
        prop::sample::select(WORDS.to_vec()).prop_map(|word| format!(" -{word}")),
        prop::sample::select(WORDS.to_vec()).prop_map(|word| format!(" body:{word}")),
    ];
    let operators = prop_oneof![3 => Just(Vec::new()), 1 => vec(operator, 1..3)];
    (any_text(), operators).prop_map(|(text, operators)| text + &operators.concat())
}

/// Up to some dozen documents of up to three chunks over few words: many ties and many duplicates.
fn any_corpus() -> impl Strategy<Value = String> {
    let document = (
        vec(any_text(), 1..4),
        prop::sample::select(vec!["en", "de"]),
        0..3_u8,
    );
    vec(document, 2..16).prop_map(|documents| {
        let lines = documents
            .into_iter()
            .enumerate()
            .map(|(at, (chunks, lang, year))| {
                format!("d{at} {{lang={lang}, year={year}}}: {}", chunks.join(" | "))
            });
        lines.collect::<Vec<_>>().join("\n")
    })
}

fn any_condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        prop::sample::select(vec!["en", "de"]).prop_map(|lang| Condition {
            key: "lang".to_owned(),
            predicate: Predicate::Match(MetadataValue::String(lang.to_owned())),
        }),
        (0..3_u8).prop_map(|year| Condition {
            key: "year".to_owned(),
            predicate: Predicate::Match(MetadataValue::Number(f64::from(year))),
        }),
    ]
}

fn any_filter() -> impl Strategy<Value = Option<Arc<Filter>>> {
    let conditions = || vec(any_condition(), 0..2);
    let filter = (conditions(), conditions(), conditions());
    option::weighted(
        0.4,
        filter.prop_map(|(must, should, must_not)| {
            Arc::new(Filter {
                must,
                should,
                must_not,
            })
        }),
    )
}

/// What changes a request, apart from query and filter.
#[derive(Clone, Debug)]
struct Options {
    top_k: usize,
    mode: Mode,
    candidates: (usize, usize),
    weights: (f64, f64),
    rerank: bool,
    window: usize,
    blend: f64,
    thresholds: Thresholds,
    distinct: bool,
    context: ContextOptions,
}

fn any_options() -> impl Strategy<Value = Options> {
    let mode = prop::sample::select(vec![Mode::Lexical, Mode::Dense, Mode::Hybrid, Mode::Hybrid]);
    let weight = || prop::sample::select(vec![0.0, 0.5, 1.0, 1.0]);
    let weights = (weight(), weight());
    let thresholds = (
        option::weighted(0.3, 0.0..1.5_f64),
        option::weighted(0.3, -0.5..1.0_f64),
        option::weighted(0.3, 0.0..1.0_f64),
    );
    let sizes = (1..5_usize, 1..6_usize, 1..6_usize, 1..6_usize);
    let expand = prop::sample::select(vec![
        ContextExpansion::None,
        ContextExpansion::Neighbors,
        ContextExpansion::Section,
    ]);
    let rest = (
        any::<bool>(),
        0.0..=1.0_f64,
        any::<bool>(),
        0..40_usize,
        expand,
    );
    (mode, weights, thresholds, sizes, rest).prop_map(
        |(mode, weights, (lexical, dense, rerank), sizes, rest)| {
            let (top_k, lexical_depth, dense_depth, window) = sizes;
            let (reranks, blend, distinct, max_tokens, expand) = rest;
            Options {
                top_k,
                mode,
                candidates: (lexical_depth, dense_depth),
                weights: if weights == (0.0, 0.0) {
                    (1.0, 1.0)
                } else {
                    weights
                },
                rerank: reranks,
                window,
                blend,
                thresholds: Thresholds {
                    lexical,
                    dense,
                    rerank: rerank.filter(|_| reranks),
                },
                distinct,
                context: ContextOptions {
                    max_tokens,
                    expand,
                    ..ContextOptions::default()
                },
            }
        },
    )
}

fn with_options(mut request: RetrieveRequest, options: &Options) -> RetrieveRequest {
    request.top_k = options.top_k;
    request.mode = options.mode;
    (request.candidates.lexical, request.candidates.dense) = options.candidates;
    (request.fusion.weights.lexical, request.fusion.weights.dense) = options.weights;
    request.rerank.enabled = options.rerank;
    request.rerank.candidates = options.window;
    request.rerank.blend = Some(options.blend);
    request.rerank.deadline_ms = None;
    request.thresholds = options.thresholds;
    request.distinct = options.distinct;
    request.context = options.context;
    request
}

async fn returns(setup: &Setup, id: &DocumentId, request: &RetrieveRequest) -> Option<usize> {
    let response = setup.retrieve(request.clone()).await;
    let hits = response.hits.iter();
    let mut of_document = hits.filter(|hit| hit.passage.record.document == *id);
    of_document.next().map(|hit| hit.rank)
}

/// Whether the context cites characters of a hit of the document.
async fn is_in_context(setup: &Setup, id: &DocumentId, request: &RetrieveRequest) -> bool {
    let response = setup.retrieve(request.clone()).await;
    let mut cited = response.context.citations.iter();
    cited.any(|citation| citation.document == *id)
}

proptest! {
    #[test]
    fn a_change_that_is_named_does_return_the_document(
        lines in any_corpus(),
        query in any_query(),
        filter in any_filter(),
        options in any_options(),
        at in any::<prop::sample::Index>(),
    ) {
        let id = document(&format!("d{}", at.index(lines.lines().count())));
        let failure = block_on(async {
            let setup = Setup::new(&lines).await.with_reranker(OverlapReranker::new());
            let mut request = with_options(setup.request(&query), &options);
            request.filter = filter;
            holds(&setup, &id, &request).await
        });
        prop_assert!(failure.is_ok(), "{id}: {}", failure.unwrap_err());
    }
}

/// What an explanation promises, checked against what the pipeline answers.
async fn holds(setup: &Setup, id: &DocumentId, request: &RetrieveRequest) -> Result<(), String> {
    let served = returns(setup, id, request).await;
    let asked = ExplainRequest::new(id.clone(), request.clone());
    let explanation = setup.retriever().explain(asked).await.unwrap();
    let shown = show(&explanation);
    if explanation.rank != served {
        return Err(format!(
            "it has rank {served:?}, explained as {:?}",
            explanation.rank
        ));
    }
    let is_budget = explanation.cut == Some(Cut::Budget);
    if served.is_some() != (is_budget || explanation.cut.is_none()) {
        return Err(format!("rank {served:?} and {shown}"));
    }
    if explanation.cut.is_some() && explanation.remedies.is_empty() {
        return Err(format!("nothing returns it: {shown}"));
    }
    for remedy in &explanation.remedies {
        if is_budget && !is_in_context(setup, id, &remedy.request).await {
            return Err(format!("not in the context after {}", show_remedy(remedy)));
        }
        let rank = returns(setup, id, &remedy.request).await;
        if rank != Some(remedy.rank) {
            return Err(format!("rank {rank:?} after {}", show_remedy(remedy)));
        }
        if let [
            OptionChange {
                option,
                to: OptionValue::Count(to),
                ..
            },
        ] = &remedy.changes[..]
            && option == "top_k"
        {
            let less = RetrieveRequest {
                top_k: to - 1,
                ..remedy.request.clone()
            };
            let is_smallest = returns(setup, id, &less).await.is_none();
            // A deeper leg can bring others before it: then fewer may do as well.
            let is_deeper = *to > request.candidates.lexical.min(request.candidates.dense);
            if !is_smallest && !is_deeper && !is_budget {
                return Err(format!("less would do: {}", show_remedy(remedy)));
            }
        }
    }
    Ok(())
}
