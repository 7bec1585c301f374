//! `POST /retrieve`: what a request may ask for and what its answer says.

use std::sync::Arc;

use braid_core::ErrorCode;
use braid_testkit::{Call as PortCall, Fault, Faulty, HashEmbedder, OverlapReranker};
use serde_json::{Value, json};

use crate::server::{Answer, Call, Server, Setup};

/// Three documents about different things, in one collection.
pub(crate) async fn corpus(server: &Server) {
    server
        .put("/v1/collections/default", &json!({}))
        .await
        .ok(200);
    server
        .index(
            "guide/install.md",
            json!({
                "text": "# Installing\n\n## With cargo\n\nInstall the braid binary with cargo.\n\n## With make\n\nRun make build.",
                "format": "markdown",
                "uri": "https://braid.example/install",
                "metadata": { "lang": "en", "year": 2024, "tag": ["setup", "cli"] },
            }),
        )
        .await;
    server
        .index(
            "guide/crash.md",
            json!({
                "text": "# Guarantees\n\nNothing acknowledged is lost when the process is killed.",
                "format": "markdown",
                "metadata": { "lang": "en", "year": 2021, "tag": ["safety"], "draft": true },
            }),
        )
        .await;
    server
        .index(
            "notes/möwen",
            json!({
                "text": "Möwen am Strand fressen cargo.",
                "title": "Möwen",
                "metadata": { "lang": "de", "year": 1999 },
            }),
        )
        .await;
}

async fn served() -> Server {
    let server = Server::new().await;
    corpus(&server).await;
    server
}

async fn ask(server: &Server, body: Value) -> Value {
    server.post("/retrieve", &body).await.ok(200)
}

#[tokio::test]
async fn a_bare_query_takes_every_default() {
    let server = served().await;
    let answer = server
        .post("/retrieve", &json!({ "query": "killed process" }))
        .await;
    let body = answer.ok(200);
    let hit = &body["hits"][0];
    assert_eq!(hit["document_id"], "guide/crash.md");
    assert_eq!(hit["rank"], 1);
    assert_eq!(hit["score_stage"], "fused");
    assert_eq!(hit["source"]["title"], "Guarantees");
    assert_eq!(hit["source"]["heading_path"], json!(["Guarantees"]));
    assert_eq!(hit["source"]["uri"], Value::Null);
    assert_eq!(hit["source"]["page"], Value::Null);
    let metadata = json!({ "lang": "en", "year": 2021, "tag": ["safety"], "draft": true });
    assert_eq!(
        hit["metadata"], metadata,
        "numbers come back as they went in"
    );
    assert!(hit.get("scores").is_none(), "explain was not asked");
    assert_eq!(body["lag"], 0);
    assert_eq!(body["degraded"], json!([]));
    assert_eq!(body["rerank"], Value::Null);
    assert_eq!(body["request_id"].as_str(), answer.header("x-request-id"));
    let cited = &body["context"]["citations"][0];
    assert_eq!(cited["marker"], "[1]");
    assert_eq!(cited["document_id"], "guide/crash.md");
    assert!(body["timings_ms"]["total"].as_f64().unwrap() > 0.0);
}

#[tokio::test]
async fn both_paths_answer_the_same() {
    let server = served().await;
    let body = json!({ "query": "cargo", "explain": true });
    let mut answers = Vec::new();
    for path in ["/retrieve", "/v1/retrieve"] {
        let mut answer = server.post(path, &body).await.ok(200);
        answer["request_id"].take();
        answer["timings_ms"].take();
        answers.push(answer);
    }
    let cached: Vec<Value> = answers.iter_mut().map(|a| a["cached"].take()).collect();
    assert_eq!(cached, [false, true], "the second is the first given again");
    assert_eq!(answers[0], answers[1]);
    assert!(answers[0]["hits"].as_array().unwrap().len() >= 2);
}

#[tokio::test]
async fn an_answer_is_given_again_until_something_is_written() {
    let server = served().await;
    let ask = async |cache: bool| {
        let body = json!({ "query": "cargo", "cache": cache });
        server.post("/retrieve", &body).await.ok(200)["cached"].take()
    };
    assert_eq!(ask(true).await, false);
    assert_eq!(ask(true).await, true);
    assert_eq!(ask(false).await, false);
    let path = "/v1/collections/default/documents/more.md?wait=indexed";
    let document = json!({ "text": "More of cargo." });
    server.put(path, &document).await.ok(200);
    assert_eq!(ask(true).await, false);
    assert_eq!(ask(true).await, true);
    let path = "/v1/collections/default/documents/more.md";
    server.delete(path).await.ok(202);
    assert_eq!(ask(true).await, false);
}

