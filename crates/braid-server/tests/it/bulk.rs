//! Bulk writes and their jobs.

use std::sync::Arc;

use braid_core::ErrorCode;
use braid_testkit::{Call as PortCall, Fault, Faulty, Gate, HashEmbedder};
use serde_json::{Value, json};

use crate::server::{Server, Setup};

const DOCUMENTS: &str = "/v1/collections/default/documents";
const WAIT: &str = "/v1/collections/default/documents?wait=indexed";
const DELETE: &str = "/v1/collections/default/documents/delete";

async fn job(server: &Server, accepted: &Value) -> Value {
    let id = accepted["job_id"].as_str().unwrap();
    server.get(&format!("/v1/jobs/{id}")).await.ok(200)
}

#[tokio::test]
async fn a_job_runs_and_is_done() {
    let gate = Gate::new();
    let embedder = Faulty::new(HashEmbedder::new(64)).on(
        PortCall::EmbedPassages,
        1,
        Fault::HoldBefore(gate.clone()),
    );
    let setup = Setup {
        embedder: Arc::new(embedder),
        ..Setup::default()
    };
    let server = setup.open().await;
    server
        .put("/v1/collections/default", &json!({}))
        .await
        .ok(200);
    let body = json!({ "documents": [
        { "id": "a", "text": "red fox" },
        { "id": "b", "text": "blue fox", "title": "Blue", "metadata": { "n": 2 } },
    ] });
    let accepted = server.post(DOCUMENTS, &body).await.ok(202);
    assert_eq!(
        (&accepted["accepted"], &accepted["rejected"]),
        (&json!(2), &json!(0))
    );
    assert_eq!(accepted["sequence"], 2);
    gate.arrived().await;
    let running = job(&server, &accepted).await;
    assert_eq!(running["state"], "running");
    assert_eq!(running["counts"]["pending"], 2);
    gate.open();
    server.settle("default").await;
    let done = job(&server, &accepted).await;
    assert_eq!(done["state"], "done");
    assert_eq!(done["collection"], "default");
    assert_eq!(done["counts"]["indexed"], 2);
    let items = json!([
        { "id": "a", "status": "indexed", "change": "created", "reason": null },
        { "id": "b", "status": "indexed", "change": "created", "reason": null },
    ]);
    assert_eq!(done["items"], items);
    let mut found = server.found(&json!({ "query": "fox" })).await;
    found.sort();
    assert_eq!(found, ["a", "b"]);
}

#[tokio::test]
async fn what_cannot_be_stored_does_not_stop_the_rest() {
    let server = Server::new().await;
    let long = "x".repeat(1024);
    let body = json!({ "documents": [
        { "id": "a", "text": "first" },
        { "id": "a", "text": "second" },
        { "id": long, "text": "x" },
        { "id": "empty", "text": " " },
        { "id": "meta", "text": "x", "metadata": { "": 1 } },
        { "id": "b", "text": "last" },
    ] });
    let accepted = server.post(WAIT, &body).await.ok(202);
    assert_eq!(
        (&accepted["accepted"], &accepted["rejected"]),
        (&json!(2), &json!(4))
    );
    let job = job(&server, &accepted).await;
    assert_eq!(job["state"], "partly_done");
    let item = |id: &str, status: &str| {
        let items = job["items"].as_array().unwrap().iter();
        let mut found = items.filter(|item| item["id"] == id && item["status"] == status);
        let reason = found.next().map(|item| item["reason"].clone());
        reason.unwrap_or_else(|| panic!("no {status} {id} in {job:#}"))
    };
    assert_eq!(item("a", "indexed"), Value::Null);
    assert_eq!(item("b", "indexed"), Value::Null);
    assert_eq!(
        item("a", "rejected"),
        "the id occurs earlier in this request"
    );
    assert!(
        item(&long, "rejected")
            .as_str()
            .unwrap()
            .contains("the limit is 480")
    );
    assert!(
        item("empty", "rejected")
            .as_str()
            .unwrap()
            .contains("no text")
    );
    assert!(
        item("meta", "rejected")
            .as_str()
            .unwrap()
            .starts_with("/documents/4/metadata/")
    );
    let first = server.get(&format!("{DOCUMENTS}/a")).await.ok(200);
    assert_eq!(first["text"], "first");
}

#[tokio::test]
async fn a_batch_of_nothing_good_is_still_a_job() {
    let server = Server::new().await;
    let body = json!({ "documents": [{ "id": "", "text": "x" }] });
    let accepted = server.post(DOCUMENTS, &body).await.ok(202);
    assert_eq!(accepted["accepted"], 0);
    assert_eq!(accepted["sequence"], Value::Null);
    let job = job(&server, &accepted).await;
    assert_eq!(job["state"], "partly_done");
    assert_eq!(job["counts"]["rejected"], 1);
}

#[tokio::test]
async fn an_unchanged_batch_is_skipped() {
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
    let body = json!({ "documents": [{ "id": "a", "text": "x" }, { "id": "b", "text": "y" }] });
    server.post(WAIT, &body).await.ok(202);
    let embedded = embedder.passages_embedded();
    let again = server.post(WAIT, &body).await.ok(202);
    let job = job(&server, &again).await;
    assert_eq!(
        (&job["state"], &job["counts"]["skipped"]),
        (&json!("done"), &json!(2))
    );
    assert_eq!(embedder.passages_embedded(), embedded);
}

