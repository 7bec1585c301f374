//! The same retrievals over both interfaces: the same answers, the same refusals.

use braid_server::grpc::proto;
use serde_json::{Value, json};

use super::{assert_same, message, retrieval};
use crate::server::Server;

/// A small collection with metadata of every kind.
async fn filled() -> Server {
    let server = Server::new().await;
    for (id, text, metadata) in [
        (
            "a",
            "the quick red fox jumps",
            json!({ "lang": "en", "year": 2020, "tag": ["x", "y"] }),
        ),
        (
            "b/1",
            "a lazy brown dog sleeps",
            json!({ "lang": "en", "year": 2021.5, "draft": true }),
        ),
        (
            "c",
            "der schnelle Fuchs springt",
            json!({ "lang": "de", "year": 2022 }),
        ),
        ("d", "the quick red fox jumps again", json!({})),
    ] {
        server
            .index(
                id,
                json!({ "text": text, "metadata": metadata, "title": id }),
            )
            .await;
    }
    server
}

/// Requests for `/v1/retrieve`, good and bad, that a message can say too.
fn retrievals() -> Vec<Value> {
    let one = |key: &str, test: &str, value: Value| json!({ "query": "fox", "filter": { "must": [{ "key": key, test: value }] } });
    vec![
        json!({ "query": "red fox" }),
        json!({ "query": "red fox", "explain": true, "top_k": 2 }),
        json!({ "query": "fox", "mode": "lexical", "also": ["dog"], "explain": true }),
        json!({ "query": "fox", "mode": "dense", "cache": false }),
        json!({ "query": "fox -dog \"red fox\" title:a", "syntax": "auto" }),
        json!({ "query": "fox -dog", "syntax": "off", "typos": "off" }),
        json!({ "query": "quikc fx", "mode": "lexical" }),
        json!({ "query": "???", "mode": "lexical" }),
        json!({ "query": "nothing at all like this", "mode": "lexical" }),
        json!({ "query": "fox", "thresholds": { "lexical": 1e9, "dense": 1.0 } }),
        json!({ "query": "fox", "candidates": { "lexical": 3, "dense": 1 }, "distinct": false }),
        json!({ "query": "fox", "fusion": { "method": "rrf", "k": 10.5, "weights": { "lexical": 0.1, "dense": 2 }, "leg_trust": "auto" }, "explain": true }),
        json!({ "query": "fox", "fusion": { "method": "minmax", "leg_trust": "off" } }),
        json!({ "query": "fox", "fusion": { "method": "dbsf" } }),
        json!({ "query": "fox", "context": { "max_tokens": 0 } }),
        json!({ "query": "fox", "context": { "max_tokens": 9, "tokenizer": "words", "expand": "section", "per_document": 1, "max_similarity": 0.5, "mmr": { "lambda": 0.3 }, "order": "edges" } }),
        json!({ "query": "fox", "rerank": { "enabled": false, "candidates": 3, "blend": 0.5, "deadline_ms": 100 } }),
        one("lang", "match", json!("de")),
        one("year", "match", json!(2020)),
        one("draft", "match", json!(true)),
        one("year", "any", json!([2021.5, 2022])),
        one("year", "range", json!({ "gte": 2021, "lt": 2022 })),
        one("draft", "exists", json!(false)),
        json!({ "query": "fox", "filter": { "should": [{ "key": "tag", "any": ["x", "z"] }], "must_not": [{ "key": "lang", "match": "de" }] } }),
        // Refused.
        json!({ "query": "" }),
        json!({ "query": " \n" }),
        json!({ "query": "x".repeat(8193) }),
        json!({ "query": "fox", "top_k": 0 }),
        json!({ "query": "fox", "top_k": 1001, "candidates": { "dense": 2001 } }),
        json!({ "query": "fox", "collection": "No Such" }),
        json!({ "query": "fox", "collection": "none" }),
        json!({ "query": "fox", "also": vec![""; 9] }),
        json!({ "query": "fox", "fusion": { "k": -1 } }),
        json!({ "query": "fox", "fusion": { "weights": { "dense": 1e308, "lexical": -0.5 } } }),
        json!({ "query": "fox", "rerank": { "blend": 1.5 } }),
        json!({ "query": "fox", "context": { "max_tokens": 4_000_000_000_u32, "mmr": { "lambda": 2 } } }),
        json!({ "query": "fox", "cursor": "not one" }),
        json!({ "query": "fox", "cursor": format!("{}-1-1", "0".repeat(32)) }),
        json!({ "query": "fox", "filter": { "must": [{ "key": "" , "exists": true }] } }),
        one("year", "range", json!({})),
        one("year", "any", json!([])),
        json!({ "query": "fox", "filter": { "must": vec![json!({ "key": "k", "exists": true }); 65] } }),
    ]
}

