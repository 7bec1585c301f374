//! Order, scores, selection and context of undisturbed retrievals.

use std::sync::Arc;

use braid_core::{Condition, ErrorCode, Filter, MetadataValue, Predicate, Range};
use braid_query::{
    ContextExpansion, FusionMethod, LegTrust, Mode, Note, RetrieveRequest, ScoreStage,
};
use expect_test::expect;

use crate::setup::{Setup, check, documents, show};

const ANIMALS: &str = "
    d1: red fox
    d2: blue fox
    d3: green owl
    d4: red red wine";

#[test]
fn hits_are_fused_and_every_stage_is_explained() {
    check(
        ANIMALS,
        "red fox",
        expect![[r#"
            1 d1#0 fused 1.0762: lexical@1=1.0000 dense@1=1.0000 fused@1=1.0762
            2 d4#0 fused 0.3622: lexical@2=0.6667 dense@2=0.7071 fused@2=0.3622
            3 d2#0 fused 0.1824: lexical@3=0.5000 dense@3=0.6707 fused@3=0.1824
            4 d3#0 fused -1.6208: dense@4=-0.2237 fused@4=-1.6208
        "#]],
    );
}

#[test]
fn titles_headings_and_later_chunks_are_found() {
    let lines = "d1 (Whales): they sing | they dive\nd2: <Sharks/Great> teeth";
    check(
        lines,
        "whales dive",
        expect![[r#"
            1 d1#1 fused 1.1312: lexical@1=1.1667 dense@1=0.8165 fused@1=1.1312
            2 d1#0 fused 0.1685: lexical@2=0.6667 dense@2=0.5104 fused@2=0.1685
            3 d2#0 fused -1.2997: dense@3=0.0001 fused@3=-1.2997
        "#]],
    );
    check(
        lines,
        "great",
        expect![[r#"
            1 d2#0 fused 1.3886: lexical@1=0.5000 dense@1=0.5305 fused@1=1.3886
            2 d1#0 fused -0.5291: dense@2=0.1446 fused@2=-0.5291
            3 d1#1 fused -0.8595: dense@3=0.0001 fused@3=-0.8595
        "#]],
    );
}

#[tokio::test]
async fn a_single_leg_keeps_its_own_order_and_scores() {
    let setup = Setup::new(ANIMALS).await;
    let mode = |mode| RetrieveRequest {
        mode,
        ..setup.request("red fox")
    };
    let lexical = setup.retrieve(mode(Mode::Lexical)).await;
    expect![[r#"
        1 d1#0 lexical 1.0000: lexical@1=1.0000
        2 d4#0 lexical 0.6667: lexical@2=0.6667
        3 d2#0 lexical 0.5000: lexical@3=0.5000
    "#]]
    .assert_eq(&show(&lexical));
    assert_eq!(setup.corpus.embedder.queries_embedded(), 0);
    assert_eq!((lexical.timings.embed, lexical.timings.dense), (0.0, 0.0));
    let dense = setup.retrieve(mode(Mode::Dense)).await;
    expect![[r#"
        1 d1#0 dense 1.0000: dense@1=1.0000
        2 d4#0 dense 0.7071: dense@2=0.7071
        3 d2#0 dense 0.6707: dense@3=0.6707
        4 d3#0 dense -0.2237: dense@4=-0.2237
    "#]]
    .assert_eq(&show(&dense));
    assert!(dense.terms.is_empty());
    assert!(dense.notes.is_empty(), "the lexical leg was not asked");
}

#[tokio::test]
async fn a_query_without_terms_is_noted() {
    let setup = Setup::new("d1: red fox\nd2: blue owl").await;
    for query in ["!!!", "???", "😀 🎉", "— … »"] {
        for mode in [Mode::Lexical, Mode::Hybrid] {
            let request = RetrieveRequest {
                mode,
                ..setup.request(query)
            };
            let response = setup.retrieve(request).await;
            assert!(response.terms.is_empty(), "{query}");
            assert_eq!(response.notes, [Note::NoLexicalTerms], "{query}");
            assert!(response.degraded.is_empty(), "nothing fell short");
            assert_eq!(response.hits.is_empty(), mode == Mode::Lexical, "{query}");
        }
    }
    let found = setup.retrieve(setup.request("zzz")).await;
    assert!(found.notes.is_empty(), "terms that nothing has are terms");
}

#[tokio::test]
async fn equal_scores_are_ordered_by_chunk_id_whatever_the_history() {
    let forwards = "a: red fox\nb: red fox x\nc: red fox y\nd: red fox z";
    let backwards = "d: red fox z\nc: red fox y\nb: red fox x\na: red fox";
    let mut orders = Vec::new();
    for lines in [forwards, backwards] {
        let setup = Setup::new(lines).await;
        let lexical = RetrieveRequest {
            mode: Mode::Lexical,
            ..setup.request("fox")
        };
        let response = setup.retrieve(lexical).await;
        let ids: Vec<_> = response
            .hits
            .iter()
            .map(|hit| hit.passage.record.id)
            .collect();
        assert!(ids.is_sorted(), "all four score the same");
        let fused = setup.retrieve(setup.request("fox")).await;
        orders.push((ids, show(&fused)));
    }
    assert_eq!(orders[0], orders[1]);
}

#[tokio::test]
async fn leg_weights_and_k_are_obeyed() {
    let setup = Setup::new(ANIMALS).await;
    let mut request = setup.request("red fox");
    request.fusion.method = FusionMethod::Rrf;
    request.fusion.leg_trust = LegTrust::Off;
    request.fusion.k = 0.0;
    request.fusion.weights.dense = 0.0;
    let response = setup.retrieve(request).await;
    expect![[r#"
        1 d1#0 fused 1.0000: lexical@1=1.0000 dense@1=1.0000 fused@1=1.0000
        2 d4#0 fused 0.5000: lexical@2=0.6667 dense@2=0.7071 fused@2=0.5000
        3 d2#0 fused 0.3333: lexical@3=0.5000 dense@3=0.6707 fused@3=0.3333
    "#]]
    .assert_eq(&show(&response));
}

fn must(key: &str, predicate: Predicate) -> Option<Arc<Filter>> {
    let condition = Condition {
        key: key.to_owned(),
        predicate,
    };
    Some(Arc::new(Filter {
        must: vec![condition],
        ..Filter::default()
    }))
}

#[tokio::test]
async fn a_filter_binds_both_legs_and_uses_up_no_depth() {
    let lines = "
        d1 {year=2001}: fox
        d2 {year=2002}: fox den
        d3 {year=2003}: a fox in a den
        d4 {year=2004}: unrelated words";
    let setup = Setup::new(lines).await;
    for mode in [Mode::Lexical, Mode::Dense, Mode::Hybrid] {
        let range = Range {
            gte: Some(2003.0),
            ..Range::default()
        };
        let mut request = setup.request("fox");
        request.mode = mode;
        request.top_k = 1;
        request.candidates.lexical = 1;
        request.candidates.dense = 1;
        request.filter = must("year", Predicate::Range(range));
        let response = setup.retrieve(request.clone()).await;
        assert_eq!(documents(&response), "d3", "{mode:?}");
        let nowhere = MetadataValue::String("nowhere".to_owned());
        request.filter = must("lang", Predicate::Match(nowhere));
        let response = setup.retrieve(request).await;
        assert_eq!(documents(&response), "", "{mode:?}");
        assert!(response.degraded.is_empty());
    }
}

#[tokio::test]
async fn more_hits_than_there_are_is_no_error() {
    let setup = Setup::new(ANIMALS).await;
    let mut request = setup.request("red fox");
    request.top_k = 1000;
    let response = setup.retrieve(request).await;
    assert_eq!(response.hits.len(), 4);
    let empty = Setup::new("").await;
    let response = empty.retrieve(empty.request("red fox")).await;
    assert!(response.hits.is_empty() && response.degraded.is_empty());
    assert_eq!(response.context.text, "");
    assert_eq!(response.terms, ["fox", "red"]);
}

#[tokio::test]
async fn a_leg_is_asked_for_as_many_as_are_to_be_returned() {
    let lines: String = (0..60).map(|n| format!("d{n}: fox number{n}\n")).collect();
    let setup = Setup::new(&lines).await;
    let mut request = setup.request("fox");
    request.top_k = 60;
    assert_eq!(setup.retrieve(request).await.hits.len(), 60);
}

#[tokio::test]
async fn live_hits_fill_top_k_after_a_bulk_delete_with_stale_index_entries() {
    let lines: String = (0..40).map(|n| format!("d{n}: fox number{n}\n")).collect();
    let setup = Setup::new(&lines).await;
    let doomed: Vec<String> = (0..35).map(|n| format!("d{n}")).collect();
    let doomed: Vec<&str> = doomed.iter().map(String::as_str).collect();
    setup.corpus.delete(&doomed).await;
    for mode in [Mode::Lexical, Mode::Dense, Mode::Hybrid] {
        let mut request = setup.request("fox");
        request.mode = mode;
        request.top_k = 5;
        request.candidates.lexical = 5;
        request.candidates.dense = 5;
        let response = setup.retrieve(request).await;
        let mut found: Vec<String> = documents(&response).split(' ').map(str::to_owned).collect();
        found.sort_unstable();
        assert_eq!(found, ["d35", "d36", "d37", "d38", "d39"], "{mode:?}");
    }
}

#[tokio::test]
async fn one_text_is_returned_once_and_top_k_is_still_filled() {
    let copies = (0..45).map(|n| format!("copy{n}: red fox\n"));
    let others = (0..5).map(|n| format!("other{n}: fox number{n}\n"));
    let lines: String = copies.chain(others).collect();
    let setup = Setup::new(&lines).await;
    let mut request = setup.request("red fox");
    request.top_k = 4;
    let response = setup.retrieve(request).await;
    let names = documents(&response);
    assert_eq!(names.matches("copy").count(), 1, "{names}");
    assert!(
        names.starts_with("copy"),
        "the best stands for all: {names}"
    );
    let ranks: Vec<usize> = response.hits.iter().map(|hit| hit.rank).collect();
    assert_eq!(ranks, [1, 2, 3, 4]);
}

#[tokio::test]
async fn the_answer_says_what_it_does_not_reflect_yet() {
    let setup = Setup::new(ANIMALS).await;
    setup.corpus.stage("d5: red fox cub\nd6: another fox").await;
    let response = setup.retrieve(setup.request("cub")).await;
    assert_eq!(response.lag, 2);
    assert!(!documents(&response).contains("d5"));
    setup.corpus.apply().await;
    let response = setup.retrieve(setup.request("cub")).await;
    assert_eq!(response.lag, 0);
    assert!(documents(&response).starts_with("d5"));
}

#[tokio::test]
async fn context_is_cited_and_expanded_from_the_pinned_state() {
    let lines = "d1 (Foxes): first | second vixen | third\nd2: owl";
    let setup = Setup::new(lines).await;
    let mut request = setup.request("vixen");
    request.mode = Mode::Lexical;
    let alone = setup.retrieve(request.clone()).await;
    expect![[r#"
        [1] Foxes
        second vixen"#]]
    .assert_eq(&alone.context.text);
    request.context.expand = ContextExpansion::Neighbors;
    let expanded = setup.retrieve(request.clone()).await;
    expect![[r#"
        [1] Foxes
        first

        [2]
        second vixen

        [3]
        third"#]]
    .assert_eq(&expanded.context.text);
    assert_eq!(expanded.hits.len(), 1, "neighbours are context, not hits");
    request.context.max_tokens = 0;
    assert_eq!(setup.retrieve(request).await.context.tokens, 0);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let setup = Setup::new(ANIMALS).await;
    let mut request = setup.request(" ");
    request.top_k = 0;
    request.rerank.blend = Some(1.5);
    request.fusion.weights.lexical = 0.0;
    request.fusion.weights.dense = 0.0;
    request.filter = must("year", Predicate::Range(Range::default()));
    let error = setup.retriever().retrieve(request).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidRequest);
    let pointers: Vec<&str> = error
        .fields()
        .iter()
        .map(|field| field.pointer.as_str())
        .collect();
    assert_eq!(
        pointers,
        [
            "/query",
            "/top_k",
            "/fusion/weights",
            "/rerank/blend",
            "/filter/must/0"
        ]
    );
}

#[tokio::test]
async fn an_unknown_collection_is_an_error() {
    let setup = Setup::new(ANIMALS).await;
    let request = RetrieveRequest::new("fox", "nowhere".parse().unwrap());
    let error = setup.retriever().retrieve(request).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::CollectionNotFound);
}

#[tokio::test]
async fn stages_and_timings_agree() {
    let setup = Setup::new(ANIMALS).await;
    let response = setup.retrieve(setup.request("red fox")).await;
    assert!(response.rerank.is_none());
    assert!(
        response
            .hits
            .iter()
            .all(|hit| hit.score_stage == ScoreStage::Fused)
    );
    let timings = response.timings;
    assert!(timings.embed > 0.0 && timings.lexical > 0.0 && timings.dense > 0.0);
    assert!(timings.total >= timings.hydrate + timings.assemble);
    assert_eq!(timings.rerank, 0.0);
}
