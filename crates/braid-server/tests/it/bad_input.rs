//! Bad requests: each refused with what is wrong and where.

use braid_core::ErrorCode;
use serde_json::{Value, json};

use crate::server::{Call, Server};

/// Fields of `/retrieve` that must be refused, with the pointer and the words.
fn bad_fields() -> Vec<(Value, &'static str, &'static str)> {
    let whole = |given: &str| format!("found {given}, expected a whole number").leak() as &str;
    vec![
        (json!({ "query": "" }), "/query", "must not be empty"),
        (
            json!({ "query": " \n\t\u{a0} " }),
            "/query",
            "must not be empty",
        ),
        (
            json!({ "query": "x".repeat(8193) }),
            "/query",
            "has 8193 bytes, the limit is 8192",
        ),
        (json!({}), "", "missing field `query`"),
        (
            json!({ "query": 7 }),
            "/query",
            "found the number `7`, expected a string",
        ),
        (
            json!({ "query": null }),
            "/query",
            "found null, expected a string",
        ),
        (json!(["a query"]), "", "found an array, expected an object"),
        (
            json!("a query"),
            "",
            "found the string \"a query\", expected an object",
        ),
        (json!(null), "", "found null, expected an object"),
        (
            json!({ "query": "x", "topk": 3 }),
            "/topk",
            "unknown field `topk`, expected one of `query`, `also`, `syntax`, `typos`, `collection`, `top_k`, `mode`, `candidates`, `fusion`, `rerank`, `filter`, `thresholds`, `context`, `distinct`, `explain`, `cache`, `cursor`",
        ),
        (
            json!({ "query": "x", "top_k": 0 }),
            "/top_k",
            "must be from 1 to 1000, not 0",
        ),
        (
            json!({ "query": "x", "top_k": 10000 }),
            "/top_k",
            "must be from 1 to 1000, not 10000",
        ),
        (
            json!({ "query": "x", "top_k": "3" }),
            "/top_k",
            whole("the string \"3\""),
        ),
        (
            json!({ "query": "x", "top_k": -1 }),
            "/top_k",
            whole("the number `-1`"),
        ),
        (
            json!({ "query": "x", "top_k": 2.5 }),
            "/top_k",
            whole("the number `2.5`"),
        ),
        (
            json!({ "query": "x", "mode": "both" }),
            "/mode",
            "unknown value `both`, expected one of `lexical`, `dense`, `hybrid`",
        ),
        (
            json!({ "query": "x", "collection": "No Such" }),
            "/collection",
            "collection name \"No Such\" is not valid: use 1 to 64 of a-z, 0-9, '_' and '-', starting with a letter or digit",
        ),
        (
            json!({ "query": "x", "candidates": { "dense": 2001 } }),
            "/candidates/dense",
            "must be from 1 to 2000, not 2001",
        ),
        (
            json!({ "query": "x", "candidates": [5, 5] }),
            "/candidates",
            "found an array, expected an object",
        ),
        (
            json!({ "query": "x", "fusion": { "method": "sum" } }),
            "/fusion/method",
            "unknown value `sum`, expected one of `rrf`, `minmax`, `dbsf`",
        ),
        (
            json!({ "query": "x", "fusion": { "leg_trust": "on" } }),
            "/fusion/leg_trust",
            "unknown value `on`, expected `auto` or `off`",
        ),
        (
            json!({ "query": "x", "fusion": { "k": -1 } }),
            "/fusion/k",
            "must be a number from 0 to 1000000",
        ),
        (
            json!({ "query": "x", "fusion": { "weights": { "dense": 1e308 } } }),
            "/fusion/weights/dense",
            "must be a number from 0 to 1000000",
        ),
        (
            json!({ "query": "x", "context": { "max_tokens": 9_223_372_036_854_775_808_u64 } }),
            "/context/max_tokens",
            "must be at most 16777216",
        ),
        (
            json!({ "query": "x", "fusion": { "weights": { "lexical": "high" } } }),
            "/fusion/weights/lexical",
            "found the string \"high\", expected a number",
        ),
        (
            json!({ "query": "x", "fusion": { "weights": { "lexical": 0, "dense": 0 } } }),
            "/fusion/weights",
            "at least one leg must have a weight above 0",
        ),
        (
            json!({ "query": "x", "rerank": { "blend": 1.1 } }),
            "/rerank/blend",
            "must be from 0 to 1",
        ),
        (
            json!({ "query": "x", "rerank": { "model": "other" } }),
            "/rerank/model",
            "unknown field `model`, expected one of `enabled`, `candidates`, `blend`, `deadline_ms`",
        ),
        (
            json!({ "query": "x", "context": { "expand": "all" } }),
            "/context/expand",
            "unknown value `all`, expected one of `none`, `neighbors`, `section`",
        ),
        (
            json!({ "query": "x", "also": "y" }),
            "/also",
            "found the string \"y\", expected an array",
        ),
        (
            json!({ "query": "x", "also": ["y", " "] }),
            "/also/1",
            "must not be empty",
        ),
        (
            json!({ "query": "x", "also": vec!["y"; 9] }),
            "/also",
            "has 9 phrasings, the limit is 8",
        ),
        (
            json!({ "query": "x", "cursor": "next" }),
            "/cursor",
            "is no cursor that an answer gave: send `next_cursor` as it came",
        ),
        (
            json!({ "query": "x", "explain": "yes" }),
            "/explain",
            "found the string \"yes\", expected a boolean",
        ),
    ]
}

