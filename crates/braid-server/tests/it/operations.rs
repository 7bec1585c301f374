//! Health, metrics, request ids and the methods every route takes.

use std::sync::Arc;

use axum::http::Method;
use braid_core::ErrorCode;
use braid_engine::{Health, Progress};
use braid_testkit::HashEmbedder;
use serde_json::json;

use crate::server::{Call, Server, Setup};

#[tokio::test]
async fn health_and_readiness_are_stated() {
    let server = Setup::default().open().await;
    let health = server.get("/healthz").await.ok(200);
    assert_eq!(health["status"], "ok");
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    let ready = server.get("/readyz").await.ok(200);
    let idle = json!({
        "status": "ready", "lag": 0, "lagging": [], "reconciling": [], "stalled": [],
        "vectors_unreachable": null, "by_workers": false
    });
    assert_eq!(ready, idle);
    server.app.drain();
    server.get("/healthz").await.ok(200);
    let problem = server
        .get("/readyz")
        .await
        .problem(503, ErrorCode::ShuttingDown);
    assert_eq!(problem["retry_after_seconds"], 1);
}

#[tokio::test]
async fn a_collection_of_another_model_is_said_to_wait() {
    let server = Server::new().await;
    server.index("a", json!("red fox")).await;
    let setup = Setup {
        embedder: Arc::new(HashEmbedder::named("other", 64)),
        ..Setup::default()
    };
    let server = server.reopen(setup).await;
    let name = "default".parse().unwrap();
    let engine = server.app.engine();
    let mut progress = engine.progress(&name).await.unwrap();
    let stalled = |progress: &Progress| matches!(progress.health(), Health::Stalled { .. });
    progress.wait_for(stalled).await.unwrap();
    let ready = server.get("/readyz").await.ok(200);
    assert_eq!(ready["stalled"][0]["collection"], "default");
    let reason = ready["stalled"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("hash-embedder-64"), "{reason}");
    let lexical = json!({ "query": "fox", "mode": "lexical" });
    assert_eq!(server.found(&lexical).await, ["a"], "reads go on");
    let path = "/v1/collections/default/documents/b";
    let write = server.put(path, &json!({ "text": "x" })).await;
    write.problem(409, ErrorCode::FingerprintMismatch);
}

#[tokio::test]
async fn metrics_are_text_for_prometheus() {
    let metrics = braid_runtime::telemetry::install_metrics().unwrap();
    let setup = Setup::default().open().await;
    let defaults = braid_engine::retrieve_defaults(&braid_config::Settings::default()).unwrap();
    let app = braid_server::App::new(
        setup.app.engine().clone(),
        Setup::default().options,
        defaults,
        Some(metrics),
    );
    let server = setup.serving(app);
    server.get("/v1/collections/none").await;
    server
        .send(Call::new(Method::from_bytes(b"BREW").unwrap(), "/retrieve"))
        .await;
    let answer = server.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let lines: Vec<_> = answer.text().lines().collect();
    let has = |wanted: &str| lines.iter().any(|line| line.starts_with(wanted));
    assert!(has("braid_http_requests_total{"), "{}", answer.text());
    assert!(has("braid_http_request_seconds_bucket{"));
    assert!(has(
        "braid_http_errors_total{code=\"COLLECTION_NOT_FOUND\"}"
    ));
    assert!(
        answer
            .text()
            .contains("route=\"/v1/collections/{collection}\"")
    );
    assert!(answer.text().contains("method=\"other\""));
    assert!(!answer.text().contains("BREW"), "labels are bounded");
}

#[tokio::test]
async fn request_ids_are_taken_or_made() {
    let server = Server::new().await;
    let made = server.get("/healthz").await;
    let id = made.header("x-request-id").unwrap();
    assert!(uuid::Uuid::parse_str(id).is_ok(), "{id}");
    let other = server.get("/healthz").await;
    assert_ne!(other.header("x-request-id"), Some(id));
    let with = async |id: &str| {
        let call = Call::post("/retrieve", &json!({ "query": "x" })).header("x-request-id", id);
        let answer = server.send(call).await;
        let said = answer.ok(200)["request_id"].as_str().unwrap().to_owned();
        assert_eq!(answer.header("x-request-id"), Some(said.as_str()));
        said
    };
    assert_eq!(with("trace-1/a").await, "trace-1/a");
    assert_eq!(with(&"x".repeat(128)).await, "x".repeat(128));
    for refused in ["", &"x".repeat(129), "ü"] {
        assert!(
            uuid::Uuid::parse_str(&with(refused).await).is_ok(),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn every_answer_has_a_request_id_and_is_not_sniffed() {
    let server = Server::new().await;
    for path in [
        "/",
        "/docs/",
        "/openapi.json",
        "/playground.js",
        "/none",
        "/healthz",
        "/metrics",
    ] {
        let answer = server.send_unchecked(Call::get(path)).await;
        assert!(answer.header("x-request-id").is_some(), "{path}");
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn other_origins_are_given_nothing() {
    let server = Server::new().await;
    let preflight = Call::new(Method::OPTIONS, "/retrieve")
        .header("origin", "https://elsewhere.example")
        .header("access-control-request-method", "POST");
    let answer = server.send(preflight).await;
    answer.problem(405, ErrorCode::MethodNotAllowed);
    assert_eq!(answer.header("allow"), Some("POST"));
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn heads_are_answered_where_gets_are() {
    let server = Server::new().await;
    for path in [
        "/healthz",
        "/readyz",
        "/metrics",
        "/v1/collections",
        "/",
        "/openapi.json",
    ] {
        let answer = server.send_unchecked(Call::new(Method::HEAD, path)).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{path}");
    }
    let answer = server
        .send_unchecked(Call::new(Method::HEAD, "/retrieve"))
        .await;
    assert_eq!(answer.status, 405);
}
