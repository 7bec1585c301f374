//! Whatever is asked, what an explanation tells is so, and what it names does return the document.

use std::sync::Arc;

use braid_core::{Condition, DocumentId, Filter, MetadataValue, Predicate};
use braid_query::{
    ContextExpansion, ContextOptions, Cut, ExplainRequest, Mode, OptionChange, OptionValue,
    RetrieveRequest, Thresholds,
};
use braid_testkit::OverlapReranker;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::explain::{document, show, show_remedy};
use crate::setup::{Setup, block_on};

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

/// None, or some, more often with operators of their own.
fn any_phrasings() -> impl Strategy<Value = Vec<String>> {
    prop_oneof![1 => Just(Vec::new()), 1 => vec(any_query(), 1..4)]
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
        also in any_phrasings(),
        filter in any_filter(),
        options in any_options(),
        at in any::<prop::sample::Index>(),
    ) {
        let id = document(&format!("d{}", at.index(lines.lines().count())));
        let failure = block_on(async {
            let setup = Setup::new(&lines).await.with_reranker(OverlapReranker::new());
            let mut request = with_options(setup.request(&query), &options);
            request.filter = filter;
            request.also = also;
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
