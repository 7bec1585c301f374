//! Stored answers over HTTP: who finds what, until when, and what is refused.

use braid_core::ErrorCode;
use braid_core::limits::{MAX_ANSWER_DOCUMENTS, MAX_CACHED_ANSWER_BYTES, MAX_SCOPE_BYTES};
use serde_json::{Value, json};

use crate::contract::DOCUMENT;
use crate::server::{Call, Server, Setup};

const QUERY: &str = "how do I install the agent on a new machine";

async fn store(server: &Server, body: &Value) -> Value {
    server.post("/v1/cache/store", body).await.ok(200)
}

async fn lookup(server: &Server, body: &Value) -> Value {
    server.post("/v1/cache/lookup", body).await.ok(200)
}

#[tokio::test]
async fn an_answer_is_given_to_a_question_that_asks_the_same() {
    let server = Server::new().await;
    let asked = lookup(&server, &json!({ "query": QUERY })).await;
    assert_eq!(asked["hit"], Value::Null);
    assert_eq!(asked["miss"]["reason"], "empty");
    let answer = json!({ "text": "Run it.", "numbers": [1, 2.5, 9_007_199_254_740_993_u64] });
    let stored = store(
        &server,
        &json!({ "query": QUERY, "answer": answer, "document_ids": ["a/b", "c"],
                 "collection_state": asked["collection_state"], "ttl_seconds": 60 }),
    )
    .await;
    let expected = json!({ "stored": true, "replaced": false, "evicted": 0, "ttl_seconds": 60 });
    assert_eq!(stored, expected);
    let same = format!("  {} ", QUERY.replace(' ', "  "));
    let hit = &lookup(&server, &json!({ "query": same, "threshold": 1.0 })).await["hit"];
    assert_eq!(hit["answer"], answer);
    assert_eq!(hit["document_ids"], json!(["a/b", "c"]));
    assert_eq!(
        (&hit["similarity"], &hit["stale"]),
        (&json!(1.0), &json!(false))
    );
    assert!(hit["expires_in_seconds"].as_u64().unwrap() <= 60);
    let alike = json!({ "query": format!("please {QUERY}"), "threshold": 0.9 });
    let hit = &lookup(&server, &alike).await["hit"];
    assert_eq!(hit["query"], QUERY);
    assert!(hit["similarity"].as_f64().unwrap() < 1.0);
    let other = lookup(&server, &json!({ "query": "bread" })).await;
    assert_eq!(other["miss"]["reason"], "below_threshold");
    assert_eq!(other["miss"]["nearest"]["query"], QUERY);
}

#[tokio::test]
async fn the_guard_refuses_what_only_looks_alike() {
    let server = Server::new().await;
    store(&server, &json!({ "query": QUERY, "answer": 1 })).await;
    let reversed = QUERY.replace("install", "uninstall");
    let mut body = json!({ "query": reversed, "threshold": 0.5 });
    let miss = &lookup(&server, &body).await["miss"];
    assert_eq!(
        (&miss["reason"], &miss["difference"]),
        (&json!("different"), &json!("opposite"))
    );
    body["guard"] = json!(false);
    assert_eq!(lookup(&server, &body).await["hit"]["answer"], 1);
}

#[tokio::test]
async fn an_answer_stays_in_its_scope_and_collection() {
    let server = Server::new().await;
    server
        .put("/v1/collections/other", &json!({}))
        .await
        .ok(200);
    let places = [
        json!({}),
        json!({ "scope": "a" }),
        json!({ "scope": "b" }),
        json!({ "collection": "other" }),
        json!({ "collection": "other", "scope": "a" }),
    ];
    let at = |place: &Value, more: Value| {
        let mut body = place.clone();
        let fields = body.as_object_mut().unwrap();
        fields.insert("query".to_owned(), json!(QUERY));
        fields.extend(more.as_object().unwrap().clone());
        body
    };
    for (number, place) in places.iter().enumerate() {
        let before = lookup(&server, &at(place, json!({ "threshold": 0 }))).await;
        assert_eq!(before["miss"]["reason"], "empty", "{place}");
        store(&server, &at(place, json!({ "answer": number }))).await;
    }
    for (number, place) in places.iter().enumerate() {
        let found = lookup(&server, &at(place, json!({}))).await;
        assert_eq!(found["hit"]["answer"], number, "{place}");
    }
    let gone = server
        .delete("/v1/cache?collection=default&scope=a")
        .await
        .ok(200);
    assert_eq!(gone, json!({ "deleted": 1 }));
    let gone = server.delete("/v1/cache?collection=other").await.ok(200);
    assert_eq!(gone, json!({ "deleted": 2 }));
    assert_eq!(
        server.delete("/v1/cache").await.ok(200),
        json!({ "deleted": 2 })
    );
}

