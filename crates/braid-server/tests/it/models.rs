//! `/v1/models`, `/v1/embeddings` and `/v1/rerank`: the shapes that other servers have, with this
//! server's limits.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use braid_core::{Embedder, ErrorCode};
use braid_testkit::{Call as PortCall, Fault, Faulty, HashEmbedder, OverlapReranker};
use serde_json::{Value, json};

use crate::server::{Call, Server, Setup};

/// With a re-ranker that has no score for passages about whales.
pub(crate) async fn with_reranker() -> Server {
    let setup = Setup {
        reranker: Some(Arc::new(OverlapReranker::new().with_odd("whale", f32::NAN))),
        ..Setup::default()
    };
    let server = setup.open().await;
    let create = Call::put("/v1/collections/default", &json!({}));
    server.send(create).await.ok(200);
    server
}

/// Every request that the schema must know, with all that it may have.
pub(crate) fn requests() -> Vec<(&'static str, &'static str, Value)> {
    let rerank = json!({
        "model": "overlap-reranker", "query": "red fox", "documents": ["a fox", {"text": "a red fox"}],
        "top_n": 2, "return_documents": true,
    });
    vec![
        ("post", "/v1/embeddings", json!({ "input": "x" })),
        (
            "post",
            "/v1/embeddings",
            json!({
                "input": ["x", "y"], "model": name(), "encoding_format": "base64",
                "dimensions": 64, "user": "u",
            }),
        ),
        ("post", "/v1/rerank", rerank.clone()),
        ("post", "/v2/rerank", rerank),
        (
            "post",
            "/embed",
            json!({ "inputs": ["x"], "truncate": true, "normalize": true }),
        ),
        (
            "post",
            "/rerank",
            json!({
                "query": "red fox", "texts": ["a fox"], "raw_scores": true,
                "return_text": true, "truncate": false,
            }),
        ),
    ]
}

fn name() -> String {
    let fingerprint = HashEmbedder::new(64).fingerprint().to_string();
    let name = fingerprint
        .rsplit_once('@')
        .map(|(name, _)| name.to_owned());
    name.unwrap_or(fingerprint)
}