#[tokio::test]
async fn every_option_at_once() {
    let setup = Setup {
        reranker: Some(Arc::new(OverlapReranker::new())),
        ..Setup::default()
    };
    let server = setup.open().await;
    corpus(&server).await;
    let body = ask(
        &server,
        json!({
            "query": "install with cargo", "collection": "default", "top_k": 2, "mode": "hybrid",
            "candidates": { "lexical": 10, "dense": 20 },
            "fusion": { "method": "rrf", "k": 10, "weights": { "lexical": 2, "dense": 0.5 }, "leg_trust": "off" },
            "rerank": { "enabled": true, "candidates": 3, "blend": 0.5, "deadline_ms": 60000 },
            "filter": {
                "must": [{ "key": "lang", "match": "en" }, { "key": "year", "range": { "gte": 2020 } }],
                "should": [{ "key": "tag", "any": ["cli", "x"] }],
                "must_not": [{ "key": "draft", "exists": true }],
            },
            "context": { "max_tokens": 50, "expand": "neighbors" },
            "explain": true,
        }),
    )
    .await;
    let hits = body["hits"].as_array().unwrap();
    assert_eq!(hits.len(), 2);
    let hit = &hits[0];
    assert_eq!(hit["document_id"], "guide/install.md");
    assert_eq!(hit["score_stage"], "rerank");
    let scores = &hit["scores"];
    assert_eq!(scores["lexical"]["rank"], 1);
    // One leg weighs 2 and the other 0.5, both on a 1-based rank.
    let contribution = |leg: &str, weight: f64| {
        let rank = scores[leg]["rank"].as_f64();
        rank.map_or(0.0, |rank| weight / (10.0 + rank))
    };
    let fused = contribution("lexical", 2.0) + contribution("dense", 0.5);
    assert!((scores["fused"]["score"].as_f64().unwrap() - fused).abs() < 1e-12);
    assert_eq!(scores["rerank"]["rank"], 1);
    assert_eq!(scores["rerank"]["score"], 1.0, "every word of the query");
    let of = body["rerank"]["of"].as_u64().unwrap();
    assert_eq!(body["rerank"]["scored"], of);
    assert!((2..=3).contains(&of), "{of}");
    assert!(body["context"]["tokens"].as_u64().unwrap() <= 50);
}

#[tokio::test]
async fn modes_ask_the_legs_they_name() {
    let server = served().await;
    for (mode, stage, other) in [
        ("lexical", "lexical", "dense"),
        ("dense", "dense", "lexical"),
    ] {
        let request = json!({ "query": "cargo", "mode": mode, "explain": true });
        let body = ask(&server, request).await;
        let hit = &body["hits"][0];
        assert_eq!(hit["score_stage"], stage);
        assert_eq!(hit["scores"][stage]["rank"], 1);
        assert!(hit["scores"].get(other).is_none(), "{hit}");
    }
}

#[tokio::test]
async fn filters_choose_documents_in_both_legs() {
    let server = served().await;
    let cases = [
        (
            json!({ "must": [{ "key": "lang", "match": "de" }] }),
            vec!["notes/möwen"],
        ),
        (
            json!({ "must": [{ "key": "draft", "match": true }] }),
            vec!["guide/crash.md"],
        ),
        (
            json!({ "must": [{ "key": "year", "match": 1999 }] }),
            vec!["notes/möwen"],
        ),
        (
            json!({ "must": [{ "key": "tag", "match": "safety" }] }),
            vec!["guide/crash.md"],
        ),
        (
            json!({ "must": [{ "key": "year", "range": { "gt": 1999, "lt": 2024 } }] }),
            vec!["guide/crash.md"],
        ),
        (
            json!({ "should": [{ "key": "tag", "any": ["safety"] }, { "key": "tag", "exists": false }] }),
            vec!["guide/crash.md", "notes/möwen"],
        ),
        (
            json!({ "must_not": [{ "key": "lang", "match": "en" }, { "key": "lang", "match": "de" }] }),
            vec![],
        ),
        (json!({ "must": [{ "key": "tag", "any": [] }] }), vec![]),
    ];
    for (filter, expected) in cases {
        for mode in ["lexical", "dense", "hybrid"] {
            let query = "cargo process Möwen braid";
            let body = json!({ "query": query, "mode": mode, "filter": filter });
            let mut found = server.found(&body).await;
            found.sort();
            found.dedup();
            assert_eq!(found, expected, "{mode} {filter}");
        }
    }
}