#[tokio::test]
async fn a_write_makes_an_answer_stale() {
    let server = Server::new().await;
    let before = lookup(&server, &json!({ "query": QUERY })).await["collection_state"].clone();
    store(&server, &json!({ "query": QUERY, "answer": "old" })).await;
    server.index("a", json!("new text")).await;
    let missed = lookup(&server, &json!({ "query": QUERY })).await;
    assert_eq!(missed["miss"]["reason"], "stale");
    let accepted = lookup(&server, &json!({ "query": QUERY, "accept_stale": true })).await;
    assert_eq!(
        (&accepted["hit"]["stale"], &accepted["hit"]["answer"]),
        (&json!(true), &json!("old"))
    );
    let late = json!({ "query": QUERY, "answer": "late", "collection_state": before });
    assert_eq!(
        store(&server, &late).await["stored"],
        false,
        "made of what it was before"
    );
    let stored = store(&server, &json!({ "query": QUERY, "answer": "new" })).await;
    assert_eq!(
        (&stored["stored"], &stored["replaced"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(
        lookup(&server, &json!({ "query": QUERY })).await["hit"]["answer"],
        "new"
    );
    server.delete("/v1/collections/default").await.ok(200);
    server
        .put("/v1/collections/default", &json!({}))
        .await
        .ok(200);
    let again = json!({ "query": QUERY, "accept_stale": true });
    assert_eq!(
        lookup(&server, &again).await["miss"]["reason"],
        "empty",
        "another collection"
    );
}

#[tokio::test]
async fn what_is_beyond_the_limits_is_refused() {
    let server = Server::new().await;
    let long = "x".repeat(MAX_CACHED_ANSWER_BYTES);
    let many: Vec<String> = (0..=MAX_ANSWER_DOCUMENTS).map(|n| n.to_string()).collect();
    let scope = "s".repeat(MAX_SCOPE_BYTES + 1);
    let cases = [
        (json!({ "query": "x", "answer": long }), "/answer"),
        (json!({ "query": " ", "answer": 1 }), "/query"),
        (json!({ "query": "x", "answer": 1, "scope": "" }), "/scope"),
        (
            json!({ "query": "x", "answer": 1, "scope": scope }),
            "/scope",
        ),
        (
            json!({ "query": "x", "answer": 1, "ttl_seconds": 0 }),
            "/ttl_seconds",
        ),
        (
            json!({ "query": "x", "answer": 1, "ttl_seconds": 86401 }),
            "/ttl_seconds",
        ),
        (
            json!({ "query": "x", "answer": 1, "document_ids": many }),
            "/document_ids",
        ),
        (
            json!({ "query": "x", "answer": 1, "document_ids": ["a", ""] }),
            "/document_ids/1",
        ),
        (
            json!({ "query": "x", "answer": 1, "collection": "No" }),
            "/collection",
        ),
        (json!({ "query": "x" }), ""),
        (
            json!({ "query": "x", "answer": 1, "answers": 1 }),
            "/answers",
        ),
    ];
    for (body, pointer) in cases {
        let answer = server.post("/v1/cache/store", &body).await;
        let problem = answer.problem(400, ErrorCode::InvalidRequest);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem:#}");
    }
    for threshold in [json!(-0.1), json!(1.1)] {
        let body = json!({ "query": "x", "threshold": threshold });
        let answer = server.post("/v1/cache/lookup", &body).await;
        answer.bad_field("/threshold", "must be from 0 to 1");
    }
    for path in ["/v1/cache/store", "/v1/cache/lookup"] {
        let mut body = json!({ "query": "x", "collection": "none" });
        if path.ends_with("store") {
            body["answer"] = json!(1);
        }
        let answer = server.post(path, &body).await;
        answer.problem(404, ErrorCode::CollectionNotFound);
    }
    let unknown = server.delete("/v1/cache?all=true").await;
    unknown.problem(400, ErrorCode::InvalidRequest);
}

#[tokio::test]
async fn a_server_without_the_cache_says_how_to_have_it() {
    let setup = Setup {
        semantic: false,
        ..Setup::default()
    };
    let server = setup.open().await;
    let calls = [
        Call::post("/v1/cache/lookup", &json!({ "query": "x" })),
        Call::post("/v1/cache/store", &json!({ "query": "x", "answer": 1 })),
        Call::delete("/v1/cache"),
    ];
    for call in calls {
        let problem = server.send(call).await.problem(403, ErrorCode::NotEnabled);
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .contains("cache.semantic")
        );
    }
}

#[test]
fn the_schema_has_the_enforced_limits() {
    let property = |schema: &str, name: &str| {
        DOCUMENT["components"]["schemas"][schema]["properties"][name].clone()
    };
    for schema in ["CacheLookupBody", "CacheStoreBody"] {
        assert_eq!(property(schema, "scope")["maxLength"], MAX_SCOPE_BYTES);
    }
    let documents = property("CacheStoreBody", "document_ids");
    assert_eq!(documents["maxItems"], MAX_ANSWER_DOCUMENTS);
    let answer = property("CacheStoreBody", "answer")["description"].to_string();
    assert!(
        answer.contains(&MAX_CACHED_ANSWER_BYTES.to_string()),
        "{answer}"
    );
}

/// Requests that are accepted, with every field.
pub(crate) fn requests() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        (
            "post",
            "/v1/cache/lookup",
            json!({ "query": "x", "collection": "default", "scope": "s", "threshold": 0.9, "guard": true,
                    "accept_stale": false }),
        ),
        (
            "post",
            "/v1/cache/store",
            json!({ "query": "x", "answer": "a", "collection": "default", "scope": "s", "document_ids": ["d"],
                    "ttl_seconds": 60, "collection_state": "1-1-0-0" }),
        ),
    ]
}