/// Filters that must be refused; pointers are below `/filter`.
fn bad_filters() -> Vec<(Value, &'static str, &'static str)> {
    let one = "a condition takes exactly one of match, any, range, exists";
    let scalar = "must be a string, number or boolean";
    vec![
        (json!({ "must": [{ "key": "a" }] }), "/must/0", one),
        (
            json!({ "must": [{ "key": "a", "match": 1, "exists": true }] }),
            "/must/0",
            one,
        ),
        (
            json!({ "should": [{ "key": "a", "match": ["x"] }] }),
            "/should/0/match",
            scalar,
        ),
        (
            json!({ "should": [{ "key": "a", "match": { "b": 1 } }] }),
            "/should/0/match",
            scalar,
        ),
        (
            json!({ "should": [{ "key": "a", "any": ["x", null] }] }),
            "/should/0/any/1",
            scalar,
        ),
        (
            json!({ "must_not": [{ "key": "a", "range": {} }] }),
            "/must_not/0",
            "range needs one of gt, gte, lt, lte",
        ),
        (
            json!({ "must": [{ "key": "a", "range": { "gte": "x" } }] }),
            "/must/0/range/gte",
            "found the string \"x\", expected a number",
        ),
        (
            json!({ "must": [{ "key": "", "exists": true }] }),
            "/must/0",
            "key is empty",
        ),
        (
            json!({ "must": [{ "key": "a", "equals": 1 }] }),
            "/must/0/equals",
            "unknown field `equals`, expected one of `key`, `match`, `any`, `range`, `exists`",
        ),
        (
            json!({ "must": { "key": "a", "match": 1 } }),
            "/must",
            "found an object, expected an array",
        ),
        (
            json!({ "must": [["a", 1]] }),
            "/must/0",
            "found an array, expected an object",
        ),
        (
            json!({ "must": vec![json!({ "key": "a", "exists": true }); 65] }),
            "",
            "65 conditions, the limit is 64",
        ),
        (
            json!({ "all": [] }),
            "/all",
            "unknown field `all`, expected one of `must`, `should`, `must_not`",
        ),
    ]
}

#[tokio::test]
async fn bad_fields_are_named_by_pointer() {
    let server = Server::new().await;
    for (body, pointer, detail) in bad_fields() {
        let answer = server.post("/retrieve", &body).await;
        answer.bad_field(pointer, detail);
    }
}

#[tokio::test]
async fn bad_filters_are_named_by_pointer_in_retrieve_and_in_bulk_deletes() {
    let server = Server::new().await;
    for (filter, pointer, detail) in bad_filters() {
        let pointer = format!("/filter{pointer}");
        let retrieve = json!({ "query": "x", "filter": filter });
        let answer = server.post("/retrieve", &retrieve).await;
        answer.bad_field(&pointer, detail);
        let delete = json!({ "filter": filter });
        let path = "/v1/collections/default/documents/delete";
        let answer = server.post(path, &delete).await;
        answer.bad_field(&pointer, detail);
    }
}

#[tokio::test]
async fn bad_metadata_is_named_by_pointer() {
    let server = Server::new().await;
    let value = "a metadata value must be a string, number, boolean or array of strings";
    let too_long = "x".repeat(2049);
    let cases = [
        (json!({ "a": { "b": 1 } }), "/metadata/a", value),
        (json!({ "a": null }), "/metadata/a", value),
        (
            json!({ "a": ["x", 1] }),
            "/metadata/a/1",
            "found the number `1`, expected a string",
        ),
        (
            json!({ "id": 9_007_199_254_740_993_u64 }),
            "/metadata/id",
            "an integer beyond 2^53 would lose digits; send it as a string",
        ),
        (
            json!({ "a/b": too_long }),
            "/metadata/a~1b",
            "a metadata string may have 2048 bytes",
        ),
        (
            json!({ "": 1 }),
            "/metadata/",
            "a metadata key must have 1 to 128 bytes and no control characters",
        ),
        (
            json!([1]),
            "/metadata",
            "found an array, expected an object",
        ),
    ];
    for (metadata, pointer, detail) in cases {
        let document = json!({ "text": "x", "metadata": metadata });
        let path = "/v1/collections/default/documents/a";
        server.put(path, &document).await.bad_field(pointer, detail);
    }
    let twice = r#"{"text": "x", "metadata": {"a": 1, "a": 2}}"#;
    let call = Call::put("/v1/collections/default/documents/a", &json!({})).json(twice);
    let answer = server.send(call).await;
    answer.bad_field("/metadata/a", "the key occurs twice");
}