#[tokio::test]
async fn context_may_be_left_out() {
    let server = served().await;
    let body = json!({ "query": "cargo", "context": { "max_tokens": 0 } });
    let answer = ask(&server, body).await;
    let empty = json!({ "text": "", "tokens": 0, "citations": [] });
    assert_eq!(answer["context"], empty);
    assert!(!answer["hits"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_missing_reranker_and_a_failing_leg_are_named() {
    let embedder = Faulty::new(HashEmbedder::new(64)).on_from(
        PortCall::EmbedQuery,
        1,
        Fault::FailBefore(ErrorCode::Unavailable),
    );
    let setup = Setup {
        embedder: Arc::new(embedder),
        ..Setup::default()
    };
    let server = setup.open().await;
    corpus(&server).await;
    let request = json!({ "query": "cargo", "rerank": { "enabled": true }, "explain": true });
    let answer = ask(&server, request).await;
    let degraded = answer["degraded"].as_array().unwrap();
    let stages: Vec<_> = degraded.iter().map(|stage| &stage["stage"]).collect();
    assert_eq!(stages, ["dense", "rerank"]);
    assert!(degraded.iter().all(|stage| stage["reason"] != ""));
    assert_eq!(answer["rerank"]["scored"], 0);
    let hit = &answer["hits"][0];
    assert_eq!(hit["scores"]["lexical"]["rank"], 1);
    let alone = json!({ "query": "cargo", "mode": "dense" });
    let refused = server.post("/retrieve", &alone).await;
    refused.problem(503, ErrorCode::Unavailable);
}

#[tokio::test]
async fn limits_hold_at_both_ends() {
    let server = served().await;
    let at_limit = "x".repeat(8192);
    for body in [
        json!({ "query": "a", "top_k": 1 }),
        json!({ "query": "a", "top_k": 1000 }),
        json!({ "query": at_limit }),
        json!({ "query": "a", "candidates": { "lexical": 2000, "dense": 1 } }),
        json!({ "query": "a", "rerank": { "blend": 0, "deadline_ms": 0, "candidates": 2000 } }),
        json!({ "query": "a", "fusion": { "k": 0, "weights": { "lexical": 0, "dense": 1 } } }),
    ] {
        ask(&server, body).await;
    }
}

#[tokio::test]
async fn what_no_document_has_finds_nothing_lexically() {
    let server = served().await;
    let body = ask(&server, json!({ "query": "zzzzz", "mode": "lexical" })).await;
    assert_eq!(body["hits"], json!([]));
    assert_eq!(body["terms"], json!(["zzzzz"]));
    assert_eq!(body["notes"], json!([]));
    let empty = ask(
        &server,
        json!({ "query": "( AND \"' * ~ ^", "mode": "lexical" }),
    )
    .await;
    assert_eq!(empty["hits"], json!([]), "punctuation never breaks a query");
    for explain in [false, true] {
        let body = ask(&server, json!({ "query": "???", "explain": explain })).await;
        assert_eq!(body["terms"], json!([]));
        assert_eq!(body["notes"][0]["code"], "no_lexical_terms");
        assert_eq!(body["degraded"], json!([]));
    }
}

#[tokio::test]
async fn an_unknown_collection_is_named() {
    let server = served().await;
    let body = json!({ "query": "x", "collection": "nowhere" });
    let answer: Answer = server.send(Call::post("/v1/retrieve", &body)).await;
    let problem = answer.problem(404, ErrorCode::CollectionNotFound);
    assert!(problem["detail"].as_str().unwrap().contains("nowhere"));
}

#[tokio::test]
async fn explain_says_how_far_each_leg_was_trusted() {
    let server = served().await;
    for method in ["rrf", "minmax", "dbsf"] {
        let body = json!({
            "query": "cargo", "explain": true,
            "fusion": { "method": method, "weights": { "lexical": 3 }, "leg_trust": "auto" },
        });
        let trust = ask(&server, body).await["trust"].take();
        assert_eq!(trust["rule"], "leg-trust-2");
        assert_eq!(trust["before"], json!({ "lexical": 3.0, "dense": 1.0 }));
        assert!(trust["after"]["lexical"].as_f64().unwrap() > 0.0);
        assert!(trust["features"]["lexical_spread"].is_number(), "{trust}");
    }
    let body = json!({ "query": "cargo", "explain": true, "fusion": { "leg_trust": "off" } });
    let trust = ask(&server, body).await["trust"].take();
    let even = json!({ "lexical": 1.0, "dense": 1.0 });
    assert_eq!(
        trust,
        json!({ "rule": "off", "features": {}, "coefficients": {}, "before": even, "after": even })
    );
    for body in [
        json!({ "query": "cargo" }),
        json!({ "query": "cargo", "explain": true, "mode": "dense" }),
    ] {
        let answer = ask(&server, body).await;
        assert!(answer.get("trust").is_none(), "{answer}");
    }
}
