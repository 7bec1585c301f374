//! Every mutation takes an `Idempotency-Key`: one list, kept complete by the document.

use axum::http::Method;
use braid_core::JobId;
use braid_core::ports::NewJob;
use serde_json::json;

use crate::contract::DOCUMENT;
use crate::server::{Call, Server, Setup};

/// Every mutation of the API by operation, as a request that does something on [`prepared`] and
/// with what it is answered. A few do nothing: their answers are replayed too.
fn mutations() -> Vec<(&'static str, u16, Call)> {
    let one = "/v1/collections/default/documents/a";
    let all = "/v1/collections/default/documents";
    let text = json!({ "text": "new text" });
    let bulk = json!({ "documents": [{ "id": "a", "text": "newer" }, { "id": "", "text": "x" }] });
    let ids = json!({ "ids": ["a", "none"] });
    let filter = json!({ "filter": { "must": [{ "key": "n", "match": 1 }] } });
    vec![
        (
            "put_collection",
            200,
            Call::put("/v1/collections/new", &json!({ "language": "german" })),
        ),
        (
            "put_collection",
            200,
            Call::put("/v1/collections/default", &json!({})),
        ),
        (
            "put_collection",
            200,
            Call::new(Method::PUT, "/v1/collections/bare"),
        ),
        (
            "delete_collection",
            200,
            Call::delete("/v1/collections/default"),
        ),
        (
            "delete_collection",
            404,
            Call::delete("/v1/collections/none"),
        ),
        (
            "put_synonyms",
            200,
            Call::put(
                "/v1/collections/default/synonyms",
                &json!({ "rules": ["a, b"] }),
            ),
        ),
        ("put_document", 202, Call::put(one, &text)),
        (
            "put_document",
            202,
            Call::put_as(one, "text/markdown", "# Words"),
        ),
        (
            "put_document",
            200,
            Call::put(&format!("{one}?wait=indexed"), &text),
        ),
        ("delete_document", 202, Call::delete(one)),
        (
            "delete_document",
            200,
            Call::delete(&format!("{one}?wait=indexed")),
        ),
        ("delete_document", 404, Call::delete(&format!("{all}/none"))),
        ("put_documents", 202, Call::post(all, &bulk)),
        (
            "put_documents",
            202,
            Call::post(&format!("{all}?wait=indexed"), &bulk),
        ),
        (
            "delete_documents",
            202,
            Call::post(&format!("{all}/delete"), &ids),
        ),
        (
            "delete_documents",
            202,
            Call::post(&format!("{all}/delete?wait=indexed"), &filter),
        ),
        (
            "store_answer",
            200,
            Call::post("/v1/cache/store", &json!({ "query": "q", "answer": "a" })),
        ),
        ("delete_answers", 200, Call::delete("/v1/cache?scope=s")),
        ("cancel_job", 200, Call::new(Method::POST, CANCEL)),
        ("retry_job", 202, Call::new(Method::POST, RETRY)),
        (
            "retry_failures",
            202,
            Call::post("/v1/collections/default/failures/retry", &ids),
        ),
    ]
}

/// Paths of the job of [`prepared`].
const CANCEL: &str = "/v1/jobs/00000000-0000-0000-0000-000000000001/cancel";
const RETRY: &str = "/v1/jobs/00000000-0000-0000-0000-000000000001/retry";

/// A document `a` in `default`, and an empty job.
async fn prepared() -> Server {
    let server = Server::new().await;
    let job = Some(NewJob {
        id: JobId(uuid::Uuid::from_u128(1)),
        rejected: Vec::new(),
    });
    let default = "default".parse().unwrap();
    let engine = server.app.engine();
    let deleted = engine.delete_documents(&default, Vec::new(), job, None);
    deleted.await.unwrap();
    let body = json!({ "text": "old text", "metadata": { "n": 1 } });
    server.index("a", body).await;
    server
}

