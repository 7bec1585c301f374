//! What is refused before a handler sees it, and what only gRPC can say wrongly.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request as HttpRequest;
use braid_core::ErrorCode;
use braid_server::grpc::proto;
use braid_testkit::{Call as PortCall, Fault, Faulty, Gate, HashEmbedder};
use futures::FutureExt;
use http_body_util::BodyExt;
use serde_json::json;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;
use tower::ServiceExt;

use super::{assert_same_refusal, ingestion, keyed, message, new_document, reason, retrieval};
use crate::server::{Call, Server, Setup};

fn dense() -> proto::RetrieveRequest {
    message(json!({ "query": "x", "mode": "dense" }))
}

/// A server whose queries wait at a gate.
async fn gated(change: impl FnOnce(&mut Setup)) -> (Server, Gate) {
    let (mut setup, gate) = Setup::held_from_first(PortCall::EmbedQuery);
    change(&mut setup);
    let server = setup.open().await;
    let name = "default".parse().unwrap();
    server.app.engine().ensure_collection(&name).await.unwrap();
    (server, gate)
}

#[tokio::test]
async fn a_full_server_refuses_alike() {
    let (server, gate) = gated(|setup| {
        setup.options.max_concurrent_requests = 1;
        setup.options.max_waiting_requests = 0;
    })
    .await;
    let mut client = retrieval(&server);
    let mut second = retrieval(&server);
    let (running, ()) = tokio::join!(client.retrieve(dense()), async {
        gate.arrived().await;
        let status = second.retrieve(dense()).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        let body = json!({ "query": "x", "mode": "dense" });
        let rest = server.post("/v1/retrieve", &body).await;
        assert_same_refusal(&rest, &status, "overloaded");
        gate.open();
    });
    running.unwrap();
}

#[tokio::test]
async fn a_deadline_shortens_the_servers_own() {
    let (server, _gate) = gated(|_| {}).await;
    let mut request = Request::new(dense());
    request.set_timeout(Duration::from_millis(20));
    let status = retrieval(&server).retrieve(request).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status)),
        (Code::DeadlineExceeded, "TIMEOUT".to_owned())
    );
    assert_eq!(status.message(), "no answer within 20 ms");
    let (server, _gate) = gated(|setup| {
        setup.options.request_timeout = Duration::from_millis(10);
    })
    .await;
    let mut request = Request::new(dense());
    request.set_timeout(Duration::from_secs(3600));
    let status = retrieval(&server).retrieve(request).await.unwrap_err();
    assert_eq!(status.message(), "no answer within 10 ms");
    let mut request = Request::new(dense());
    let timeout = "soon".parse().unwrap();
    request.metadata_mut().insert("grpc-timeout", timeout);
    let status = retrieval(&server).retrieve(request).await.unwrap_err();
    assert_eq!(reason(&status), "INVALID_REQUEST");
}

/// A call whose message never comes.
fn endless() -> HttpRequest<Body> {
    let nothing = futures::stream::pending::<Result<Vec<u8>, std::io::Error>>();
    HttpRequest::post("/braid.v1.Ingestion/PutDocument")
        .header("content-type", "application/grpc")
        .body(Body::from_stream(nothing))
        .unwrap()
}

#[tokio::test]
async fn a_call_is_admitted_before_its_message_is_read() {
    let mut setup = Setup::default();
    setup.options.max_concurrent_requests = 1;
    setup.options.max_waiting_requests = 0;
    let server = setup.open().await;
    let mut slow = Box::pin(server.router().oneshot(endless()));
    assert!((&mut slow).now_or_never().is_none());
    let put = proto::PutDocumentRequest {
        collection: "default".to_owned(),
        document: Some(new_document("a", "x")),
        wait: 0,
    };
    let status = ingestion(&server).put_document(put).await.unwrap_err();
    assert_eq!(reason(&status), "OVERLOADED");
    drop(slow);
    let mut setup = Setup::default();
    setup.options.request_timeout = Duration::from_millis(20);
    let server = setup.open().await;
    let response = server.router().oneshot(endless()).await.unwrap();
    let status = Status::from_header_map(response.headers()).unwrap();
    assert_eq!(
        (status.code(), reason(&status)),
        (Code::DeadlineExceeded, "TIMEOUT".to_owned())
    );
}

