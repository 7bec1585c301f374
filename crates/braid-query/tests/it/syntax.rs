//! Operators, synonyms and misspelt words: what they ask holds for every hit, whichever leg found it,
//! and a query without any of them is answered as ever.

use std::sync::Arc;

use braid_core::ports::Recorded;
use braid_core::{ErrorCode, Ledger, Synonyms};
use braid_query::{
    Mode, Note, RetrieveRequest, RetrieveResponse, Syntax, Timings, Typos, parse_query,
};
use braid_testkit::{Call, Fault, OverlapReranker};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::setup::{Setup, block_on, documents};

const ANIMALS: &str = "
    d1 (Foxes): <Red/Hunting> the red fox hunts | <Red/Sleeping> the fox sleeps
    d2 (Owls): the owl hunts the red mouse
    d3 (Mice): a fox red with anger
    d4 (Drafts): the red fox draft";

const MODES: [Mode; 3] = [Mode::Lexical, Mode::Dense, Mode::Hybrid];

async fn ask(setup: &Setup, mode: Mode, query: &str) -> RetrieveResponse {
    let request = RetrieveRequest {
        mode,
        ..setup.request(query)
    };
    setup.retrieve(request).await
}

fn sorted(response: &RetrieveResponse) -> Vec<String> {
    let documents = documents(response);
    let mut names: Vec<String> = documents.split_whitespace().map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn conditions_hold_in_every_mode() {
    block_on(async {
        let setup = Setup::new(ANIMALS).await;
        for mode in MODES {
            let found = async |query: &str| sorted(&ask(&setup, mode, query).await);
            assert_eq!(found("\"red fox\"").await, ["d1", "d4"], "{mode:?}");
            assert_eq!(found("\"red fox\" -draft").await, ["d1"], "{mode:?}");
            // The dense leg brings in what says nothing of it.
            let wanted: &[&str] = match mode {
                Mode::Lexical => &["d1", "d3"],
                Mode::Dense | Mode::Hybrid => &["d1", "d2", "d3"],
            };
            assert_eq!(found("fox -\"red fox\"").await, wanted, "{mode:?}");
            assert_eq!(found("title:owls red").await, ["d2"], "{mode:?}");
            assert_eq!(found("fox heading:sleeping").await, ["d1"], "{mode:?}");
            assert_eq!(found("fox -title:foxes -draft body:anger").await, ["d3"]);
        }
    });
}

#[test]
fn conditions_are_told() {
    block_on(async {
        let setup = Setup::new(ANIMALS).await;
        let response = ask(&setup, Mode::Hybrid, "\"red fox\" -draft").await;
        let told = response.conditions.iter();
        let told: Vec<_> = told
            .map(|report| (report.condition.to_string(), report.saying))
            .collect();
        let wanted = [("\"red fox\"".to_owned(), 2), ("-\"draft\"".to_owned(), 1)];
        assert_eq!(told, wanted);
        assert_eq!(
            response.terms,
            ["fox", "red"],
            "nothing excluded is looked for"
        );
        let plain = ask(&setup, Mode::Hybrid, "red fox").await;
        assert!(plain.conditions.is_empty());
    });
}

#[test]
fn what_nobody_says_is_answered_with_the_reason() {
    block_on(async {
        let setup = Setup::new(ANIMALS)
            .await
            .with_reranker(OverlapReranker::new());
        for mode in MODES {
            let mut request = setup.request("\"blue fox\"");
            request.mode = mode;
            request.rerank.enabled = true;
            let response = setup.retrieve(request).await;
            assert!(response.hits.is_empty());
            let reason = response.reason.unwrap();
            assert_eq!(reason.as_str(), "conditions_unmet");
            assert_eq!(
                reason.detail(),
                "no passage meets the conditions of the query: \"blue fox\" must be said, and 0 passages say it"
            );
        }
        let all = ask(&setup, Mode::Dense, "red -the -fox").await;
        assert_eq!(all.reason.unwrap().as_str(), "conditions_unmet");
    });
}

#[test]
fn without_operators_nothing_changes() {
    block_on(async {
        let setup = Setup::new(ANIMALS).await;
        for query in [
            "the red fox",
            "fox - draft",
            "e-mail std::vec -1",
            "\"fox",
            "author:fox",
            "C:\\fox 12:30 http://red",
        ] {
            for mode in MODES {
                let ask = async |syntax| {
                    let request = RetrieveRequest {
                        mode,
                        syntax,
                        ..setup.request(query)
                    };
                    RetrieveResponse {
                        timings: Timings::default(),
                        ..setup.retrieve(request).await
                    }
                };
                assert_eq!(ask(Syntax::Auto).await, ask(Syntax::Off).await, "{query}");
            }
        }
    });
}

#[test]
fn operators_can_be_switched_off() {
    block_on(async {
        let setup = Setup::new(ANIMALS).await;
        let request = RetrieveRequest {
            syntax: Syntax::Off,
            mode: Mode::Lexical,
            ..setup.request("\"red fox\" -draft")
        };
        let response = setup.retrieve(request).await;
        assert!(response.conditions.is_empty());
        assert_eq!(documents(&response).split(' ').next(), Some("d4"));
    });
}

#[test]
fn a_pasted_text_is_noted() {
    block_on(async {
        let setup = Setup::new(ANIMALS).await;
        let response = ask(&setup, Mode::Hybrid, &format!("fox {}", "-aa ".repeat(20))).await;
        assert_eq!(response.notes, [Note::TooManyOperators]);
        assert!(!response.hits.is_empty());
    });
}

#[test]
fn conditions_that_cannot_be_checked_fail_the_retrieval() {
    block_on(async {
        let setup = Setup::new(ANIMALS).await;
        setup
            .script_lexical(|index| {
                index.on_from(Call::Narrow, 1, Fault::FailBefore(ErrorCode::Corrupt))
            })
            .await;
        for mode in MODES {
            let request = RetrieveRequest {
                mode,
                ..setup.request("\"red fox\"")
            };
            let error = setup.retriever().retrieve(request).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::Corrupt);
            assert!(error.chain().contains("conditions of the query"), "{error}");
            ask(&setup, mode, "red fox").await;
        }
    });
}

