//! Collections: made, listed, looked at, deleted.

use axum::http::Method;
use braid_core::ErrorCode;
use serde_json::{Value, json};

use crate::server::{Call, Server, Setup};

#[tokio::test]
async fn a_collection_comes_and_goes() {
    let server = Setup::default().open().await;
    let none = server.get("/v1/collections").await.ok(200);
    assert_eq!(none, json!({ "collections": [] }));
    let settings = json!({
        "language": "german",
        "chunking": { "strategy": "structure", "target_tokens": 100, "overlap_tokens": 10 },
    });
    let made = server.put("/v1/collections/notes", &settings).await.ok(200);
    assert_eq!(made["name"], "notes");
    assert_eq!(made["language"], "german");
    assert_eq!(made["chunking"], settings["chunking"]);
    assert_eq!(made["dimension"], 64);
    assert_eq!(made["generation"], 1);
    assert_eq!(made["documents"], 0);
    let seen = server.get("/v1/collections/notes").await.ok(200);
    assert_eq!(seen, made);
    server.put("/v1/collections/also", &json!({})).await.ok(200);
    let all = server.get("/v1/collections").await.ok(200);
    let names: Vec<_> = all["collections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|collection| &collection["name"])
        .collect();
    assert_eq!(names, ["also", "notes"]);
    let gone = server.delete("/v1/collections/notes").await.ok(200);
    assert_eq!(gone, json!({ "deleted": true }));
    let missing = server.get("/v1/collections/notes").await;
    missing.problem(404, ErrorCode::CollectionNotFound);
    let again = server.delete("/v1/collections/notes").await;
    again.problem(404, ErrorCode::CollectionNotFound);
}

#[tokio::test]
async fn making_it_again_needs_the_same_settings() {
    let server = Server::new().await;
    server.index("a", json!("some text")).await;
    let same = server.put("/v1/collections/default", &json!({})).await;
    assert_eq!(same.ok(200)["documents"], 1, "it is the one that is there");
    let other = json!({ "language": "german" });
    let refused = server.put("/v1/collections/default", &other).await;
    refused.problem(409, ErrorCode::CollectionExists);
}

#[tokio::test]
async fn formats_are_chunked_by_rules_of_their_own() {
    let server = Setup::default().open().await;
    let formats = json!({
        "text": { "strategy": "whole" },
        "markdown": { "strategy": "sentences", "target_tokens": 8, "overlap_tokens": 0 },
    });
    let settings = json!({ "chunking": { "formats": formats } });
    let made = server.put("/v1/collections/mixed", &settings).await.ok(200);
    assert_eq!(made["chunking"]["strategy"], "structure");
    assert_eq!(made["chunking"]["formats"], formats);
    let again = json!({ "chunking": made["chunking"] });
    server.put("/v1/collections/mixed", &again).await.ok(200);
    let other = server.put("/v1/collections/mixed", &json!({})).await;
    other.problem(409, ErrorCode::CollectionExists);
    let text = "# Guide\n\nOne two three four five. Six seven eight nine ten.\n";
    for (format, chunks) in [("text", 1), ("markdown", 2)] {
        let document = json!({ "text": text, "format": format });
        let path = format!("/v1/collections/mixed/documents/{format}?wait=indexed");
        server.put(&path, &document).await.ok(200);
        let path = format!("/v1/collections/mixed/documents/{format}");
        assert_eq!(
            server.get(&path).await.ok(200)["chunks"],
            chunks,
            "{format}"
        );
    }
}

#[tokio::test]
async fn settings_may_be_left_out_altogether() {
    let server = Setup::default().open().await;
    let bare = Call::new(Method::PUT, "/v1/collections/bare");
    let made = server.send(bare).await.ok(200);
    assert_eq!(made["language"], "auto");
    assert_eq!(made["chunking"]["target_tokens"], 180);
}

#[tokio::test]
async fn bad_settings_are_named_by_pointer() {
    let server = Setup::default().open().await;
    let check = async |body: Value, pointer: &str, detail: &str| {
        let problem = server
            .put("/v1/collections/bad", &body)
            .await
            .problem(400, ErrorCode::InvalidRequest);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
        let said = problem["errors"][0]["detail"].as_str().unwrap();
        assert!(said.contains(detail), "{said}");
    };
    let chunking = |field: &str, value: Value| json!({ "chunking": { field: value } });
    check(
        json!({ "language": "klingon" }),
        "/language",
        "unknown language",
    )
    .await;
    check(
        chunking("strategy", json!("tiny")),
        "/chunking/strategy",
        "unknown strategy",
    )
    .await;
    check(
        chunking("target_tokens", json!(0)),
        "/chunking/target_tokens",
        "must be 1 or more",
    )
    .await;
    let overlap = chunking("overlap_tokens", json!(180));
    check(
        overlap,
        "/chunking/overlap_tokens",
        "at most half of target_tokens",
    )
    .await;
    check(
        chunking("target_tokens", json!(5000)),
        "/chunking",
        "the embedder reads",
    )
    .await;
    check(
        chunking("size", json!(1)),
        "/chunking/size",
        "unknown field `size`",
    )
    .await;
    let format = |rule: Value| chunking("formats", json!({ "code": rule }));
    check(
        format(json!({ "strategy": "tiny" })),
        "/chunking/formats/code/strategy",
        "unknown strategy",
    )
    .await;
    check(
        format(json!({ "target_tokens": 20, "overlap_tokens": 11 })),
        "/chunking/formats/code/overlap_tokens",
        "at most half of target_tokens, which is 20",
    )
    .await;
    check(
        format(json!({ "size": 1 })),
        "/chunking/formats/code/size",
        "unknown field `size`",
    )
    .await;
    check(
        chunking("formats", json!({ "pdf": {} })),
        "/chunking/formats/pdf",
        "unknown field `pdf`",
    )
    .await;
    check(
        format(json!({ "target_tokens": 5000 })),
        "/chunking",
        "target_tokens of code is 5000",
    )
    .await;
    check(
        json!({ "chunking": ["whole"] }),
        "/chunking",
        "expected an object",
    )
    .await;
    let absent = server.get("/v1/collections/bad").await;
    absent.problem(404, ErrorCode::CollectionNotFound);
}

#[tokio::test]
async fn names_are_checked_in_the_path() {
    let server = Setup::default().open().await;
    let long = "a".repeat(65);
    for name in ["A", "-a", "a%20b", "a%2Fb", "%C3%A4", "%FF", long.as_str()] {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let path = format!("/v1/collections/{name}");
            let answer = server.send(Call::new(method, &path)).await;
            answer.problem(400, ErrorCode::InvalidRequest);
        }
    }
    let longest = format!("/v1/collections/{}", "a".repeat(64));
    server.put(&longest, &json!({})).await.ok(200);
}

#[tokio::test]
async fn a_deleted_collection_takes_its_documents_along() {
    let server = Server::new().await;
    server.index("a", json!("old text")).await;
    server.delete("/v1/collections/default").await.ok(200);
    let body = json!({ "query": "old text" });
    let refused = server.post("/retrieve", &body).await;
    refused.problem(404, ErrorCode::CollectionNotFound);
    server
        .put("/v1/collections/default", &json!({}))
        .await
        .ok(200);
    assert_eq!(server.found(&body).await, Vec::<String>::new());
    server.index("b", json!("new text")).await;
    assert_eq!(server.found(&body).await, ["b"]);
}