#[tokio::test]
async fn shutting_down_is_said_alike() {
    let server = Server::new().await;
    server.app.drain();
    let status = retrieval(&server).retrieve(dense()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let rest = server
        .post("/v1/retrieve", &json!({ "query": "x", "mode": "dense" }))
        .await;
    assert_same_refusal(&rest, &status, "draining");
}

/// A server whose model fails with `code`.
async fn failing(code: ErrorCode) -> Server {
    let fault = Fault::FailBefore(code);
    let embedder = Faulty::new(HashEmbedder::new(64)).on_from(PortCall::EmbedQuery, 1, fault);
    let setup = Setup {
        embedder: Arc::new(embedder),
        ..Setup::default()
    };
    let server = setup.open().await;
    let name = "default".parse().unwrap();
    server.app.engine().ensure_collection(&name).await.unwrap();
    server
}

#[tokio::test]
async fn what_a_model_fails_with_is_said_alike() {
    for code in [
        ErrorCode::Corrupt,
        ErrorCode::ModelUnavailable,
        ErrorCode::Unavailable,
        ErrorCode::Internal,
    ] {
        // A server for each: the fault says which call it was.
        let body = json!({ "query": "x", "mode": "dense" });
        let rest = failing(code).await.post("/v1/retrieve", &body).await;
        let status = retrieval(&failing(code).await).retrieve(dense()).await;
        let status = status.unwrap_err();
        assert_same_refusal(&rest, &status, code.as_str());
        assert_eq!(reason(&status), code.as_str());
    }
}

#[tokio::test]
async fn request_ids_go_both_ways() {
    let server = Server::new().await;
    let mut request = Request::new(message::<proto::RetrieveRequest>(json!({ "query": "x" })));
    request
        .metadata_mut()
        .insert("x-request-id", "mine".parse().unwrap());
    let answer = retrieval(&server).retrieve(request).await.unwrap();
    assert_eq!(answer.metadata().get("x-request-id").unwrap(), "mine");
    assert_eq!(answer.get_ref().request_id, "mine");
    let status = retrieval(&server)
        .retrieve(proto::RetrieveRequest::default())
        .await
        .unwrap_err();
    let id = status
        .metadata()
        .get("x-request-id")
        .unwrap()
        .to_str()
        .unwrap();
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().metadata["request_id"], id);
}

#[tokio::test]
async fn what_json_cannot_say_is_refused_where_it_stands() {
    let server = Server::new().await;
    let mut client = retrieval(&server);
    let query = || proto::RetrieveRequest {
        query: "x".to_owned(),
        ..Default::default()
    };
    let refused = |status: Status, pointer: &str| {
        assert_eq!(reason(&status), "INVALID_REQUEST", "{status}");
        let details = status.get_error_details();
        let violations = &details.bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, pointer, "{status}");
    };
    let request = proto::RetrieveRequest {
        mode: 17,
        ..query()
    };
    let status = client.retrieve(request).await.unwrap_err();
    assert_eq!(
        status.message(),
        "/mode: unknown value `17`, expected one of `lexical`, `dense`, `hybrid`"
    );
    refused(status, "/mode");
    let fusion = proto::Fusion {
        k: Some(f64::NAN),
        ..Default::default()
    };
    let request = proto::RetrieveRequest {
        fusion: Some(fusion),
        ..query()
    };
    refused(client.retrieve(request).await.unwrap_err(), "/fusion/k");
    let condition = |key: &str| proto::Condition {
        key: key.to_owned(),
        test: None,
    };
    let filter = proto::Filter {
        must: vec![condition("k")],
        ..Default::default()
    };
    let request = proto::RetrieveRequest {
        filter: Some(filter),
        ..query()
    };
    refused(
        client.retrieve(request).await.unwrap_err(),
        "/filter/must/0",
    );
    let mut documents = ingestion(&server);
    let mut document = new_document("a", "x");
    document
        .metadata
        .insert("k".to_owned(), proto::MetadataValue { kind: None });
    let put = |document: Option<proto::NewDocument>, collection: &str| proto::PutDocumentRequest {
        collection: collection.to_owned(),
        document,
        wait: 0,
    };
    let status = documents
        .put_document(put(Some(document.clone()), "default"))
        .await;
    refused(status.unwrap_err(), "/metadata/k");
    let infinite = proto::metadata_value::Kind::Number(f64::INFINITY);
    document.metadata.insert(
        "k".to_owned(),
        proto::MetadataValue {
            kind: Some(infinite),
        },
    );
    let status = documents.put_document(put(Some(document), "default")).await;
    refused(status.unwrap_err(), "/metadata/k");
    let status = documents.put_document(put(None, "default")).await;
    refused(status.unwrap_err(), "/document");
    let status = documents
        .put_document(put(Some(new_document("a", "x")), ""))
        .await;
    refused(status.unwrap_err(), "/collection");
    let status = documents
        .put_document(put(Some(new_document("a", "x")), "No Such"))
        .await;
    refused(status.unwrap_err(), "/collection");
    let named = put(Some(new_document("a", "x")), "default");
    let status = documents.put_document(keyed(&"k".repeat(256), named)).await;
    refused(status.unwrap_err(), "/idempotency_key");
    let status = documents
        .put_document(put(Some(new_document("", "x")), "default"))
        .await;
    refused(status.unwrap_err(), "/id");
    let long = "n".repeat(1 << 17);
    let status = documents
        .put_document(put(Some(new_document(&long, "x")), "default"))
        .await;
    assert_eq!(reason(&status.unwrap_err()), "TOO_LARGE");
}

