//! What a key means: one request, one answer, for a while.

use std::sync::Arc;

use braid_core::ErrorCode;
use braid_testkit::HashEmbedder;
use serde_json::json;

use crate::server::{Call, Server, Setup};

const ONE: &str = "/v1/collections/default/documents/a";

#[tokio::test]
async fn a_replay_does_no_work() {
    let embedder = Arc::new(HashEmbedder::new(64));
    let setup = Setup {
        embedder: Arc::clone(&embedder) as _,
        ..Setup::default()
    };
    let server = setup.open().await;
    server
        .put("/v1/collections/default", &json!({}))
        .await
        .ok(200);
    let wait = format!("{ONE}?wait=indexed");
    let call = Call::put(&wait, &json!({ "text": "one" })).key("k");
    server.send(call.clone()).await.ok(200);
    server.put(&wait, &json!({ "text": "two" })).await.ok(200);
    let embedded = embedder.passages_embedded();
    let replayed = server.send(call).await.ok(200);
    assert_eq!(replayed["result"], "created");
    assert_eq!(embedder.passages_embedded(), embedded);
    let now = server.get(ONE).await.ok(200);
    assert_eq!(
        now["text"], "two",
        "a late repeat must not undo a newer write"
    );
}

#[tokio::test]
async fn another_request_under_the_same_key_is_a_conflict() {
    let server = Server::new().await;
    let text = json!({ "text": "one" });
    server.send(Call::put(ONE, &text).key("k")).await.ok(202);
    let others = [
        Call::put(ONE, &json!({ "text": "two" })),
        Call::put(ONE, &json!({ "text": "one", "title": null })),
        Call::put(&format!("{ONE}?wait=indexed"), &text),
        Call::put("/v1/collections/default/documents/b", &text),
        Call::delete(ONE),
        Call::put("/v1/collections/default", &json!({})),
        Call::delete("/v1/collections/default"),
    ];
    for other in others {
        let answer = server.send(other.key("k")).await;
        answer.problem(409, ErrorCode::IdempotencyConflict);
    }
    let kept = server.get(ONE).await.ok(200);
    assert_eq!(kept["text"], "one");
    server
        .get("/v1/collections/default/documents/b")
        .await
        .problem(404, ErrorCode::DocumentNotFound);
}

#[tokio::test]
async fn a_malformed_repeat_is_a_conflict_too() {
    let server = Server::new().await;
    server
        .send(Call::put(ONE, &json!({ "text": "one" })).key("k"))
        .await
        .ok(202);
    let answer = server
        .send(Call::put(ONE, &json!({})).json("{").key("k"))
        .await;
    answer.problem(409, ErrorCode::IdempotencyConflict);
}

#[tokio::test]
async fn a_refused_request_leaves_its_key_free() {
    let server = Server::new().await;
    let refused = [
        Call::put(ONE, &json!({ "text": 1 })),
        Call::put(ONE, &json!({})).json("{"),
        Call::put(ONE, &json!({ "text": " " })),
        Call::put("/v1/collections/none/documents/a", &json!({ "text": "x" })),
    ];
    for call in refused {
        let answer = server.send(call.key("k")).await;
        assert!((400..500).contains(&answer.status));
    }
    let good = Call::put(ONE, &json!({ "text": "one" })).key("k");
    let answer = server.send(good).await;
    assert_eq!(answer.header("idempotency-replayed"), None);
    answer.ok(202);
}

#[tokio::test]
async fn keys_are_checked() {
    let server = Server::new().await;
    let put = |key: &str| Call::put(ONE, &json!({ "text": "x" })).key(key);
    for key in ["", &"k".repeat(256), "schlüssel"] {
        let answer = server.send(put(key)).await;
        let problem = answer.problem(400, ErrorCode::InvalidRequest);
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains("Idempotency-Key must be 1 to 255"),
            "{detail}"
        );
    }
    server.send(put(&"k".repeat(255))).await.ok(202);
}

#[tokio::test]
async fn without_a_key_nothing_is_replayed() {
    let server = Server::new().await;
    let call = Call::put(ONE, &json!({ "text": "one" }));
    assert_eq!(server.send(call.clone()).await.ok(202)["result"], "created");
    assert_eq!(server.send(call).await.ok(202)["result"], "unchanged");
}

#[tokio::test]
async fn a_recorded_absence_is_not_undone_by_a_later_write() {
    let server = Server::new().await;
    let delete = Call::delete(ONE).key("k");
    server
        .send(delete.clone())
        .await
        .problem(404, ErrorCode::DocumentNotFound);
    server.put(ONE, &json!({ "text": "x" })).await.ok(202);
    let replayed = server.send(delete).await;
    replayed.problem(404, ErrorCode::DocumentNotFound);
    server.get(ONE).await.ok(200);
}
