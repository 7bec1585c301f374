//! `next_cursor` and `cursor`: pages of one list over HTTP.

use braid_core::ErrorCode;
use serde_json::{Value, json};

use crate::server::{Server, Setup};

async fn foxes() -> Server {
    let server = Server::new().await;
    for at in 0..5 {
        let text = format!("fox {}", "word ".repeat(at + 1));
        server.index(&format!("d{at}"), json!(text)).await;
    }
    server
}

fn request() -> Value {
    json!({ "query": "fox", "mode": "lexical", "top_k": 2 })
}

fn at(cursor: &Value) -> Value {
    let mut next = request();
    next["cursor"] = cursor.clone();
    next
}

fn ids(answer: &Value) -> Vec<&str> {
    let hits = answer["hits"].as_array().unwrap().iter();
    hits.map(|hit| hit["document_id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_list_is_read_to_its_end_while_documents_come_and_go() {
    let server = foxes().await;
    let first = server.post("/retrieve", &request()).await.ok(200);
    assert_eq!(ids(&first), ["d0", "d1"]);
    server
        .delete("/v1/collections/default/documents/d2")
        .await
        .ok(202);
    server.index("d9", json!("fox")).await;
    let second = server
        .post("/v1/retrieve", &at(&first["next_cursor"]))
        .await
        .ok(200);
    assert_eq!(ids(&second), ["d3", "d4"]);
    assert_eq!(second["hits"][0]["rank"], 3);
    assert_eq!(second["notes"][0]["code"], "gone");
    assert!(second.get("next_cursor").is_none(), "{second}");
    let whole = server.post("/retrieve", &request()).await.ok(200);
    assert_eq!(ids(&whole)[0], "d9", "a new list is of now");
}

#[tokio::test]
async fn the_last_page_may_be_empty_and_says_why() {
    let server = foxes().await;
    let first = server.post("/retrieve", &request()).await.ok(200);
    for id in ["d2", "d3", "d4"] {
        let path = format!("/v1/collections/default/documents/{id}");
        server.delete(&path).await.ok(202);
    }
    let last = server
        .post("/retrieve", &at(&first["next_cursor"]))
        .await
        .ok(200);
    assert_eq!(last["hits"], json!([]));
    assert_eq!(last["reason"]["code"], "at_end");
}

#[tokio::test]
async fn a_cursor_does_not_outlive_the_process_or_the_collection() {
    let server = foxes().await;
    let first = server.post("/retrieve", &request()).await.ok(200);
    let next = at(&first["next_cursor"]);
    let mut other = next.clone();
    other["query"] = "dog".into();
    let answer = server.post("/retrieve", &other).await;
    let detail = "belongs to another request: repeat the one that gave it, and add it";
    answer.bad_field("/cursor", detail);
    let server = server.reopen(Setup::default()).await;
    let problem = server.post("/retrieve", &next).await;
    let problem = problem.problem(410, ErrorCode::CursorExpired);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("ask again without `cursor`"), "{detail}");

    let first = server.post("/retrieve", &request()).await.ok(200);
    server.delete("/v1/collections/default").await.ok(200);
    server
        .put("/v1/collections/default", &json!({}))
        .await
        .ok(200);
    let answer = server.post("/retrieve", &at(&first["next_cursor"])).await;
    answer.problem(410, ErrorCode::CursorExpired);
}