#[tokio::test]
async fn messages_are_limited_and_their_json_is_not() {
    let server = Server::new().await;
    let mut client = ingestion(&server);
    let put = |text: String| proto::PutDocumentRequest {
        collection: "default".to_owned(),
        document: Some(new_document("a", &text)),
        wait: 0,
    };
    let limit = Setup::default().options.max_body_bytes;
    let status = client
        .put_document(put("x".repeat(limit)))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), reason(&status)),
        (Code::InvalidArgument, "TOO_LARGE".to_owned())
    );
    // Each of these takes six bytes in JSON.
    let text = "\u{1}".repeat(limit / 2);
    client.put_document(put(text)).await.unwrap();
}

/// Sends bytes as a call.
async fn send(server: &Server, path: &str, body: &'static [u8]) -> Status {
    let request = HttpRequest::post(path)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::from(body))
        .unwrap();
    let response = server.router().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200, "a status travels in headers");
    assert_eq!(response.headers()["content-type"], "application/grpc");
    assert!(response.headers().contains_key("x-request-id"));
    let status = Status::from_header_map(response.headers()).unwrap();
    assert!(
        response
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .is_empty()
    );
    status
}

#[tokio::test]
async fn what_is_no_message_or_no_method_is_refused_with_a_reason() {
    let server = Server::new().await;
    let path = "/braid.v1.Retrieval/Retrieve";
    for garbage in [
        &[0, 0, 0, 0, 2, 0x0a, 9][..],
        &[7, 0, 0, 0, 0],
        &[0, 0, 0, 0, 9, 1],
    ] {
        let status = send(&server, path, garbage).await;
        assert_eq!(
            (status.code(), reason(&status)),
            (Code::InvalidArgument, "INVALID_REQUEST".to_owned()),
            "{garbage:?}"
        );
    }
    for unknown in [
        "/braid.v1.Retrieval/None",
        "/braid.v1.None/Get",
        "/v1/retrieve",
    ] {
        let status = send(&server, unknown, &[0, 0, 0, 0, 0]).await;
        assert_eq!(
            (status.code(), reason(&status)),
            (Code::Unimplemented, "ROUTE_NOT_FOUND".to_owned()),
            "{unknown}"
        );
    }
}

#[tokio::test]
async fn unknown_fields_of_a_message_are_passed_over() {
    let server = Server::new().await;
    // `query: "x"` and a field 1000 that the contract does not have.
    let body = b"\0\0\0\0\x07\x0a\x01x\xc2\x3e\x01y";
    let request = HttpRequest::post("/braid.v1.Retrieval/Retrieve")
        .header("content-type", "application/grpc+proto")
        .body(Body::from(&body[..]))
        .unwrap();
    let response = server.router().oneshot(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
}

#[tokio::test]
async fn other_protocols_see_the_http_interface() {
    let server = Server::new().await;
    for kind in ["application/grpc-web", "application/grpcx", "text/plain"] {
        let call =
            Call::post("/braid.v1.Retrieval/Retrieve", &json!({})).header("content-type", kind);
        let answer = server.send(call).await;
        answer.problem(404, ErrorCode::RouteNotFound);
    }
    // The step of a stream is no route.
    let answer = server
        .post(
            "/grpc/collections/default/each",
            &json!({ "documents": [] }),
        )
        .await;
    answer.problem(404, ErrorCode::RouteNotFound);
}