#[tokio::test]
async fn retrievals_are_answered_alike() {
    let server = filled().await;
    let mut client = retrieval(&server);
    for mut body in retrievals() {
        // Nothing is kept, so that each interface finds the answer anew.
        body["cache"] = json!(false);
        let mut rest = server.post("/v1/retrieve", &body).await;
        let sent = message::<proto::RetrieveRequest>(body.clone());
        let mut grpc = client.retrieve(sent).await;
        // A cursor names a list of its own.
        if let Ok(answer) = &mut grpc {
            let mut theirs = rest.ok(200);
            let ours = answer.get_mut().next_cursor.take();
            assert_eq!(theirs["next_cursor"].take().is_string(), ours.is_some());
            rest.body = theirs.to_string().into();
        }
        assert_same(&rest, grpc, &body.to_string());
    }
}

#[tokio::test]
async fn an_answer_that_was_kept_is_given_over_either() {
    let server = filled().await;
    let body = json!({ "query": "fox" });
    server.post("/v1/retrieve", &body).await.ok(200);
    let sent = message::<proto::RetrieveRequest>(body);
    let answer = retrieval(&server).retrieve(sent).await.unwrap();
    assert!(answer.get_ref().cached);
}

#[tokio::test]
async fn pages_go_on_over_either() {
    let server = filled().await;
    let first = json!({ "query": "the quick red fox dog", "top_k": 1, "mode": "lexical" });
    let page = server.post("/v1/retrieve", &first).await.ok(200);
    let mut second = first.clone();
    second["cursor"] = page["next_cursor"].clone();
    let rest = server.post("/v1/retrieve", &second).await;
    let grpc = retrieval(&server)
        .retrieve(message::<proto::RetrieveRequest>(second))
        .await;
    assert_same(&rest, grpc, "the second page");
}

#[tokio::test]
async fn batches_are_answered_alike() {
    let server = filled().await;
    let mut client = retrieval(&server);
    let query = |text: &str| json!({ "query": text, "mode": "lexical", "cache": false });
    for requests in [
        json!([query("fox"), query(""), query("dog")]),
        json!([json!({ "query": "x", "collection": "none" })]),
        json!([]),
        json!(vec![query("fox"); 6]),
        json!(vec![
            json!({ "query": "x", "top_k": 1000, "cache": false });
            5
        ]),
    ] {
        let body = json!({ "requests": requests });
        let rest = server.post("/v1/retrieve/batch", &body).await;
        let sent = message::<proto::BatchRetrieveRequest>(body.clone());
        assert_same(&rest, client.batch_retrieve(sent).await, &body.to_string());
    }
}

#[tokio::test]
async fn explanations_are_answered_alike() {
    let server = filled().await;
    let mut client = retrieval(&server);
    for body in [
        json!({ "document_id": "c", "query": "red fox", "top_k": 1 }),
        json!({ "document_id": "c", "query": "red fox", "filter": { "must": [{ "key": "lang", "match": "en" }] } }),
        json!({ "document_id": "a", "query": "red fox", "depth": 5 }),
        json!({ "document_id": "none", "query": "red fox" }),
        json!({ "document_id": "", "query": "" }),
        json!({ "document_id": "a", "query": "fox", "depth": 0 }),
    ] {
        let rest = server.post("/v1/explain", &body).await;
        let sent = message::<proto::ExplainRequest>(body.clone());
        assert_same(&rest, client.explain(sent).await, &body.to_string());
    }
}
