//! `POST /v1/retrieve/batch`: an answer or a problem for each request, and what it costs.

use std::sync::Arc;

use braid_core::ErrorCode;
use braid_server::ServerOptions;
use braid_testkit::{Call as PortCall, Gate};
use futures::FutureExt;
use serde_json::{Value, json};

use crate::retrieve::corpus;
use crate::server::{Call, Server, Setup};

const PATH: &str = "/v1/retrieve/batch";

async fn served() -> Server {
    let server = Server::new().await;
    corpus(&server).await;
    server
}

/// An answer without what differs from run to run.
fn settled(mut answer: Value) -> Value {
    for field in ["request_id", "timings_ms", "cached"] {
        answer[field].take();
    }
    answer
}

#[tokio::test]
async fn each_is_answered_as_it_would_be_alone_in_order() {
    let server = served().await;
    let requests = [
        json!({ "query": "cargo", "explain": true }),
        json!({ "query": "killed process", "top_k": 1 }),
        json!({ "query": "Möwen", "also": ["gulls"], "mode": "lexical" }),
    ];
    let answer = server.post(PATH, &json!({ "requests": requests })).await;
    let body = answer.ok(200);
    assert_eq!(body["failed"], 0);
    assert_eq!(body["request_id"].as_str(), answer.header("x-request-id"));
    let responses = body["responses"].as_array().unwrap();
    assert_eq!(responses.len(), 3);
    for (request, together) in requests.iter().zip(responses) {
        assert_eq!(together["request_id"], body["request_id"]);
        let mut alone = settled(server.post("/retrieve", request).await.ok(200));
        let mut together = settled(together.clone());
        let cursors = [alone["next_cursor"].take(), together["next_cursor"].take()];
        assert_eq!(cursors[0].is_null(), cursors[1].is_null());
        assert_eq!(alone, together);
    }
}

#[tokio::test]
async fn one_that_is_bad_fails_alone() {
    let server = served().await;
    let requests = json!([
        { "query": "cargo" },
        { "query": "cargo", "top_k": 0, "collection": "No Such" },
        { "query": "cargo", "topk": 3 },
        { "query": "cargo", "collection": "nowhere" },
        "cargo",
    ]);
    let body = server
        .post(PATH, &json!({ "requests": requests }))
        .await
        .ok(200);
    assert_eq!(body["failed"], 4);
    let responses = body["responses"].as_array().unwrap();
    assert!(responses[0]["hits"].is_array());
    let bad: Vec<Vec<&str>> = responses[1..]
        .iter()
        .map(|problem| {
            let errors = problem["errors"].as_array().into_iter().flatten();
            errors
                .map(|error| error["pointer"].as_str().unwrap())
                .collect()
        })
        .collect();
    let named = [
        vec!["/requests/1/collection", "/requests/1/top_k"],
        vec!["/requests/2/topk"],
        vec![],
        vec!["/requests/4"],
    ];
    assert_eq!(bad, named);
    let codes: Vec<_> = responses[1..]
        .iter()
        .map(|one| &one["error_code"])
        .collect();
    let (invalid, lost) = ("INVALID_REQUEST", "COLLECTION_NOT_FOUND");
    assert_eq!(codes, [invalid, invalid, lost, invalid]);
    assert_eq!(responses[3]["status"], 404);
}

#[tokio::test]
async fn a_field_given_twice_is_refused_within_a_batch_too() {
    let server = served().await;
    let twice = r#"{"requests": [{"query": "cargo", "query": "x"}, {"query": "cargo"}]}"#;
    let call = Call::post(PATH, &json!({})).json(twice);
    let body = server.send(call).await.ok(200);
    assert_eq!(body["failed"], 1);
    let detail = body["responses"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("duplicate field `query`"), "{detail}");
}

#[tokio::test]
async fn a_batch_has_a_size() {
    let server = served().await;
    for (count, expected) in [(0, "not 0"), (6, "not 6")] {
        let requests = vec![json!({ "query": "cargo" }); count];
        let answer = server.post(PATH, &json!({ "requests": requests })).await;
        answer.bad_field(
            "/requests",
            &format!("must have 1 to 5 entries, {expected}"),
        );
        let detail = answer.json()["detail"].take();
        assert!(
            detail
                .as_str()
                .unwrap()
                .contains("server.max_batch_requests")
        );
    }
    let requests = vec![json!({ "query": "cargo" }); 5];
    server
        .post(PATH, &json!({ "requests": requests }))
        .await
        .ok(200);
    let large = Setup::default();
    let large = Setup {
        options: ServerOptions {
            max_batch_requests: 11,
            ..large.options
        },
        ..large
    };
    let server = server.reopen(large).await;
    let requests = vec![json!({ "query": "cargo", "top_k": 1000 }); 11];
    let most = json!({ "requests": requests[1..] });
    assert_eq!(server.post(PATH, &most).await.ok(200)["failed"], 0);
    let answer = server.post(PATH, &json!({ "requests": requests })).await;
    let detail = "ask for 11000 hits together, the limit is 10000";
    answer.bad_field("/requests", detail);
    let answer = server.post(PATH, &json!({ "requests": 3 })).await;
    answer.bad_field("/requests", "found the number `3`, expected an array");
    let answer = server
        .post(PATH, &json!({ "requests": [], "wait": true }))
        .await;
    answer.problem(400, ErrorCode::InvalidRequest);
}

/// A server with `places` to run, whose queries wait at the gate.
async fn held(places: usize, concurrency: usize) -> (Arc<Server>, Gate) {
    let (mut setup, gate) = Setup::held_from_first(PortCall::EmbedQuery);
    setup.options.max_concurrent_requests = places;
    setup.options.max_waiting_requests = 0;
    setup.options.batch_concurrency = concurrency;
    let server = setup.open().await;
    let name = "default".parse().unwrap();
    server.app.engine().ensure_collection(&name).await.unwrap();
    (Arc::new(server), gate)
}

fn dense(count: usize) -> Value {
    let request = |at: usize| json!({ "query": format!("fox {at}"), "mode": "dense" });
    json!({ "requests": (0..count).map(request).collect::<Vec<_>>() })
}

/// A batch takes as many places as it runs retrievals, never more than it may, and needs no more
/// than its own.
#[tokio::test]
async fn a_batch_takes_the_places_that_it_uses() {
    for (places, concurrency, is_room_left) in [(2, 4, false), (3, 2, true), (1, 4, false)] {
        let (server, gate) = held(places, concurrency).await;
        let batch = tokio::spawn({
            let server = Arc::clone(&server);
            async move { server.post(PATH, &dense(3)).await }
        });
        for _ in 0..places.min(concurrency) {
            gate.arrived().await;
        }
        let lists = server.get("/v1/collections").await;
        assert_eq!(lists.status == 200, is_room_left, "{places} {concurrency}");
        gate.open();
        assert_eq!(batch.await.unwrap().ok(200)["failed"], 0);
        server.get("/v1/collections").await.ok(200);
    }
}

#[tokio::test]
async fn a_client_that_leaves_gives_every_place_back() {
    let (server, gate) = held(2, 2).await;
    let requests = dense(3);
    let mut batch = Box::pin(server.post(PATH, &requests));
    assert!((&mut batch).now_or_never().is_none());
    drop(batch);
    server.get("/v1/collections").await.ok(200);
    gate.open();
}
