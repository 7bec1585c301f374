//! Serving a socket, and ending: what is in flight finishes, what comes is refused, nothing
//! acknowledged is lost.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use braid_core::{Error, ErrorCode};
use braid_server::{App, serve};
use braid_testkit::{Call as PortCall, Fault, Faulty, Gate, HashEmbedder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::server::{Server, Setup};

/// A server on a port of its own.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), Error>>,
}

impl Listening {
    pub(crate) async fn start(app: App) -> Self {
        let listener = serve::bind("127.0.0.1:0".parse().unwrap(), false)
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async move {
            // A dropped sender is a test that is over.
            let _ = stopped.await;
        };
        let served = tokio::spawn(braid_server::serve(listener, app, stopped));
        Self {
            address,
            stop,
            served,
        }
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.served.await.unwrap().unwrap();
    }
}

/// Sends one request on a connection of its own.
async fn send(address: SocketAddr, request: &str, body: &Value) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let body = body.to_string();
    let length = body.len();
    let head = format!(
        "{request} HTTP/1.1\r\nhost: braid\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    stream
}

/// Everything until the server closes the connection.
async fn read_to_end(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

async fn gated() -> (Server, Gate) {
    let (mut setup, gate) = Setup::held_from_first(PortCall::EmbedQuery);
    setup.options.shutdown_grace = Duration::from_secs(3600);
    let server = setup.open().await;
    server
        .put("/v1/collections/default", &json!({}))
        .await
        .ok(200);
    (server, gate)
}

#[tokio::test]
async fn what_is_in_flight_finishes_and_serving_ends() {
    let (server, gate) = gated().await;
    let listening = Listening::start(server.app.clone()).await;
    let address = listening.address;
    let query = json!({ "query": "fox" });
    let in_flight = send(address, "POST /retrieve", &query).await;
    gate.arrived().await;
    let stopping = tokio::spawn(listening.stop());
    while server.get("/readyz").await.status == 200 {
        tokio::task::yield_now().await;
    }
    let late = server.post("/retrieve", &query).await;
    late.problem(503, ErrorCode::ShuttingDown);
    server
        .get("/readyz")
        .await
        .problem(503, ErrorCode::ShuttingDown);
    server.get("/healthz").await.ok(200);
    assert!(!stopping.is_finished(), "a request is in flight");
    gate.open();
    let answer = read_to_end(in_flight).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\"hits\":[]"), "{answer}");
    stopping.await.unwrap();
    let refused = TcpStream::connect(address).await;
    assert!(refused.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn the_grace_ends_even_if_a_request_does_not() {
    let (mut setup, gate) = (Setup::default(), Gate::new());
    let held = Fault::HoldBefore(gate.clone());
    let embedder = Faulty::new(HashEmbedder::new(64)).on_from(PortCall::EmbedQuery, 1, held);
    setup.embedder = Arc::new(embedder);
    setup.options.shutdown_grace = Duration::from_millis(20);
    let server = setup.open().await;
    server
        .put("/v1/collections/default", &json!({}))
        .await
        .ok(200);
    let listening = Listening::start(server.app.clone()).await;
    let query = json!({ "query": "fox" });
    let _never_answered = send(listening.address, "POST /retrieve", &query).await;
    gate.arrived().await;
    listening.stop().await;
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let (setup, gate) = Setup::held_from_first(PortCall::EmbedPassages);
    let server = setup.open().await;
    server
        .put("/v1/collections/default", &json!({}))
        .await
        .ok(200);
    let listening = Listening::start(server.app.clone()).await;
    let path = "/v1/collections/default/documents";
    let waiting = json!({ "text": "waited for" });
    let waited = send(
        listening.address,
        &format!("PUT {path}/a?wait=indexed"),
        &waiting,
    )
    .await;
    gate.arrived().await;
    let bulk = json!({ "documents": [{ "id": "b", "text": "red fox" }, { "id": "c", "text": "blue fox" }] });
    server.post(path, &bulk).await.ok(202);
    let stopping = tokio::spawn(listening.stop());
    while server.get("/readyz").await.status == 200 {
        tokio::task::yield_now().await;
    }
    gate.open();
    stopping.await.unwrap();
    let answer = read_to_end(waited).await;
    let status = answer.split(' ').nth(1);
    assert!(status == Some("200") || status == Some("503"), "{answer}");
    let server = server.reopen(Setup::default()).await;
    server.settle("default").await;
    let mut found = server.found(&json!({ "query": "fox waited" })).await;
    found.sort();
    assert_eq!(found, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_client_that_hangs_up_is_noticed() {
    let (server, gate) = gated().await;
    let listening = Listening::start(server.app.clone()).await;
    let query = json!({ "query": "fox" });
    let stream = send(listening.address, "POST /retrieve", &query).await;
    gate.arrived().await;
    drop(stream);
    // The gate stays closed and the grace is long: serving ends because the request is gone.
    let stopped = tokio::time::timeout(Duration::from_secs(60), listening.stop());
    stopped
        .await
        .expect("the request of a client that left goes on");
}
