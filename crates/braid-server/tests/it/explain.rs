//! `POST /v1/explain`: what it takes, what it says, and that its patches do what they say.

use std::sync::Arc;

use braid_core::ErrorCode;
use braid_testkit::OverlapReranker;
use serde_json::{Map, Value, json};

use crate::retrieve::corpus;
use crate::server::{Server, Setup};

/// The documents of `retrieve`, with a re-ranker.
async fn served() -> Server {
    let setup = Setup {
        reranker: Some(Arc::new(OverlapReranker::new())),
        ..Setup::default()
    };
    let server = setup.open().await;
    corpus(&server).await;
    server
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let object = target.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            object.remove(key);
        } else {
            merge(object.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

async fn rank_of(server: &Server, request: &Value, document: &str) -> Option<u64> {
    let answer = server.post("/retrieve", request).await.ok(200);
    let hits = answer["hits"].as_array().unwrap().clone();
    let hit = hits.into_iter().find(|hit| hit["document_id"] == document);
    hit.map(|hit| hit["rank"].as_u64().unwrap())
}

#[tokio::test]
async fn patches_return_the_document() {
    let server = served().await;
    let retrievals = [
        json!({ "query": "install with cargo", "top_k": 1 }),
        json!({ "query": "cargo \"braid binary\" -strand" }),
        json!({ "query": "cargo -nothing", "mode": "dense" }),
        json!({ "query": "install with cargo", "top_k": 1, "mode": "lexical" }),
        json!({ "query": "cargo", "top_k": 1, "candidates": { "lexical": 1, "dense": 1 } }),
        json!({ "query": "cargo", "filter": {
            "must": [{ "key": "lang", "match": "en" }, { "key": "year", "range": { "gte": 1990 } }],
            "must_not": [{ "key": "draft", "match": true }, { "key": "year", "match": 1999 }],
            "should": [{ "key": "tag", "any": ["cli"] }, { "key": "tag", "match": "none" }],
        } }),
        json!({ "query": "cargo", "thresholds": { "rerank": 0.99, "dense": 0.9, "lexical": 5 } }),
        json!({ "query": "cargo", "thresholds": { "rerank": 0.99 }, "rerank": { "blend": 1.0 } }),
        json!({ "query": "cargo", "also": ["seagulls", "-gulls crash"], "top_k": 1 }),
        json!({ "query": "cargo", "also": ["crash", "install \"braid binary\""], "mode": "lexical" }),
    ];
    let mut cuts = Vec::new();
    for retrieval in &retrievals {
        for document in ["guide/install.md", "guide/crash.md", "notes/möwen"] {
            let mut question = retrieval.clone();
            question["document_id"] = document.into();
            let answer = server.post("/v1/explain", &question).await.ok(200);
            let rank = rank_of(&server, retrieval, document).await;
            assert_eq!(answer["rank"].as_u64(), rank, "{question} {answer:#}");
            assert_eq!(answer["cut"].is_null(), rank.is_some(), "{answer:#}");
            let Some(stage) = answer["cut"]["stage"].as_str() else {
                continue;
            };
            cuts.push(stage.to_owned());
            let remedies = answer["remedies"].as_array().unwrap();
            assert!(!remedies.is_empty(), "{question} {answer:#}");
            for remedy in remedies {
                let mut patched = retrieval.clone();
                merge(&mut patched, &remedy["patch"]);
                let rank = rank_of(&server, &patched, document).await;
                assert_eq!(rank, remedy["rank"].as_u64(), "{patched} {remedy:#}");
            }
        }
    }
    for stage in ["fused_out", "below_depth", "filtered", "below_threshold"] {
        assert!(cuts.iter().any(|cut| cut == stage), "{stage}: {cuts:?}");
    }
}

#[tokio::test]
async fn each_of_several_phrasings_is_told() {
    let server = served().await;
    let question = json!({ "query": "install with cargo", "also": ["crash", "crash  ", "cargo -cargo"],
                           "document_id": "guide/crash.md", "top_k": 1 });
    let answer = server.post("/v1/explain", &question).await.ok(200);
    let phrasings = answer["phrasings"].as_array().unwrap();
    let numbers: Vec<_> = phrasings
        .iter()
        .map(|one| one["phrasing"].clone())
        .collect();
    assert_eq!(numbers, [0, 1, 3], "one that repeats another is left out");
    for one in phrasings {
        let legs: Vec<_> = one["legs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|leg| &leg["leg"])
            .collect();
        assert_eq!(legs, ["lexical", "dense"]);
    }
    assert!(answer["fused"]["rank"].is_u64());
    let alone = json!({ "query": "crash", "document_id": "guide/crash.md" });
    let alone = server.post("/v1/explain", &alone).await.ok(200);
    assert!(alone.get("phrasings").is_none());
    assert_eq!(phrasings[1]["place"], alone["fused"], "as it does alone");
    assert_eq!(phrasings[1]["legs"], alone["legs"]);
}

#[tokio::test]
async fn what_cannot_be_returned_is_said_to_be() {
    let server = served().await;
    let question = json!({ "query": "cargo", "document_id": "nowhere" });
    let answer = server.post("/v1/explain", &question).await.ok(200);
    assert_eq!(answer["cut"]["stage"], "not_found");
    assert_eq!(answer["remedies"], json!([]));
    assert_eq!(answer["legs"], json!([]));
}

#[tokio::test]
async fn conditions_that_exclude_a_document_are_named() {
    let server = served().await;
    let answer = server
        .post(
            "/v1/explain",
            &json!({ "query": "cargo", "document_id": "notes/möwen",
                     "filter": { "must": [{ "key": "year", "match": 1999 }, { "key": "lang", "match": "en" }] } }),
        )
        .await
        .ok(200);
    assert_eq!(answer["failed_conditions"], json!(["/filter/must/1"]));
    let remedy = &answer["remedies"][0];
    let condition = json!({ "key": "lang", "match": "en" });
    assert_eq!(
        remedy["changes"],
        json!([{ "option": "filter.must.1", "from": condition, "to": null }])
    );
    let kept = json!({ "filter": { "must": [{ "key": "year", "match": 1999 }] } });
    assert_eq!(remedy["patch"], kept);
}

#[tokio::test]
async fn bad_questions_name_the_field() {
    let server = served().await;
    let cases = [
        (json!({ "query": "x" }), ""),
        (json!({ "document_id": "x" }), ""),
        (json!({ "query": "x", "document_id": 3 }), "/document_id"),
        (json!({ "query": "x", "document_id": "" }), "/document_id"),
        (
            json!({ "query": "x", "document_id": "x", "depth": 0 }),
            "/depth",
        ),
        (
            json!({ "query": "x", "document_id": "x", "depth": -1 }),
            "/depth",
        ),
        (
            json!({ "query": "x", "document_id": "x", "topk": 3 }),
            "/topk",
        ),
        (
            json!({ "query": "x", "document_id": "x", "top_k": 0 }),
            "/top_k",
        ),
        (
            json!({ "query": "x", "document_id": "x", "also": ["y", " "] }),
            "/also/1",
        ),
        (
            json!({ "query": "x", "document_id": "x", "cursor": "y" }),
            "/cursor",
        ),
        (
            json!({ "query": "x", "document_id": "x", "candidates": { "dense": "x" } }),
            "/candidates/dense",
        ),
    ];
    for (body, pointer) in cases {
        let answer = server.post("/v1/explain", &body).await;
        let problem = answer.problem(400, ErrorCode::InvalidRequest);
        assert_eq!(
            problem["errors"][0]["pointer"], pointer,
            "{body} {problem:#}"
        );
    }
    let all_bad = json!({ "query": "", "document_id": "", "depth": 0, "top_k": 0 });
    let answer = server.post("/v1/explain", &all_bad).await;
    let problem = answer.problem(400, ErrorCode::InvalidRequest);
    let errors = problem["errors"].as_array().unwrap().iter();
    let pointers: Vec<&str> = errors.map(|it| it["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers, ["/document_id", "/depth", "/query", "/top_k"]);
    let twice = r#"{"query": "x", "document_id": "x", "document_id": "y"}"#;
    let call =
        crate::server::Call::new(axum::http::Method::POST, "/v1/explain").json(twice.to_owned());
    server
        .send(call)
        .await
        .problem(400, ErrorCode::InvalidRequest);
}

#[tokio::test]
async fn hits_say_what_moved_them_and_empty_answers_why_they_are_empty() {
    let server = served().await;
    let body =
        json!({ "query": "install with cargo", "explain": true, "rerank": { "blend": 1.0 } });
    let answer = server.post("/retrieve", &body).await.ok(200);
    assert!(answer.get("reason").is_none());
    for hit in answer["hits"].as_array().unwrap() {
        let moves = hit["moves"].as_array().unwrap();
        assert_eq!(moves[0]["stage"], "fused");
        assert_eq!(moves[1]["stage"], "rerank");
        assert_eq!(
            moves[0]["to"], moves[1]["from"],
            "each begins where the last ended"
        );
        assert_eq!(moves[moves.len() - 1]["to"], hit["rank"]);
        let relevance = hit["relevance"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&relevance));
    }
    let body = json!({ "query": "install with cargo", "thresholds": { "rerank": 1.0 } });
    let answer = server.post("/retrieve", &body).await.ok(200);
    assert_eq!(answer["hits"], json!([]));
    assert_eq!(answer["reason"]["code"], "nothing_relevant");
    assert_eq!(answer["reason"]["below"][0]["stage"], "rerank");
    assert_eq!(answer["context"]["text"], "");
}

/// Requests of retrievals and explanations that are accepted, with every field.
pub(crate) fn requests() -> Vec<(&'static str, &'static str, Value)> {
    let condition = |predicate: &str, value: Value| json!({ "key": "k", predicate: value });
    vec![
        (
            "post",
            "/retrieve",
            json!({
                "query": "x", "also": ["y"], "syntax": "auto", "typos": "off", "collection": "default",
                "top_k": 1, "mode": "lexical",
                "candidates": { "lexical": 1, "dense": 1 },
                "fusion": { "method": "minmax", "leg_trust": "auto", "k": 60, "weights": { "lexical": 1, "dense": 1 } },
                "rerank": { "enabled": false, "candidates": 1, "blend": 0.5, "deadline_ms": 10 },
                "filter": {
                    "must": [condition("match", json!("x")), condition("range", json!({ "gt": 1 }))],
                    "should": [condition("any", json!([1, true]))],
                    "must_not": [condition("exists", json!(true))],
                },
                "context": { "max_tokens": 10, "expand": "section", "tokenizer": "words", "per_document": 2,
                             "max_similarity": 0.5, "mmr": { "lambda": 0.5 }, "order": "edges" },
                "thresholds": { "lexical": 0.5, "dense": 0.1 },
                "distinct": false,
                "explain": true,
            }),
        ),
        (
            "post",
            "/v1/explain",
            json!({ "query": "x", "document_id": "x", "depth": 10, "thresholds": { "rerank": null } }),
        ),
        ("post", "/v1/retrieve", json!({ "query": "x" })),
        (
            "post",
            "/v1/retrieve/batch",
            json!({ "requests": [{ "query": "x", "fusion": {} }, { "query": "y" }] }),
        ),
    ]
}