#[tokio::test]
async fn several_bad_fields_are_named_together() {
    let server = Server::new().await;
    let body = json!({ "query": " ", "top_k": 0, "collection": "A", "rerank": { "blend": 2 } });
    let problem = server
        .post("/retrieve", &body)
        .await
        .problem(400, ErrorCode::InvalidRequest);
    let pointers: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| field["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(
        pointers,
        ["/collection", "/query", "/top_k", "/rerank/blend"]
    );
}

#[tokio::test]
async fn what_is_not_json_is_malformed() {
    let server = Server::new().await;
    let deep = format!("{{\"query\": {}", "[".repeat(100_000));
    for body in [
        "",
        "{",
        "{\"query\": \"x\"",
        "{\"query\": \"x\",}",
        "{\"query\": \"x\"} {}",
        "{'query': 'x'}",
        "{\"query\": \"\\ud800\"}",
        "{\"query\": \"x\", \"rerank\": {\"blend\": NaN}}",
        "{\"query\": \"x\", \"top_k\": 1e999}",
    ] {
        let call = Call::post("/retrieve", &json!({})).json(body);
        let answer = server.send(call).await;
        let problem = answer.problem(400, ErrorCode::MalformedJson);
        assert_ne!(problem["detail"], "", "{body}");
    }
    let not_text = Call::post("/retrieve", &json!({})).json(*b"{\"query\": \"\xff\"}");
    let answer = server.send(not_text).await;
    answer.problem(400, ErrorCode::MalformedJson);
    // A type error is found before the nesting is walked: it must not overflow the stack either.
    let answer = server
        .send(Call::post("/retrieve", &json!({})).json(deep))
        .await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn nesting_is_limited() {
    let server = Server::new().await;
    let path = "/v1/collections/default/documents/a";
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let value = format!("{}1{}", open.repeat(5000), close.repeat(5000));
        let body = format!("{{\"text\": \"x\", \"metadata\": {{\"a\": {value}}}}}");
        let answer = server.send(Call::put(path, &json!({})).json(body)).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_field_given_twice_is_refused() {
    let server = Server::new().await;
    let body = "{\"query\": \"a\", \"query\": \"b\"}";
    let answer = server
        .send(Call::post("/retrieve", &json!({})).json(body))
        .await;
    let problem = answer.problem(400, ErrorCode::InvalidRequest);
    assert_eq!(problem["errors"][0]["detail"], "duplicate field `query`");
}

#[tokio::test]
async fn huge_numbers_are_refused_by_name() {
    let server = Server::new().await;
    let huge = "{\"query\": \"a\", \"top_k\": 123456789012345678901234567890}";
    let answer = server
        .send(Call::post("/retrieve", &json!({})).json(huge))
        .await;
    answer.bad_field(
        "/top_k",
        "found the number `1.2345678901234568e+29`, expected a whole number",
    );
    let body = json!({ "query": "a", "top_k": u64::MAX });
    let answer = server.post("/retrieve", &body).await;
    answer.bad_field("/top_k", "must be from 1 to 1000, not 18446744073709551615");
}

#[tokio::test]
async fn query_parameters_are_strict() {
    let server = Server::new().await;
    server.index("a", json!("text")).await;
    let documents = "/v1/collections/default/documents";
    for query in [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=x",
        "cursor=%00",
        "page=2",
        "limit=1&limit=2",
    ] {
        let answer = server.get(&format!("{documents}?{query}")).await;
        let problem = answer.problem(400, ErrorCode::InvalidRequest);
        assert!(
            !problem["errors"].as_array().unwrap().is_empty(),
            "{query}: {problem}"
        );
    }
    for query in ["wait=soon", "wait=", "wait=none&wait=none", "force=true"] {
        let call = Call::put(&format!("{documents}/a?{query}"), &json!({ "text": "x" }));
        let answer = server.send(call).await;
        answer.problem(400, ErrorCode::InvalidRequest);
    }
}
