//! Whatever is asked, what an explanation tells is so, and what it names does return the document.

use std::sync::Arc;

use braid_core::{Condition, DocumentId, Filter, MetadataValue, Predicate};
use braid_query::{
    ContextExpansion, ContextOptions, ContextOrder, Cut, ExplainRequest, FusionMethod, LegTrust,
    Mode, OptionChange, OptionValue, Remedy, RetrieveRequest, Thresholds,
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
    fusion: (FusionMethod, f64, LegTrust),
    rerank: bool,
    window: usize,
    blend: f64,
    thresholds: Thresholds,
    distinct: bool,
    context: ContextOptions,
}

fn any_fusion() -> impl Strategy<Value = (FusionMethod, f64, LegTrust)> {
    (
        prop::sample::select(vec![
            FusionMethod::Rrf,
            FusionMethod::MinMax,
            FusionMethod::Dbsf,
        ]),
        prop::sample::select(vec![1.0, 10.0, 60.0]),
        prop::sample::select(vec![LegTrust::Auto, LegTrust::Off]),
    )
}

fn any_context() -> impl Strategy<Value = ContextOptions> {
    let expand = prop::sample::select(vec![
        ContextExpansion::None,
        ContextExpansion::Neighbors,
        ContextExpansion::Section,
    ]);
    let similarity = prop::sample::select(vec![None, Some(0.0), Some(0.3), Some(0.9)]);
    let order = prop::sample::select(vec![ContextOrder::Rank, ContextOrder::Edges]);
    let choice = (
        option::weighted(0.3, 1..3_usize),
        similarity,
        option::weighted(0.3, 0.0..=1.0_f64),
    );
    (0..40_usize, expand, choice, order).prop_map(
        |(max_tokens, expand, (per_document, max_similarity, mmr), order)| ContextOptions {
            max_tokens,
            expand,
            per_document,
            max_similarity,
            mmr,
            order,
            ..ContextOptions::default()
        },
    )
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
    let rest = (
        any::<bool>(),
        0.0..=1.0_f64,
        any::<bool>(),
        any_fusion(),
        any_context(),
    );
    (mode, weights, thresholds, sizes, rest).prop_map(
        |(mode, weights, (lexical, dense, rerank), sizes, rest)| {
            let (top_k, lexical_depth, dense_depth, window) = sizes;
            let (reranks, blend, distinct, fusion, context) = rest;
            Options {
                top_k,
                mode,
                candidates: (lexical_depth, dense_depth),
                weights: if weights == (0.0, 0.0) {
                    (1.0, 1.0)
                } else {
                    weights
                },
                fusion,
                rerank: reranks,
                window,
                blend,
                thresholds: Thresholds {
                    lexical,
                    dense,
                    rerank: rerank.filter(|_| reranks),
                },
                distinct,
                context,
            }
        },
    )
}

fn with_options(mut request: RetrieveRequest, options: &Options) -> RetrieveRequest {
    request.top_k = options.top_k;
    request.mode = options.mode;
    (request.candidates.lexical, request.candidates.dense) = options.candidates;
    (request.fusion.weights.lexical, request.fusion.weights.dense) = options.weights;
    (
        request.fusion.method,
        request.fusion.k,
        request.fusion.leg_trust,
    ) = options.fusion;
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
    let is_of_context = matches!(explanation.cut, Some(Cut::NearDuplicate | Cut::Budget));
    if served.is_some() != (is_of_context || explanation.cut.is_none()) {
        return Err(format!("rank {served:?} and {shown}"));
    }
    if explanation.cut.is_some() && explanation.remedies.is_empty() {
        return Err(format!("nothing returns it: {shown}"));
    }
    for remedy in &explanation.remedies {
        let rank = returns(setup, id, &remedy.request).await;
        if rank != Some(remedy.rank) {
            return Err(format!("rank {rank:?} after {}", show_remedy(remedy)));
        }
        if is_of_context && !is_in_context(setup, id, &remedy.request).await {
            return Err(format!("not in the context after {}", show_remedy(remedy)));
        }
        for less in smaller(remedy, request) {
            let would_do = if is_of_context {
                is_in_context(setup, id, &less).await
            } else {
                returns(setup, id, &less).await.is_some()
            };
            if would_do {
                return Err(format!("less would do: {}{less:?}", show_remedy(remedy)));
            }
        }
    }
    Ok(())
}

/// Requests that ask for a little less than a remedy does: each number that it raises by one less, and of
/// several changes each one taken back.
fn smaller(remedy: &Remedy, base: &RetrieveRequest) -> Vec<RetrieveRequest> {
    let mut smaller = Vec::new();
    for change in &remedy.changes {
        let mut less = remedy.request.clone();
        if let OptionValue::Count(to) = change.to {
            *count(&mut less, &change.option) = to - 1;
            smaller.push(less);
        }
        let mut without = remedy.request.clone();
        take_back(change, base, &mut without);
        if remedy.changes.len() > 1 && without != remedy.request && without.check().is_ok() {
            smaller.push(without);
        }
    }
    smaller
}

fn count<'a>(request: &'a mut RetrieveRequest, option: &str) -> &'a mut usize {
    match option {
        "top_k" => &mut request.top_k,
        "candidates.lexical" => &mut request.candidates.lexical,
        "candidates.dense" => &mut request.candidates.dense,
        "rerank.candidates" => &mut request.rerank.candidates,
        "context.max_tokens" => &mut request.context.max_tokens,
        other => panic!("{other} is no count that a remedy changes"),
    }
}

fn take_back(change: &OptionChange, base: &RetrieveRequest, request: &mut RetrieveRequest) {
    match &change.option[..] {
        "also" => request.also.clone_from(&base.also),
        "syntax" => request.syntax = base.syntax,
        "mode" => request.mode = base.mode,
        "distinct" => request.distinct = base.distinct,
        "rerank.enabled" => request.rerank.enabled = base.rerank.enabled,
        "thresholds.lexical" => request.thresholds.lexical = base.thresholds.lexical,
        "thresholds.dense" => request.thresholds.dense = base.thresholds.dense,
        "thresholds.rerank" => request.thresholds.rerank = base.thresholds.rerank,
        "context.max_similarity" => request.context.max_similarity = base.context.max_similarity,
        "fusion.weights.lexical" => request.fusion.weights.lexical = base.fusion.weights.lexical,
        "fusion.weights.dense" => request.fusion.weights.dense = base.fusion.weights.dense,
        filter if filter.starts_with("filter") => request.filter.clone_from(&base.filter),
        option => {
            let from = *count(&mut base.clone(), option);
            *count(request, option) = from;
        }
    }
}
