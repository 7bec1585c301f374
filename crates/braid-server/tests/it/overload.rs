//! More than the server takes on, slower than it waits, and defects: each answered, none lasting.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use braid_core::{Embedder, Embedding, ErrorCode, Fingerprint, Result, Script, TokenCounter};
use braid_testkit::{Call as PortCall, Gate, HashEmbedder};
use futures::FutureExt;
use serde_json::json;

use crate::server::{Answer, Call, Server, Setup};

fn query() -> Call {
    Call::post("/retrieve", &json!({ "query": "fox", "mode": "dense" }))
}

/// A server with one place to run and `waiting` places in line, whose queries wait at the gate.
async fn narrow(waiting: usize, change: impl FnOnce(&mut Setup)) -> (Arc<Server>, Gate) {
    let (mut setup, gate) = Setup::held_from_first(PortCall::EmbedQuery);
    setup.options.max_concurrent_requests = 1;
    setup.options.max_waiting_requests = waiting;
    change(&mut setup);
    let server = setup.open().await;
    let name = "default".parse().unwrap();
    server.app.engine().ensure_collection(&name).await.unwrap();
    (Arc::new(server), gate)
}

fn start(server: &Arc<Server>) -> tokio::task::JoinHandle<Answer> {
    let server = Arc::clone(server);
    tokio::spawn(async move { server.send(query()).await })
}

