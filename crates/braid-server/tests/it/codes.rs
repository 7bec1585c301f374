//! Every error code that a client can see, seen by one.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use braid_core::ErrorCode;
use braid_testkit::{Call as PortCall, Fault, Faulty, Gate, HashEmbedder};
use serde_json::json;

use crate::server::{Answer, Call, Server, Setup};

/// How a client comes to see a code.
enum Seen {
    /// As this answer.
    As(Answer),
    /// Not over HTTP: the data directory is not opened, so nothing is served.
    AtStart,
}

/// The status that each code has, and one way to it. A new code needs a line here.
async fn see(code: ErrorCode) -> (u16, Seen) {
    let one = "/v1/collections/default/documents/a";
    let text = json!({ "text": "x" });
    let (status, answer) = match code {
        ErrorCode::InvalidRequest => (400, served(Call::post("/retrieve", &json!({}))).await),
        ErrorCode::MalformedJson => {
            let call = Call::post("/retrieve", &json!({})).json("{");
            (400, served(call).await)
        }
        ErrorCode::TooLarge => {
            let call = Call::post("/retrieve", &json!({})).json(vec![b' '; 1 << 20]);
            (413, served(call).await)
        }
        ErrorCode::UnreadableDocument => {
            (422, served(Call::put(one, &json!({ "text": "" }))).await)
        }
        ErrorCode::CollectionNotFound => (404, served(Call::get("/v1/collections/none")).await),
        ErrorCode::CollectionExists => {
            let other = json!({ "language": "german" });
            (
                409,
                served(Call::put("/v1/collections/default", &other)).await,
            )
        }
        ErrorCode::DocumentNotFound => (404, served(Call::get(one)).await),
        ErrorCode::ChunkNotFound => {
            let path = "/v1/collections/default/chunks/none";
            (404, served(Call::get(path)).await)
        }
        ErrorCode::JobNotFound => (404, served(Call::get("/v1/jobs/none")).await),
        ErrorCode::CursorExpired => {
            let cursor = format!("{}-1-1", "0".repeat(32));
            let body = json!({ "query": "x", "cursor": cursor });
            (410, served(Call::post("/retrieve", &body)).await)
        }
        ErrorCode::RouteNotFound => (404, served(Call::get("/none")).await),
        ErrorCode::MethodNotAllowed => (405, served(Call::new(Method::PATCH, "/retrieve")).await),
        ErrorCode::UnsupportedMediaType => {
            let call = Call::put(one, &text).header("content-type", "image/png");
            (415, served(call).await)
        }
        ErrorCode::NotEnabled => (403, not_enabled().await),
        ErrorCode::IdempotencyConflict => (409, conflict(one).await),
        ErrorCode::FingerprintMismatch => (409, other_model().await),
        ErrorCode::StorageFull => (507, full_map().await),
        ErrorCode::Overloaded => (429, overloaded().await),
        ErrorCode::Timeout => (504, timed_out().await),
        ErrorCode::ShuttingDown => (503, draining().await),
        ErrorCode::Corrupt => (500, failing(code).await),
        ErrorCode::ModelUnavailable => (503, failing(code).await),
        ErrorCode::Unavailable => (503, failing(code).await),
        ErrorCode::Internal => (500, failing(code).await),
        ErrorCode::DataDirLocked | ErrorCode::UnsupportedVersion => return (500, Seen::AtStart),
    };
    (status, Seen::As(answer))
}

#[tokio::test]
async fn every_code_is_answered_with_its_status() {
    for code in ErrorCode::ALL {
        if let (status, Seen::As(answer)) = see(code).await {
            answer.problem(status, code);
        }
    }
}

async fn served(call: Call) -> Answer {
    Server::new().await.send(call).await
}

async fn conflict(path: &str) -> Answer {
    let server = Server::new().await;
    let put = |text: &str| Call::put(path, &json!({ "text": text })).key("k");
    server.send(put("one")).await.ok(202);
    server.send(put("two")).await
}

async fn other_model() -> Answer {
    let server = Server::new().await;
    let setup = Setup {
        embedder: Arc::new(HashEmbedder::named("other", 64)),
        ..Setup::default()
    };
    let server = server.reopen(setup).await;
    server.post("/retrieve", &json!({ "query": "x" })).await
}

async fn full_map() -> Answer {
    let mut setup = Setup {
        map_size_gib: 1.0 / 1024.0,
        ..Setup::default()
    };
    setup.options.max_body_bytes = 8 << 20;
    let server = setup.open().await;
    server
        .put("/v1/collections/default", &json!({}))
        .await
        .ok(200);
    let text = "many words ".repeat(300_000);
    let path = "/v1/collections/default/documents/a";
    let answer = server.put(path, &json!({ "text": text })).await;
    server
        .get(path)
        .await
        .problem(404, ErrorCode::DocumentNotFound);
    answer
}

/// A server whose queries are embedded as `fault` says.
async fn with_fault(fault: Fault, change: impl FnOnce(&mut Setup)) -> Server {
    let embedder = Faulty::new(HashEmbedder::new(64)).on_from(PortCall::EmbedQuery, 1, fault);
    let mut setup = Setup {
        embedder: Arc::new(embedder),
        ..Setup::default()
    };
    change(&mut setup);
    let server = setup.open().await;
    let name = "default".parse().unwrap();
    server.app.engine().ensure_collection(&name).await.unwrap();
    server
}

fn dense() -> Call {
    Call::post("/retrieve", &json!({ "query": "x", "mode": "dense" }))
}

async fn failing(code: ErrorCode) -> Answer {
    let server = with_fault(Fault::FailBefore(code), |_| {}).await;
    server.send(dense()).await
}

async fn overloaded() -> Answer {
    let gate = Gate::new();
    let server = with_fault(Fault::HoldBefore(gate.clone()), |setup| {
        setup.options.max_concurrent_requests = 1;
        setup.options.max_waiting_requests = 0;
    })
    .await;
    let (_, refused) = tokio::join!(server.send(dense()), async {
        gate.arrived().await;
        let refused = server.send(dense()).await;
        gate.open();
        refused
    });
    refused
}

async fn timed_out() -> Answer {
    let server = with_fault(Fault::HoldBefore(Gate::new()), |setup| {
        setup.options.request_timeout = Duration::from_millis(20);
    })
    .await;
    server.send(dense()).await
}

async fn draining() -> Answer {
    let server = Server::new().await;
    server.app.drain();
    server.get("/v1/collections").await
}

async fn not_enabled() -> Answer {
    let setup = Setup {
        semantic: false,
        ..Setup::default()
    };
    let call = Call::post("/v1/cache/lookup", &json!({ "query": "x" }));
    setup.open().await.send(call).await
}