#[tokio::test]
async fn documents_are_deleted_by_id() {
    let server = Server::new().await;
    for id in ["a", "b", "c"] {
        server.index(id, json!("fox")).await;
    }
    let body = json!({ "ids": ["a", "none", "c", "a"] });
    let accepted = server.post(DELETE, &body).await.ok(202);
    assert_eq!(accepted["accepted"], 4);
    assert_eq!(server.found(&json!({ "query": "fox" })).await, ["b"]);
    server.settle("default").await;
    let job = job(&server, &accepted).await;
    assert_eq!(job["state"], "done");
    assert_eq!(job["counts"]["indexed"], 2);
    assert_eq!(job["counts"]["skipped"], 2);
}

#[tokio::test]
async fn documents_are_deleted_by_filter() {
    let server = Server::new().await;
    for (id, year) in [("a", 1999), ("b", 2020), ("c", 2024)] {
        let body = json!({ "text": "fox", "metadata": { "year": year } });
        server.index(id, body).await;
    }
    let since =
        |year: u32| json!({ "filter": { "must": [{ "key": "year", "range": { "gte": year } }] } });
    let path = format!("{DELETE}?wait=indexed");
    let accepted = server.post(&path, &since(2020)).await.ok(202);
    assert_eq!(accepted["accepted"], 2);
    assert_eq!(server.found(&json!({ "query": "fox" })).await, ["a"]);
    let none = server.post(&path, &since(2020)).await.ok(202);
    assert_eq!(
        (&none["accepted"], &none["sequence"]),
        (&json!(0), &Value::Null)
    );
    assert_eq!(job(&server, &none).await["state"], "done");
}

#[tokio::test]
async fn bulk_bodies_are_strict() {
    let server = Server::new().await;
    let check = async |path: &str, body: Value, pointer: &str, detail: &str| {
        server.post(path, &body).await.bad_field(pointer, detail);
    };
    let count = "must have 1 to 10000 entries, not 0";
    check(DOCUMENTS, json!({ "documents": [] }), "/documents", count).await;
    check(DOCUMENTS, json!({}), "", "missing field `documents`").await;
    let typed = json!({ "documents": [{ "id": "a", "text": "x" }, { "id": 1, "text": "x" }] });
    let expected = "found the number `1`, expected a string";
    check(DOCUMENTS, typed, "/documents/1/id", expected).await;
    let arrays = json!({ "documents": [["a", "x"]] });
    let expected = "found an array, expected an object";
    check(DOCUMENTS, arrays, "/documents/0", expected).await;
    let nested = json!({ "documents": [{ "id": "a", "text": "x", "metadata": { "a": {} } }] });
    let expected = "a metadata value must be a string, number, boolean or array of strings";
    check(DOCUMENTS, nested, "/documents/0/metadata/a", expected).await;
    check(DELETE, json!({ "ids": [] }), "/ids", count).await;
    check(DELETE, json!({}), "", "give exactly one of ids and filter").await;
    let both = json!({ "ids": ["a"], "filter": { "must": [] } });
    check(DELETE, both, "", "give exactly one of ids and filter").await;
    let id = json!({ "ids": ["a", ""] });
    check(DELETE, id, "/ids/1", "document id is empty").await;
    let everything = json!({ "filter": {} });
    let expected = "an empty filter would delete every document; delete the collection";
    check(DELETE, everything, "/filter", expected).await;
}

#[tokio::test]
async fn a_batch_over_the_limit_is_refused_whole() {
    let server = Server::new().await;
    let ids: Vec<String> = (0..10_001).map(|n| n.to_string()).collect();
    let answer = server.post(DELETE, &json!({ "ids": ids })).await;
    answer.bad_field("/ids", "must have 1 to 10000 entries, not 10001");
    let at_limit = server
        .post(DELETE, &json!({ "ids": ids[1..] }))
        .await
        .ok(202);
    assert_eq!(at_limit["accepted"], 10_000);
}

#[tokio::test]
async fn an_unknown_job_is_not_found() {
    let server = Server::new().await;
    for id in ["0199a000-0000-7000-8000-000000000000", "nonsense", "%20"] {
        let answer = server.get(&format!("/v1/jobs/{id}")).await;
        answer.problem(404, ErrorCode::JobNotFound);
    }
    let not_text = server.get("/v1/jobs/%FF").await;
    not_text.problem(400, ErrorCode::InvalidRequest);
}

#[tokio::test]
async fn jobs_survive_a_restart() {
    let server = Server::new().await;
    let body = json!({ "documents": [{ "id": "a", "text": "x" }, { "id": "", "text": "x" }] });
    let accepted = server.post(WAIT, &body).await.ok(202);
    let before = job(&server, &accepted).await;
    let server = server.reopen(Setup::default()).await;
    assert_eq!(job(&server, &accepted).await, before);
}