#[tokio::test]
async fn the_models_are_listed() {
    let server = with_reranker().await;
    let listed = server.get("/v1/models").await.ok(200);
    let fingerprint = HashEmbedder::new(64).fingerprint().to_string();
    assert_eq!(listed["object"], "list");
    let embedder = json!({
        "id": name(), "object": "model", "owned_by": "braid", "kind": "embedder",
        "fingerprint": fingerprint, "dimension": 64,
    });
    assert_eq!(listed["data"][0], embedder);
    assert_eq!(listed["data"][1]["id"], "overlap-reranker");
    let without = Server::new().await.get("/v1/models").await.ok(200);
    assert_eq!(without["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn embeddings_are_the_embedder_s_in_both_formats() {
    let server = Server::new().await;
    let texts = ["a red fox", "revenue", ""];
    let expected = HashEmbedder::new(64);
    let expected = expected.embed_verbatim(texts.map(str::to_owned).to_vec());
    let expected = expected.await.unwrap();
    let body = json!({ "input": texts });
    let floats = server.post("/v1/embeddings", &body).await.ok(200);
    assert_eq!(
        (&floats["object"], &floats["model"]),
        (&json!("list"), &json!(name()))
    );
    let usage = json!({"prompt_tokens": 4, "total_tokens": 4});
    assert_eq!(floats["usage"], usage);
    let body = json!({ "input": texts, "encoding_format": "base64" });
    let base64 = server.post("/v1/embeddings", &body).await.ok(200);
    for (place, vector) in expected.iter().enumerate() {
        let item = &floats["data"][place];
        assert_eq!(
            (&item["object"], &item["index"]),
            (&json!("embedding"), &json!(place))
        );
        let numbers: Vec<f32> = serde_json::from_value(item["embedding"].clone()).unwrap();
        assert_eq!(numbers, **vector, "to the last bit");
        let text = base64["data"][place]["embedding"].as_str().unwrap();
        let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(STANDARD.decode(text).unwrap(), bytes);
    }
    let body = json!({ "input": "revenue" });
    let one = server.post("/v1/embeddings", &body).await;
    assert_eq!(
        one.ok(200)["data"][0]["embedding"],
        floats["data"][1]["embedding"]
    );
}

#[tokio::test]
async fn documents_are_ordered_by_relevance() {
    let server = with_reranker().await;
    let documents = json!(["an owl", {"text": "a red fox"}, "a whale", "a fox", "another owl"]);
    let body = json!({ "query": "red fox", "documents": documents, "return_documents": true });
    let answer = server.post("/v1/rerank", &body).await.ok(200);
    assert_eq!(answer["model"], "overlap-reranker");
    assert_eq!(answer["usage"]["pairs"], 5);
    let results = answer["results"].as_array().unwrap();
    let order: Vec<_> = results
        .iter()
        .map(|one| one["index"].as_u64().unwrap())
        .collect();
    assert_eq!(
        order,
        [1, 3, 0, 4, 2],
        "best first, ties in the order given"
    );
    let sigmoid = |raw: f64| 1.0 / (1.0 + (-raw).exp());
    assert_eq!(results[0]["relevance_score"], sigmoid(1.0));
    assert_eq!(results[1]["relevance_score"], sigmoid(0.5));
    assert_eq!(results[4]["relevance_score"], Value::Null, "it has none");
    assert_eq!(results[0]["document"]["text"], "a red fox");
    let body = json!({ "query": "red fox", "documents": documents, "top_n": 2 });
    let answer = server.post("/v2/rerank", &body).await.ok(200);
    assert_eq!(answer["results"].as_array().unwrap().len(), 2);
    assert_eq!(answer["results"][0].get("document"), None);
}

#[tokio::test]
async fn the_shapes_of_text_embeddings_inference_have_the_same_numbers() {
    let server = with_reranker().await;
    let body = json!({ "input": ["a red fox", "revenue"] });
    let openai = server.post("/v1/embeddings", &body).await.ok(200);
    let body = json!({ "inputs": ["a red fox", "revenue"] });
    let vectors = server.post("/embed", &body).await.ok(200);
    for place in 0..2 {
        assert_eq!(vectors[place], openai["data"][place]["embedding"]);
    }
    let unscaled = json!({ "inputs": "x", "normalize": false });
    let refused = server.post("/embed", &unscaled).await;
    refused.bad_field("/normalize", "must be true: vectors have length 1 here");
    let texts = json!(["a whale", "an owl", "a red fox"]);
    let body = json!({ "query": "red fox", "texts": texts, "raw_scores": true });
    let ranked = server.post("/rerank", &body).await.ok(200);
    let expected = json!([
        {"index": 2, "score": 1.0}, {"index": 1, "score": 0.0}, {"index": 0, "score": null},
    ]);
    assert_eq!(ranked, expected);
    let body = json!({ "query": "red fox", "texts": texts, "return_text": true });
    let ranked = server.post("/rerank", &body).await.ok(200);
    assert_eq!(ranked[0]["text"], "a red fox");
    assert_eq!(ranked[0]["score"], 1.0 / (1.0 + (-1.0_f64).exp()));
    let none = server
        .post("/rerank", &json!({ "query": "x", "texts": [] }))
        .await;
    none.bad_field("/texts", "must have 1 to 1024 texts, not 0");
}

#[tokio::test]
async fn bad_requests_are_told_field_by_field() {
    let server = with_reranker().await;
    let embeddings = [
        (
            json!({ "input": [] }),
            "/input",
            "must have 1 to 1024 texts, not 0",
        ),
        (
            json!({ "input": vec!["x"; 1025] }),
            "/input",
            "must have 1 to 1024 texts, not 1025",
        ),
        (
            json!({ "input": "x", "dimensions": 32 }),
            "/dimensions",
            "the model's vectors have 64 numbers and are not cut",
        ),
        (
            json!({ "input": [[1, 2]] }),
            "/input",
            "expected a string or an array of strings",
        ),
        (json!({}), "", "missing field `input`"),
    ];
    for (body, pointer, detail) in embeddings {
        let answer = server.post("/v1/embeddings", &body).await;
        answer.bad_field(pointer, detail);
    }
    let body = json!({ "input": "x", "model": "gpt" });
    let unknown = server.post("/v1/embeddings", &body).await;
    let served = name();
    let detail = format!("no model \"gpt\" is served here; this server has {served:?}");
    unknown.bad_field("/model", &detail);
    let rerank = [
        (
            json!({ "query": "x", "documents": [] }),
            "/documents",
            "must have 1 to 1024 texts, not 0",
        ),
        (
            json!({ "query": "x", "documents": ["x"], "top_n": 0 }),
            "/top_n",
            "must be 1 or more, not 0",
        ),
        (
            json!({ "query": "x", "documents": [1] }),
            "/documents/0",
            "expected a string or an object with text",
        ),
        (
            json!({ "query": "x".repeat(8193), "documents": ["x"] }),
            "/query",
            "has 8193 bytes, the limit is 8192",
        ),
    ];
    for (body, pointer, detail) in rerank {
        server
            .post("/v1/rerank", &body)
            .await
            .bad_field(pointer, detail);
    }
}

#[tokio::test]
async fn a_text_over_its_limit_is_named() {
    let mut setup = Setup::default();
    setup.options.max_body_bytes = 1 << 20;
    let server = setup.open().await;
    let long = "x".repeat(256 * 1024 + 1);
    let body = json!({ "input": ["x", long] });
    let several = server.post("/v1/embeddings", &body).await;
    several.bad_field("/input/1", "has 262145 bytes, the limit is 262144");
    let body = json!({ "input": long });
    let one = server.post("/v1/embeddings", &body).await;
    one.bad_field("/input", "has 262145 bytes, the limit is 262144");
}

#[tokio::test]
async fn a_server_without_a_reranker_says_so() {
    let server = Server::new().await;
    let body = json!({ "query": "x", "documents": ["x"] });
    let answer = server.post("/v1/rerank", &body).await;
    answer.problem(403, ErrorCode::NotEnabled);
}

#[tokio::test]
async fn failures_of_the_model_are_told() {
    let fault = Fault::FailBefore(ErrorCode::Overloaded);
    let embedder = Faulty::new(HashEmbedder::new(64)).on(PortCall::EmbedVerbatim, 1, fault);
    let setup = Setup {
        embedder: Arc::new(embedder),
        ..Setup::default()
    };
    let server = setup.open().await;
    let body = json!({ "input": "x" });
    let answer = server.post("/v1/embeddings", &body).await;
    answer.problem(429, ErrorCode::Overloaded);
    server.post("/v1/embeddings", &body).await.ok(200);
}

/// Whoever uses the models has a line of their own: retrievals and writes go on.
#[tokio::test]
async fn calls_of_the_models_keep_nobody_else_out() {
    let (mut setup, gate) = Setup::held_from_first(PortCall::EmbedVerbatim);
    setup.options.max_concurrent_requests = 1;
    setup.options.max_waiting_requests = 0;
    let server = Arc::new(setup.open().await);
    let body = json!({ "input": "x" });
    let holding = tokio::spawn({
        let (server, body) = (Arc::clone(&server), body.clone());
        async move { server.post("/v1/embeddings", &body).await }
    });
    gate.arrived().await;
    let second = server.post("/v1/embeddings", &body).await;
    second.problem(429, ErrorCode::Overloaded);
    server
        .put("/v1/collections/default", &json!({}))
        .await
        .ok(200);
    server.index("a", json!("a red fox")).await;
    assert_eq!(server.found(&json!({ "query": "fox" })).await, ["a"]);
    gate.open();
    holding.await.unwrap().ok(200);
}