#[test]
fn the_list_has_every_mutation() {
    let mut documented = Vec::new();
    for item in DOCUMENT["paths"].as_object().unwrap().values() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let takes_key = parameters
                .filter(|parameter| parameter["in"] == "header")
                .any(|parameter| parameter["name"] == "Idempotency-Key");
            let asks_models = operation["tags"][0] == "models";
            let reads = id.starts_with("retrieve") || ["explain", "lookup_answer"].contains(&id);
            let reads = reads || asks_models;
            let mutates = method != "get" && !reads;
            assert_eq!(takes_key, mutates, "{method} {id}");
            if mutates {
                documented.push(id.to_owned());
            }
        }
    }
    let mut listed: Vec<_> = mutations().into_iter().map(|(id, _, _)| id).collect();
    listed.dedup();
    documented.sort();
    listed.sort_unstable();
    assert_eq!(listed, documented);
}

#[tokio::test]
async fn every_mutation_replays_its_first_answer() {
    for (operation, status, call) in mutations() {
        let server = prepared().await;
        let call = call.key("once");
        let first = server.send(call.clone()).await;
        assert_eq!(first.status, status, "{operation}: {}", first.text());
        assert_eq!(first.header("idempotency-replayed"), None);
        for _ in 0..2 {
            let again = server.send(call.clone()).await;
            assert_eq!(
                again.header("idempotency-replayed"),
                Some("true"),
                "{operation}"
            );
            assert_eq!(
                (again.status, again.media_type()),
                (status, first.media_type())
            );
            assert_eq!(again.body, first.body, "{operation}");
        }
        assert_eq!(
            server
                .app
                .engine()
                .ledger()
                .check(collection(&server).await)
                .await
                .unwrap(),
            Vec::<String>::new()
        );
    }
}

#[tokio::test]
async fn every_mutation_replays_after_a_restart_and_without_its_collection() {
    for (operation, status, call) in mutations() {
        let server = prepared().await;
        let call = call.key("once");
        let first = server.send(call.clone()).await;
        let server = server.reopen(Setup::default()).await;
        let again = server.send(call.clone()).await;
        assert_eq!(
            (again.status, &again.body),
            (status, &first.body),
            "{operation}"
        );
        // Gone already where that is what the mutation did.
        server.delete("/v1/collections/default").await;
        let orphan = server.send(call.clone()).await;
        assert_eq!(
            (orphan.status, &orphan.body),
            (status, &first.body),
            "{operation}"
        );
        // A collection of the same name that knows nothing of the first one's writes.
        server
            .put("/v1/collections/default", &json!({}))
            .await
            .ok(200);
        let foreign = server.send(call).await;
        assert_eq!(
            (foreign.status, &foreign.body),
            (status, &first.body),
            "{operation}"
        );
        let documents = server
            .get("/v1/collections/default/documents")
            .await
            .ok(200);
        assert_eq!(
            documents["documents"],
            json!([]),
            "{operation}: a replay does nothing"
        );
    }
}

#[tokio::test]
async fn every_mutation_is_done_once_by_two_requests_at_once() {
    for (operation, status, call) in mutations() {
        let server = prepared().await;
        let call = call.key("once");
        let (one, other) = tokio::join!(server.send(call.clone()), server.send(call.clone()));
        assert_eq!((one.status, other.status), (status, status), "{operation}");
        assert_eq!(one.body, other.body, "{operation}");
        let replayed =
            |answer: &crate::server::Answer| answer.header("idempotency-replayed").is_some();
        assert_ne!(
            replayed(&one),
            replayed(&other),
            "{operation}: one did it, one was told"
        );
    }
}

/// The ledger's number of `default`, made again if a mutation deleted it.
async fn collection(server: &Server) -> braid_core::CollectionId {
    let name = "default".parse().unwrap();
    let engine = server.app.engine();
    engine.ensure_collection(&name).await.unwrap().id
}
