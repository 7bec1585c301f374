//! Documents that say the same, as their collection wants it.

use std::sync::Arc;

use braid_core::ErrorCode;
use serde_json::{Value, json};

use crate::server::{Call, Server, Setup};

const TEXT: &str = "Stop the server before you copy its data directory. A copy of a running \
    server may be torn. Start the server again when the copy is done, and look at the log: it says \
    whether everything was found. Keep three copies, one of them in another building, and restore \
    one of them now and then to see whether it works at all.";

/// A server whose collection `default` treats duplicates so.
async fn treating(duplicates: Value) -> Server {
    let server = crate::server::Setup::default().open().await;
    let body = json!({ "duplicates": duplicates });
    let made = server.put("/v1/collections/default", &body).await.ok(200);
    for (key, value) in duplicates.as_object().unwrap() {
        assert_eq!(made["duplicates"][key], *value);
    }
    server
}

async fn put(server: &Server, id: &str, text: &str) -> Value {
    let path = format!("/v1/collections/default/documents/{id}?wait=indexed");
    let body = json!({ "text": text, "uri": format!("file:///{id}") });
    server.put(&path, &body).await.ok(200)
}

#[tokio::test]
async fn the_same_words_are_reported_by_default() {
    let server = Server::new().await;
    assert_eq!(put(&server, "a", TEXT).await.get("duplicate"), None);
    let written = put(&server, "b", &TEXT.replace(". ", ".\n\n")).await;
    assert_eq!(written["result"], "created");
    assert_eq!(
        written["duplicate"],
        json!({ "of": "a", "similarity": 1.0 })
    );
    let stored = server.get("/v1/collections/default/documents/b").await;
    assert_eq!(stored.ok(200)["duplicate"]["of"], "a");
    let answer = server.post("/retrieve", &json!({ "query": "copy" })).await;
    assert_eq!(answer.ok(200)["hits"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_says_the_same_word_for_word_is_one_hit_with_every_source() {
    let server = Server::new().await;
    for id in ["a", "b"] {
        put(&server, id, TEXT).await;
    }
    let answer = server.post("/retrieve", &json!({ "query": "copy" })).await;
    let answer = answer.ok(200);
    let [hit] = &answer["hits"].as_array().unwrap()[..] else {
        panic!("{answer}");
    };
    let mut found = [&hit["document_id"], &hit["same"][0]["document_id"]].map(Value::to_string);
    found.sort();
    assert_eq!(found, ["\"a\"", "\"b\""]);
    let uri = hit["same"][0]["uri"].as_str().unwrap();
    assert!(uri.starts_with("file:///"), "{uri}");
}

#[tokio::test]
async fn new_duplicates_are_skipped_where_the_collection_says_so() {
    let server = treating(json!({ "action": "skip", "min_similarity": 0.9 })).await;
    put(&server, "a", TEXT).await;
    let near = TEXT.replace("at all", "");
    let skipped = put(&server, "b", &near).await;
    assert_eq!(
        (&skipped["result"], &skipped["sequence"]),
        (&json!("duplicate"), &Value::Null)
    );
    let similarity = skipped["duplicate"]["similarity"].as_f64().unwrap();
    assert!((0.9..1.0).contains(&similarity), "{similarity}");
    let absent = server.get("/v1/collections/default/documents/b").await;
    absent.problem(404, ErrorCode::DocumentNotFound);
    let body =
        json!({ "documents": [{ "id": "c", "text": TEXT }, { "id": "d", "text": "Other." }] });
    let path = "/v1/collections/default/documents?wait=indexed";
    let accepted = server.post(path, &body).await.ok(202);
    let id = accepted["job_id"].as_str().unwrap();
    let job = server.get(&format!("/v1/jobs/{id}")).await.ok(200);
    assert_eq!(job["items"][0]["status"], "skipped");
    assert_eq!(job["items"][0]["change"], "duplicate");
    assert_eq!(
        job["items"][0]["duplicate"],
        json!({ "of": "a", "similarity": 1.0 })
    );
    assert_eq!(job["items"][1]["status"], "indexed");
}

/// A server that skips duplicates, and whose model refuses some texts.
async fn poisoned_and_skipping() -> Server {
    let setup = Setup {
        embedder: Arc::new(crate::poison::Poisoned::new()),
        ..Setup::default()
    };
    let server = setup.open().await;
    let settings = json!({ "duplicates": { "action": "skip" } });
    let put = server.put("/v1/collections/default", &settings).await;
    put.ok(200);
    server
}

/// Nothing says that a document is settled whose words are stored nowhere.
#[tokio::test]
async fn a_skipped_document_fails_with_its_original() {
    let server = poisoned_and_skipping().await;
    let poison = format!("{TEXT} poison");
    let body = json!({ "documents": [
        { "id": "a", "text": poison },
        { "id": "b", "text": poison },
    ]});
    let path = "/v1/collections/default/documents?wait=indexed";
    let accepted = server.post(path, &body).await.ok(202);
    let id = accepted["job_id"].as_str().unwrap();
    let job = server.get(&format!("/v1/jobs/{id}")).await.ok(200);
    assert_eq!(job["counts"]["failed"], 2);
    let item = &job["items"][1];
    let said = [&item["id"], &item["change"], &item["status"]];
    assert_eq!(said, ["b", "duplicate", "failed"]);
    let reason = item["reason"].as_str().unwrap();
    assert!(reason.contains("the same as \"a\""), "{reason}");
}

/// A put that waits is told too. Should it come after the failure, it fails by itself.
#[tokio::test]
async fn a_put_that_waits_is_told_that_its_original_failed() {
    let server = poisoned_and_skipping().await;
    let engine = server.app.engine();
    let name = "default".parse().unwrap();
    let collection = engine.collection(&name).await.unwrap().id;
    engine.indexer().pause(collection).unwrap();
    let body = json!({ "text": format!("{TEXT} poison") });
    let path = |id| format!("/v1/collections/default/documents/{id}");
    server.put(&path("a"), &body).await.ok(202);
    let call = Call::put(&format!("{}?wait=indexed", path("b")), &body).key("k");
    let resume = async {
        for _ in 0..10_000 {
            tokio::task::yield_now().await;
        }
        engine.indexer().resume(collection).unwrap();
    };
    let (first, ()) = tokio::join!(server.send(call.clone()), resume);
    for answer in [first, server.send(call).await] {
        let problem = answer.problem(422, ErrorCode::UnreadableDocument);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("could not be indexed"), "{detail}");
    }
}

#[tokio::test]
async fn linked_documents_share_a_hit() {
    let server = treating(json!({ "action": "link", "min_similarity": 0.8 })).await;
    put(&server, "a", TEXT).await;
    put(&server, "b", &TEXT.replace("torn", "damaged")).await;
    put(&server, "c", "A copy of something else.").await;
    let answer = server
        .post("/retrieve", &json!({ "query": "copy of a running server" }))
        .await;
    let answer = answer.ok(200);
    let hits = answer["hits"].as_array().unwrap();
    assert_eq!(hits.len(), 2, "{answer}");
    assert_eq!(hits[0]["same"].as_array().unwrap().len(), 1);
    assert_eq!(hits[1].get("same"), None);
    let listed = server
        .get("/v1/collections/default/documents")
        .await
        .ok(200);
    assert_eq!(listed["documents"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn bad_settings_are_refused() {
    let server = Server::new().await;
    let bad = [
        (json!({ "action": "drop" }), "/duplicates/action"),
        (
            json!({ "min_similarity": 0.5 }),
            "/duplicates/min_similarity",
        ),
        (json!({ "min_similarity": 2 }), "/duplicates/min_similarity"),
        (json!({ "mode": "x" }), ""),
    ];
    for (duplicates, pointer) in bad {
        let body = json!({ "duplicates": duplicates });
        let refused = server.put("/v1/collections/new", &body).await;
        let problem = refused.problem(400, ErrorCode::InvalidRequest);
        if !pointer.is_empty() {
            assert_eq!(problem["errors"][0]["pointer"], pointer);
        }
    }
}