#[tokio::test]
async fn a_full_server_says_when_to_come_back() {
    let (server, gate) = narrow(0, |_| {}).await;
    let running = start(&server);
    gate.arrived().await;
    for call in [
        query(),
        Call::get("/v1/collections"),
        Call::get("/v1/jobs/x"),
    ] {
        let refused = server.send(call).await;
        refused.problem(429, ErrorCode::Overloaded);
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
    gate.open();
    running.await.unwrap().ok(200);
    server.get("/v1/collections/default").await.ok(200);
}

#[tokio::test]
async fn writes_that_wait_keep_no_query_out() {
    let (mut setup, gate) = Setup::held_at_first(PortCall::EmbedPassages);
    setup.options.max_concurrent_requests = 1;
    setup.options.max_waiting_requests = 0;
    let server = Arc::new(setup.open().await);
    server
        .put("/v1/collections/default", &json!({}))
        .await
        .ok(200);
    let path = "/v1/collections/default/documents/a?wait=indexed";
    let write = tokio::spawn({
        let server = Arc::clone(&server);
        async move { server.put(path, &json!({ "text": "fox" })).await }
    });
    gate.arrived().await;
    let refused = server.put(path, &json!({ "text": "dog" })).await;
    refused.problem(429, ErrorCode::Overloaded);
    let answer = server.send(query()).await.ok(200);
    assert_eq!(answer["lag"], 1);
    gate.open();
    write.await.unwrap().ok(200);
}

#[tokio::test]
async fn probes_are_answered_by_a_full_server() {
    let (server, gate) = narrow(0, |_| {}).await;
    let running = start(&server);
    gate.arrived().await;
    server.get("/healthz").await.ok(200);
    server.get("/readyz").await.ok(200);
    assert_eq!(server.get("/metrics").await.status, 200);
    gate.open();
    running.await.unwrap().ok(200);
}

#[tokio::test]
async fn those_in_line_are_served_in_turn() {
    let (server, gate) = narrow(2, |_| {}).await;
    let running = start(&server);
    gate.arrived().await;
    // Polled once, in order: two take their places in line, the third finds none.
    let mut second = Box::pin(server.send(query()));
    let mut third = Box::pin(server.send(query()));
    assert!((&mut second).now_or_never().is_none());
    assert!((&mut third).now_or_never().is_none());
    let refused = server.send(query()).await;
    refused.problem(429, ErrorCode::Overloaded);
    drop(third);
    let mut fourth = Box::pin(server.send(query()));
    assert!(
        (&mut fourth).now_or_never().is_none(),
        "who leaves the line makes room"
    );
    gate.open();
    running.await.unwrap().ok(200);
    second.await.ok(200);
    fourth.await.ok(200);
}

#[tokio::test]
async fn a_slow_request_is_given_up_and_makes_room() {
    let (server, gate) = narrow(1, |setup| {
        setup.options.request_timeout = Duration::from_millis(50);
    })
    .await;
    let (running, waiting) = tokio::join!(server.send(query()), server.send(query()));
    for answer in [running, waiting] {
        let problem = answer.problem(504, ErrorCode::Timeout);
        assert_eq!(problem["detail"], "no answer within 50 ms");
    }
    gate.open();
    assert_ne!(server.get("/v1/collections/none").await.status, 429);
}

#[tokio::test]
async fn a_client_that_leaves_makes_room() {
    let (server, gate) = narrow(0, |_| {}).await;
    let running = start(&server);
    gate.arrived().await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    server.get("/v1/collections").await.ok(200);
}

#[tokio::test]
async fn writes_are_done_whole_or_not_at_all_when_clients_leave() {
    let server = Server::new().await;
    for polls in 0..16 {
        let id = format!("d{polls}");
        let path = format!("/v1/collections/default/documents/{id}");
        let call = Call::put(&path, &json!({ "text": "kept" })).key(&id);
        let mut write = Box::pin(server.send(call));
        for _ in 0..polls {
            if (&mut write).now_or_never().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    for polls in 0..8 {
        let call = Call::put(&format!("/v1/collections/c{polls}"), &json!({}));
        let mut write = Box::pin(server.send(call));
        for _ in 0..polls {
            if (&mut write).now_or_never().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    // Closing waits for whatever the requests left behind.
    server.app.engine().close().await;
    let server = server.reopen(Setup::default()).await;
    server.settle("default").await;
    let listed = server
        .get("/v1/collections/default/documents")
        .await
        .ok(200);
    let stored = listed["documents"].as_array().unwrap().len();
    let query = json!({ "query": "kept", "top_k": 100, "mode": "lexical" });
    let answer = server.post("/retrieve", &query).await.ok(200);
    assert_eq!(
        (answer["hits"].as_array().unwrap().len()).min(1),
        stored.min(1)
    );
    let name = "default".parse().unwrap();
    let report = server.app.engine().verify(&name, false).await.unwrap();
    assert!(report.is_sound(), "{report:?}");
    for document in listed["documents"].as_array().unwrap() {
        assert_eq!(document["status"], "published");
    }
}

/// An embedder with a defect.
#[derive(Debug)]
struct Panicking(HashEmbedder);

#[async_trait]
impl Embedder for Panicking {
    fn fingerprint(&self) -> &Fingerprint {
        self.0.fingerprint()
    }

    fn dimension(&self) -> usize {
        self.0.dimension()
    }

    fn token_counter(&self) -> Arc<dyn TokenCounter> {
        self.0.token_counter()
    }

    fn reads(&self, script: Script) -> bool {
        self.0.reads(script)
    }

    async fn embed_passages(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        self.0.embed_passages(texts).await
    }

    async fn embed_verbatim(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        self.0.embed_verbatim(texts).await
    }

    async fn embed_query(&self, text: &str) -> Result<Embedding> {
        panic!("a planted defect about {text:?}")
    }
}

#[tokio::test]
async fn a_panic_is_a_problem_that_tells_nothing_and_passes() {
    let mut setup = Setup {
        embedder: Arc::new(Panicking(HashEmbedder::new(64))),
        ..Setup::default()
    };
    setup.options.max_concurrent_requests = 1;
    setup.options.max_waiting_requests = 0;
    let server = setup.open().await;
    server
        .put("/v1/collections/default", &json!({}))
        .await
        .ok(200);
    server.index("a", json!("fox")).await;
    for _ in 0..2 {
        let answer = server.send(query().header("x-request-id", "mine")).await;
        let problem = answer.problem(500, ErrorCode::Internal);
        assert_eq!(problem["request_id"], "mine");
        assert_eq!(problem["detail"], "a defect in Braid stopped this request");
    }
    let lexical = json!({ "query": "fox", "mode": "lexical" });
    assert_eq!(server.found(&lexical).await, ["a"]);
}
