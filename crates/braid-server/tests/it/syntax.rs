//! Operators, synonyms and misspelt words over HTTP, on real indexes.

use braid_core::ErrorCode;
use serde_json::{Value, json};

use crate::retrieve::corpus;
use crate::server::Server;

const SYNONYMS: &str = "/v1/collections/default/synonyms";

async fn served() -> Server {
    let server = Server::new().await;
    corpus(&server).await;
    server
}

async fn ask(server: &Server, body: Value) -> Value {
    server.post("/retrieve", &body).await.ok(200)
}

fn ids(answer: &Value) -> Vec<&str> {
    let hits = answer["hits"].as_array().unwrap().iter();
    let mut ids: Vec<&str> = hits
        .map(|hit| hit["document_id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[tokio::test]
async fn operators_bind_every_hit() {
    let server = served().await;
    for mode in ["lexical", "dense", "hybrid"] {
        let found = async |query: &str| ask(&server, json!({ "query": query, "mode": mode })).await;
        let answer = found("install \"braid binary\"").await;
        assert_eq!(ids(&answer), ["guide/install.md"], "{mode}");
        assert_eq!(
            answer["conditions"],
            json!([{ "text": "braid binary", "excluded": false, "passages": 1 }])
        );
        let answer = found("cargo -title:m\u{f6}wen").await;
        assert!(!ids(&answer).contains(&"notes/m\u{f6}wen"), "{mode}");
        assert_eq!(answer["conditions"][0]["field"], "title");
        let answer = found("\"binary braid\"").await;
        assert_eq!(answer["hits"], json!([]), "{mode}");
        assert_eq!(answer["reason"]["code"], "conditions_unmet");
        let plain = json!({ "query": "\"binary braid\"", "mode": mode, "syntax": "off" });
        let answer = ask(&server, plain).await;
        assert!(ids(&answer).contains(&"guide/install.md"), "{mode}");
        assert!(answer.get("conditions").is_none());
    }
}

#[tokio::test]
async fn a_query_without_operators_is_answered_as_with_syntax_off() {
    let server = served().await;
    for query in [
        "killed process",
        "CVE-2024-3094 std::vec",
        "cargo - make",
        "12:30 e-mail",
    ] {
        let mut answers = Vec::new();
        for syntax in ["auto", "off"] {
            let body = json!({ "query": query, "syntax": syntax, "explain": true });
            let mut answer = ask(&server, body).await;
            answer["request_id"].take();
            answer["timings_ms"].take();
            answers.push(answer);
        }
        assert_eq!(answers[0], answers[1], "{query}");
    }
}

#[tokio::test]
async fn misspelt_words_are_told() {
    let server = served().await;
    let body = json!({ "query": "aknowledged", "mode": "lexical" });
    let answer = ask(&server, body).await;
    assert_eq!(ids(&answer), ["guide/crash.md"]);
    assert_eq!(
        answer["expansions"],
        json!([{ "term": "aknowledged", "to": "acknowledg", "kind": "typo", "distance": 1, "weight": 0.5 }])
    );
    assert_eq!(answer["terms"], json!(["aknowledg", "acknowledg"]));
    let body = json!({ "query": "aknowledged", "mode": "lexical", "typos": "off" });
    let answer = ask(&server, body).await;
    assert_eq!(answer["hits"], json!([]));
    assert!(answer.get("expansions").is_none());
}

#[tokio::test]
async fn synonyms_are_replaced_as_a_whole() {
    let server = served().await;
    let none = server.get(SYNONYMS).await.ok(200);
    assert_eq!(none, json!({ "rules": [] }));
    let rules =
        json!({ "rules": ["setup => Installing the binary, run make", "sea gull, m\u{f6}wen"] });
    let set = server.put(SYNONYMS, &rules).await.ok(200);
    assert_eq!(set, rules);
    assert_eq!(server.get(SYNONYMS).await.ok(200), rules);
    let body = json!({ "query": "the sea gull", "mode": "lexical" });
    let answer = ask(&server, body.clone()).await;
    assert_eq!(ids(&answer), ["notes/m\u{f6}wen"]);
    assert_eq!(answer["expansions"][0]["kind"], "synonym");
    assert_eq!(answer["expansions"][0]["to"], "m\u{f6}wen");
    let body2 = json!({ "query": "setup", "mode": "lexical" });
    assert_eq!(ids(&ask(&server, body2).await), ["guide/install.md"]);
    let made = server.put("/v1/collections/default", &json!({})).await;
    made.ok(200);
    server.put(SYNONYMS, &json!({ "rules": [] })).await.ok(200);
    let answer = ask(&server, body).await;
    assert_eq!(
        answer["hits"],
        json!([]),
        "a kept answer is not given again"
    );
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let server = served().await;
    let bad = json!({ "rules": ["a, b", "alone", "x =>"] });
    let problem = server.put(SYNONYMS, &bad).await;
    let problem = problem.problem(400, ErrorCode::InvalidRequest);
    let pointers = problem["errors"].as_array().unwrap().iter();
    let pointers: Vec<&Value> = pointers.map(|error| &error["pointer"]).collect();
    assert_eq!(pointers, ["/rules/1", "/rules/2"]);
    let rules = vec!["a, b"; 1001];
    let problem = server.put(SYNONYMS, &json!({ "rules": rules })).await;
    problem.problem(400, ErrorCode::InvalidRequest);
    let other = json!({ "rules": [], "more": 1 });
    let problem = server.put(SYNONYMS, &other).await;
    problem.problem(400, ErrorCode::InvalidRequest);
    let path = "/v1/collections/none/synonyms";
    let problem = server.put(path, &json!({ "rules": [] })).await;
    problem.problem(404, ErrorCode::CollectionNotFound);
    let problem = server.get(path).await;
    problem.problem(404, ErrorCode::CollectionNotFound);
    for field in ["syntax", "typos"] {
        let body = json!({ "query": "x", field: "on" });
        let problem = server.post("/retrieve", &body).await;
        problem.problem(400, ErrorCode::InvalidRequest);
    }
}
