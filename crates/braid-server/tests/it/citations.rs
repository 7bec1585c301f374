//! Citations reproduce the source: from ingest to context, whatever is asked of its assembly.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::server::Setup;

/// Documents of one collection, and what is asked of them.
const ROUNDS: usize = 12;
const QUESTIONS: usize = 12;

/// Paragraphs, headings, lists and code with letters of several widths.
fn any_text() -> impl Strategy<Value = String> {
    let word = "(fox|owl|Größe|naïve|東京|😀x|a{1,9}|wine|sea)";
    let sentence = vec(word, 1..12).prop_map(|words| words.join(" ") + ". ");
    let paragraph = vec(sentence, 1..6).prop_map(|sentences| sentences.concat());
    let block = prop_oneof![
        4 => paragraph,
        1 => "#{1,3} [A-Zß]{1,8}( [a-z]{1,6})?",
        1 => "- (fox|owl)\n- (wine|東京)",
        1 => "    let x = \"[a-z]{1,9}\";\n    run(x);",
    ];
    let gap = prop_oneof![
        Just("\n\n"),
        Just("\n"),
        Just("\n\n\n"),
        Just("\r\n\r\n"),
        Just(" \n\n\t")
    ];
    vec((block, gap), 1..12).prop_map(|blocks| {
        let parts = blocks.into_iter().map(|(block, gap)| block + gap);
        parts.collect()
    })
}

fn any_question() -> impl Strategy<Value = Value> {
    let query = prop::sample::select(vec!["fox", "owl wine", "Größe 東京", "naïve sea", "run x"]);
    let expand = prop::sample::select(vec!["none", "neighbors", "section"]);
    let order = prop::sample::select(vec!["rank", "edges"]);
    let tokenizer =
        prop::sample::select(vec!["embedder", "cl100k", "o200k", "characters", "words"]);
    let limits = (
        prop::option::of(1..4_usize),
        prop::option::of(0.0..=1.0_f64),
        prop::option::of(0.0..=1.0_f64),
    );
    let sizes = (1..12_usize, 1..300_usize);
    (query, expand, order, tokenizer, limits, sizes).prop_map(
        |(query, expand, order, tokenizer, (per_document, similarity, lambda), sizes)| {
            let (top_k, max_tokens) = sizes;
            json!({
                "query": query, "top_k": top_k, "collection": "default",
                "context": {
                    "max_tokens": max_tokens, "expand": expand, "order": order,
                    "tokenizer": tokenizer, "per_document": per_document,
                    "max_similarity": similarity, "mmr": lambda.map(|lambda| json!({ "lambda": lambda })),
                },
            })
        },
    )
}

#[tokio::test]
async fn every_citation_of_the_whole_pipeline_reproduces_its_source() {
    let mut runner = TestRunner::deterministic();
    let mut draw =
        |strategy: &BoxedStrategy<Value>| strategy.new_tree(&mut runner).unwrap().current();
    let texts = vec(any_text(), 5).prop_map(|texts| json!(texts)).boxed();
    let questions = any_question().boxed();
    let server = Setup::default().open().await;
    server
        .put(
            "/v1/collections/default",
            &json!({ "chunking": { "target_tokens": 32 } }),
        )
        .await
        .ok(200);
    let mut citations = 0;
    for round in 0..ROUNDS {
        let texts = draw(&texts);
        for (at, text) in texts.as_array().unwrap().iter().enumerate() {
            let format = if at % 2 == 0 { "text" } else { "markdown" };
            let body = json!({ "text": text, "format": format, "title": format!("T{at}") });
            server.index(&format!("d{at}"), body).await;
        }
        for _ in 0..QUESTIONS {
            let question = draw(&questions);
            let answer = server.post("/retrieve", &question).await.ok(200);
            citations += check(&answer, &texts, &format!("round {round}: {question}"));
        }
    }
    assert!(citations > 200, "{citations} citations were checked");
}

/// Takes the context apart by its citations, and compares each piece with the document.
fn check(answer: &Value, texts: &Value, what: &str) -> usize {
    let mut rest = answer["context"]["text"].as_str().unwrap();
    let citations = answer["context"]["citations"].as_array().unwrap();
    for citation in citations {
        let document = citation["document_id"].as_str().unwrap();
        let at: usize = document.trim_start_matches('d').parse().unwrap();
        let text = texts[at].as_str().unwrap();
        let position = |name: &str| citation[name].as_u64().unwrap() as usize;
        let (start, end) = (position("char_start"), position("char_end"));
        let source: String = text.chars().skip(start).take(end - start).collect();
        assert_eq!(source.chars().count(), end - start, "{what}: {citation}");
        let marker = citation["marker"].as_str().unwrap();
        rest = rest.trim_start_matches("\n\n");
        let lead = rest.split_inclusive('\n').next().unwrap();
        assert!(lead.starts_with(marker), "{what}: {lead:?} {citation}");
        rest = &rest[lead.len()..];
        let piece = rest.strip_prefix(source.as_str());
        rest = piece.unwrap_or_else(|| panic!("{what}: {source:?} is not in {rest:?}"));
    }
    assert_eq!(rest, "", "{what}: nothing stands uncited");
    citations.len()
}