async fn set_synonyms(setup: &Setup, rules: &[&str]) {
    let synonyms = Arc::new(Synonyms::parse(rules).unwrap());
    let name = setup.corpus.name();
    let set = setup.corpus.ledger.set_synonyms(&name, synonyms, None);
    assert!(matches!(set.await.unwrap(), Recorded::Done(_)));
}

#[test]
fn synonyms_of_the_collection_are_searched_for() {
    block_on(async {
        let setup = Setup::new(ANIMALS).await;
        let before = ask(&setup, Mode::Lexical, "vixen").await;
        assert!(before.hits.is_empty());
        set_synonyms(&setup, &["vixen => red fox", "owl, mouse"]).await;
        let response = ask(&setup, Mode::Lexical, "vixen").await;
        assert_eq!(sorted(&response), ["d1", "d4"]);
        assert_eq!(response.terms, ["vixen", "red", "fox"]);
        assert_eq!(response.expansions[0].to, "red fox");
        set_synonyms(&setup, &[]).await;
        let after = ask(&setup, Mode::Lexical, "vixen").await;
        assert!(after.hits.is_empty());
    });
}

#[test]
fn misspelt_words_can_be_left_as_they_are() {
    block_on(async {
        let setup = Setup::new(ANIMALS).await;
        let response = ask(&setup, Mode::Lexical, "huntz").await;
        assert_eq!(sorted(&response), ["d1", "d2"]);
        assert_eq!(response.expansions[0].to, "hunts");
        let request = RetrieveRequest {
            typos: Typos::Off,
            mode: Mode::Lexical,
            ..setup.request("huntz")
        };
        let response = setup.retrieve(request).await;
        assert!(response.hits.is_empty() && response.expansions.is_empty());
    });
}

const WORDS: [&str; 5] = ["red", "fox", "owl", "sea", "sun"];

fn any_text() -> impl Strategy<Value = String> {
    vec(prop::sample::select(WORDS.to_vec()), 1..6).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn no_hit_breaks_a_condition(
        chunks in vec(any_text(), 1..12),
        word in prop::sample::select(WORDS.to_vec()),
        phrase in any_text(),
        other in any_text(),
        mode in prop::sample::select(MODES.to_vec()),
        reranks in any::<bool>(),
    ) {
        let lines: Vec<String> = chunks.iter().enumerate()
            .map(|(at, text)| format!("d{at}: {text}"))
            .collect();
        let query = format!("{word} \"{phrase}\" -\"{other}\"");
        let (parsed, response) = block_on(async {
            let setup = Setup::new(&lines.join("\n")).await.with_reranker(OverlapReranker::new());
            let mut request = setup.request(&query);
            request.mode = mode;
            request.rerank.enabled = reranks;
            request.distinct = false;
            request.top_k = 50;
            (parse_query(&query), setup.retrieve(request).await)
        });
        prop_assert_eq!(parsed.conditions.len(), 2);
        let says = |text: &str, words: &str| format!(" {text} ").contains(&format!(" {words} "));
        let mut wanted: Vec<&str> = chunks.iter().map(String::as_str)
            .filter(|text| says(text, &phrase) && !says(text, &other))
            .collect();
        let mut found: Vec<&str> = response.hits.iter()
            .map(|hit| hit.passage.record.chunk.text.as_str())
            .collect();
        wanted.sort_unstable();
        found.sort_unstable();
        prop_assert_eq!(found, wanted);
    }
}
